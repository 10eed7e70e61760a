"""Training, evaluating and collecting: independent runs, interruption, divergence and bad input."""

import concurrent.futures
import multiprocessing

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import Corridor, doubled, make_rollout, networks, weights

from lecture_utils import A2C, PPO, Hyperparameters, Rollout, evaluate, fixed_starts, run_episode, train
from lecture_utils.advantages import NotFinite
from lecture_utils.rollouts import collect_episodes
from lecture_utils.training import LOG_COLUMNS

SMALL = Hyperparameters(hidden=(8,), passes=1)


@pytest.mark.parametrize("dtype", ["single", "double"])
def test_seed_7_alone_equals_seed_7_among_ten(algorithm, dtype):
    alone, among = algorithm(3, 1, seeds=[7]), algorithm(3, 1, seeds=range(10))
    if dtype == "double":
        alone, among = doubled(alone), doubled(among)
    log_alone, log_among = (train(agent, 20, progress=False) for agent in (alone, among))
    log_among = log_among[log_among.run == 7]
    assert np.abs(log_alone.reward.to_numpy() - log_among.reward.to_numpy()).max() < 1e-3
    others = weights(among, 6)
    assert np.abs(weights(among, 7) - others).max() > 0.01


def train_sixteen(first_seed):
    torch.set_num_threads(1)
    agent = PPO(3, 1, seeds=range(first_seed, first_seed + 16))
    log = train(agent, 20, progress=False)
    return log, all(torch.isfinite(x).all() for n in networks(agent).values() for x in n.parameters())


@pytest.mark.slow
def test_64_seeds_of_the_lectures_recipe_train_20_episodes():
    """Four processes of 16 runs; that a run trains alike alone or among others is tested above. More: tests/long."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        results = list(pool.map(train_sixteen, range(0, 64, 16)))
    log = pd.concat([log for log, _ in results])
    assert len(log) == 64 * 20
    assert np.isfinite(log.to_numpy()).all()
    assert all(finite for _, finite in results)


@pytest.mark.parametrize("h", [SMALL, SMALL.replace(episodes_per_update=5, shuffle=True, anneal_updates=9)])
def test_10_and_10_episodes_equal_20(algorithm, h):
    once, twice = (algorithm(3, 1, h, seeds=[3, 4]) for _ in range(2))
    log = train(once, 20, progress=False)
    parts = pd.concat([train(twice, 10, progress=False), train(twice, 10, progress=True)])
    parts = parts.sort_values(["run", "episode"], ignore_index=True)
    pd.testing.assert_frame_equal(log, parts)
    assert np.array_equal(weights(once), weights(twice))


def test_log_is_tidy():
    agent = PPO(3, 1, SMALL.replace(episodes_per_update=2), seeds=[3, 4, 5])
    log = train(agent, 4, progress=False)
    assert tuple(log.columns) == LOG_COLUMNS
    assert log.run.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert log.episode.tolist() == [0, 1, 2, 3] * 3
    assert log.reward.between(-3300, 0).all()
    assert log.reward.nunique() == 12
    assert log.groupby("run").loss_v.nunique().tolist() == [2, 2, 2]  # one number an update, beside both its episodes
    assert log.clip_fraction.between(0, 1).all()
    assert (agent.episodes, agent.updates) == (4, 2)


def test_rewards_in_the_log_are_not_scaled():
    logs = [train(PPO(3, 1, SMALL.replace(reward_scale=s)), 1, progress=False) for s in (1.0, 0.1)]
    assert logs[0].reward[0] == logs[1].reward[0]
    assert logs[0].loss_v[0] > 20 * logs[1].loss_v[0]


def test_evaluate_changes_nothing_and_repeats_itself(algorithm):
    agent = algorithm(3, 1, seeds=[0, 1])
    train(agent, 1, progress=False)
    states = [g.get_state() for g in agent.generators]
    around = torch.get_rng_state(), str(np.random.get_state(legacy=False))  # noqa: NPY002
    before = weights(agent)
    sampled, again, mean = evaluate(agent, 10), evaluate(agent, 10), evaluate(agent, 10, deterministic=True)
    assert sampled.shape == mean.shape == (2, 10)
    assert np.array_equal(sampled, again)
    assert not np.array_equal(sampled, mean)
    assert all(torch.equal(g.get_state(), state) for g, state in zip(agent.generators, states, strict=True))
    assert torch.equal(torch.get_rng_state(), around[0])
    assert str(np.random.get_state(legacy=False)) == around[1]  # noqa: NPY002
    assert np.array_equal(weights(agent), before)
    assert evaluate(agent, starts=fixed_starts(10)[3:5]).shape == (2, 2)
    assert evaluate(agent.select([1]), 10, deterministic=True) == pytest.approx(mean[1:], abs=0.01)


def test_evaluate_equals_a_loop_over_gymnasiums_own_environment():
    agent, env = PPO(3, 1, seeds=[3]), gymnasium.make("Pendulum-v1")
    returns = []
    for theta, theta_dot in fixed_starts(5):
        env.reset()
        env.unwrapped.state = np.array([theta, theta_dot])
        observation, total, truncated = env.unwrapped._get_obs(), 0.0, False
        while not truncated:
            observation, reward, _, truncated, _ = env.step(agent.act(observation, deterministic=True))
            total += reward
        returns.append(total)
    assert evaluate(agent, 5, deterministic=True)[0] == pytest.approx(returns, abs=0.1)


def test_run_episode_on_pendulum_is_what_train_collects():
    env, agent = gymnasium.make("Pendulum-v1"), PPO(3, 1, seeds=[3])
    env.reset(seed=1)
    rollout = run_episode(env, agent)
    assert rollout.observation.shape == (1, 1, 200, 3)
    assert np.array_equal(rollout.observation[0, 0, 1:], rollout.next_observation[0, 0, :-1])
    assert not rollout.terminated.any()  # the clock cuts a pendulum's episode, it does not end it
    assert not collect_episodes(agent).terminated.any()
    batch = agent.prepare(rollout)
    assert batch["old_log_prob"].numpy() == pytest.approx(batch["rollout_log_prob"].numpy(), abs=1e-2)
    assert set(agent.update(rollout)) == set(LOG_COLUMNS[3:])


def test_run_episode_on_other_box_environments(algorithm):
    corridor = algorithm(4, 2, SMALL, action_limit=1.0)
    rollout = run_episode(Corridor(), corridor)
    assert rollout.terminated[0, 0].tolist() == [False] * (rollout.reward.size - 1) + [True]
    assert rollout.action.shape == (1, 1, rollout.reward.size, 2)
    assert np.isfinite(list(corridor.update(rollout).values())).all()
    car = algorithm(2, 1, SMALL, action_limit=1.0)
    rollout = run_episode(gymnasium.make("MountainCarContinuous-v0"), car, max_steps=50)
    assert rollout.observation.shape == (1, 1, 50, 2)
    car.update(rollout)


def spoil(rollout, **changes):
    return Rollout(**{**vars(rollout), **changes})


NAN = np.full((1, 1, 200), np.nan)
BAD = {
    "no episodes": (lambda a: train(a, 0), ValueError, "episodes must be a multiple of"),
    "half an episode": (lambda a: train(a, 1.5), ValueError, "episodes must be a multiple of"),
    "half an update": (
        lambda a: train(PPO(3, 1, SMALL.replace(episodes_per_update=4)), 6), ValueError,
        "episodes must be a multiple of episodes_per_update, 4, and above 0, got 6",
    ),
    "not a pendulum": (lambda a: train(PPO(4, 1, SMALL), 1), ValueError, "agent takes 4 observation"),
    "no evaluation": (lambda a: evaluate(a, 0), ValueError, "episodes must be"),
    "starts": (lambda a: evaluate(a, starts=np.zeros((2, 3))), ValueError, r"starts must be \(episodes, 2\)"),
    "discrete actions": (
        lambda a: run_episode(gymnasium.make("CartPole-v1"), PPO(4, 1, SMALL)), TypeError,
        r"action space of env must be a Box, got Discrete\(2\)",
    ),
    "discrete observations": (
        lambda a: run_episode(gymnasium.make("FrozenLake-v1"), a), TypeError, "observation space of env must be a Box",
    ),
    "dimensions": (
        lambda a: run_episode(gymnasium.make("MountainCarContinuous-v0"), a), ValueError,
        "agent takes 3 observation dimension",
    ),
    "many runs": (
        lambda a: run_episode(gymnasium.make("Pendulum-v1"), PPO(3, 1, SMALL, seeds=[0, 1])), ValueError,
        "agent must hold one run, got one of 2",
    ),
    "rollout shape": (
        lambda a: spoil(make_rollout(a), reward=np.zeros((1, 1, 199))), ValueError,
        r"begin with the same axes \(R, E, T\)",
    ),
    "rollout numbers": (lambda a: spoil(make_rollout(a), reward=NAN), NotFinite, r"reward must be finite.*\[0\]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_names_the_argument(kind):
    call, error, message = BAD[kind]
    with pytest.raises(error, match=message):
        call(A2C(3, 1, SMALL))


def test_denormals_count_as_zero_in_training_and_only_there():
    """Moments of dead units fade into them, and each costs a hundred times an ordinary number."""
    tiny = torch.tensor([1e-38])
    seen = []

    class Watching(PPO):
        def update(self, rollout):
            seen.append((tiny / 10).item())
            return super().update(rollout)

    train(Watching(3, 1), 1, progress=False)
    assert seen == [0.0]
    assert (tiny / 10).item() > 0
