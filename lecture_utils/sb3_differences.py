"""What Stable-Baselines3's PPO does otherwise than this package by default, and what makes the two equal.

Read from the source of Stable-Baselines3; `tests/test_against_stable_baselines3.py` asks the installed one for each.
"""

import math

import pandas as pd
from torch import nn

from lecture_utils.hyperparameters import TUNED

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}

# detail: (here, Stable-Baselines3's default, what makes them equal)
SB3_DIFFERENCES = {
    "optimiser": ("an Adam for each network", "one Adam for both", "nothing: a step of Adam is elementwise"),
    "epsilon of Adam": ("1e-8", "1e-5", "optimizer_kwargs=dict(eps=1e-8)"),
    "weight of the value loss": ("1", "0.5", "vf_coef=1.0"),
    "clipping of gradients": (
        f"norm {TUNED.max_grad_norm}, each network by itself",
        "norm 0.5, both networks together",
        "max_grad_norm=inf",
    ),
    "early stop on KL": (
        f"after a pass whose KL is above {TUNED.target_kl}",
        "none; with target_kl, before a step above 1.5 times it",
        "target_kl=inf here",
    ),
    "advantages normalised": (
        f"per {TUNED.normalize_advantages}",
        "per minibatch",
        "normalize_advantages='minibatch' here",
    ),
    "an episode that the clock cuts": (
        "V of the next observation in delta",
        "gamma V added to the last reward, then as if ended",
        "nothing: the same advantage",
    ),
    "data of an update": ("whole episodes", "2048 steps of each environment", "n_steps=200"),
    "unit of the action": ("limit of the torque", "that of the environment", "action_limit=1.0 here"),
    "standard deviation at the start": ("1 x limit", "1", "log_std_init=log(limit)"),
    "learning rate": (
        f"{TUNED.actor_lr:g}, falls to 0 over {TUNED.anneal_updates} updates",
        "0.0003, constant",
        "a function as learning_rate; its first update is annealed already",
    ),
    "scale of the rewards": (f"{TUNED.reward_scale:g}", "1", "a reward wrapper, or VecNormalize"),
    "approx_kl in the log": ("mean of all passes", "mean of the last pass", "n_epochs=1"),
    "losses in the log": ("mean over samples", "mean over minibatches", "a batch_size that divides the data"),
    "action that is scored": ("the sampled one; only the environment clips", "the same", ""),
    "clipping of the value function": ("none", "the same", ""),
    "squashing of actions": ("none", "the same", ""),
    "initialisation": ("orthogonal, gains sqrt(2), 0.01 and 1, biases 0", "the same", ""),
    "minibatches": ("shuffled anew in every pass, the short last one kept", "the same", ""),
}


def differences_table():
    """SB3_DIFFERENCES as a DataFrame, one row a detail."""
    columns = ["here (TUNED)", "Stable-Baselines3", "what makes them equal"]
    return pd.DataFrame.from_dict(SB3_DIFFERENCES, orient="index", columns=columns).rename_axis("detail")


def sb3_arguments(hyperparameters):
    """The arguments with which Stable-Baselines3's PPO computes our update.

    Raises ValueError for a recipe that no arguments give: it has neither a standard deviation that depends on the
    state (but gSDE), nor minibatches in time order, nor two learning rates, nor advantages normalised per rollout.
    """
    h = hyperparameters
    needed = {"std_head": "free", "mean_head": "linear", "score_action": "sampled", "shuffle": True, "reward_scale": 1}
    needed |= {"critic_lr": h.actor_lr, "max_grad_norm": math.inf, "anneal_updates": 0, "target_kl": math.inf}
    for name, value in needed.items():
        if getattr(h, name) != value:
            raise ValueError(f"{name} must be {value!r} for Stable-Baselines3 to follow, got {getattr(h, name)!r}")
    if h.normalize_advantages == "rollout":
        raise ValueError("normalize_advantages must be 'minibatch' or 'no' for Stable-Baselines3 to follow")
    return {
        "gamma": h.gamma,
        "gae_lambda": h.gae_lambda,
        "clip_range": h.clip,
        "ent_coef": h.entropy_coef,
        "learning_rate": h.actor_lr,
        "batch_size": h.minibatch_size,
        "n_epochs": h.passes,
        "normalize_advantage": h.normalize_advantages == "minibatch",
        "vf_coef": 1.0,  # ours is the plain mean squared error
        "max_grad_norm": math.inf,
        "policy_kwargs": {
            "net_arch": list(h.hidden),
            "activation_fn": ACTIVATIONS[h.activation],
            "optimizer_kwargs": {"eps": 1e-8},  # Adam's own default, which ours keeps
        },
    }
