"""Numbers that tell how an update went. Each reduces the last axis: (..., N) -> (...)."""

import torch


def approx_kl(log_ratio):
    """Estimate of KL(pi_old || pi) in nats from samples of pi_old: the mean of (r - 1) - log r, never negative.

    log_ratio is log pi(a|s) - log pi_old(a|s). Source: Schulman 2020, "Approximating KL Divergence" (its k3).
    """
    return (log_ratio.expm1() - log_ratio).mean(-1)


def clip_fraction(log_ratio, clip):
    """Share of samples whose ratio is outside the band [1 - clip, 1 + clip]."""
    return ((log_ratio.exp() - 1).abs() > clip).to(log_ratio.dtype).mean(-1)


def explained_variance(values, returns):
    """1 - Var(returns - values) / Var(returns): 1 is a perfect critic, 0 no better than a constant, below 0 worse.

    Where the returns do not vary it is not defined: NaN.
    """
    variance = returns.var(-1, correction=0)
    unexplained = (returns - values).var(-1, correction=0)
    return torch.where(variance > 0, 1 - unexplained / variance, torch.nan)
