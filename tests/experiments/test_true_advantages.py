"""The simulated truth: against Gymnasium's own pendulum, against closed forms, and its standard errors."""

import shutil
import types

import gymnasium
import numpy as np
import pandas as pd
import pytest

from lecture_utils import PPO, fast
from lecture_utils.experiments import recordings, true_advantages
from lecture_utils.experiments.data_files import CHECKSUMS, DATA, write_checksums
from lecture_utils.experiments.true_advantages import (
    AGES,
    CONTINUATIONS,
    LAMBDAS,
    by_action,
    load_true_advantages,
    measure,
    split_error,
    visited,
)

GAMMA, HORIZON = 0.9, 60
STATES = np.array([[0.3, -0.5], [2.5, 1.0]])
ACTIONS = np.array([[1.5], [-0.7]])


@pytest.fixture(autouse=True)
def functions_are_networks(monkeypatch):
    """A function of arrays may stand where a network is asked for."""
    on_arrays = fast.on_arrays
    monkeypatch.setattr(fast, "on_arrays", lambda x: x if isinstance(x, types.FunctionType) else on_arrays(x))


def linear_agent(std):
    """A linear policy, mean = -2 sin theta - 0.3 theta_dot, in the place of an agent."""

    def policy(observation):
        mean = -2 * observation[..., 1:2] - 0.3 * observation[..., 2:3]
        return mean, np.full_like(mean, std)

    return types.SimpleNamespace(runs=1, obs_dim=3, actor=policy, hyperparameters=types.SimpleNamespace(gamma=GAMMA))


def linear_critic(slope=2.0, constant=-7.0):
    return lambda x: slope * x[..., :1] + constant


def plain_rewards(state, first_action=None):
    """Rewards and cosines of theta of one episode in Gymnasium's pendulum under the linear policy without noise."""
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.reset()
    env.state = np.array(state)
    rewards, cosines = [], [np.cos(state[0])]
    for t in range(HORIZON):
        theta, theta_dot = env.state
        action = -2 * np.sin(theta) - 0.3 * theta_dot if t or first_action is None else first_action
        rewards.append(env.step(np.array([np.clip(action, -2, 2)]))[1])
        cosines.append(np.cos(env.state[0]))
    return np.array(rewards), np.array(cosines)


def test_without_noise_the_values_are_those_of_gymnasiums_pendulum():
    truth = true_advantages.true_advantages(linear_agent(0.0), STATES, ACTIONS, continuations=3, horizon=HORIZON)
    discount = GAMMA ** np.arange(HORIZON)
    q = [discount @ plain_rewards(s, a[0])[0] for s, a in zip(STATES, ACTIONS, strict=True)]
    v = [discount @ plain_rewards(s)[0] for s in STATES]
    np.testing.assert_allclose(truth.q, q, rtol=1e-4)
    np.testing.assert_allclose(truth.v, v, rtol=1e-4)
    np.testing.assert_allclose(truth.advantage, np.subtract(q, v), atol=1e-3)
    assert truth[["q_error", "v_error", "advantage_error"]].to_numpy().max() < 1e-6


@pytest.mark.parametrize("number", range(len(LAMBDAS)))
def test_the_mean_estimate_is_the_weighted_sum_of_td_errors(number):
    measured = measure(
        linear_agent(0.0), {"linear": linear_critic()}, STATES, ACTIONS, continuations=2, horizon=HORIZON
    )
    for i, (state, action) in enumerate(zip(STATES, ACTIONS, strict=True)):
        for name, first in (("mean", action[0]), ("offset", None)):
            rewards, cosines = plain_rewards(state, first)
            values = 2.0 * cosines - 7.0
            delta = rewards + GAMMA * values[1:] - values[:-1]
            expected = (GAMMA * LAMBDAS[number]) ** np.arange(HORIZON) @ delta
            assert measured[name][0, number, i] == pytest.approx(expected, abs=1e-3)


def test_monte_carlo_estimates_err_by_the_critics_value_only():
    critic = linear_critic()
    states, actions = STATES, ACTIONS
    measured = measure(linear_agent(0.8), {"linear": critic}, states, actions, continuations=200, horizon=HORIZON)
    left_out = GAMMA**HORIZON * 9  # the bootstrap at the horizon: no value of this critic is larger than 9
    value = 2.0 * np.cos(states[:, 0]) - 7.0
    bias = measured["mean"][0, -1] - (measured["q"] - measured["v"])
    np.testing.assert_allclose(bias, measured["v"] - value, atol=left_out + 1e-5)
    np.testing.assert_allclose(bias, measured["offset"][0, -1], atol=2 * left_out + 1e-5)
    assert measured["rest_error"][0, -1].max() < left_out
    np.testing.assert_allclose(measured["variance"][0, -1], 200 * measured["q_error"] ** 2, rtol=0.05)


def test_standard_errors_are_those_of_repeated_measurements():
    critics = {"linear": linear_critic()}
    agent, settings = linear_agent(0.8), {"continuations": 50, "horizon": 20}
    repeated = [measure(agent, critics, STATES, ACTIONS, **settings, seed=s) for s in range(60)]
    columns = {
        "q_error": lambda m: m["q"],
        "v_error": lambda m: m["v"],
        "advantage_error": lambda m: m["q"] - m["v"],
        "bias_error": lambda m: (m["mean"] - m["q"] + m["v"])[0],
        "rest_error": lambda m: (m["mean"] - m["q"] + m["v"] - m["offset"])[0],
    }
    for name, value in columns.items():
        spread = np.std([value(m) for m in repeated], axis=0)
        claimed = np.mean([m[name].reshape(spread.shape) for m in repeated], axis=0)
        ratio = np.divide(spread, claimed, out=np.ones_like(spread), where=claimed > 1e-4)
        assert ((ratio > 0.7) & (ratio < 1.4)).all(), (name, ratio)


def test_the_same_seed_gives_the_same_numbers_and_a_state_does_not_depend_on_the_others_after_it():
    agent = linear_agent(0.8)
    both = measure(agent, {}, STATES, ACTIONS, continuations=20, horizon=10)
    alone = measure(agent, {}, STATES[:1], ACTIONS[:1], continuations=20, horizon=10)
    other = measure(agent, {}, STATES, ACTIONS, continuations=20, horizon=10, seed=1)
    assert both["q"][0] == alone["q"][0]
    assert not np.isclose(both["q"], other["q"], atol=1e-9).any()
    assert both["mean"].shape == (0, len(LAMBDAS), 2)


def test_visited_states_are_those_of_the_agents_next_episodes():
    states, actions = visited(PPO(3, 1), episodes=2, steps=(0, 7))
    rollout = true_advantages.collect_episodes(PPO(3, 1), 2)
    observation = rollout.observation[0][:, [0, 7]].reshape(-1, 3)
    expected = np.column_stack([np.cos(states[:, 0]), np.sin(states[:, 0]), states[:, 1]])
    np.testing.assert_allclose(expected, observation, atol=1e-6)
    np.testing.assert_array_equal(actions, rollout.action[0][:, [0, 7]].reshape(-1, 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent": PPO(3, 1, seeds=(0, 1))}, "one run"),
        ({"states": STATES[0]}, r"states must be \(N, 2\)"),
        ({"actions": ACTIONS[:1]}, r"actions \(N, 1\)"),
        ({"states": np.full((2, 2), np.nan)}, "states must be finite"),
        ({"continuations": 1}, "continuations must be a whole number of at least 2, got 1"),
        ({"horizon": 0}, "horizon must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_input_is_named(changes, words):
    given = {"agent": PPO(3, 1), "states": STATES, "actions": ACTIONS, "continuations": 2, "horizon": 2, **changes}
    with pytest.raises(ValueError, match=words):
        true_advantages.true_advantages(given.pop("agent"), given.pop("states"), given.pop("actions"), **given)


@pytest.fixture(scope="module")
def recorded():
    return load_true_advantages()


def test_the_recorded_truth_is_large_enough(recorded):
    truth, estimates = recorded
    assert truth.groupby(["age", "run"]).size().to_dict() == {
        (age, run): 12 for age in ("early", "late") for run in range(16)
    }
    assert CONTINUATIONS >= 500
    assert len(estimates) == len(LAMBDAS) * len(truth)
    assert set(estimates["lambda"]) == {0, 0.3, 0.6, 0.85, 0.95, 1}
    for name in ("age", "run", "advantage"):
        assert (estimates[name].to_numpy() == truth[name].to_numpy()[estimates.state]).all(), name


def test_the_recorded_truth_comes_out_again_with_other_random_numbers(recorded):
    few = recorded[0][recorded[0].age == "late"].iloc[:4].reset_index(drop=True)
    agent = recordings.load_agent("ppo").select([0])
    again = true_advantages.true_advantages(agent, few[["theta", "theta_dot"]], few[["action"]], seed=99)
    for name in ("q", "v", "advantage"):
        error = np.hypot(few[f"{name}_error"], again[f"{name}_error"])
        assert (np.abs(few[name] - again[name]) < 4 * error).all(), name


@pytest.mark.parametrize("age", AGES)
def test_the_recorded_numbers_are_those_of_this_code(recorded, age):
    truth, estimates = recorded
    agent = recordings.load_agent(AGES[age]).select([0])
    states, actions = visited(agent)
    here = (truth.age == age) & (truth.run == 0)
    np.testing.assert_allclose(truth[here][["theta", "theta_dot"]], states, atol=1e-3)
    again = measure(agent, {"own": agent.critic}, states[:2], actions[:2], continuations=CONTINUATIONS)
    np.testing.assert_allclose(truth[here][["q", "v"]].iloc[:2], np.column_stack([again["q"], again["v"]]), rtol=1e-3)
    rows = estimates[estimates.state.isin(truth.index[here][:2])].set_index(["lambda", "state"])
    for name in ("mean", "variance", "offset"):
        np.testing.assert_allclose(rows[name], again[name].ravel(), rtol=2e-2, atol=2e-2)


def test_each_run_is_recorded_at_its_own_states_of_both_ages(recorded, tmp_path):
    for name in (*(f"{agent}.pt" for agent in AGES.values()), CHECKSUMS):
        shutil.copy(DATA / name, tmp_path)
    true_advantages.record(tmp_path, runs=(3, 5), continuations=2)
    write_checksums(tmp_path, [true_advantages.FILE])
    truth, estimates = load_true_advantages(tmp_path)
    columns = ["age", "run", "theta", "theta_dot", "action"]
    pd.testing.assert_frame_equal(
        truth[columns], recorded[0][recorded[0].run.isin([3, 5])][columns].reset_index(drop=True), atol=1e-3
    )
    assert len(estimates) == len(LAMBDAS) * 48


def made_up(rest, offset=0.0, variance=0.0, lambdas=(0.85, 1.0)):
    """Estimates of one age whose true advantages are 0: rest of the bias, offset and variance as (L, R, S) arrays."""
    rest = np.asarray(rest, dtype=float)
    _, runs, states = rest.shape
    names = ["age", "lambda", "run", "state"]
    index = pd.MultiIndex.from_product([["early"], lambdas, range(runs), range(states)], names=names)
    columns = {"mean": rest + offset, "offset": offset, "variance": variance, "advantage": 0.0}
    full = {name: np.broadcast_to(x, rest.shape).ravel() for name, x in columns.items()}
    return pd.DataFrame(full, index=index).reset_index()


def test_the_parts_of_an_error_by_hand():
    """Two runs of two states. Run 0 has offsets 3 and 5 at lambda = 1, of which 4 is constant; run 1 has none."""
    rest = [[[1.0, 1.0], [2.0, 2.0]], [[4.0, 4.0], [6.0, 8.0]]]
    offset = np.array([np.zeros((2, 2)), [[3.0, 5.0], [0.0, 0.0]]])
    estimates = made_up(rest, offset, variance=np.array([0.0, 9.0])[:, None, None])
    parts = split_error(estimates).set_index(["lambda", "run"])[["constant", "varying", "scatter", "rest"]]
    np.testing.assert_allclose(parts.loc[0.85], [[0, 0, 0, 1], [0, 0, 0, 2]])
    np.testing.assert_allclose(parts.loc[1.0], [[4, 1, 3, 4], [0, 0, 3, np.sqrt(50)]])


def test_the_sign_of_the_truth_and_of_the_offset_count():
    estimates = made_up([[[1.0, -1.0]]], offset=-2.0, lambdas=(0.85,)).assign(advantage=0.5)
    (parts,) = split_error(estimates).itertuples()
    assert (parts.truth, parts.constant, parts.varying) == (0.5, 2, 0)
    assert parts.rest == pytest.approx(np.sqrt((0.5**2 + 1.5**2) / 2))


def test_the_actions_of_a_state_share_its_value_and_are_measured_as_others_are():
    agent, torques = linear_agent(0.0), np.array([-2.0, 0.0, 1.5])
    agent.critic = linear_critic()
    table = by_action(agent, STATES[0], torques, lambdas=(0.0, 1.0), continuations=2, horizon=HORIZON)
    assert table["lambda"].to_list() == [0, 0, 0, 1, 1, 1]
    discount = GAMMA ** np.arange(HORIZON)
    own = discount @ plain_rewards(STATES[0])[0]
    for row in table.itertuples():
        rewards, cosines = plain_rewards(STATES[0], row.torque)
        values = 2.0 * cosines - 7.0
        delta = rewards + GAMMA * values[1:] - values[:-1]
        assert row.advantage == pytest.approx(discount @ rewards - own, abs=1e-3)
        assert row.estimate == pytest.approx((GAMMA * row[1]) ** np.arange(HORIZON) @ delta, abs=1e-3)
        assert row.scatter == pytest.approx(0, abs=1e-6)


def test_the_scatter_of_an_action_is_a_standard_deviation():
    agent = linear_agent(0.8)
    agent.critic = linear_critic()
    table = by_action(agent, STATES[0], [1.5], lambdas=(1.0,), continuations=50, horizon=HORIZON)
    again = measure(agent, {}, STATES[:1], [[1.5]], continuations=50, horizon=HORIZON)
    assert table["scatter"].item() == pytest.approx(np.sqrt(50) * again["q_error"].item(), rel=0.05)
