"""The helper module of the PPO lecture: an agent, its parts, and what the notebooks show of them."""

from lecture_utils.pendulum import PendulumVectorEnv, fixed_starts
from lecture_utils.ppo import (
    A2C,
    PPO,
    TUNED,
    TUNED_EPISODES,
    Hyperparameters,
    clipped_surrogate,
    gae,
    monte_carlo,
    one_step,
    policy_gradient,
    probability_ratio,
    surrogate,
)
from lecture_utils.training import Rollout, TrainingDiverged, evaluate, run_episode, train

__all__ = [
    "A2C",
    "PPO",
    "TUNED",
    "TUNED_EPISODES",
    "Hyperparameters",
    "PendulumVectorEnv",
    "Rollout",
    "TrainingDiverged",
    "clipped_surrogate",
    "evaluate",
    "fixed_starts",
    "gae",
    "monte_carlo",
    "one_step",
    "policy_gradient",
    "probability_ratio",
    "run_episode",
    "surrogate",
    "train",
]
