"""The comparison on another task: its three algorithms are what they are on the pendulum, and its numbers are right."""

import numpy as np
import pandas as pd
import pytest
from helpers import weights

from lecture_utils import PPO, train
from lecture_utils.experiments import cartpole, sweep
from lecture_utils.experiments.cartpole import CARTPOLE, CARTPOLE_STEPS, Recorded, by_run, record, transfer, verdicts
from lecture_utils.experiments.fair_experiment import ALGORITHMS, ThreeAlgorithms
from lecture_utils.experiments.sweep import Setting, run_setting

TINY = CARTPOLE.replace(episodes_per_update=2, rollout_steps=32, hidden=(4,), minibatch_size=64, anneal_updates=2)
SIX = TINY.replace(passes=2, anneal_updates=6)
SETTING = Setting(ThreeAlgorithms, SIX, 12, 4, scored_every=8, scored_on=3, env="CartPole-v1")


def test_a_sweep_of_another_task_interrupted_and_taken_up_again_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "SAVE_EVERY", -1.0)
    assert SETTING.recipe([0])["env"] == "CartPole-v1"
    assert "env" not in Setting().recipe([0])
    seeds = [0, 1, 0, 1, 0, 1]
    whole = run_setting(SETTING, seeds, tmp_path / "whole")
    assert len(whole) == 6 * 3
    assert whole.episode.unique().tolist() == [0, 4, 8]
    assert (whole.reward == whole.length).all()
    assert whole.score_mean.notna().sum() == 6

    def stop(episodes):
        if episodes == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_setting(SETTING, seeds, tmp_path / "parts", stop)
    parts = run_setting(SETTING, seeds, tmp_path / "parts")
    pd.testing.assert_frame_equal(parts.drop(columns="seconds"), whole.drop(columns="seconds"))


def test_three_algorithms_are_one_in_the_first_step_and_then_differ():
    one_step = TINY.replace(passes=1)
    agent = Recorded.for_env("CartPole-v1", one_step, seeds=[3, 3, 3])
    train(agent, steps=64, env="CartPole-v1", progress=False)
    for other in (1, 2):
        np.testing.assert_allclose(weights(agent, 0), weights(agent, other), atol=1e-4)
    agent = Recorded.for_env("CartPole-v1", one_step.replace(passes=5, actor_lr=0.1), seeds=[3, 3, 3])
    train(agent, steps=64, env="CartPole-v1", progress=False)
    assert len({weights(agent, k).sum() for k in range(3)}) == 3


def test_ppo_among_the_three_is_ppo():
    agent = Recorded.for_env("CartPole-v1", TINY, seeds=[5, 5, 5])
    alone = PPO.for_env("CartPole-v1", TINY, seeds=[5])
    logs = [train(x, steps=128, env="CartPole-v1", progress=False) for x in (agent, alone)]
    np.testing.assert_allclose(weights(agent, 2), weights(alone, 0), atol=1e-5)
    ended = pd.concat(agent.rows).query("run == 2").ended
    assert ended.sum() == len(logs[1])


def test_a_row_a_run_and_update_and_the_score_at_the_end():
    rows = record(2, TINY, seeds=range(2), episodes=3)
    assert tuple(rows.columns) == cartpole.COLUMNS
    assert len(rows) == 3 * 2 * 2
    assert rows.score.notna().tolist() == [False] * 6 + [True] * 6
    assert rows.ended.sum() > 0


def log_of(early, score, kl=0.0, outside=0.0):
    """A log in which all sixteen runs of an algorithm and number of passes see so many ends in each update."""
    rows = []
    for algorithm in ALGORITHMS:
        for passes in cartpole.PASSES:
            for run in range(16):
                for update in range(CARTPOLE.anneal_updates):
                    last = update == CARTPOLE.anneal_updates - 1
                    rows.append((algorithm, passes, run, update, early(algorithm, passes), outside, kl,
                                 score(algorithm, passes) + run / 100 if last else np.nan))  # fmt: skip
    columns = ["algorithm", "passes", "run", "update", "ended", "clip_fraction", "kl_after", "score"]
    return pd.DataFrame(rows, columns=columns)


def test_numbers_and_verdicts_of_planted_runs():
    def ends(algorithm, passes):
        return 64 if algorithm != "PPO" else 8 if passes == 10 else 16

    log = log_of(ends, lambda algorithm, passes: 500 if algorithm == "PPO" else 300 - 10 * passes, kl=2.0)
    runs = by_run(log)
    assert len(runs) == 3 * 4 * 16
    assert set(runs[runs.algorithm == "PPO"].early) == {1024 / 16, 1024 / 8}
    assert set(runs.far) == {1.0}
    found = {claim: {x.verdict for x in measures} for claim, measures in transfer(log).items()}
    assert found == {
        "early learning is comparable": {"contradicted"},
        "the clip rarely activates early": {"supported"},
        "PPO reaches a higher end": {"supported"},
        "ten passes destabilise A2C": {"supported"},
        "for PPO ten passes are safe": {"supported"},
        "and helpful": {"supported"},
        "PPO's policy does not blow up": {"contradicted"},
    }
    assert transfer(log)["early learning is comparable"][0].value == pytest.approx(4.0)
    assert transfer(log)["ten passes destabilise A2C"][0].value == pytest.approx(-50.0)
    assert len(verdicts(transfer(log))) == 4 * 4 + 3


def test_the_recipe():
    assert CARTPOLE_STEPS == 30_720
    assert cartpole.EARLY == 10
