"""A held push is the same push several times, chance arrives more often with it, and the summary counts right."""

import gymnasium
import numpy as np
import pandas as pd
import pytest

from lecture_utils.experiments import mountain_car
from lecture_utils.experiments.mountain_car import HELD, RECIPE, SETTINGS, Hold, make, random_pushes, summary


def test_a_held_push_is_so_many_equal_steps():
    held, plain = Hold(gymnasium.make(mountain_car.TASK), 5), gymnasium.make(mountain_car.TASK)
    held.reset(seed=3)
    plain.reset(seed=3)
    for push in (0.5, -1.0):
        steps = [plain.step(np.float32([push])) for _ in range(5)]
        seen, reward, terminated, truncated, _ = held.step(np.float32([push]))
        np.testing.assert_array_equal(seen, steps[-1][0])
        assert reward == pytest.approx(sum(step[1] for step in steps))
        assert not terminated
        assert not truncated


def test_a_held_push_ends_with_the_episode():
    env = Hold(gymnasium.make(mountain_car.TASK, max_episode_steps=7), 5)
    env.reset(seed=0)
    assert not env.step(np.float32([0.1]))[3]
    _, reward, terminated, truncated, _ = env.step(np.float32([1.0]))
    assert (terminated, truncated) == (False, True)
    assert reward == pytest.approx(-0.1 * 2)


def test_chance_arrives_where_pushes_are_held():
    assert random_pushes(1, episodes=10) < 0.3 < random_pushes(HELD, episodes=10)


def test_both_ways_see_as_many_steps_of_the_car():
    for held, recipe in SETTINGS.values():
        assert recipe.episodes_per_update * recipe.rollout_steps * held * mountain_car.UPDATES == mountain_car.CAR_STEPS
        samples = recipe.episodes_per_update * recipe.rollout_steps
        assert samples / recipe.minibatch_size == 8 * 1024 / RECIPE.minibatch_size
    assert RECIPE.gamma**HELD == pytest.approx(mountain_car.HELD_RECIPE.gamma)
    assert isinstance(make(HELD), Hold)
    assert not isinstance(make(), Hold)


def test_the_summary():
    steps, rewards = np.linspace(8192, mountain_car.CAR_STEPS, 12), dict(zip(SETTINGS, (-30.0, 90.0), strict=True))
    rows = [(name, run, step, x - run, 40) for name, x in rewards.items() for run in range(3) for step in steps]
    log = pd.DataFrame(rows, columns=["pushes", "run", "step", "reward", "length"])
    log.loc[log.step == 8192, "reward"] -= 5
    log.loc[(log.run == 2) & (log.step > 8192), "reward"] -= 3  # apart from the mean
    table = summary(log.assign(arrived=log.reward > 0))
    plain, held = (table.loc[name].tolist() for name in SETTINGS)
    assert plain == [0, 0.0, -36.0, -32.0, -31.0, -35.0]
    assert held == [3, 1.0, 84.0, 88.0, 89.0, 85.0]
