"""One update put through Stable-Baselines3's PPO and through ours, number beside number. Needs stable-baselines3.

Both start from the same weights, learn from the same episodes and draw the same minibatches, in float64.
"""

import dataclasses
import unittest.mock

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from lecture_utils.agents import PPO
from lecture_utils.rollouts import Rollout, torch_threads
from lecture_utils.sb3_differences import sb3_arguments


@dataclasses.dataclass(frozen=True)
class Update:
    """What one update did: S gradient steps on P parameters, the actor's before the critic's."""

    losses: dict  # loss_act, loss_v, loss_ent and clip_fraction, means over the steps; explained_variance
    gradients: np.ndarray  # (S, P), at each step
    parameters: np.ndarray  # (P,), after the last step


@torch_threads(1)
def sb3_updates(hyperparameters, updates=1, seed=0, make_env=lambda: gymnasium.make("Pendulum-v1"), steps=200):
    """Let Stable-Baselines3 collect and learn. make_env: episodes that the clock cuts after `steps` steps.

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
def our_updates(hyperparameters, start, rollouts, seed=0, algorithm=PPO):
    """Put the same rollouts through `algorithm`, from the weights `start`. Returns the list of Updates."""
    obs_dim, action_dim = rollouts[0].observation.shape[-1], rollouts[0].action.shape[-1]
    agent = algorithm(obs_dim, action_dim, hyperparameters, action_limit=1.0)  # in its own units, as theirs
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

    def record_and_step():  # the critic's optimiser steps last: then the gradients of both are there
        agent_steps.append(_flat(_our_tensors(agent, _gradient)))
        step()

    agent.critic_optimizer.step = record_and_step
    for rollout in rollouts:
        losses = {name: float(value[0]) for name, value in agent.update(rollout).items() if name != "approx_kl"}
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
        terminated = np.array(
            [
                done and not info.get("TimeLimit.truncated", False)
                for done, info in zip(x["dones"], x["infos"], strict=True)
            ]
        )
        step = (self.model._last_obs, x["actions"], x["log_probs"].numpy(), x["rewards"], next_observation, terminated)
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
    return [policy.log_std] + [x for linear in linears for x in (linear.weight, linear.bias)]


def _our_tensors(agent, of=_itself):
    layers = [*agent.actor.body.layers, *agent.critic.layers]
    pairs = [x for layer in layers for x in (of(layer.weight)[0].T, of(layer.bias)[0, 0])]
    return [of(agent.actor.log_std)[0, 0], *pairs]


def _flat(tensors, of=_itself):
    return torch.cat([of(x).detach().flatten() for x in tensors]).numpy().copy()
