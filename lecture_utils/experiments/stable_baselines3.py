"""Stable-Baselines3's PPO beside ours: what it does otherwise by default, and one update put through both.

The differences are read from its source, and say what makes the two equal; a test asks the installed one for each.
Both updates start from the same weights, learn from the same episodes and draw the same minibatches, in float64.
Needs stable-baselines3.
"""

import dataclasses
import math
import unittest.mock

import gymnasium
import numpy as np
import pandas as pd
import torch
from torch import nn

try:
    import stable_baselines3
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "Stable-Baselines3, with which this compares, is not installed: in a terminal, run "
        "`pip install stable-baselines3`, then restart the kernel"
    ) from error

from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.vec_env import DummyVecEnv

from lecture_utils import PPO, TUNED, Rollout
from lecture_utils.fast import torch_threads

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


@dataclasses.dataclass(frozen=True)
class Update:
    """What one update did: S gradient steps on P parameters, the actor's before the critic's."""

    losses: dict  # loss_act, loss_v, loss_ent and clip_fraction, means over the steps; explained_variance
    gradients: np.ndarray  # (S, P), at each step
    parameters: np.ndarray  # (P,), after the last step


@torch_threads(1)
def sb3_updates(hyperparameters, updates=1, seed=0, make_env=lambda: gymnasium.make("Pendulum-v1"), steps=200):
    """Let Stable-Baselines3 collect and learn, `steps` steps of each environment an update.

    Returns its weights at the start (P,), the list of Rollouts with R = 1, and the list of Updates.
    """
    h, model_steps = hyperparameters, []
    env = DummyVecEnv([make_env] * h.episodes_per_update)
    env.buf_rews = env.buf_rews.astype(np.float64)
    model = stable_baselines3.PPO(
        "MlpPolicy",
        env,
        n_steps=steps,
        seed=seed,
        device="cpu",
        rollout_buffer_class=_Float64Buffer,
        **sb3_arguments(h),
    )
    model.policy.double()
    model.policy.features_extractor.register_forward_hook(lambda module, inputs, output: output.double())
    model.policy.optimizer.register_step_pre_hook(
        lambda *_: model_steps.append(_flat(_sb3_tensors(model.policy), of=_gradient))
    )
    start = _flat(_sb3_tensors(model.policy))
    generator = torch.Generator().manual_seed(seed)
    rollouts, log = [], []
    with (
        # Its minibatches in the order that our generator draws, its actions as the buffer hands them out: float32.
        unittest.mock.patch.object(np.random, "permutation", lambda n: torch.randperm(n, generator=generator).numpy()),
        unittest.mock.patch.object(
            DiagGaussianDistribution, "sample", lambda self: _rounded(self.distribution.sample())
        ),
    ):
        for _ in range(updates):
            recorder = _Recorder()
            model.learn(steps * env.num_envs, recorder, log_interval=None, reset_num_timesteps=False)
            rollouts.append(recorder.rollout())
            named = model.logger.name_to_value
            losses = {
                "loss_act": named["train/policy_gradient_loss"] + h.entropy_coef * named["train/entropy_loss"],
                "loss_v": named["train/value_loss"],
                "loss_ent": -named["train/entropy_loss"],
                "clip_fraction": named["train/clip_fraction"],
                "explained_variance": float(named["train/explained_variance"]),
            }
            log.append(Update(losses, np.stack(model_steps), _flat(_sb3_tensors(model.policy))))
            model_steps.clear()
    return start, rollouts, log


@torch_threads(1)
def our_updates(hyperparameters, start, rollouts, seed=0, algorithm=PPO, choices=0):
    """Put the same rollouts through `algorithm`, from the weights `start`. Returns the list of Updates.

    choices: how many actions there are to choose from; 0 where actions are numbers.
    """
    obs_dim, action_dim = rollouts[0].observation.shape[-1], rollouts[0].action.shape[-1]
    agent = algorithm(obs_dim, action_dim, hyperparameters, action_limit=1.0, choices=choices)  # in units of theirs
    for network in (agent.actor, agent.critic, agent.old_actor, agent.old_critic):
        network.double()
    agent.generators[0].manual_seed(seed)
    position = 0
    with torch.no_grad():
        for x in _our_tensors(agent):
            x.copy_(torch.as_tensor(start[position : position + x.numel()]).view(x.shape))
            position += x.numel()
    agent_steps, log = [], []
    step = agent.critic_optimizer.step

    def record_and_step(*args, **kwargs):  # the critic's optimiser steps last: then the gradients of both are there
        agent_steps.append(_flat(_our_tensors(agent, _gradient)))
        step(*args, **kwargs)

    agent.critic_optimizer.step = record_and_step
    for rollout in rollouts:
        told = agent.update(rollout)
        losses = {name: float(x[0]) for name, x in told.items() if name not in ("approx_kl", "kl_after")}
        log.append(Update(losses, np.stack(agent_steps), _flat(_our_tensors(agent))))
        agent_steps.clear()
    return log


def largest_difference(ours, theirs):
    """Largest absolute difference between two lists of Updates, a dict: losses (relative), gradients, parameters."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "losses": max(abs(a.losses[k] - b.losses[k]) / max(1, abs(b.losses[k])) for a, b in pairs for k in b.losses),
        "gradients": max(np.abs(a.gradients - b.gradients).max() for a, b in pairs),
        "parameters": max(np.abs(a.parameters - b.parameters).max() for a, b in pairs),
    }


class _Float64Buffer(RolloutBuffer):
    def reset(self):
        super().reset()
        for name in ("actions", "rewards", "returns", "values", "log_probs", "advantages", "episode_starts"):
            setattr(self, name, getattr(self, name).astype(np.float64))


class _Recorder(BaseCallback):
    """Keeps what the environments gave, before Stable-Baselines3 adds gamma V to the last reward of a cut episode."""

    def _on_training_start(self):
        self.steps = []

    def _on_step(self):
        x = self.locals
        pairs = zip(x["infos"], x["new_obs"], strict=True)
        next_observation = np.stack([info.get("terminal_observation", new) for info, new in pairs])
        cut = np.array([info.get("TimeLimit.truncated", False) for info in x["infos"]])
        masks = x["dones"] & ~cut, x["dones"] & cut
        actions = x["actions"].reshape(len(cut), -1)  # a choice has no axis of its own there
        step = (self.model._last_obs, actions, x["log_probs"].numpy(), x["rewards"], next_observation, *masks)
        self.steps.append([np.array(value) for value in step])
        return True

    def rollout(self):
        return Rollout(*(np.stack(column, axis=1)[None] for column in zip(*self.steps, strict=True)))


def _rounded(x):
    return x.float().double()


def _gradient(x):
    return x.grad


def _itself(x):
    return x


def _sb3_tensors(policy):
    nets = [policy.mlp_extractor.policy_net, policy.action_net, policy.mlp_extractor.value_net, policy.value_net]
    linears = [m for net in nets for m in net.modules() if isinstance(m, nn.Linear)]
    log_std = [policy.log_std] if hasattr(policy, "log_std") else []  # a choice has none
    return log_std + [x for linear in linears for x in (linear.weight, linear.bias)]


def _our_tensors(agent, of=_itself):
    layers = [*agent.actor.body.layers, *agent.critic.layers]
    pairs = [x for layer in layers for x in (of(layer.weight)[0].T, of(layer.bias)[0, 0])]
    log_std = [] if agent.choices else [of(agent.actor.log_std)[0, 0]]
    return [*log_std, *pairs]


def _flat(tensors, of=_itself):
    return torch.cat([of(x).detach().flatten() for x in tensors]).numpy().copy()
