"""The numbers and choices of a training run, in one frozen dataclass: the lecture's recipe and the strong one."""

import dataclasses
import math
import sys


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """The defaults are the lecture's PPO. A bad value is a ValueError that names field, value and range."""

    gamma: float = 0.95  # discount a step
    gae_lambda: float = 0.85  # decay of the advantage trace, on top of gamma
    clip: float = 0.2  # epsilon, half-width of the band for the ratio; inf: not clipped
    entropy_coef: float = 0.01  # weight of the entropy bonus, per nat
    actor_lr: float = 1e-4  # Adam's step size for the policy
    critic_lr: float = 1e-3  # Adam's step size for the value function
    minibatch_size: int = 32  # samples a gradient step
    passes: int = 2  # passes over each rollout
    episodes_per_update: int = 1  # E, episodes collected with one policy before it is updated
    mean_head: str = "tanh"  # mean action: limit x "tanh" of the output, or "linear"
    std_head: str = "abs"  # standard deviation: "abs" or "softplus" of an output, or "free" of the state
    score_action: str = "clipped"  # the log-probability scored is that of the "clipped" or of the "sampled" action
    shuffle: bool = False  # minibatches drawn at random; otherwise in time order
    normalize_advantages: str = "no"  # "no", per "rollout" or per "minibatch" (to mean 0 and standard deviation 1)
    reward_scale: float = 1.0  # rewards are multiplied by it before learning (never in the log)
    hidden: tuple = (128, 128)  # widths of the hidden layers, policy and value function alike
    activation: str = "relu"  # "relu" or "tanh"
    initialization: str = "default"  # "default" (that of torch.nn.Linear) or "orthogonal"
    anneal_updates: int = 0  # learning rates fall linearly to zero over so many updates; 0: constant
    max_grad_norm: float = math.inf  # gradients are scaled down to this norm, per run and network; inf: never
    target_kl: float = math.inf  # a run sits out the passes after one with a larger approximate KL, in nats

    def __post_init__(self):
        for field in dataclasses.fields(self):
            accepts, takes = RANGES[field.name]
            value = getattr(self, field.name)
            if not accepts(value):
                raise ValueError(f"{field.name} must be {takes}, got {value!r}")
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def replace(self, **changes):
        """The same recipe with some fields changed."""
        return dataclasses.replace(self, **changes)


def _number(accepts, takes):
    def is_one(x):  # an int may be too large for a float
        return isinstance(x, (int, float)) and not isinstance(x, bool) and not sys.float_info.max < abs(x) < math.inf

    return lambda x: is_one(x) and accepts(x), takes


def _whole(least):
    return (
        lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= least,
        f"a whole number of at least {least}",
    )


def _choice(*names):
    return lambda x: isinstance(x, str) and x in names, "one of " + ", ".join(map(repr, names))


_share = _number(lambda x: 0 <= x <= 1, "a number in [0, 1]")
_at_least_zero = _number(lambda x: 0 <= x < math.inf, "a finite number of at least 0")
_positive = _number(lambda x: 0 < x < math.inf, "a finite number above 0")

RANGES = {
    "gamma": _share,
    "gae_lambda": _share,
    "clip": _number(lambda x: x >= 0, "a number of at least 0 (inf: not clipped)"),
    "entropy_coef": _at_least_zero,
    "actor_lr": _positive,
    "critic_lr": _positive,
    "minibatch_size": _whole(1),
    "passes": _whole(1),
    "episodes_per_update": _whole(1),
    "mean_head": _choice("tanh", "linear"),
    "std_head": _choice("abs", "softplus", "free"),
    "score_action": _choice("clipped", "sampled"),
    "shuffle": (lambda x: isinstance(x, bool), "True or False"),
    "normalize_advantages": _choice("no", "rollout", "minibatch"),
    "reward_scale": _positive,
    "hidden": (
        lambda x: isinstance(x, (tuple, list)) and len(x) > 0 and all(_whole(1)[0](n) for n in x),
        "a tuple of widths, each a whole number of at least 1",
    ),
    "activation": _choice("relu", "tanh"),
    "initialization": _choice("default", "orthogonal"),
    "anneal_updates": _whole(0),
    "max_grad_norm": _number(lambda x: x > 0, "a number above 0 (inf: never)"),
    "target_kl": _number(lambda x: x > 0, "a number above 0, in nats (inf: never)"),
}

TUNED_EPISODES = 384  # 76,800 steps a run
TUNED = Hyperparameters(
    gamma=0.97,
    gae_lambda=0.95,
    entropy_coef=0.0,
    actor_lr=5e-3,
    critic_lr=5e-3,
    minibatch_size=400,
    passes=10,
    episodes_per_update=16,
    mean_head="linear",
    std_head="free",
    score_action="sampled",
    shuffle=True,
    normalize_advantages="rollout",
    reward_scale=0.2,
    hidden=(32, 32),
    activation="tanh",
    initialization="orthogonal",
    anneal_updates=24,
    max_grad_norm=0.5,
    target_kl=0.03,
)
