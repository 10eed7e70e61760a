"""The argument checks: one line each where they are used. An error names the argument, what it got and what it takes.

Where a number is asked for, NumPy's scalars and arrays without axes are numbers as Python's are.
"""

import math
import sys

import gymnasium
import numpy as np
import torch


class NotFinite(ValueError):
    """An array (R, ...) holds NaN or infinity; `runs` are the indices on its first axis where it does."""

    def __init__(self, name, x):
        bad = ~np.isfinite(x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x))
        self.name, self.runs = name, np.flatnonzero(bad.reshape(len(bad), -1).any(-1)).tolist()
        super().__init__(f"{name} must be finite, got NaN or infinity at {self.runs} of its first axis")


def plain(x):
    """NumPy's scalars and arrays without axes as Python's numbers; whatever else it is, unchanged."""
    return x.item() if isinstance(x, np.generic) or (isinstance(x, np.ndarray) and x.ndim == 0) else x


def _number(accepts, takes):
    def accepted(x):  # an int may be too large for a float
        is_one = isinstance(x, (int, float)) and not isinstance(x, bool) and not sys.float_info.max < abs(x) < math.inf
        return is_one and accepts(x)

    return accepted, takes


def _whole(least):
    return _number(lambda x: isinstance(x, int) and x >= least, f"a whole number of at least {least}")


def _all(range_of_each, x):
    return isinstance(x, tuple) and len(x) > 0 and all(map(range_of_each[0], x))


def _choice(*names):
    return lambda x: isinstance(x, str) and x in names, "one of " + ", ".join(map(repr, names))


_share = _number(lambda x: 0 <= x <= 1, "a number in [0, 1]")
_at_least_zero = _number(lambda x: 0 <= x < math.inf, "a finite number of at least 0")
_positive = _number(lambda x: 0 < x < math.inf, "a finite number above 0")
_width = _number(lambda x: x >= 0, "a number of at least 0 (inf: not clipped), or a pair of them: below 1 and above 1")
_seed = _number(lambda x: isinstance(x, int) and 0 <= x < 2**63, "one or more whole numbers in [0, 2**63), one a run")

# Of every field of a recipe: whether a value is accepted, and what the field takes.
RANGES = {
    "gamma": _share, "gae_lambda": _share, "entropy_coef": _at_least_zero,
    "actor_lr": _positive, "critic_lr": _positive, "reward_scale": _positive,
    "clip": (lambda x: _width[0](x) or (_all(_width, x) and len(x) == 2), _width[1]),
    "minibatch_size": _whole(1), "passes": _whole(1), "episodes_per_update": _whole(1),
    "rollout_steps": _whole(1), "anneal_updates": _whole(0),
    "mean_head": _choice("tanh", "linear"), "std_head": _choice("abs", "softplus", "free"),
    "initial_std": _number(lambda x: x == 0 or 1e-3 < x < math.inf, "0 or a finite number above 0.001, its floor"),
    "score_action": _choice("clipped", "sampled"), "normalize_advantages": _choice("no", "rollout", "minibatch"),
    "activation": _choice("relu", "tanh"), "initialization": _choice("default", "orthogonal"),
    "hidden": (lambda x: _all(_whole(1), x), "a tuple of widths, each a whole number of at least 1"),
    "shuffle": (lambda x: isinstance(x, bool), "True or False"),
    "max_grad_norm": _number(lambda x: x > 0, "a number above 0 (inf: never)"),
    "target_kl": _number(lambda x: x > 0, "a number above 0, in nats (inf: never)"),
}  # fmt: skip


def _value(name, value, accepts, takes):
    """value in Python's own types, a list or an array as a tuple; ValueError where it is not accepted."""
    several = np.iterable(value) and not isinstance(value, (str, bytes, dict, set))
    converted = tuple(map(plain, value)) if several else plain(value)
    if not accepts(converted):
        raise ValueError(f"{name} must be {takes}, got {value!r:.80}")
    return converted


def recipe(fields):
    fields = {name: hyperparameter(name, value) for name, value in fields.items()}
    if fields["minibatch_size"] == 1 and fields["normalize_advantages"] == "minibatch":
        raise ValueError("minibatch_size must be at least 2 with normalize_advantages='minibatch', got 1: a single "
                         "advantage, less its mean, is 0")  # fmt: skip
    return fields


def whole(name, value, least):
    return _value(name, value, *_whole(least))


def hyperparameter(name, value):
    return _value(name, value, *RANGES[name])


def above_zero(name, value):
    return _value(name, value, *_number(lambda x: 0 < x <= np.finfo(np.float32).max, "a finite number above 0"))


def action_limit(value, action_dim):
    """(limit, None) of a number; (1.0, (low, high)) of a pair of A numbers each, such as arrays."""
    if not np.iterable(value) or isinstance(value, (str, bytes, dict, set)):
        return above_zero("action_limit", value), None
    try:
        bounds = tuple(tuple(real_array("action_limit", x, np.float64).tolist()) for x in value)
    except (ValueError, TypeError):
        bounds = ()
    if [len(x) for x in bounds] != [action_dim] * 2 or not all(-math.inf < x < y < math.inf for x, y in zip(*bounds)):  # noqa: B905
        raise ValueError(f"action_limit must be a number above 0, or a pair (low, high) of {action_dim} finite numbers "
                         f"each, low below high, got {value!r:.80}")  # fmt: skip
    return 1.0, bounds


def band(clip):
    """(below, above) of a clip, which is one number for both, or such a pair."""
    clip = hyperparameter("clip", clip)
    pair = clip if isinstance(clip, tuple) else (clip, clip)
    return tuple(float(x) if x < 1e38 else math.inf for x in pair)  # beyond it 1 + x overflows in single precision


def seeds(values):
    return _value("seeds", values, lambda x: _all(_seed, x), _seed[1])


def indices(name, values, count):
    each = _number(lambda x: isinstance(x, int) and 0 <= x < count, "")
    return list(_value(name, values, lambda x: _all(each, x), f"a list of indices in [0, {count})"))


def instance(name, value, kind, default):
    if not isinstance(value, kind | None):
        raise TypeError(f"{name} must be a {kind.__name__} or None, got {value!r:.80}")
    return default if value is None else value


def device(name):
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device must be one that this torch has, such as 'cpu', got {name!r} ({error})") from None
    return found


def elementwise(**given):
    """Two tensors of one shape, or a tensor of any shape and a number; returned as tensors."""
    given = {name: torch.as_tensor(plain(x)) if isinstance(plain(x), (int, float)) else x for name, x in given.items()}
    _tensors(given, may_differ={()})
    return given.values()


def samples(**given):
    """Floating-point tensors (..., N), all of one shape."""
    _tensors(given)
    for name, x in given.items():
        if not x.is_floating_point() or not x.shape or 0 in x.shape:
            raise ValueError(f"{name} must be a floating-point tensor (..., N), got {x.dtype} of {tuple(x.shape)}")


def _tensors(given, may_differ=frozenset()):
    for name, x in given.items():
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(x).__name__}")
        if x.is_complex() or x.dtype == torch.bool:
            raise TypeError(f"{name} must be a tensor of real numbers, got {x.dtype}")
    shapes = {name: tuple(x.shape) for name, x in given.items()}
    if len(set(shapes.values()) - may_differ) > 1:
        raise ValueError(f"{' and '.join(shapes)} must have the same shape, got {shapes}")


def real_array(name, x, dtype):
    """x as an array of `dtype`; TypeError for complex numbers, of which NumPy would drop a part with only a warning."""
    if np.iscomplexobj(x):
        raise TypeError(f"{name} must be real numbers, got {x!r:.80}")
    return np.asarray(x, dtype=dtype)


def episodes(rewards, values, next_values, terminated, truncated):
    """The arguments of `gae` in one number format; in place of the last two alive and uncut, 1 where not masked."""
    given = {"rewards": rewards, "values": values, "next_values": next_values, "terminated": terminated}
    given |= {} if truncated is None else {"truncated": truncated}
    of_torch = any(isinstance(x, torch.Tensor) for x in given.values())
    for name, x in given.items():
        try:
            given[name] = x = torch.as_tensor(x) if of_torch else np.asarray(x)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise TypeError(f"{name} must be an array or a tensor of numbers: {error}") from None
        if x.is_complex() if of_torch else x.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be real numbers, got {x.dtype}")
    shapes = {name: tuple(x.shape) for name, x in given.items()}
    if len(set(shapes.values())) > 1 or not shapes["rewards"] or 0 in shapes["rewards"]:
        raise ValueError(f"{', '.join(given)} must have one shape (..., T), got {shapes}")
    for name, x in given.items():
        if not (torch.isfinite(x) if of_torch else np.isfinite(x)).all():
            raise NotFinite(name, x)
        if name in ("terminated", "truncated") and not ((x == 0) | (x == 1)).all():
            raise ValueError(f"{name} must hold truth values (or 0 and 1), got {x!r}")
    # Whole numbers become floats. The masks are made in the rewards' format: truth values times gamma would be float32.
    rewards, values, next_values = (1.0 * given[name] for name in ("rewards", "values", "next_values"))
    nothing = 0 * (rewards + values + next_values)
    alive, uncut = (nothing + (given.get(name, nothing) == 0) for name in ("terminated", "truncated"))
    return rewards, values, next_values, alive, uncut


def agent(x):
    if not hasattr(x, "hyperparameters") or not hasattr(x, "actor"):
        raise TypeError(f"agent must be an A2C or a PPO, got {x!r:.80}")


def observation(x, agent):
    """x as a finite float32 array (R, O), or (O,) for an agent of one run."""
    x, takes = real_array("observation", x, np.float32), [(agent.runs, agent.obs_dim), (agent.obs_dim,)]
    takes = takes[: 2 if agent.runs == 1 else 1]
    if x.shape not in takes or not np.isfinite(x).all():
        takes = " or ".join(map(str, takes))
        raise ValueError(f"observation must have shape {takes}, got {x.shape}; and must be finite numbers, got {x}")
    return x


def rollout_arrays(rollout):
    """The fields of a Rollout, name -> array, begin with the same axes (R, E, T) and hold finite numbers."""
    shapes = {name: np.shape(x) for name, x in rollout.items()}
    for name, x in rollout.items():
        axes = 4 if name.endswith(("observation", "action")) else 3
        if shapes[name][:3] != shapes["reward"] or len(shapes[name]) != axes or 0 in shapes[name]:
            raise ValueError(f"the fields of a rollout begin with the same axes (R, E, T), got {shapes}")
        if np.asarray(x).dtype.kind not in "biuf":
            raise TypeError(f"{name} must be an array of real numbers, got {np.asarray(x).dtype}")
        if not np.isfinite(x).all():
            raise NotFinite(name, x)


def fits(rollout, agent):
    needed = ("observation", "action", "log_prob", "reward", "next_observation", "terminated", "truncated")
    if missing := [name for name in needed if not hasattr(rollout, name)]:
        raise TypeError(f"rollout must be a Rollout or have its fields, got {rollout!r:.80} without {missing}")
    got = rollout.observation.shape[0], rollout.observation.shape[-1], rollout.action.shape[-1]
    if got != (agent.runs, agent.obs_dim, agent.action_dim):
        raise ValueError(f"rollout must hold {agent.runs} run(s) of {agent.obs_dim} observation and {agent.action_dim} "
                         "action dimensions, got {} run(s) of {} and {}".format(*got))  # fmt: skip


def starts(x):
    x = real_array("starts", x, np.float64)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"starts must be (episodes, 2): theta in rad, theta_dot in rad/s; got shape {x.shape}")
    return x


def sizes(observation_space, action_space):
    """The arguments of an agent that fits the spaces of an environment, whose actions are a Box or Discrete."""
    box(observation_space, "observation", " (gymnasium.wrappers.FlattenObservation makes one)")
    if len(observation_space.shape) > 2 or (len(observation_space.shape) == 2 and observation_space.dtype == np.uint8):
        raise TypeError(f"the observation space of env must be a Box of numbers, got pictures, {observation_space!r}: "
                        "they need a convolutional network, which these agents do not have")  # fmt: skip
    obs_dim = int(np.prod(observation_space.shape))
    if isinstance(action_space, gymnasium.spaces.Discrete):
        if action_space.start != 0:
            raise ValueError(f"the choices of env must begin at 0, got {action_space!r}")
        return {"obs_dim": obs_dim, "action_dim": 1, "choices": int(action_space.n)}
    box(action_space, "action", " or Discrete")
    low, high = action_space.low.ravel(), action_space.high.ravel()
    if not np.isfinite([low, high]).all():
        raise ValueError(f"the action space of env must have finite bounds, got {action_space!r}")
    same = (low == -high[0]).all() and (high == high[0]).all()
    return {"obs_dim": obs_dim, "action_dim": len(low), "action_limit": float(high[0]) if same else (low, high)}


def box(space, kind, other=""):
    if not isinstance(space, gymnasium.spaces.Box):
        raise TypeError(f"the {kind} space of env must be a Box{other}, got {space!r}")


def spaces(agent, observation_space, action_space, whose="env's"):
    """That an environment's spaces have the agent's dimensions, and its actions the agent's kind and bounds."""
    given = {"observation": (observation_space, agent.obs_dim), "action": (action_space, agent.action_dim)}
    if agent.choices and action_space != gymnasium.spaces.Discrete(agent.choices):
        raise ValueError(f"the agent chooses among {agent.choices}, but {whose} action space is {action_space!r}")
    for name, (space, dim) in list(given.items())[: 1 if agent.choices else 2]:
        box(space, name)
        if int(np.prod(space.shape)) != dim:
            raise ValueError(f"the agent takes {dim} {name} dimension(s), but {whose} {name} space is {space!r}")
    if agent.choices:
        return
    bound, low, high = agent.action_limit, action_space.low, action_space.high
    mine = np.array(agent.bounds or [[-bound], [bound]], action_space.dtype)
    if not ((low.ravel() == mine[0]) & (high.ravel() == mine[1])).all():
        mine = f"in [-{bound:g}, {bound:g}]" if agent.bounds is None else "from {} to {}".format(*mine)
        raise ValueError(f"the agent's actions are {mine} (its action_limit), but {whose} action space is "
                         f"{action_space!r}, from {low} to {high}: make the agent with PPO.for_env, which reads "
                         f"them, or wrap it: gymnasium.wrappers.RescaleAction(env, -{bound:g}, {bound:g})")  # fmt: skip
