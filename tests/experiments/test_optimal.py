"""The optimum is one: it obeys Bellman's equation in the environment itself, and is as accurate as it says."""

import gymnasium
import numpy as np
import pytest

from lecture_utils import PendulumVectorEnv, fixed_starts
from lecture_utils.experiments.optimal import FILE, load_optimal, optimal_returns, save_optimal, solve, thinned
from lecture_utils.experiments.recordings import DATA, write_checksums

STARTS = fixed_starts(300)
TORQUES = np.linspace(-2, 2, 21)


@pytest.fixture(scope="module")
def stored():
    return load_optimal()


@pytest.fixture(scope="module")
def half_grid():
    return solve(360, 301)


@pytest.fixture(scope="module")
def coarse():
    return solve(90, 75, 11)


def states(n=160):
    """Anywhere, and a quarter of them close to the speed limit or to the wrap of theta."""
    drawn = np.random.default_rng(1).uniform([-np.pi, -8], [np.pi, 8], (n, 2))
    drawn[: n // 8, 1] = np.sign(drawn[: n // 8, 1]) * (8 - 0.05 * np.abs(drawn[: n // 8, 1]))
    drawn[n // 8 : n // 4, 0] = np.pi - 0.02 * drawn[n // 8 : n // 4, 0]
    return drawn


def best_of_all_torques(state, steps, gamma):
    """The largest sum of `steps` rewards by trying every sequence of torques in the environment."""
    if steps == 0:
        return np.zeros(len(state))
    everything = np.repeat(state, len(TORQUES), axis=0)
    envs = PendulumVectorEnv(len(everything))
    envs.reset(options={"state": everything})
    reward = envs.step(np.tile(TORQUES, len(state))[:, None])[1]
    later = best_of_all_torques(envs.state.copy(), steps - 1, gamma)
    return (reward + gamma * later).reshape(len(state), -1).max(1)


@pytest.mark.parametrize(("steps", "gamma"), [(1, 1.0), (2, 1.0), (3, 0.5)])
def test_few_steps_equal_trying_every_sequence_of_torques_in_the_environment(steps, gamma):
    exact = best_of_all_torques(states(), steps, gamma)
    solved = solve(720, 601, len(TORQUES), steps=steps, gamma=gamma).value(*states().T)
    assert np.abs(solved - exact).max() < 0.02
    assert np.abs(solved - exact).mean() < 1e-3  # without the torque's own cost it is 0.004 or more


def test_stored_value_is_what_its_greedy_policy_reaches(stored):
    value, returns = stored.value(*STARTS.T), optimal_returns(STARTS, stored)
    assert abs(value.mean() - returns.mean()) < 1.0
    assert np.median(np.abs(value - returns)) < 0.2
    assert returns.mean() == pytest.approx(-133.8, abs=0.2)


def test_halving_the_grid_changes_value_and_return_by_less_than_one(stored, half_grid):
    assert abs(stored.value(*STARTS.T).mean() - half_grid.value(*STARTS.T).mean()) < 1.0
    assert abs(optimal_returns(STARTS, stored).mean() - optimal_returns(STARTS, half_grid).mean()) < 1.0


def test_stored_value_over_random_starts(stored):
    starts = fixed_starts(20_000)
    assert stored.value(*starts.T).mean() == pytest.approx(-137, abs=1.5)


@pytest.mark.slow
def test_stored_optimum_is_the_one_that_is_made(stored):
    again = thinned(solve())
    assert again.n_torque == stored.n_torque
    np.testing.assert_allclose(again.value_grid, stored.value_grid, atol=0.01)


def test_value_no_longer_depends_on_the_steps_to_go():
    earlier, later = (solve(180, 151, steps=steps).value_grid for steps in (150, 200))
    assert np.abs(earlier - later).max() < 0.05


def test_mirrored_states_are_worth_the_same(stored):
    theta, theta_dot = states().T
    np.testing.assert_allclose(stored.value(theta, theta_dot), stored.value(-theta, -theta_dot), atol=0.01)


def test_a_full_turn_changes_nothing(stored):
    theta, theta_dot = states().T
    for turns in (-1, 3):
        np.testing.assert_allclose(
            stored.value(theta + turns * 2 * np.pi, theta_dot), stored.value(theta, theta_dot), atol=0.01
        )
    below = stored.value([np.pi - 1e-6, np.pi + 1e-6], 1.0)
    assert below[0] == pytest.approx(below[1], abs=0.01)


def test_upright_at_rest_costs_nothing(stored):
    assert stored.value(0.0, 0.0) == pytest.approx(0, abs=1e-3)
    assert stored.greedy_torque(0.0, 0.0) == 0
    assert optimal_returns([[0.0, 0.0]], stored)[0] == pytest.approx(0, abs=1e-6)
    assert stored.value(*STARTS.T).max() <= 0


def test_greedy_torque_is_the_best_one_in_the_environment(stored):
    everything = np.repeat(states(), len(TORQUES), axis=0)
    envs = PendulumVectorEnv(len(everything))
    envs.reset(options={"state": everything})
    reward = envs.step(np.tile(TORQUES, len(states()))[:, None])[1]
    worth = (reward + stored.value(*envs.state.T)).reshape(-1, len(TORQUES))
    column = np.abs(stored.greedy_torque(*states().T)[:, None] - TORQUES).argmin(1)
    assert (worth.max(1) - worth[np.arange(len(worth)), column]).max() < 1e-4


def test_without_a_future_no_torque_is_worth_its_cost():
    assert (solve(90, 75, 11, gamma=0.0).greedy_torque(*states().T) == 0).all()


def test_arrays_of_any_shape_broadcast(coarse):
    theta, theta_dot = np.linspace(-3, 3, 4)[:, None], np.linspace(-8, 8, 5)
    for function in (coarse.value, coarse.greedy_torque):
        together = function(theta, theta_dot)
        assert together.shape == (4, 5)
        assert together[2, 1] == function(theta[2, 0], theta_dot[1])


def test_nodes_keep_their_value(coarse):
    theta = (np.arange(90) * 2 * np.pi / 90 - np.pi)[:, None]
    np.testing.assert_allclose(coarse.value(theta, np.linspace(-8, 8, 75)), coarse.value_grid, atol=0.01)
    assert thinned(coarse).value_grid[3, 2] == coarse.value_grid[6, 4]


def test_returns_are_those_of_gymnasiums_pendulum(coarse):
    env = gymnasium.make("Pendulum-v1")
    env.reset(seed=0)
    env.unwrapped.state = STARTS[0].copy()
    total, truncated = 0.0, False
    while not truncated:
        torque = coarse.greedy_torque(*env.unwrapped.state)
        _, reward, _, truncated, _ = env.step(np.array([torque]))
        total += reward
    assert optimal_returns(STARTS[:1], coarse)[0] == pytest.approx(total, abs=1e-6)


def test_file_is_small_and_comes_back(tmp_path, coarse):
    assert (DATA / FILE).stat().st_size < 1_000_000
    save_optimal(coarse, tmp_path)
    write_checksums(tmp_path)
    back = load_optimal(tmp_path)
    np.testing.assert_array_equal(back.value_grid, coarse.value_grid)
    assert back.n_torque == 11


def test_missing_and_damaged_files_say_so(tmp_path, coarse):
    with pytest.raises(FileNotFoundError, match="missing"):
        load_optimal(tmp_path)
    save_optimal(coarse, tmp_path)
    write_checksums(tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"optimal\.npz is damaged"):
        load_optimal(tmp_path)
    write_checksums(tmp_path)
    with pytest.raises(ValueError, match=r"optimal\.npz does not hold its arrays"):
        load_optimal(tmp_path)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("n_theta", 91), ("n_theta", 4), ("n_theta_dot", 100), ("n_torque", 2), ("n_torque", 3.0), ("steps", 0),
     ("gamma", 1.1)],
)  # fmt: skip
def test_solve_names_a_bad_argument(argument, value):
    with pytest.raises(ValueError, match=rf"{argument} must .* got {value}"):
        solve(**{argument: value})


def test_bad_states_are_named(coarse):
    with pytest.raises(ValueError, match="theta_dot must be within"):
        coarse.value(0.0, [0.0, 8.1])
    with pytest.raises(ValueError, match="theta must be finite"):
        coarse.greedy_torque(np.nan, 0.0)
    with pytest.raises(ValueError, match="starts must be"):
        optimal_returns([1.0, 2.0], coarse)
