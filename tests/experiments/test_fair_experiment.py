"""The fair experiment: what pushes the standard deviation is told as it is, and a cell holds its own runs."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from lecture_utils import PPO, Hyperparameters, train
from lecture_utils.experiments.fair_experiment import (
    ALGORITHMS,
    PASSES,
    SCORED,
    SEEDS,
    WatchedPPO,
    by_run,
    control,
    load_passes,
    settings,
)
from lecture_utils.training import collect_episodes


def wide(score_action, **changes):
    """An agent whose drawn actions leave the limits often: its standard deviation is 3 N m."""
    recipe = Hyperparameters(score_action=score_action, initial_std=3.0, episodes_per_update=2, **changes)
    return WatchedPPO(3, 1, recipe, seeds=[0, 1])


@pytest.mark.parametrize("score_action", ["clipped", "sampled"])
def test_the_score_is_the_slope_of_the_log_probability_in_log_sigma(score_action):
    agent = wide(score_action)
    rollout = collect_episodes(agent)
    batch = agent.prepare(rollout)
    told = agent.told
    with torch.no_grad():
        mean, std = agent.actor(batch["observation"])
    log_std = std.log().double().requires_grad_()
    log_prob = Normal(mean.double(), log_std.exp()).log_prob(batch["action"].double())
    (slope,) = torch.autograd.grad(log_prob.sum(), log_std)  # (R, N, 1)
    slope, advantage = slope[..., 0], batch["advantage"].double()
    expected = {
        "advantage": advantage.mean(-1),
        "score": slope.mean(-1),
        "score_x_advantage": (slope * advantage).mean(-1),
        "means_product": slope.mean(-1) * advantage.mean(-1),
        "cut": torch.as_tensor((np.abs(rollout.action) >= 2).mean((1, 2, 3))),
    }
    assert told.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(told[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    beyond = (told["score"] < -0.5).all() if score_action == "clipped" else (told["score"].abs() < 0.2).all()
    assert beyond
    assert (told["cut"] > 0.3).all()


def test_normalised_advantages_have_no_mean_and_so_no_product():
    agent = wide("clipped", normalize_advantages="rollout")
    agent.prepare(collect_episodes(agent))
    assert agent.told["means_product"].abs().max() < 1e-5
    assert agent.told["score_x_advantage"].abs().min() > 1e-4


def test_what_is_watched_is_logged_and_changes_nothing():
    watched, plain = WatchedPPO(3, 1, seeds=[5]), PPO(3, 1, seeds=[5])
    log, other = (train(agent, 3, progress=False) for agent in (watched, plain))
    assert list(log)[: other.shape[1]] == list(other)
    np.testing.assert_array_equal(log[list(other)], other)
    assert set(log) - set(other) == {"advantage", "score", "score_x_advantage", "means_product", "cut", "far"}
    np.testing.assert_array_equal(log.far, (log.kl_after > 1.0).astype(float))


def test_settings_cross_everything_and_the_control_changes_one_field():
    found = settings()
    assert len(found) == sum(map(len, PASSES.values())) * len(SCORED)
    for name, setting in found.items():
        head, count, scored = name.split("_")
        expected = Hyperparameters(std_head=head, passes=int(count), score_action=SCORED[scored])
        assert setting.hyperparameters == expected
        assert setting.episodes == 3000
    ((_, alone),) = control().items()
    assert alone.hyperparameters.replace(normalize_advantages="no") == found["abs_10_cut"].hyperparameters


@pytest.fixture(scope="module")
def recorded():
    return load_passes()


def test_every_cell_has_its_sixteen_runs(recorded):
    cells = by_run(recorded, "reward").groupby(["std_head", "scored", "passes"]).algorithm.value_counts()
    assert set(cells) == {len(SEEDS)}
    assert len(cells) == len(settings()) * len(ALGORITHMS) + 1
    assert recorded.groupby(["std_head", "scored", "passes", "algorithm", "run"]).size().eq(60).all()


def test_by_run_takes_its_episodes_only(recorded):
    one = recorded[(recorded.std_head == "abs") & (recorded.scored == "cut") & (recorded.passes == 2)]
    one = one[(one.algorithm == "PPO") & (one.run == 3)].sort_values("episode")
    for column, how in (("reward", "mean"), ("kl_after_median", "median")):
        rows = by_run(recorded, column, 500, 1000, how).set_index(["std_head", "scored", "passes", "algorithm", "run"])
        expected = getattr(np, how)(one[column].to_numpy()[10:20])
        assert rows.loc[("abs", "cut", 2, "PPO", 3), column] == pytest.approx(expected)


def test_the_scores_mean_is_zero_for_drawn_actions_and_not_for_cut_ones(recorded):
    score = by_run(recorded, "score").groupby(["std_head", "scored", "algorithm", "passes"]).score.median()
    assert score.loc["abs", "drawn"].abs().max() < 0.02
    assert score.loc["abs", "cut"].max() < -0.02
