"""Numbers that tell how an update went. Each reduces the last axis: (..., N) -> (...).

What is no tensor of real numbers is a TypeError, an empty last axis a ValueError; a NaN gives NaN.
"""

import torch

from lecture_utils.objectives import check_clip, check_tensors


def approx_kl(log_ratio):
    """Estimate of KL(pi_old || pi) in nats from samples of pi_old: the mean of (r - 1) - log r, never negative.

    log_ratio is log pi(a|s) - log pi_old(a|s). Source: Schulman 2020, "Approximating KL Divergence" (its k3).
    """
    _check(log_ratio=log_ratio)
    return (log_ratio.expm1() - log_ratio).mean(-1)


def clip_fraction(log_ratio, clip):
    """Share of samples whose ratio is outside the band [1 - clip, 1 + clip]."""
    _check(log_ratio=log_ratio)
    check_clip(clip)
    outside = ((log_ratio.exp() - 1).abs() > clip).to(log_ratio.dtype)
    return torch.where(log_ratio.isnan(), torch.nan, outside).mean(-1)


def explained_variance(values, returns):
    """1 - Var(returns - values) / Var(returns): 1 is a perfect critic, 0 no better than a constant, below 0 worse.

    Where the returns do not vary it is not defined: NaN. Raises ValueError for shapes that disagree.
    """
    _check(values=values, returns=returns)
    if values.shape != returns.shape:
        shapes = tuple(values.shape), tuple(returns.shape)
        raise ValueError(f"values and returns must have one shape, got {shapes}")
    variance = returns.var(-1, correction=0)
    unexplained = (returns - values).var(-1, correction=0)
    return torch.where(variance > 0, 1 - unexplained / variance, torch.nan)


def _check(**tensors):
    check_tensors(**tensors)
    for name, x in tensors.items():
        if not x.is_floating_point() or not x.shape or 0 in x.shape:
            raise ValueError(f"{name} must be a floating-point tensor (..., N), got {x.dtype} of {tuple(x.shape)}")
