"""A critic trained on its own with the policy held still, and judged by the rewards that followed."""

import numpy as np
import torch

from lecture_utils import checks, monte_carlo


def train_critic(agent, rollout, passes=8):
    """Train the agent's critics alone, in place: `passes` passes over a rollout, each with targets of its own.

    Raises ValueError for a rollout that does not fit the agent and for passes that are not a whole number above 0.
    """
    passes = checks.whole("passes", passes, 1)
    for _ in range(passes):
        agent.refresh()
        for batch in agent.minibatches(agent.prepare(rollout)):
            value = agent.critic(batch["observation"]).squeeze(-1)
            # A sum over runs, never a mean: each run keeps the gradient that it would have alone.
            loss = (value - batch["returns"]).square().mean(-1).sum()
            agent.critic_optimizer.zero_grad()
            loss.backward()
            agent.critic_optimizer.step()


def critic_error(agent, rollout, steps=50):
    """Mean of V(s_t) minus the discounted rewards that followed, over the first steps of all episodes: (R,).

    The judge asks no critic: what lies beyond the rollout is left out, so `steps` should end long before it does.
    Raises ValueError for steps that are not a whole number above 0.
    """
    steps = checks.whole("steps", steps, 1)
    gamma, scale = agent.hyperparameters.gamma, agent.hyperparameters.reward_scale
    with torch.no_grad():
        values = agent.critic(torch.as_tensor(rollout.observation).flatten(1, 2)).numpy().reshape(rollout.reward.shape)
    nothing = np.zeros_like(rollout.reward)
    followed = monte_carlo(scale * rollout.reward, nothing, nothing, nothing, gamma=gamma)
    return (values - followed)[..., :steps].mean((1, 2))
