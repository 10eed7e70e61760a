"""The lecture's loop as one would first write it: one run, nn.Linear, Normal, Adam, Gymnasium's own environment.

As in the lecture, each pass makes tensors from the lists of the rollout, and takes its minibatches by lists of indices.

The yardstick that `train` is timed against, the independent program that the agent's update is compared with, and the
program that stops where the standard deviation is 0 (std_zero).
"""

import copy

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Normal

ACTION_LIMIT = 2.0
STD_FLOOR = 1e-3


def network(outputs):
    return nn.Sequential(nn.Linear(3, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs))


class PlainPPO:
    """The lecture's recipe with its numbers written where they are used.

    std_floor: added to the standard deviation, in N m; with 0.0 it is the lecture's.
    """

    def __init__(self, std_floor=STD_FLOOR):
        self.std_floor = std_floor
        self.actor, self.critic = network(2), network(1)
        self.old_actor, self.old_critic = copy.deepcopy(self.actor), copy.deepcopy(self.critic)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=1e-4)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=1e-3)

    def policy(self, actor, observation):
        output = actor(observation)
        return Normal(ACTION_LIMIT * torch.tanh(output[..., :1]), output[..., 1:].abs() + self.std_floor)

    def act(self, observation):
        with torch.no_grad():
            action = self.policy(self.actor, torch.FloatTensor(observation)).sample().numpy()
        return np.clip(action, -ACTION_LIMIT, ACTION_LIMIT)

    def refresh(self):
        self.old_actor.load_state_dict(self.actor.state_dict())
        self.old_critic.load_state_dict(self.critic.state_dict())

    def one_pass(self, observation, action, reward, next_observation, terminated):
        """One pass over T steps in time order; observations (T, 3), action (T, 1), reward and terminated (T,)."""
        with torch.no_grad():
            value = self.old_critic(observation).squeeze(-1)
            next_value = self.old_critic(next_observation).squeeze(-1)
            old_log_prob = self.policy(self.old_actor, observation).log_prob(action).squeeze(-1)
        delta = (reward + 0.95 * (1 - terminated) * next_value - value).numpy()
        decay = (0.95 * 0.85 * (1 - terminated)).numpy()
        advantage, trace = np.zeros_like(delta), 0.0
        for t in reversed(range(len(delta))):
            trace = delta[t] + decay[t] * trace
            advantage[t] = trace
        advantage = torch.as_tensor(advantage)
        returns = advantage + value
        indices = list(range(len(observation)))
        for start in range(0, len(observation), 32):
            i = indices[start : start + 32]
            policy = self.policy(self.actor, observation[i])
            ratio = (policy.log_prob(action[i]).squeeze(-1) - old_log_prob[i]).exp()
            clipped = ratio.clamp(0.8, 1.2) * advantage[i]
            actor_loss = -torch.min(ratio * advantage[i], clipped).mean() - 0.01 * policy.entropy().mean()
            self.actor_optimizer.zero_grad()
            actor_loss.backward()
            self.actor_optimizer.step()
            critic_loss = nn.functional.mse_loss(self.critic(observation[i]).squeeze(-1), returns[i])
            self.critic_optimizer.zero_grad()
            critic_loss.backward()
            self.critic_optimizer.step()


def plain_train(agent, episodes, seed=0, returns=None):
    """Train for so many episodes of Gymnasium's Pendulum-v1; returns the list of returns, or adds to the one given.

    Raises ValueError, from torch.distributions.Normal, where a standard deviation is 0.
    """
    env = gymnasium.make("Pendulum-v1")
    observation, _ = env.reset(seed=seed)
    returns = [] if returns is None else returns
    for _ in range(episodes):
        steps, ended = [], False
        while not ended:
            action = agent.act(observation)
            next_observation, reward, terminated, truncated, _ = env.step(action)
            steps.append((observation, action, reward, next_observation, float(terminated)))
            observation, ended = next_observation, terminated or truncated
        columns = list(zip(*steps, strict=True))
        agent.refresh()
        for _ in range(2):
            agent.one_pass(*map(torch.FloatTensor, columns))
        returns.append(sum(step[2] for step in steps))
        observation, _ = env.reset()
    return returns
