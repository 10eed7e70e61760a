"""Seconds and samples to solve: counted as the updates come, and an unsolved run is not a fast one."""

import numpy as np
import pandas as pd
import pytest
import stable_baselines3

from lecture_utils import TUNED, TUNED_EPISODES
from lecture_utils.experiments import time_to_solve
from lecture_utils.experiments.data_files import kept
from lecture_utils.experiments.time_to_solve import (
    ALONE,
    COLUMNS,
    SOLVED,
    THERE,
    TOGETHER,
    ZOO_NAME,
    load_time_to_solve,
    tuned,
    until_solved,
    watched,
)


def test_samples_and_seconds_are_those_of_the_updates_so_far():
    rows = watched(iter([lambda: np.array([-900.0, -800.0]), lambda: np.array([-150.0, -140.0])]), samples=100)
    assert [[(count, score) for count, _, score in update] for update in rows] == [
        [(100, -900.0), (100, -800.0)],
        [(200, -150.0), (200, -140.0)],
    ]
    seconds = [update[0][1] for update in rows]
    assert 0 <= seconds[0] <= seconds[1]


def test_scoring_is_not_counted():
    def slow():
        sum(range(10_000_000))
        return np.array([0.0])

    ((_, seconds, _),) = watched(iter([slow]), samples=1)[0]
    assert seconds < 0.05


def test_the_first_solved_update_counts_and_never_is_infinite():
    rows = [("a", 0, 1, 0.1, -900.0), ("a", 0, 2, 0.2, SOLVED), ("a", 0, 3, 0.3, -100.0), ("b", 0, 1, 0.1, -161.0)]
    table = until_solved(pd.DataFrame(rows, columns=COLUMNS)).set_index("program")
    assert table.loc["a", ["samples", "seconds"]].tolist() == [2, 0.2]
    assert np.isinf(table.loc["b", ["samples", "seconds"]].astype(float)).all()
    easier = until_solved(pd.DataFrame(rows, columns=COLUMNS), threshold=-165.0).set_index("program")
    assert easier.loc["b", ["samples", "seconds"]].tolist() == [1, 0.1]


def test_a_score_is_held_from_where_no_later_one_of_that_run_is_below():
    scores = {"a": [-100.0, -170.0, -150.0, -140.0], "b": [-100.0, -100.0, -100.0, -161.0], "c": [-1.0] * 4}
    rows = [(name, 0, k, k / 10, x) for name, column in scores.items() for k, x in enumerate(column)]
    held = until_solved(pd.DataFrame(rows, columns=COLUMNS), held=True).set_index("program")
    assert held.samples.tolist() == [2, np.inf, 0]
    assert held.seconds.tolist() == [0.2, np.inf, 0.0]


def test_tuned_is_scored_after_every_update():
    updates = tuned([0, 1])
    assert next(updates)().shape == (2,)


def test_the_recorded_table_is_complete():
    table = load_time_to_solve()
    ends = table.groupby(["program", "seed"]).samples.max().groupby("program").agg(["size", "max"])
    assert ends["size"].to_dict() == {ZOO_NAME: 5, THERE: 5, ALONE: 5, TOGETHER: 16}
    assert (ends["max"].drop(ZOO_NAME) == TUNED_EPISODES * 200).all()
    assert ends.loc[ZOO_NAME, "max"] >= 100_000


def test_tuned_there_has_tuneds_recipe(monkeypatch):
    """Its arguments, its step sizes, and the units of reward and action, as the model has them when it learns."""
    seen = []

    def learn(self, steps, **kwargs):
        seen.append((self, steps, self.lr_schedule(1.0)))

    monkeypatch.setattr(stable_baselines3.PPO, "learn", learn)
    assert len(list(time_to_solve.tuned_there(0))) == TUNED_EPISODES // TUNED.episodes_per_update
    model = seen[0][0]
    sizes = [size for *_, size in seen]
    np.testing.assert_allclose(sizes, TUNED.actor_lr * (1 - np.arange(24) / 24))
    assert {steps for _, steps, _ in seen} == {16 * 200} == {model.n_steps * model.n_envs}
    told = (model.gamma, model.gae_lambda, model.n_epochs, model.batch_size, model.clip_range(1.0), model.ent_coef)
    assert told == (TUNED.gamma, TUNED.gae_lambda, TUNED.passes, TUNED.minibatch_size, TUNED.clip, TUNED.entropy_coef)
    assert (model.max_grad_norm, model.vf_coef) == (TUNED.max_grad_norm, 1.0)
    assert 1.5 * model.target_kl == pytest.approx(TUNED.target_kl)
    assert [x.out_features for x in model.policy.mlp_extractor.policy_net if hasattr(x, "out_features")] == [32, 32]
    assert model.policy.log_std.exp().item() * 2.0 == TUNED.initial_std
    envs = model.get_env()
    np.testing.assert_array_equal(envs.action_space.high, [1.0])
    env = envs.envs[0]
    env.reset(seed=0)
    env.unwrapped.state = np.array([np.pi, 0.0])  # hanging: the reward is -(pi^2 + 0.001 torque^2)
    _, reward, *_ = env.step(np.array([1.0], dtype=np.float32))
    assert reward == pytest.approx(-TUNED.reward_scale * (np.pi**2 + 0.001 * 2.0**2), rel=1e-6)


def test_a_measured_table_has_every_update_and_a_kept_part_is_not_measured_again(monkeypatch, tmp_path):
    monkeypatch.setitem(time_to_solve.PROGRAMS, "two", (lambda seeds: iter([lambda: np.array([-9.0, -8.0])] * 3), 5))
    calls = []
    monkeypatch.setattr(time_to_solve, "watched", lambda *args: calls.append(args) or watched(*args))
    for _ in range(2):
        table = kept(tmp_path / "part.csv", time_to_solve.measure, "two", [4, 7])
    assert len(calls) == 1
    assert table.columns.tolist() == list(COLUMNS)
    assert table[["seed", "samples", "score"]].values.tolist() == [
        [seed, samples, score] for samples in (5, 10, 15) for seed, score in ((4, -9.0), (7, -8.0))
    ]
