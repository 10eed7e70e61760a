"""Training, evaluating and collecting: independent runs, interruption, divergence and bad input."""

import concurrent.futures
import multiprocessing
import warnings

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import Corridor, doubled, make_rollout, networks, weights

from lecture_utils import A2C, PPO, Hyperparameters, Rollout, evaluate, fast, fixed_starts, run_episode, train
from lecture_utils.checks import NotFinite
from lecture_utils.training import LOG_COLUMNS, collect_episodes

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


def test_ten_evaluated_episodes_are_the_first_ten_of_a_hundred():
    agent = PPO(3, 1, seeds=[0, 1])
    train(agent, 5, progress=False)
    for deterministic in (False, True):
        few, many = (evaluate(agent, n, deterministic) for n in (10, 100))
        np.testing.assert_allclose(few, many[:, :10], atol=0.01)
    assert np.abs(evaluate(agent, 1) - many[:, :1]).min() > 1


def test_a_run_is_the_same_whatever_torchs_default_dtype_is(algorithm):
    def trained():
        agent = algorithm(3, 1, SMALL.replace(std_head="free", initialization="orthogonal", shuffle=True), seeds=[3])
        log = train(agent, 2, progress=False)
        return weights(agent), log.to_numpy(), evaluate(agent, 3), agent(np.zeros(3))

    before = trained()
    torch.set_default_dtype(torch.float64)
    try:
        for got, expected in zip(trained(), before, strict=True):
            np.testing.assert_array_equal(got, expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_training_on_after_the_step_sizes_have_shrunk_to_zero_says_so():
    agent = PPO(3, 1, SMALL.replace(anneal_updates=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(agent, 2, progress=False)
    before = weights(agent)
    with pytest.warns(UserWarning, match=r"step sizes are 0 from episode 2 on \(anneal_updates=2\)") as caught:
        train(agent, 2, progress=False)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.array_equal(weights(agent), before)
    with pytest.warns(UserWarning, match="from episode 2 on"):  # at the start, not when it is too late
        train(PPO(3, 1, SMALL.replace(anneal_updates=2)), 3, progress=False)


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
    assert batch["old_log_prob"].numpy() == pytest.approx(rollout.log_prob.reshape(1, 200), abs=1e-2)
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


@pytest.mark.parametrize("std_head", ["abs", "softplus", "free"])
def test_an_episode_of_a_plain_environment_warns_of_nothing(std_head):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_episode(gymnasium.make("Pendulum-v1"), PPO(3, 1, SMALL.replace(std_head=std_head)))


def test_acting_while_learning_mixes_no_old_weights_with_new_ones():
    """The function that acts reads every weight at every call, the free standard deviation too."""
    agent = PPO(3, 1, SMALL.replace(std_head="free", actor_lr=0.1))
    act, x = fast.on_arrays(agent.actor), np.ones((1, 1, 3), dtype=np.float32)
    agent.update(make_rollout(agent))
    with torch.no_grad():
        expected = [part.numpy() for part in agent.actor(torch.as_tensor(x))]
    for got, wanted in zip(act(x), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_numpys_numbers_are_numbers():
    numbers = Hyperparameters(
        gamma=np.float32(0.5), passes=np.int64(3), clip=np.array(0.25), shuffle=np.True_, hidden=np.array([4, 8]),
        target_kl=np.float64(0.1), anneal_updates=np.array(7), minibatch_size=np.uint8(16),
    )  # fmt: skip
    assert numbers == Hyperparameters(gamma=0.5, passes=3, clip=0.25, shuffle=True, hidden=(4, 8), target_kl=0.1,
                                      anneal_updates=7, minibatch_size=16)  # fmt: skip
    assert {type(x) for x in vars(numbers).values()} == {int, float, str, bool, tuple}
    assert {type(x) for x in numbers.hidden} == {int}
    agent = PPO(np.array(3), np.int8(1), numbers, seeds=np.arange(2), action_limit=np.float32(2.0))
    assert agent.select(np.array([1])).seeds == (1,)
    assert len(train(agent, np.array(2), progress=False)) == 4
    assert evaluate(agent, np.int16(3)).shape == (2, 3)
    with pytest.raises(ValueError, match="passes must be a whole number"):
        Hyperparameters(passes=np.float64(3.0))
    with pytest.raises(ValueError, match="gamma must be a number"):
        Hyperparameters(gamma=np.array([0.5]))


def test_a_recipe_takes_a_band_of_two_widths():
    agent = PPO(3, 1, SMALL.replace(clip=[0.2, np.float32(0.5)], passes=4), seeds=[0, 1])
    assert agent.hyperparameters.clip == (0.2, 0.5)
    assert np.isfinite(list(agent.update(make_rollout(agent)).values())).all()


class Bounded(gymnasium.Env):
    """Any bounds of the action, a step at a time."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (3,))

    def __init__(self, low, high):
        self.action_space = gymnasium.spaces.Box(np.float32(low), np.float32(high))

    def reset(self, *, seed=None, options=None):
        return np.zeros(3, dtype=np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.zeros(3, dtype=np.float32), 0.0, False, True, {}


BOUNDS = {
    "MountainCarContinuous": (lambda: gymnasium.make("MountainCarContinuous-v0"), 2, "-1.0, 1.0"),
    "rescaled": (lambda: gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), -1.0, 1.0), 3, "-1.0, 1.0"),
    "asymmetric": (lambda: Bounded([-2], [1]), 3, r"\[-2.\] to \[1.\]"),
    "different dimensions": (lambda: Bounded([-2, -1], [2, 1]), 3, r"\[-2. -1.\] to \[2. 1.\]"),
    "unbounded": (lambda: Bounded([-np.inf], [np.inf]), 3, "inf"),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_bounds_that_are_not_the_agents_are_named(kind):
    make_env, obs_dim, bounds = BOUNDS[kind]
    env = make_env()
    dims = env.action_space.shape[0]
    with pytest.raises(ValueError, match=rf"actions are in \[-2, 2\] \(its action_limit\), but env's.*{bounds}"):
        run_episode(env, PPO(obs_dim, dims, SMALL))


def test_bounds_that_are_the_agents_are_taken():
    assert run_episode(Bounded([-0.1, -0.1], [0.1, 0.1]), PPO(3, 2, SMALL, action_limit=0.1)).reward.size == 1
    rescaled = gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), -1.0, 1.0)
    assert np.abs(run_episode(rescaled, PPO(3, 1, SMALL, action_limit=1)).action).max() <= 1
    for call in (lambda agent: train(agent, 1, progress=False), lambda agent: evaluate(agent, 1), collect_episodes):
        with pytest.raises(ValueError, match=r"actions are in \[-1, 1\] \(its action_limit\)"):
            call(PPO(3, 1, SMALL, action_limit=1))


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
    "a vector environment": (
        lambda a: run_episode(gymnasium.make_vec("Pendulum-v1", num_envs=2), a), TypeError,
        "env must be one environment, got a vector environment of 2",
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
