"""Advantage estimators: one step, Monte Carlo, and GAE between them.

All take rewards (..., T), values V(s_t), next_values V(s_{t+1}) and terminated, of one shape, arrays or tensors, with
time on the last axis, and return advantages of that shape. An episode that the clock cut has a next value and is
bootstrapped with it; one that terminated is not: `terminated` masks the bootstrap and the trace, truncation neither.
"""

import numbers

import numpy as np
import torch


class NotFinite(ValueError):
    """An array (R, ...) holds NaN or infinity; `runs` are the indices on its first axis where it does."""

    def __init__(self, name, x):
        bad = ~np.isfinite(x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x))
        self.name, self.runs = name, np.flatnonzero(bad.reshape(len(bad), -1).any(-1)).tolist()
        super().__init__(f"{name} must be finite, got NaN or infinity at {self.runs} of its first axis")


def one_step(rewards, values, next_values, terminated, *, gamma):
    """The temporal-difference error delta_t = r_t + gamma V(s_{t+1}) - V(s_t): low variance, the critic's bias."""
    return gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=0.0)


def monte_carlo(rewards, values, next_values, terminated, *, gamma):
    """The discounted sum of the rewards that came, minus V(s_t): unbiased but for the bootstrap after the last step."""
    return gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=1.0)


def gae(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    """Generalized advantage estimation: A_t = delta_t + gamma lambda (1 - terminated_t) A_{t+1}.

    Source: equation 16 and the recursion it implies, Schulman et al. 2016, arXiv 1506.02438.
    Raises ValueError for shapes that disagree, gamma or lambda outside [0, 1] and numbers that are not finite,
    TypeError for what is no array of real numbers.
    """
    rewards, values, next_values, alive = _checked(rewards, values, next_values, terminated, gamma, gae_lambda)
    delta = rewards + gamma * alive * next_values - values
    trace = gamma * gae_lambda * alive
    advantages = delta + 0 * trace  # a fresh array of the common number format
    for t in reversed(range(delta.shape[-1] - 1)):
        advantages[..., t] += trace[..., t] * advantages[..., t + 1]
    return advantages


def standardize(x):
    """To mean 0 and standard deviation 1 over the last axis: (R, N) tensor -> (R, N)."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-8)


def _checked(rewards, values, next_values, terminated, gamma, gae_lambda):
    given = {"rewards": rewards, "values": values, "next_values": next_values, "terminated": terminated}
    if any(isinstance(x, torch.Tensor) for x in given.values()):
        given = {name: _numbers(name, x, torch.as_tensor, torch.is_complex) for name, x in given.items()}
        finite = torch.isfinite
        as_float = lambda x: x if x.is_floating_point() else x.to(torch.get_default_dtype())  # noqa: E731
    else:
        given = {name: _numbers(name, x, np.asarray, lambda x: x.dtype.kind not in "biuf") for name, x in given.items()}
        finite = np.isfinite
        as_float = lambda x: x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)  # noqa: E731
    shapes = {name: tuple(x.shape) for name, x in given.items()}
    if len(set(shapes.values())) > 1 or not shapes["rewards"] or 0 in shapes["rewards"]:
        raise ValueError(f"rewards, values, next_values and terminated must have one shape (..., T), got {shapes}")
    for name, value in {"gamma": gamma, "gae_lambda": gae_lambda}.items():
        if not isinstance(value, numbers.Real):
            raise TypeError(f"{name} must be a number in [0, 1], got {value!r:.80}")
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value!r}")
    for name, x in given.items():
        if not finite(x).all():
            raise NotFinite(name, x)
    terminated = given.pop("terminated")
    if not ((terminated == 0) | (terminated == 1)).all():
        raise ValueError(f"terminated must hold truth values (or 0 and 1), got {terminated!r}")
    rewards, values, next_values = (as_float(x) for x in given.values())
    # In the number format of the rest: times gamma, truth values would become single precision.
    alive = 0 * (rewards + values + next_values) + (terminated == 0)
    return rewards, values, next_values, alive


def _numbers(name, x, convert, foreign):
    try:
        converted = convert(x)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{name} must be an array or a tensor of numbers: {error}") from None
    if foreign(converted):
        raise TypeError(f"{name} must be real numbers, got {converted.dtype}")
    return converted
