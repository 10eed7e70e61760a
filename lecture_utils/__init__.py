"""The helper module of the PPO lecture: an agent, its parts, and what the notebooks show of them."""

from lecture_utils.advantages import gae, monte_carlo, one_step
from lecture_utils.agents import A2C, PPO
from lecture_utils.hyperparameters import TUNED, TUNED_EPISODES, Hyperparameters
from lecture_utils.objectives import clipped_surrogate, policy_gradient, probability_ratio, surrogate
from lecture_utils.pendulum import PendulumVectorEnv, fixed_starts
from lecture_utils.rollouts import Rollout, evaluate, run_episode
from lecture_utils.training import TrainingDiverged, train

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
