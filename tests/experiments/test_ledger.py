"""The claims ledger is computed from data/ and from the code: recomputed here another way, and spoilt."""

import math

import numpy as np
import pytest
from scipy.stats import trim_mean

from lecture_utils.experiments import ledger as module
from lecture_utils.experiments.fair_experiment import PASSES, load_passes
from lecture_utils.experiments.ledger import Claim, Measure, ledger, table, verdicts
from lecture_utils.experiments.recordings import load_log


@pytest.fixture(scope="module")
def data():
    return load_log("ppo"), load_log("a2c"), load_passes()


@pytest.fixture(scope="module")
def claims(data):
    return ledger(*data)


def numbers(claims):
    return {f"{claim.says} {measure.what}": measure.value for claim in claims for measure in claim.measures}


def by_run(log, first, last, column="reward"):
    """Each run's mean over some episodes, with NumPy alone."""
    rows = log[(log.episode >= first) & (log.episode < last)]
    return np.array([np.mean(rows[column].to_numpy()[rows.run.to_numpy() == run]) for run in sorted(set(rows.run))])


def recomputed(ppo, a2c, passes):
    """Every estimated number of the ledger, in its order, computed without the ledger's functions."""

    def cell(algorithm, std_head, count, first, last, column="reward"):
        rows = passes.query("algorithm == @algorithm and std_head == @std_head and passes == @count")
        return by_run(rows, first, last, column)

    def middle(x):
        return trim_mean(x, 0.25)

    cells = [(head, count) for head, counts in PASSES.items() for count in sorted(counts)]
    ends = {(name, *which): cell(name, *which, 2750, 3000) for name in ("PPO", "A2C") for which in cells}
    yield middle(by_run(ppo, 0, 500)) - middle(by_run(a2c, 0, 500))
    for which in [which for which in cells if which[1] == 2]:
        yield middle(cell("PPO", *which, 0, 500)) - middle(cell("A2C", *which, 0, 500))
    for count in (2, 10):
        yield middle(cell("PPO", "abs", count, 0, 50, "clip_fraction"))
    yield middle(by_run(ppo, 2750, 3000)) - middle(by_run(a2c, 2750, 3000))
    yield from (middle(ends["PPO", *which]) - middle(ends["A2C", *which]) for which in cells)
    yield np.std(by_run(a2c, 2750, 3000)) / np.std(by_run(ppo, 2750, 3000))
    yield from (np.std(ends["A2C", *which]) / np.std(ends["PPO", *which]) for which in cells)
    for name in ("A2C", "PPO"):
        yield from (middle(ends[name, "abs", 10]) - middle(ends[name, "abs", count]) for count in (5, 2))
    for count in (2, 10):
        yield middle(cell("PPO", "abs", count, 0, 3000, "clip_fraction"))
    for count in (2, 10):
        kl = [middle(cell(name, "abs", count, 0, 3000, "approx_kl")) for name in ("PPO", "unclipped")]
        yield kl[0] / kl[1]
    yield middle(np.exp(cell("PPO", "abs", 10, 2750, 3000, "loss_ent")) / math.sqrt(2 * math.pi * math.e))
    scores = passes.query("algorithm == 'PPO' and std_head == 'abs' and passes == 2").dropna(subset="score_sampled")
    runs = [scores[scores.run == run].sort_values("episode").score_sampled.to_numpy() for run in range(16)]
    yield np.mean([np.mean(run[1:] < run[:-1]) for run in runs])


def test_every_estimated_number_is_what_the_data_say(claims, data):
    estimated = [measure for claim in claims for measure in claim.measures if measure.bounds is not None]
    expected = list(recomputed(*data))
    assert len(estimated) == len(expected)
    for measure, value in zip(estimated, expected, strict=True):
        assert measure.value == pytest.approx(value, rel=1e-9), measure.what
        assert measure.bounds[0] <= measure.bounds[1]


def test_counted_numbers(claims):
    counted = [measure.value for claim in claims for measure in claim.measures if measure.bounds is None]
    assert counted == [1, 6, 0, 3]


def test_a_run_replaced_by_noise_changes_the_ledger(claims, data):
    rng = np.random.default_rng(0)
    for k in range(3):
        spoilt = [log.copy() for log in data]
        run = spoilt[k].run == 3
        spoilt[k].loc[run, "reward"] = rng.uniform(-1600, -1400, run.sum())
        before, after = numbers(claims), numbers(ledger(*spoilt))
        assert sum(before[name] != after[name] for name in before) >= 1


def measure(low, high, claimed):
    return Measure("it", (low + high) / 2, (low, high), claimed)


@pytest.mark.parametrize(
    ("agreeing", "verdict"),
    [([True, True], "supported"), ([False, False], "not supported"), ([True, False], "depends: not for it")],
)
def test_verdicts_follow_from_the_rule(agreeing, verdict):
    measures = tuple(measure(1, 2, (0, math.inf)) if yes else measure(-1, 2, (0, math.inf)) for yes in agreeing)
    assert Claim("so", measures).verdict == verdict


def test_an_interval_must_lie_in_the_range_whole():
    assert measure(0, 5, (0, 5)).agrees
    assert not measure(-0.1, 5, (0, 5)).agrees
    assert not measure(0, 5.1, (0, 5)).agrees


def test_an_operation_more_in_the_objective_is_noticed(monkeypatch):
    def other(ratio, advantage, clip=0.2):
        return (ratio * advantage).min() - ratio.log().mean()

    monkeypatch.setattr(module, "clipped_surrogate", other)
    assert module.other_operations().value == 2


def test_tables_hold_every_claim_and_number(claims):
    assert len(verdicts(claims)) == len(claims) == 12
    full = table(claims)
    assert len(full) == sum(len(claim.measures) for claim in claims)
    assert full["the lecture says"].ne("").sum() == 12
    begins = full[full["the lecture says"].ne("")]
    assert begins["the lecture says"].to_dict() == verdicts(claims)["the lecture says"].to_dict()
    assert full.index.is_monotonic_increasing
