"""The page "Why does my PPO not learn Pendulum?" says what the data of 05 say; its program is the recorded one."""

import pathlib
import re

import numpy as np
import pytest

from lecture_utils import fixed_starts
from lecture_utils.experiments import ladder, probes, time_to_solve
from lecture_utils.experiments.optimal import optimal_returns
from lecture_utils.experiments.recordings import load_log
from lecture_utils.experiments.statistics import probability_of_improvement

PAGE = (pathlib.Path(__file__).parents[2] / "notebooks" / "not_learning.md").read_text(encoding="utf-8")


def rungs(page):
    """(regret, runs below 50) of each row of the page's table."""
    rows = re.findall(r"^\| .*? \| ([\d,]+) \| (\d+) \|$", page, flags=re.M)
    return [(int(regret.replace(",", "")), int(runs)) for regret, runs in rows]


def test_the_rungs_are_those_of_the_data():
    table = ladder.ladder_table(ladder.load_details())
    assert rungs(PAGE) == list(zip(table.regret.astype(int), table["end below 50"].astype(int), strict=True))


def test_what_is_said_of_the_rungs_holds():
    table = ladder.ladder_table(ladder.load_details())
    steps = table["gradient steps, at most"].astype(str).str.replace(",", "").astype(int)
    assert "fourteen times fewer gradient steps" in PAGE
    assert steps["advantages normalised"] == 14 * steps["many episodes an update, large minibatches"]
    assert "all sixteen runs get below 50 points at some time, and none ends there" in PAGE
    assert tuple(table.loc["larger steps", ["ever below 50", "end below 50"]].astype(int)) == (16, 0)
    without = ladder.leave_one_out_table(ladder.load_details())
    costs = without.regret.astype(int).iloc[1:] - int(without.regret.iloc[0])
    assert "eleven of the seventeen cost less than 10 points" in PAGE
    assert ((costs < 10).sum(), len(costs)) == (11, 17)
    assert "about a thousand points" in PAGE
    assert costs["without: a standard deviation that starts at 2 N m"] == pytest.approx(1000, abs=50)


def test_what_is_said_of_probes_and_of_the_solved_runs_holds():
    costs = ladder.museum_table(ladder.load_details())["cost"].astype(int)
    said = [int(x.replace(",", "")) for x in re.findall(r"\(([\d,]+) points\)", PAGE)]
    assert said == [costs[bug] for bug in ("ActionClipped", "OffByOne", "BroadcastValues")]
    assert abs(costs["CutIsEnd"]) < 5
    caught = probes.probe_table(probes.load_probes()).drop("PPO")["caught by"]
    assert f"{(caught > 0).sum()} of the {len(caught)} planted bugs" in PAGE
    runs = time_to_solve.load_time_to_solve()
    for threshold in (-170, -160):
        found = time_to_solve.until_solved(runs, threshold)
        median = found[found.program == time_to_solve.THERE].samples.median()
        assert re.search(rf"{threshold}\D+{median:,.0f}", PAGE), (threshold, median)
    ends = [log[log.episode >= 2750].groupby("run").reward.mean() for log in (load_log("a2c"), load_log("ppo"))]
    assert "One run in five tells you the wrong order" in PAGE
    assert probability_of_improvement(*ends) == pytest.approx(1 / 5, abs=0.02)
    optimum = optimal_returns(fixed_starts(time_to_solve.STARTS)).mean()
    assert f"about {optimum:.0f} on these starts" in PAGE


def two_updates(program):
    """The model of the page's program after two of its updates, from seed 3."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Two(BaseCallback):
        rollouts = 0

        def _on_rollout_start(self):
            self.rollouts += 1

        def _on_step(self):
            return self.rollouts < 3

    for old, new in (
        ("n_envs=16,", "n_envs=16, seed=3,"),
        ("    envs,", '    envs, seed=3, device="cpu",'),
        ("model.learn(76_800)", "model.learn(76_800, callback=two)"),
    ):
        assert program.count(old) == 1, old
        program = program.replace(old, new)
    names = {"two": Two()}
    exec(program, names)
    return names["model"]


def test_the_program_of_the_page_is_the_recorded_one():
    pytest.importorskip("stable_baselines3")
    program = PAGE.split("```python\n")[2].split("```")[0]
    recorded = time_to_solve.tuned_there(3)
    scores = [next(recorded)() for _ in range(2)]
    np.testing.assert_allclose(time_to_solve._score_there(two_updates(program), 2.0), scores[1], rtol=1e-6)
    other = two_updates(program.replace("(left + 1 / 24)", "left"))
    assert time_to_solve._score_there(other, 2.0) != pytest.approx(scores[1], rel=1e-6)
