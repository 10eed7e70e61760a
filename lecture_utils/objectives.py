"""The elementwise objectives that A2C and PPO maximise, and the ratio between two policies.

All take and return tensors of one shape; the loss is minus the mean of the objective. What is no tensor of real numbers
is a TypeError, shapes that disagree are a ValueError; a NaN gives a NaN in its own place.
"""

import numbers

import torch


def probability_ratio(log_prob, old_log_prob):
    """r = pi(a|s) / pi_old(a|s), from the difference of logarithms: densities underflow where their logs do not.

    Source: section 3 of Schulman et al. 2017, arXiv 1707.06347.
    """
    _same_shape(log_prob=log_prob, old_log_prob=old_log_prob)
    return (log_prob - old_log_prob).exp()


def policy_gradient(log_prob, advantage):
    """log pi(a|s) A, the objective of A2C: its gradient is right for one step from the policy that collected the data.

    Source: equation 2 of Schulman et al. 2017, arXiv 1707.06347.
    """
    _same_shape(log_prob=log_prob, advantage=advantage)
    return log_prob * advantage


def surrogate(ratio, advantage):
    """r A, the unclipped surrogate: equation 6 of Schulman et al. 2017, arXiv 1707.06347 (there called CPI)."""
    _same_shape(ratio=ratio, advantage=advantage)
    return ratio * advantage


def clipped_surrogate(ratio, advantage, clip=0.2):
    """min(r A, clip(r, 1 - epsilon, 1 + epsilon) A), the objective of PPO; `clip` is epsilon, a half-width >= 0.

    Source: equation 7 of Schulman et al. 2017, arXiv 1707.06347.
    """
    check_clip(clip)
    _same_shape(ratio=ratio, advantage=advantage)
    return torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def check_clip(clip):
    """Raises TypeError or ValueError unless `clip` is a number of at least 0 (infinity: not clipped)."""
    if not isinstance(clip, numbers.Real):
        raise TypeError(f"clip must be a number, got {clip!r:.80}")
    if not clip >= 0:
        raise ValueError(f"clip must be at least 0, got {clip!r}")


def check_tensors(**tensors):
    """Raises TypeError unless all are tensors of real numbers."""
    for name, x in tensors.items():
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(x).__name__}")
        if x.is_complex() or x.dtype == torch.bool:
            raise TypeError(f"{name} must be a tensor of real numbers, got {x.dtype}")


def _same_shape(**tensors):
    check_tensors(**tensors)
    shapes = {name: tuple(x.shape) for name, x in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{' and '.join(shapes)} must have the same shape, got {shapes}")
