"""The lecture's recipe to the last number, and every field's range."""

import dataclasses
import math

import pytest

from lecture_utils import A2C, PPO, TUNED, TUNED_EPISODES, Hyperparameters

LECTURE = {
    "gamma": 0.95,
    "gae_lambda": 0.85,
    "clip": 0.2,
    "entropy_coef": 0.01,
    "actor_lr": 1e-4,
    "critic_lr": 1e-3,
    "minibatch_size": 32,
    "passes": 2,
    "episodes_per_update": 1,
    "rollout_steps": 200,
    "mean_head": "tanh",
    "std_head": "abs",
    "initial_std": 0.0,
    "score_action": "clipped",
    "shuffle": False,
    "normalize_advantages": "no",
    "reward_scale": 1.0,
    "hidden": (128, 128),
    "activation": "relu",
    "initialization": "default",
    "anneal_updates": 0,
    "max_grad_norm": math.inf,
    "target_kl": math.inf,
}
BAD = {
    "target_kl": [0, -0.1, math.nan, "0.01"],
    "gamma": [-0.1, 1.1, math.nan, "0.9", None, True],
    "gae_lambda": [1.5, -1, math.nan],
    "clip": [-0.1, math.nan, "0.2"],
    "entropy_coef": [-0.01, math.inf],
    "actor_lr": [0, -1e-4, math.inf, math.nan],
    "critic_lr": [0.0, "1e-3"],
    "minibatch_size": [0, 32.0, True],
    "passes": [0, -1, 2.5],
    "episodes_per_update": [0, 1.0],
    "rollout_steps": [0, 1.5],
    "mean_head": ["sigmoid", None],
    "std_head": ["exp", 1],
    "initial_std": [-0.1, 1e-3, math.inf, math.nan, "0.5"],
    "score_action": ["raw"],
    "shuffle": [1, "yes"],
    "normalize_advantages": [True, "batch"],
    "reward_scale": [0, -1.0, math.inf],
    "hidden": [(), 128, (128, 0), (128.0,), "128"],
    "activation": ["gelu", ["relu"]],
    "initialization": ["xavier"],
    "anneal_updates": [-1, 30.0],
    "max_grad_norm": [0, -1.0, math.nan],
}
GOOD = {
    "gamma": [0, 1, 0.99],
    "gae_lambda": [0, 1],
    "clip": [0, math.inf],
    "entropy_coef": [0],
    "hidden": [(4,), [8, 8, 8]],
    "max_grad_norm": [0.5, math.inf],
    "std_head": ["abs", "softplus", "free"],
    "normalize_advantages": ["no", "rollout", "minibatch"],
}


def test_defaults_are_the_lectures():
    assert dataclasses.asdict(Hyperparameters()) == LECTURE
    assert PPO.default == Hyperparameters()
    assert A2C.default == Hyperparameters(passes=5)
    assert PPO(3, 1).hyperparameters == PPO.default


def test_every_field_is_tested():
    assert set(BAD) == set(LECTURE)


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_bad_value_is_named_with_its_field(field, value):
    with pytest.raises(ValueError) as caught:
        Hyperparameters(**{field: value})
    assert str(caught.value).startswith(f"{field} must be ")
    assert str(caught.value).endswith(f", got {value!r}")


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in GOOD.items() for value in values])
def test_the_ends_of_the_ranges_are_taken(field, value):
    got = getattr(Hyperparameters(**{field: value}), field)
    assert got == (tuple(value) if field == "hidden" else value)


def test_frozen_and_replaced():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TUNED.gamma = 0.5
    assert TUNED.replace(gamma=0.5) == dataclasses.replace(TUNED, gamma=0.5)
    with pytest.raises(ValueError, match="passes must be"):
        TUNED.replace(passes=0)
    with pytest.raises(TypeError):
        Hyperparameters(0.9)


def test_tuned_fills_its_updates():
    assert TUNED.anneal_updates * TUNED.episodes_per_update == TUNED_EPISODES
