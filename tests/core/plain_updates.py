"""Independent one-run programs in plain torch that an agent's update is compared with, in float64.

PPO's is the plain loop of the experiments; here are A2C and the tuned recipe, numbers written where they are used.
"""

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal

from lecture_utils.experiments.plain_loop import PlainPPO


def copy_weights(agent, name, run, linears):
    """Copy one run's layers of the agent's network `name` into nn.Linear modules."""
    network = getattr(agent, name)
    layers = getattr(network, "body", network).layers
    with torch.no_grad():
        for layer, linear in zip(layers, linears, strict=True):
            linear.weight.copy_(layer.weight[run].T)
            linear.bias.copy_(layer.bias[run, 0])


def largest_difference(agent, name, run, linears):
    network = getattr(agent, name)
    layers = getattr(network, "body", network).layers
    pairs = [(layer.weight[run].T, linear.weight) for layer, linear in zip(layers, linears, strict=True)]
    pairs += [(layer.bias[run, 0], linear.bias) for layer, linear in zip(layers, linears, strict=True)]
    return max((a - b).abs().max().item() for a, b in pairs)


def linears(sequential):
    return [module for module in sequential if isinstance(module, nn.Linear)]


def tensors(rollout, run):
    """One run's episodes as float64 tensors (E, T, ...): observation, action, reward, next_observation, terminated."""
    fields = (rollout.observation, rollout.action, rollout.reward, rollout.next_observation, rollout.terminated)
    return [torch.as_tensor(np.asarray(x[run], dtype=np.float64)) for x in fields]


def gae_of_episode(reward, value, next_value, terminated, gamma, gae_lambda):
    advantage, trace = torch.zeros_like(reward), 0.0
    for t in reversed(range(len(reward))):
        alive = 1 - terminated[t]
        trace = reward[t] + gamma * alive * next_value[t] - value[t] + gamma * gae_lambda * alive * trace
        advantage[t] = trace
    return advantage


class PlainA2C(PlainPPO):
    """The lecture's Lab 05: no ratio, no clip, no old actor; the critic that judges the rollout is frozen."""

    def one_pass(self, observation, action, reward, next_observation, terminated):
        with torch.no_grad():
            value, next_value = (self.old_critic(x)[:, 0] for x in (observation, next_observation))
        advantage = gae_of_episode(reward, value, next_value, terminated, 0.95, 0.85)
        target = value + advantage
        for i in range(0, len(reward), 32):
            output = self.actor(observation[i : i + 32])
            policy = Normal(2 * output[:, 0].tanh(), output[:, 1].abs() + 1e-3)
            gain = policy.log_prob(action[i : i + 32, 0]) * advantage[i : i + 32] + 0.01 * policy.entropy()
            self.actor_optimizer.zero_grad()
            (-gain.mean()).backward()
            self.actor_optimizer.step()
            self.critic_optimizer.zero_grad()
            ((self.critic(observation[i : i + 32])[:, 0] - target[i : i + 32]) ** 2).mean().backward()
            self.critic_optimizer.step()


class PlainTuned:
    """Updates of the tuned recipe for one run, action dimension A, from weights copied out of the agent."""

    def __init__(self, agent, run):
        def network(outputs):
            return nn.Sequential(
                nn.Linear(agent.obs_dim, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, outputs)
            ).double()

        self.actor, self.critic = network(agent.action_dim), network(1)
        for name in ("actor", "critic"):
            copy_weights(agent, name, run, linears(getattr(self, name)))
        self.log_std = nn.Parameter(agent.actor.log_std[run, 0].detach().clone())
        self.generator = torch.Generator()
        self.generator.set_state(agent.generators[run].get_state())
        self.networks = [*self.actor.parameters(), self.log_std], list(self.critic.parameters())
        self.optimizer = torch.optim.Adam([*self.networks[0], *self.networks[1]])

    def policy(self, observation):
        return Normal(2 * self.actor(observation), 2 * self.log_std.exp())

    def update(self, rollout, run, updates_before, target_kl=0.03):
        """`passes` says afterwards how many passes it took before the policy had moved too far, 10 at most."""
        observation, action, reward, next_observation, terminated = tensors(rollout, run)
        with torch.no_grad():
            value, next_value = self.critic(observation)[..., 0], self.critic(next_observation)[..., 0]
            old = self.policy(observation).log_prob(action).sum(-1).flatten()
        rows = zip(0.2 * reward, value, next_value, terminated, strict=True)
        advantage = torch.cat([gae_of_episode(*row, 0.97, 0.95) for row in rows])
        target = advantage + value.flatten()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        observation, action = observation.flatten(0, 1), action.flatten(0, 1)
        self.optimizer.param_groups[0]["lr"] = 5e-3 * (1 - updates_before / 24)
        for self.passes in range(1, 11):
            order, log_ratios = torch.randperm(len(advantage), generator=self.generator), []
            for i in order.split(400):
                log_ratios.append(self.policy(observation[i]).log_prob(action[i]).sum(-1) - old[i])
                ratio = log_ratios[-1].exp()
                gain = torch.minimum(ratio * advantage[i], ratio.clamp(0.8, 1.2) * advantage[i])
                error = (self.critic(observation[i])[:, 0] - target[i]) ** 2
                self.optimizer.zero_grad()
                (error - gain).mean().backward()
                for parameters in self.networks:
                    nn.utils.clip_grad_norm_(parameters, 0.5)
                self.optimizer.step()
            log_ratio = torch.cat(log_ratios)
            if (log_ratio.exp() - 1 - log_ratio).mean() > target_kl:
                break
