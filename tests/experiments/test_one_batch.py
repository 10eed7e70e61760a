"""Distances between policies against closed forms, and the tables that show them."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from lecture_utils import PPO, clipped_surrogate, surrogate
from lecture_utils.experiments.one_batch import (
    across_runs,
    climb,
    kl_from,
    mean_shift,
    readable,
    ready_to_learn,
)


class ShiftedPolicy:
    """Stands in for an agent: a Gaussian of the same std whose mean is the observation plus a shift for each run."""

    def __init__(self, shift, std=2.0):
        self.actor, self.shift, self.std = None, torch.as_tensor(shift, dtype=torch.float64)[:, None, None], std

    def policy(self, actor, observation):
        mean = observation + self.shift
        return torch.distributions.Normal(mean, torch.full_like(mean, self.std))


BATCH = {"observation": torch.zeros(3, 5, 1, dtype=torch.float64)}


def test_shift_of_the_mean_costs_half_its_square_in_standard_deviations():
    old, new = ShiftedPolicy([0.0, 0.0, 0.0]), ShiftedPolicy([0.0, 2.0, -6.0])
    np.testing.assert_allclose(mean_shift(old, new, BATCH), [0, 1, 3])
    np.testing.assert_allclose(kl_from(old, new, BATCH), [0, 0.5, 4.5])


def test_another_std_alone_has_a_divergence_and_no_shift():
    old, new = ShiftedPolicy([0.0, 0.0, 0.0]), ShiftedPolicy([0.0, 0.0, 0.0], std=4.0)
    np.testing.assert_array_equal(mean_shift(old, new, BATCH), 0)
    np.testing.assert_allclose(kl_from(old, new, BATCH), np.log(2) + 1 / 8 - 1 / 2)


def test_plain_ascent_takes_the_first_step_of_the_formula_and_stops_beyond_the_clip():
    free, clipped = climb(surrogate, adam=False), climb(clipped_surrogate, adam=False)
    # At a = 1, mean 0 and std 1: d log_prob / d mean = 1 and d log_prob / d log_std = 0.
    assert free[:2] == pytest.approx([1, np.exp(-(0.95**2) / 2 + 1 / 2)])
    assert len(free) == len(clipped) == 41
    beyond = next(ratio for ratio in clipped if ratio > 1.2)
    assert clipped[-1] == beyond < max(free)


def test_interval_of_the_median_of_sixteen_runs_is_the_fourth_from_either_end():
    values = np.random.default_rng(0).permutation(np.arange(16.0))
    assert across_runs("x", values) == {"x": 7.5, "x low": 3.0, "x high": 12.0}


def test_readable_puts_a_median_and_its_interval_into_one_cell():
    table = pd.DataFrame([{"passes": 1, "KL": 0.3333, "KL low": 0.22, "KL high": 1234.4, "alone": 2.0}])
    assert readable(table).to_dict("records") == [{"passes": 1, "alone": "2", "KL": "0.33 [0.22, 1,234]"}]
    assert list(table) == ["passes", "KL", "KL low", "KL high", "alone"]


@pytest.fixture
def recorded(monkeypatch):
    agent = PPO(3, 1, seeds=range(2))
    monkeypatch.setattr("lecture_utils.experiments.one_batch.load_agent", lambda name: copy.deepcopy(agent))


def test_an_agent_ready_to_learn_has_a_batch_of_its_own_policy(recorded):
    agent, batch = ready_to_learn("any", updates=1)
    again = ready_to_learn("any", updates=1)[1]
    assert batch["observation"].shape == (2, 200, 3)
    assert batch["observation"].dtype == torch.float64
    log_prob = agent.policy(agent.actor, batch["observation"]).log_prob(batch["action"]).sum(-1)
    torch.testing.assert_close(log_prob, batch["old_log_prob"], rtol=0, atol=0)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
