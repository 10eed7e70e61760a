"""Counting standard deviations that are exactly zero: none is missed, none invented, and each run has its own."""

import torch

from lecture_utils import PPO
from lecture_utils.experiments.std_zero import EPISODES, SEEDS, load_std_zero, record


def test_every_standard_deviation_of_an_update_is_counted():
    table = record([0, 1], episodes=2)
    assert table.computed.tolist() == [2 * 3 * 200] * 2  # an episode: two passes, and the old policy
    assert table.zeros.tolist() == [0, 0]
    assert table.first_zero.tolist() == [-1, -1]


def test_a_run_whose_z_is_zero_everywhere_is_found_and_no_other():
    agent = PPO(3, 1, seeds=[0, 1])
    for actor in (agent.actor, agent.old_actor):
        last = actor.body.layers[-1]
        with torch.no_grad():
            last.weight[1, :, 1] = 0
            last.bias[1, :, 1] = 0
    table = record(None, episodes=1, agent=agent)
    assert table.zeros[0] == 0
    assert table.zeros[1] >= 200  # the old policy; the first step of the actor moves z
    assert table.first_zero.tolist() == [-1, 0]


def test_the_recorded_counts_are_complete():
    table = load_std_zero()
    assert table.seed.tolist() == list(SEEDS)
    assert (table.computed == 600 * EPISODES).all()
    assert ((table.zeros > 0) == (table.first_zero >= 0)).all()
