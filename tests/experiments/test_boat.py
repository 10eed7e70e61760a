"""The boat does what it says, and the recipe fits it."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lecture_utils import PPO
from lecture_utils.experiments.boat import NEAR, RECIPE, STEPS, Boat


@pytest.mark.filterwarnings("ignore")
def test_it_is_an_environment_of_gymnasium():
    check_env(Boat(), skip_render_check=True)


def test_a_step_by_hand():
    boat = Boat()
    boat.reset(seed=0)
    boat.buoy = 10 + 0j
    seen, reward, arrived, cut, _ = boat.step(np.array([1.0, 0.0]))
    assert (seen.tolist(), reward, arrived, cut) == ([9.0, 0.0], 0.5, False, False)
    seen, *_ = boat.step(np.array([2.0, 0.5]))  # the bow turns to port: the buoy is to starboard
    assert seen == pytest.approx([7 * np.cos(0.5), -7 * np.sin(0.5)], rel=1e-6)
    still = boat.step(np.array([-5.0, 3.0]))  # cut to (0, 0.5)
    assert still[0] == pytest.approx([7 * np.cos(1.0), -7 * np.sin(1.0)], rel=1e-6)
    assert still[1] == pytest.approx(-0.5)
    boat.buoy = NEAR + 1 + 0j
    assert boat.step(np.array([1.5, 0.0]))[2:4] == (True, False)


def test_one_that_steers_arrives_and_one_that_does_not_is_cut():
    boat, lengths = Boat(), []
    for seed in range(20):
        seen, over = boat.reset(seed=seed)[0], False
        while not over:
            ahead, port = seen
            off = np.arctan2(port, ahead)
            seen, _, arrived, cut, _ = boat.step(np.array([0.0 if abs(off) > 0.3 else 2.0, off]))
            over = arrived or cut
        lengths.append(boat.elapsed)
        assert arrived
    assert np.mean(lengths) < 30
    boat.reset(seed=0)
    assert [boat.step(np.zeros(2))[3] for _ in range(STEPS)] == [False] * (STEPS - 1) + [True]


def test_the_recipes_agent_has_its_bounds():
    agent = PPO.for_env(Boat, RECIPE)
    assert isinstance(Boat.action_space, gymnasium.spaces.Box)
    assert agent.bounds == ((0.0, -0.5), (2.0, 0.5))
