"""What sixteen runs say about an algorithm: robust means, bootstrap intervals, and comparisons.

Sources: Agarwal, Schwarzer, Castro, Courville and Bellemare 2021, Deep Reinforcement Learning at the Edge of the
Statistical Precipice (arXiv 2108.13264); Efron 1987, Better Bootstrap Confidence Intervals.
"""

import warnings

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from scipy.stats import DegenerateDataWarning, bootstrap, trim_mean

from lecture_utils import checks

NUMBERS_AT_ONCE = 4_000_000  # resampled at a time: 32 MB
ROUNDING = 1e-6  # a number smaller than this is what rounding leaves of a zero


def iqm(x, axis=0):
    """Interquartile mean along `axis`: the mean of the middle half, so that one collapsed run cannot move it far.

    x: (R, ...) scores, the runs leading; returns (...) of the same unit. axis=None takes all of them together. With n
    numbers, the floor(n / 4) smallest and largest are left out. Source: Agarwal et al. 2021, section 4.3.
    """
    return trim_mean(_numbers("x", x), 0.25, axis=axis)


def probability_of_improvement(x, y, axis=0):
    """Share of the pairs (one run of x, one run of y) in which x is larger; a tie counts one half.

    x: (R, ...), y: (S, ...) with any numbers of runs R and S along `axis`; returns (...) in [0, 1].
    `interval((x, y), statistic=probability_of_improvement)` of 16 and 16 runs, nominally 95 %, was measured to cover
    96 % where the true probability is 0.64 or 0.76, but only 89 % at 0.96 and 84 % at 0.98: near 1 it is too narrow.
    Source: Agarwal et al. 2021, section 4.3; Mann and Whitney's U divided by R S.
    """
    x, y = (np.moveaxis(_numbers(name, values), axis, -1) for name, values in {"x": x, "y": y}.items())
    if x.shape[:-1] != y.shape[:-1]:
        raise ValueError(f"x and y must have one shape beside axis {axis}, got {x.shape[:-1]} and {y.shape[:-1]}")
    difference = x[..., :, None] - y[..., None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean((-2, -1))


def interval(x, confidence=0.95, statistic=np.mean, *, axis=0, resamples=2000, method="BCa", seed=0):
    """Bootstrap confidence interval (low, high) of `statistic` of independent runs, by scipy.stats.bootstrap.

    x: (R, ...) scores, the runs along `axis`: whole runs are drawn again, so that the episodes of one stay together.
       Or a tuple of such arrays, drawn one by one, for a statistic of several: interval((x, y),
       statistic=probability_of_improvement).
    statistic: a vectorised function (..., axis) -> (...), such as np.mean, np.median or iqm.
    method: "BCa" (Efron 1987) or "percentile". Where all runs agree BCa is undefined and the percentiles are given.
    Returns two arrays (...) of the unit of x. The same seed gives the same interval.

    Coverage of a nominal 95 %, measured on 8,000 simulated experiments of 16 runs each (standard error 0.3 %):

    | scores of the runs                           | mean, BCa | mean, percentile | iqm, either |
    | -------------------------------------------- | --------- | ---------------- | ----------- |
    | normal                                       | 92 %      | 92 %             | 94 %        |
    | log-normal, skewness -1.3 (our worst)        | 91 %      | 91 %             | 94 %        |
    | exponential, skewness -2                     | 91 %      | 89 %             | 94 %        |
    | two groups, a third of the runs at half      | 94 %      | 92 %             | 94 %        |
    | one run in ten collapses                     | 79 %      | 79 %             | 94 %        |

    So read a nominal 95 % of a mean as 91 %, and prefer iqm where runs collapse: among 16 runs there may be none yet.

    Raises ValueError for fewer than 2 runs, numbers that are not finite, confidence outside (0, 1) and other methods.
    """
    samples = tuple(_numbers("x", values) for values in (x if isinstance(x, tuple) and x else (x,)))
    confidence, resamples = checks.plain(confidence), checks.whole("resamples", resamples, 1)
    if not isinstance(confidence, (int, float)) or not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}")
    if method not in ("BCa", "percentile"):
        raise ValueError(f"method must be 'BCa' or 'percentile', got {method!r}")
    for values in samples:
        if values.ndim == 0 or values.shape[normalize_axis_index(axis, values.ndim)] < 2:
            raise ValueError(f"x must have at least 2 runs along axis {axis}, got shape {values.shape}")
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)
        result = bootstrap(
            samples, statistic, axis=axis, vectorized=True, n_resamples=resamples, method=method,
            confidence_level=confidence, batch=max(1, NUMBERS_AT_ONCE // max(values.size for values in samples)),
            random_state=np.random.default_rng(seed),
        )  # fmt: skip
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    percentiles = np.quantile(result.bootstrap_distribution, tails, axis=-1)
    return tuple(np.where(np.isnan(b), p, b)[()] for b, p in zip(result.confidence_interval, percentiles, strict=True))


def _numbers(name, values):
    try:
        values = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array: {error}") from None
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got {values.dtype}")
    values = values.astype(np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite numbers, at least one, got {values}")
    return values


def two_digits(x):
    """A number as text with two significant digits and without an exponent; what rounding leaves of a zero is "0"."""
    x = 0.0 if abs(x) < ROUNDING else x
    return np.format_float_positional(x, precision=2, unique=False, fractional=False, trim="-")
