"""The claims ledger is computed from data/ and from the code: recomputed here another way, and spoilt."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import trim_mean

from lecture_utils.experiments import ledger as module
from lecture_utils.experiments.fair_experiment import ALGORITHMS, PASSES, SCORED, load_passes
from lecture_utils.experiments.ledger import (
    STATISTICS,
    Claim,
    Measure,
    by_construction,
    by_statistic,
    ledger,
    table,
    with_many_runs,
)
from lecture_utils.experiments.ledger import verdicts as in_short
from lecture_utils.experiments.many_runs import load_many_runs
from lecture_utils.experiments.recordings import load_log

MIDDLE = {"interquartile mean": lambda x: trim_mean(x, 0.25), "mean": np.mean, "median": np.median}


@pytest.fixture(scope="module")
def data():
    return load_log("ppo"), load_log("a2c"), load_passes()


@pytest.fixture(scope="module")
def claims(data):
    return ledger(*data)


def by_run(log, first, last, column="reward"):
    """Each run's mean over some episodes, with NumPy alone."""
    rows = log[(log.episode >= first) & (log.episode < last)]
    return np.array([np.mean(rows[column].to_numpy()[rows.run.to_numpy() == run]) for run in sorted(set(rows.run))])


def dips(log):
    """Each run's largest fall from a mean of 50 episodes to a later one, by trying all pairs."""
    found = []
    for run in sorted(set(log.run)):
        rows = log[log.run == run].sort_values("episode")
        curve = [np.mean(rows.reward[(rows.episode // 50 == k).to_numpy()]) for k in range(60)]
        found.append(max(a - b for a, b in itertools.combinations(curve, 2)))
    return np.maximum(found, 0.0)


def own_numbers(ppo, a2c, passes, middle):
    """The ledger's eight numbers at the lecture's settings, computed without the ledger's functions."""

    def cell(algorithm, count, first, last, column="reward"):
        rows = passes.query("algorithm == @algorithm and std_head == 'abs' and scored == 'cut' and passes == @count")
        return by_run(rows, first, last, column)

    yield middle(by_run(ppo, 0, 500)) - middle(by_run(a2c, 0, 500))
    yield middle(by_run(ppo, 0, 500, "clip_fraction"))
    yield middle(by_run(ppo, 2750, 3000)) - middle(by_run(a2c, 2750, 3000))
    yield middle(dips(a2c)) / middle(dips(ppo))
    for algorithm in ("A2C", "PPO"):
        yield middle(cell(algorithm, 10, 2750, 3000)) - middle(cell(algorithm, 5, 2750, 3000))
    yield middle(cell("PPO", 10, 0, 500)) - middle(cell("PPO", 5, 0, 500))
    yield middle(cell("PPO", 2, 0, 3000, "far"))


def percentiles(samples, statistic, rng):
    """A bootstrap interval by hand: the percentiles of 4,000 resamples."""
    values = [statistic(*(rng.choice(x, len(x)) for x in samples)) for _ in range(4000)]
    return np.quantile(values, [0.025, 0.975])


@pytest.mark.parametrize("name", STATISTICS)
def test_the_numbers_at_the_lectures_settings_are_what_the_data_say(data, name):
    found = [claim.own.value for claim in ledger(*data, STATISTICS[name])]
    assert found == pytest.approx(list(own_numbers(*data, MIDDLE[name])), rel=1e-9)


def test_the_verdicts_by_statistic_are_the_ledgers_own(data, claims):
    columns = by_statistic(*data)
    assert columns["interquartile mean"].tolist() == [claim.verdict for claim in claims]
    for name, statistic in STATISTICS.items():
        assert columns[name].tolist() == [claim.verdict for claim in ledger(*data, statistic)]


def test_an_interval_is_that_of_whole_runs(data, claims):
    rng, (ppo, a2c, _) = np.random.default_rng(1), data
    ends = by_run(ppo, 2750, 3000), by_run(a2c, 2750, 3000)
    expected = percentiles(ends, lambda x, y: trim_mean(x, 0.25) - trim_mean(y, 0.25), rng)
    np.testing.assert_allclose(claims[2].own.bounds, expected, atol=30)


def test_a_thousand_runs_say_what_their_file_says(data, claims):
    many, (ppo, a2c, _) = load_many_runs(), data
    found, short = with_many_runs(ppo, a2c, many), in_short(claims)
    assert found.index.tolist() == [1, 3, 4]
    blocks = {name: returns.astype(float) for name, returns in many.items()}
    middle = {name: trim_mean(x[:, :10].mean(1), 0.25) for name, x in blocks.items()}
    ends = {name: trim_mean(x[:, 55:].mean(1), 0.25) for name, x in blocks.items()}
    dip = {}
    for name, x in blocks.items():
        falls = [x[:, i] - x[:, j] for i, j in itertools.combinations(range(60), 2)]
        dip[name] = trim_mean(np.maximum(np.max(falls, axis=0), 0), 0.25)
    numbers = middle["ppo"] - middle["a2c"], ends["ppo"] - ends["a2c"], dip["a2c"] / dip["ppo"]
    for claim, number, digits in zip(found.index, numbers, (0, 0, 1), strict=True):
        assert found["1,024 runs"][claim].split()[0] == f"{number:,.{digits}f}"
        assert found["16 runs"][claim] == str(claims[claim - 1].own)
        assert found["verdict of 16 runs"][claim] == short.verdict[claim]


def made_up(seed=0, **effects):
    """Logs and an experiment in which every number is drawn; effects: (cell, column) -> what is added to it."""
    rng = np.random.default_rng(seed)

    def log(algorithm, head="abs", scored="cut", count=2):
        index = pd.MultiIndex.from_product([range(16), range(0, 3000, 50)], names=["run", "episode"])
        columns = {"reward": rng.normal(-500, 40, len(index)), "clip_fraction": 0.05, "far": 0.01}
        frame = pd.DataFrame(columns, index=index).reset_index()
        return frame.assign(algorithm=algorithm, std_head=head, scored=scored, passes=count)

    cells = [
        log(algorithm, head, scored, count)
        for algorithm in ALGORITHMS
        for head, counts in PASSES.items()
        for scored in SCORED
        for count in counts
    ]
    return log("PPO"), log("A2C"), pd.concat(cells, ignore_index=True)


def test_every_claim_hangs_on_its_own_setting():
    """What is added to one cell moves that cell's numbers and no other."""
    ppo, a2c, passes = made_up()
    before = ledger(ppo, a2c, passes)
    changed = passes.copy()
    cell = (
        (changed.algorithm == "PPO") & (changed.std_head == "abs") & (changed.scored == "cut") & (changed.passes == 10)
    )
    changed.loc[cell, ["reward", "far", "clip_fraction"]] += [-600, 0.5, 0.2]
    after = ledger(ppo, a2c, changed)
    moved = {
        (number, measure.where)
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1)
        for measure, other in zip((old.own, *old.elsewhere), (new.own, *new.elsewhere), strict=True)
        if measure.value != pytest.approx(other.value, abs=1e-9)
    }
    here = "cut action, 10 passes"
    assert moved == {(1, here), (2, here), (3, here), (6, here), (7, here), (8, here)}  # 4: a dip is a difference
    assert [x.verdict for x in before] == ["supported"] * 2 + ["undecided"] * 2 + ["contradicted"] + ["supported"] + [
        "undecided", "supported"
    ]  # fmt: skip
    assert [x.verdict for x in after][5:7] == ["contradicted"] * 2


def test_a_dip_counts_the_way_down_only():
    ppo, a2c, passes = made_up()
    later = a2c.episode >= 1500
    up, down = a2c.copy(), a2c.copy()
    up.loc[later, "reward"] += 500
    down.loc[later, "reward"] -= 500
    none, risen, fallen = (ledger(ppo, log, passes)[3].own for log in (a2c, up, down))
    assert fallen.verdict == "supported"
    assert fallen.value > 3
    assert risen.value == pytest.approx(none.value, rel=0.3)


def test_the_best_run_replaced_by_noise_changes_the_ledger(claims, data):
    """The best, because an interquartile mean does not see a bad run get worse."""
    rng = np.random.default_rng(0)
    for k in range(3):
        spoilt = [log.copy() for log in data]
        run = spoilt[k].run == spoilt[k].groupby("run").reward.mean().idxmax()
        spoilt[k].loc[run, "reward"] = rng.uniform(-1600, -1400, run.sum())
        pairs = zip(claims, ledger(*spoilt), strict=True)
        assert sum(a.own.value != b.own.value or a.elsewhere != b.elsewhere for a, b in pairs) >= 2


@pytest.mark.parametrize(
    ("bounds", "claimed", "verdict"),
    [
        ((1, 2), (0, math.inf), "supported"),
        ((0, 5), (0, 5), "supported"),
        ((-2, -1), (0, math.inf), "contradicted"),
        ((6, 7), (0, 5), "contradicted"),
        ((-1, 2), (0, math.inf), "undecided"),
        ((-1, 2), (0, 5), "undecided"),
        ((4, 6), (0, 5), "undecided"),
        ((-1, 6), (0, 5), "undecided"),
    ],
)
def test_verdicts_follow_from_the_rule(bounds, claimed, verdict):
    own = Measure("here", sum(bounds) / 2, bounds, claimed)
    assert own.verdict == verdict
    claim = Claim("so", "it", "because", "It is {}.", own, (own, Measure("there, 2 passes", 1, (1, 1), (0, 2))))
    assert claim.verdict == verdict
    assert claim.found == f"It is {own}."
    assert "supported: " in claim.other_places


def test_places_of_one_kind_are_told_together():
    measures = [Measure(f"cut action, {count} passes", 1, (1, 1), (0, 2)) for count in (2, 5)]
    measures.append(Measure("drawn action, 1 pass", -1, (-1, -1), (0, 2)))
    claim = Claim("so", "it", "because", "{}", measures[0], tuple(measures))
    assert claim.other_places == "supported: cut action (2, 5); contradicted: drawn action (1)"


def test_what_holds_by_construction_is_counted():
    counted = by_construction().set_index("the lecture says")["in this code"]
    assert [text.split()[0] for text in counted] == ["6", "at", "4", "0", "3"]
    assert "passes" in counted.iloc[0]
    assert "in 15 of 15 cases" in counted.iloc[1]


def test_an_operation_more_in_the_objective_is_noticed(monkeypatch):
    def other(ratio, advantage, clip=0.2):
        return (ratio * advantage).min() - ratio.log().mean()

    monkeypatch.setattr(module, "clipped_surrogate", other)
    assert module.other_operations() == {"log", "mean"}


def test_a_wrong_row_of_the_case_table_is_noticed(monkeypatch):
    cases = module.lecture_cases(clip=0.2)
    monkeypatch.setattr(module, "lecture_cases", lambda clip: cases.assign(gradient=["0", "1, then 0", "0", "-1"]))
    assert module.lecture_rows_right() == [True, False, True, True]


def test_tables_hold_every_claim_and_number(claims):
    short, full = in_short(claims), table(claims)
    assert len(short) == len(claims) == 8
    assert len(full) == sum(1 + len(claim.elsewhere) for claim in claims)
    own = full[full.setting.str.startswith("the lecture's: ")]
    assert own.claim.tolist() == list(range(1, 9))
    assert own.verdict.tolist() == short.verdict.tolist()
    for claim, sentence in zip(claims, short.found, strict=True):
        assert f"{claim.own.value:,.{claim.own.digits}f}" in sentence


RANGES = {  # how each claim and its number begin, and the range in which the claim has it
    "Early learning is comparable": ("PPO minus A2C, mean return of episodes 0", (-100, 100)),
    "and the clip rarely activates": ("share of PPO's samples outside the band", (0, 0.1)),
    "PPO reaches a higher asymptote": ("PPO minus A2C, mean return of the last", (0, math.inf)),
    "with less variance": ("largest dip within a run's curve", (1, math.inf)),
    "If you re-ran A2C with 10 inner passes": ("A2C, 10 passes minus 5, mean return of the last", (-math.inf, -100)),
    "PPO's clip means the same change is safe": ("PPO, 10 passes minus 5, mean return of the last", (-100, math.inf)),
    "(and usually helpful": ("PPO, 10 passes minus 5, mean return of episodes 0", (0, math.inf)),
    "The gradient automatically vanishes": ("share of PPO's updates that move the policy by more", (0, 0.05)),
}


def test_each_claim_has_its_number_and_its_range(claims):
    for claim, (says, (number, claimed)) in zip(claims, RANGES.items(), strict=True):
        assert claim.says.startswith(says)
        assert claim.number.startswith(number)
        assert {measure.claimed for measure in (claim.own, *claim.elsewhere)} == {claimed}


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [((0, 1), "supported"), ((-1, 0), "undecided"), ((1, 2), "undecided"), ((-1, -0.1), "contradicted"),
     ((1.1, 2), "contradicted"), ((-1, 2), "undecided")],
)  # fmt: skip
def test_an_interval_that_touches_an_end_of_the_range_decides_nothing(bounds, verdict):
    assert Measure("here", 0.5, bounds, (0, 1)).verdict == verdict
