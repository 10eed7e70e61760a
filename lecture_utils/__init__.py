"""The helper module of the PPO lecture: ppo.py is the algorithm; the rooms beside it use it, and it none of them."""

from lecture_utils.pendulum import PendulumVectorEnv, fixed_starts  # noqa: I001
from lecture_utils.environments import EnvironmentFailed
from lecture_utils.ppo import (
    A2C, PPO, TUNED, TUNED_EPISODES, Hyperparameters, clipped_surrogate, gae, monte_carlo, one_step, policy_gradient,
    probability_ratio, surrogate,
)  # fmt: skip
from lecture_utils.training import Rollout, TrainingDiverged, evaluate, run_episode, train

__all__ = [
    "A2C", "PPO", "TUNED", "TUNED_EPISODES", "EnvironmentFailed", "Hyperparameters", "PendulumVectorEnv",
    "Rollout", "TrainingDiverged", "clipped_surrogate", "evaluate", "fixed_starts", "gae", "monte_carlo", "one_step",
    "policy_gradient", "probability_ratio", "run_episode", "surrogate", "train",
]  # fmt: skip
