"""Intervals cover what they say they cover, and the rest equals rliable, scipy and numbers worked by hand."""

import numpy as np
import pytest
from scipy.stats import bootstrap, mannwhitneyu

from lecture_utils.experiments.statistics import interval, iqm, probability_of_improvement

RUNS = 16


@pytest.fixture
def scores():
    return np.random.default_rng(3).normal(-340, 75, (RUNS, 5))


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize("statistic", [np.mean, np.median, iqm])
def test_interval_is_that_of_scipy(scores, statistic, method):
    ours = interval(scores, 0.9, statistic, method=method, resamples=500, seed=7)
    scipys = bootstrap(
        (scores,), statistic, axis=0, confidence_level=0.9, method=method, n_resamples=500, vectorized=True,
        random_state=np.random.default_rng(7),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(ours, scipys)


@pytest.mark.parametrize("statistic", [np.mean, iqm])
def test_coverage_of_skewed_runs_is_at_least_90_percent(statistic):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return -200 - rng.lognormal(4.6, 0.4, shape)  # skewness -1.3, the strongest of the recorded runs

    truth = statistic(draw(1_000_000), axis=0)
    low, high = interval(draw(RUNS, 1500), statistic=statistic)
    coverage = ((low <= truth) & (truth <= high)).mean()
    assert 0.9 <= coverage < 0.97  # measured on more: 0.91 and 0.94


def test_each_column_has_the_interval_it_has_alone(scores):
    together = np.array(interval(scores, resamples=300))
    alone = np.array([interval(column, resamples=300) for column in scores.T]).T
    np.testing.assert_allclose(together, alone)
    np.testing.assert_allclose(np.array(interval(scores.T, axis=1, resamples=300)), together)


def test_same_seed_same_interval_and_more_confidence_wider(scores):
    low, high = interval(scores[:, 0])
    assert (low, high) == interval(scores[:, 0])
    assert (low, high) != interval(scores[:, 0], seed=1)
    wider = interval(scores[:, 0], 0.99)
    assert wider[0] < low < scores[:, 0].mean() < high < wider[1]


def test_runs_that_all_agree_have_an_interval_without_width():
    x = np.column_stack([np.full(RUNS, -150.0), np.arange(RUNS)])
    low, high = interval(x, statistic=iqm)
    assert low[0] == high[0] == -150
    assert low[1] < 7.5 < high[1]


def test_where_bca_is_undefined_the_percentiles_are_given():
    # Leaving out any one of these runs does not change the iqm, so BCa divides 0 by 0.
    x = [-150.0] * 13 + [-600.0, -750.0, -900.0]
    for confidence in (0.8, 0.95):
        percentiles = interval(x, confidence, iqm, method="percentile")
        assert interval(x, confidence, iqm) == pytest.approx(percentiles)
    assert percentiles[0] < -200


def test_iqm_by_hand():
    assert iqm([1, 2, 3, 4, 5, 6, 7, 100]) == 4.5
    assert iqm([5, 1, 3, 2, 4]) == 3  # floor(5 / 4) = 1 is left out at each end
    np.testing.assert_array_equal(iqm(np.arange(16).reshape(8, 2)), [7, 8])
    assert iqm(np.arange(16).reshape(8, 2), axis=None) == 7.5


def test_iqm_does_not_feel_one_collapsed_run(scores):
    collapsed = scores.copy()
    collapsed[scores.argmin(0), np.arange(5)] = -1500
    np.testing.assert_array_equal(iqm(collapsed), iqm(scores))


@pytest.mark.parametrize("shape", [(16, 1), (10, 3), (7, 5), (3, 1)])
def test_iqm_is_that_of_rliable(shape):
    metrics = pytest.importorskip("rliable.metrics")
    x = np.random.default_rng(0).lognormal(size=shape)
    assert iqm(x, axis=None) == pytest.approx(metrics.aggregate_iqm(x), abs=1e-12)


def test_probability_of_improvement_by_hand():
    # pairs: 1-1 ties, 1-3 loses, 2-1 wins, 2-3 loses
    assert probability_of_improvement([1, 2], [1, 3]) == 0.375
    assert probability_of_improvement([4, 5, 6], [1, 3]) == 1
    np.testing.assert_array_equal(probability_of_improvement([[1, 4], [2, 5]], [[1, 1], [3, 3]]), [0.375, 1])


def test_probability_of_improvement_is_mann_whitneys_u_and_rliables():
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 9, (16, 3)).astype(float), rng.integers(2, 9, (12, 3)).astype(float)
    ours = probability_of_improvement(x, y)
    np.testing.assert_allclose(ours, mannwhitneyu(x, y, axis=0).statistic / (16 * 12))
    np.testing.assert_allclose(probability_of_improvement(x.T, y.T, axis=1), ours)
    np.testing.assert_allclose(probability_of_improvement(y, x), 1 - ours)
    metrics = pytest.importorskip("rliable.metrics")
    assert metrics.probability_of_improvement(x, y) == pytest.approx(ours.mean())


def test_probability_of_improvement_has_an_interval():
    x, y = np.random.default_rng(0).normal([[1.0], [0.0]], 1, (2, RUNS))
    low, high = interval((x, y), statistic=probability_of_improvement)
    assert 0 <= low < probability_of_improvement(x, y) < high <= 1
    assert interval((x + 99, y), statistic=probability_of_improvement) == (1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interval([1.0]), "at least 2 runs"),
        (lambda: interval(1.0), "at least 2 runs"),
        (lambda: interval([1.0, np.nan, 2.0]), "x must be finite"),
        (lambda: interval([1.0, 2.0], confidence=95), "confidence must be in"),
        (lambda: iqm([]), "x must be finite"),
        (lambda: probability_of_improvement([1.0], [np.inf]), "y must be finite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
