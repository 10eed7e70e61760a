"""Distances between policies against closed forms, and the tables that show them."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from lecture_utils import PPO, clipped_surrogate, evaluate, surrogate
from lecture_utils.experiments.one_batch import (
    AGENTS,
    KEYS,
    MEASURED,
    OBJECTIVES,
    PASSES,
    across_runs,
    climb,
    clipped,
    kl_from,
    learn,
    load_one_batch,
    log_prob_of,
    mean_shift,
    measure,
    medians,
    readable,
    ready_to_learn,
    record,
    unclipped,
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


def test_the_passes_recorded_are_those_of_learn(recorded):
    table = record("early", "clipped", passes=(0, 1, 2), episodes=3)
    assert tuple(table.columns) == KEYS + MEASURED
    assert list(table.passes) == [0, 0, 1, 1, 2, 2]
    start, end = table[table.passes == 0], table[table.passes == 2]
    assert (start[["kl", "mean_shift", "outside", "no_gradient", "gain", "change"]] == 0).all(axis=None)

    agent, batch = ready_to_learn("any")
    before = evaluate(agent, episodes=3)
    learner = copy.deepcopy(agent)
    learn(learner, batch, clipped, 2)
    np.testing.assert_array_equal(end.kl, kl_from(agent, learner, batch))
    np.testing.assert_allclose(end.change, (evaluate(learner, episodes=3) - before).mean(-1))
    np.testing.assert_allclose(end.score - start.score.to_numpy(), end.change)
    assert (end.kl > 0).all()


def test_samples_without_gradient_are_those_of_autograd(recorded):
    agent, batch = ready_to_learn("any")
    learner = copy.deepcopy(agent)
    learn(learner, batch, unclipped, 10)  # far enough that some samples are outside
    log_prob = log_prob_of(learner, batch).detach().requires_grad_()
    clipped(log_prob, batch["old_log_prob"], batch["advantage"]).sum().backward()
    measured = measure(agent, learner, batch, evaluate(agent, episodes=2))
    stopped = (log_prob.grad == 0).double().mean(-1).numpy()
    np.testing.assert_array_equal(measured["no_gradient"], stopped)
    assert stopped.max() > 0
    assert (measured["outside"] >= stopped).all()


def test_learning_raises_the_objective_and_without_momentum_otherwise(recorded):
    table = {name: record("early", name, passes=(3,), episodes=2) for name in OBJECTIVES}
    assert (table["clipped"].gain > 0).all()
    assert not table["clipped"].kl.equals(table["clipped, no momentum"].kl)
    assert not table["clipped"].kl.equals(table["unclipped"].kl)


def test_medians_are_those_of_one_objective_at_each_number_of_passes():
    rows = [
        {"objective": name, "passes": n, "run": run, "kl": factor * n + run}
        for name, factor in (("a2c", 1.0), ("clipped", 100.0))
        for n in (1, 2)
        for run in range(16)
    ]
    table = medians(pd.DataFrame(rows), "clipped", ["kl"], passes=(2, 1))
    assert table.to_dict("list") == {
        "passes": [2, 1], "kl": [207.5, 107.5], "kl low": [203.0, 103.0], "kl high": [212.0, 112.0]
    }  # fmt: skip


def test_the_recorded_passes_are_complete():
    table = load_one_batch()
    assert len(table) == len(AGENTS) * len(OBJECTIVES) * len(PASSES) * 16
    assert not table.duplicated(list(KEYS)).any()
    assert np.isfinite(table[list(MEASURED)]).all(axis=None)
    first = table[table.passes == 0]
    assert (first.kl == 0).all()
    assert first.groupby(["agents", "run"]).score.nunique().eq(1).all()
