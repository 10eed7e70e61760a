"""The comparison on another task is resumable, and its three algorithms are what they are on the pendulum."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from helpers import weights

from lecture_utils.experiments import cartpole, sweep
from lecture_utils.experiments.cartpole import CARTPOLE, CARTPOLE_STEPS
from lecture_utils.experiments.fair_experiment import ThreeAlgorithms
from lecture_utils.experiments.sweep import run_setting

TINY = CARTPOLE.replace(episodes_per_update=2, rollout_steps=32, hidden=(4,), minibatch_size=64, passes=2)
SETTING = dataclasses.replace(
    cartpole.settings()["passes_2"], hyperparameters=TINY, episodes=12, block=4, scored_every=8, scored_on=3
)


def test_settings_differ_in_the_passes_alone():
    found = cartpole.settings()
    assert list(found) == ["passes_10", "passes_5", "passes_2", "passes_1"]
    assert {x.hyperparameters.replace(passes=1) for x in found.values()} == {CARTPOLE.replace(passes=1)}
    for setting in found.values():
        assert setting.episodes * CARTPOLE.rollout_steps == CARTPOLE_STEPS == 61_440
        assert setting.recipe([0])["env"] == "CartPole-v1"
    assert "env" not in sweep.Setting().recipe([0])


def test_interrupted_and_taken_up_again_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "SAVE_EVERY", -1.0)
    seeds = [0, 1, 0, 1, 0, 1]
    whole = run_setting(SETTING, seeds, tmp_path / "whole")
    assert len(whole) == 6 * 3
    assert whole.episode.unique().tolist() == [0, 4, 8]
    assert (whole.reward == whole.length).all()
    assert whole.score_mean.notna().sum() == 6

    def stop(episodes):
        if episodes == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_setting(SETTING, seeds, tmp_path / "parts", stop)
    parts = run_setting(SETTING, seeds, tmp_path / "parts")
    pd.testing.assert_frame_equal(parts.drop(columns="seconds"), whole.drop(columns="seconds"))


def test_three_algorithms_are_one_in_the_first_step_and_then_differ():
    one_step = TINY.replace(passes=1)
    agent = ThreeAlgorithms.for_env("CartPole-v1", one_step, seeds=[3, 3, 3])
    sweep.train(agent, steps=64, env="CartPole-v1", progress=False)
    for other in (1, 2):
        np.testing.assert_allclose(weights(agent, 0), weights(agent, other), atol=1e-4)
    agent = ThreeAlgorithms.for_env("CartPole-v1", one_step.replace(passes=5, actor_lr=0.1), seeds=[3, 3, 3])
    sweep.train(agent, steps=64, env="CartPole-v1", progress=False)
    assert len({weights(agent, k).sum() for k in range(3)}) == 3
