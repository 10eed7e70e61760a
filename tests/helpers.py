"""Small agents, rollouts and environments that several tests use."""

import gymnasium
import numpy as np
import torch

from lecture_utils import Rollout


def networks(agent):
    """Every network of an agent, by name."""
    names = ("actor", "critic", "old_actor", "old_critic")
    return {name: getattr(agent, name) for name in names if hasattr(agent, name)}


def doubled(agent):
    """The same agent, computing in float64."""
    for network in networks(agent).values():
        network.double()
    return agent


def weights(agent, run=None):
    """The learning networks' weights, of one run or of all, one after the other, as a float64 array."""
    parameters = [*agent.actor.parameters(), *agent.critic.parameters()]
    kept = [x.detach()[slice(None) if run is None else run] for x in parameters]
    return torch.cat([x.double().flatten() for x in kept]).numpy()


def make_rollout(agent, steps=200, seed=0, terminates=0.0):
    """Random observations of about Pendulum's size, with what the agent's policy does there, in float64.

    terminates: the share of steps that end their episode.
    """
    rng = np.random.default_rng(seed)
    shape = (agent.runs, agent.hyperparameters.episodes_per_update, steps)
    observation, next_observation = rng.normal(size=(2, *shape, agent.obs_dim))
    with torch.no_grad():
        x = torch.as_tensor(observation, dtype=next(agent.actor.parameters()).dtype).flatten(1, 2)
        policy = agent.policy(agent.actor, x)
        action = policy.mean + policy.stddev * torch.as_tensor(rng.normal(size=policy.mean.shape))
        action = action.clamp(-agent.action_limit, agent.action_limit)
        log_prob = policy.log_prob(action).sum(-1)
    return Rollout(
        observation=observation,
        action=action.reshape(*shape, agent.action_dim).numpy(),
        log_prob=log_prob.reshape(shape).numpy(),
        reward=-3 * rng.random(shape),
        next_observation=next_observation,
        terminated=rng.random(shape) < terminates,
    )


class Corridor(gymnasium.Env):
    """A Box environment that terminates: two-dimensional actions push a (2, 2) table of numbers over an edge."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2, 2))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = np.zeros((2, 2), dtype=np.float32)
        return self.position.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.position += np.abs(action) + np.float32(0.1)
        return self.position.copy(), 1.0, bool(self.position.max() > 3), False, {}
