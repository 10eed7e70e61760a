"""The critic's lone training and its judge: against plain sums, and with the policy untouched."""

import copy

import numpy as np
import pytest
import torch

from lecture_utils import PPO
from lecture_utils.experiments.critic_study import critic_error, train_critic
from lecture_utils.training import collect_episodes


@pytest.fixture
def agent():
    return PPO(3, 1, seeds=(0, 1))


def test_the_error_is_that_of_a_plain_sum(agent):
    rollout = collect_episodes(agent, 2)
    gamma = agent.hyperparameters.gamma
    for run in range(2):
        differences = []
        for rewards, observations in zip(rollout.reward[run], rollout.observation[run], strict=True):
            for t in range(3):
                followed = sum(gamma**k * reward for k, reward in enumerate(rewards[t:]))
                with torch.no_grad():
                    value = agent.select([run]).critic(torch.as_tensor(observations[t])[None, None]).item()
                differences.append(value - agent.hyperparameters.reward_scale * followed)
        assert critic_error(agent, rollout, steps=3)[run] == pytest.approx(np.mean(differences), abs=1e-4)


def test_training_moves_the_critic_towards_its_targets_and_leaves_the_policy_alone(agent):
    rollout = collect_episodes(agent, 2)
    before, actor = critic_error(agent, rollout), copy.deepcopy(agent.actor.state_dict())
    train_critic(agent, rollout, passes=20)
    assert (np.abs(critic_error(agent, rollout)) < np.abs(before)).all()
    for name, weights in agent.actor.state_dict().items():
        torch.testing.assert_close(weights, actor[name], rtol=0, atol=0)


@pytest.mark.parametrize("bad", [0, 1.5, True])
def test_bad_input_is_named(agent, bad):
    rollout = collect_episodes(agent, 1)
    with pytest.raises(ValueError, match="passes must be a whole number of at least 1, got"):
        train_critic(agent, rollout, passes=bad)
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1, got"):
        critic_error(agent, rollout, steps=bad)
