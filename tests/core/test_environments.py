"""Any task: true last observations in every autoreset mode, independent runs, and errors that lose nothing."""

import itertools
import re
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from helpers import weights

from lecture_utils import (
    A2C,
    PPO,
    EnvironmentFailed,
    Hyperparameters,
    TrainingDiverged,
    checks,
    environments,
    evaluate,
    run_episode,
    train,
)
from lecture_utils.environments import Environments
from lecture_utils.training import LOG_COLUMNS, collect_steps

SMALL = Hyperparameters(
    hidden=(4,), passes=1, minibatch_size=40, episodes_per_update=2, rollout_steps=10, score_action="sampled"
)
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Counting(gymnasium.Env):
    """Shows (number of the episode, t). Episode k has 1 + k % 3 steps; odd ones end, even ones are cut."""

    observation_space = spaces.Box(0.0, 1000.0, (2,))
    action_space = spaces.Discrete(2)
    episode = 0

    def seen(self):
        return np.array([self.episode, self.t], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.t = self.episode + 1, 0
        return self.seen(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.t += 1
        over, odd = self.t == 1 + self.episode % 3, self.episode % 2 == 1
        return self.seen(), 10.0 * self.episode + self.t, over and odd, over and not odd, {}


def two_rollouts(mode):
    """Of two runs of two environments, and the episodes that ended meanwhile."""
    agent = PPO(2, 1, SMALL, seeds=[0, 1], choices=2)
    envs = Environments(agent, SyncVectorEnv([Counting] * 4, autoreset_mode=mode), 2, [0, 0])
    return [collect_steps(agent, envs) for _ in range(2)], envs.finished


def check_rollouts(rollouts, finished, mode):
    for rollout in rollouts:
        episode, t = np.moveaxis(rollout.observation, -1, 0)
        next_episode, next_t = np.moveaxis(rollout.next_observation, -1, 0)
        assert (next_episode == episode).all(), "the last observation is of the same episode"
        assert (next_t == t + 1).all()
        assert (rollout.reward == 10 * episode + t + 1).all()
        over = t + 1 == 1 + episode % 3
        np.testing.assert_array_equal(rollout.terminated, over & (episode % 2 == 1))
        np.testing.assert_array_equal(rollout.truncated, over & (episode % 2 == 0))
        assert (episode[..., 1:] == episode[..., :-1] + over[..., :-1]).all(), "no step is left out"
        assert (t[..., 1:] == np.where(over[..., :-1], 0, t[..., :-1] + 1)).all()
    first, second = (x.observation[:, :, i] for x, i in zip(rollouts, (-1, 0), strict=True))
    if mode is not AutoresetMode.NEXT_STEP:  # there, an environment that is ahead goes on while others give their T
        over = (rollouts[0].terminated | rollouts[0].truncated)[..., -1]
        assert (second[..., 0] == first[..., 0] + over).all(), "the second begins where the first stopped"
    for run, place, reward, length in finished:
        k = 1 + [x[:2] for x in finished[: finished.index((run, place, reward, length))]].count((run, place))
        assert length == 1 + k % 3
        assert reward == sum(10 * k + t for t in range(1, length + 1))


@pytest.mark.parametrize("mode", MODES)
def test_every_step_is_of_one_episode_in_every_autoreset_mode(mode):
    rollouts, finished = two_rollouts(mode)
    assert rollouts[0].observation.shape == (2, 2, 10, 2)
    assert rollouts[0].action.shape == (2, 2, 10, 1)
    assert set(np.unique(rollouts[0].action)) == {0, 1}
    assert len(finished) >= 4 * 8
    check_rollouts(rollouts, finished, mode)


STEP = Environments.step


def spoiled(change):
    """A step of Environments whose result `change` has changed, given it and the observation shown next."""

    def step(self, action, playing):
        return change(*STEP(self, action, playing), self.observation)

    return step


FAULTS = {
    "the reset observation taken for the last one": lambda last, r, end, cut, counts, new: (new, r, end, cut, counts),
    "a cut taken for an end": lambda last, r, end, cut, counts, new: (last, r, end | cut, cut & False, counts),
    "an end taken for a cut": lambda last, r, end, cut, counts, new: (last, r, end & False, end | cut, counts),
    "cuts not told": lambda last, r, end, cut, counts, new: (last, r, end, cut & False, counts),
    "ends not told": lambda last, r, end, cut, counts, new: (last, r, end & False, cut, counts),
    "masks of another environment": lambda last, r, end, cut, *x: (last, r, end[:, ::-1], cut[:, ::-1] & False, x[0]),
    "rewards of another run": lambda last, r, end, cut, counts, new: (last, r[::-1] + 1, end, cut, counts),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault, monkeypatch):
    monkeypatch.setattr(Environments, "step", spoiled(FAULTS[fault]))
    rollouts, finished = two_rollouts(AutoresetMode.SAME_STEP)
    with pytest.raises(AssertionError):
        check_rollouts(rollouts, finished, AutoresetMode.SAME_STEP)


def test_a_step_that_only_resets_would_be_seen(monkeypatch):
    every = spoiled(lambda last, r, end, cut, counts, new: (last, r, end, cut, counts | True))
    monkeypatch.setattr(Environments, "step", every)
    with pytest.raises(AssertionError, match="same episode"):
        check_rollouts(*two_rollouts(AutoresetMode.NEXT_STEP), AutoresetMode.NEXT_STEP)


def test_steps_recorded_one_late_would_be_seen(monkeypatch):
    shifted = lambda x, **kwargs: np.roll(np.indices(x.shape)[-1], 1, axis=-1)  # noqa: E731
    monkeypatch.setattr(np, "argsort", shifted)
    with pytest.raises(AssertionError):
        check_rollouts(*two_rollouts(AutoresetMode.SAME_STEP), AutoresetMode.SAME_STEP)


def normalized():
    return gymnasium.wrappers.vector.NormalizeObservation(gymnasium.make_vec("CartPole-v1", num_envs=2))


@pytest.mark.parametrize("env", ["CartPole-v1", "Acrobot-v1", normalized], ids=["CartPole", "Acrobot", "normalized"])
def test_a_run_trains_alike_alone_and_among_others(env):
    """With autoreset at the next step, at the same step, and with running statistics of its own: to the last bit."""
    logs = []
    for seeds in [(5,), (3, 5, 8)]:
        agent = PPO.for_env(env, SMALL, seeds=seeds)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "no episode")
            logs.append((train(agent, steps=60, progress=False, env=env), weights(agent, seeds.index(5))))
    (alone, mine), (among, same) = logs
    np.testing.assert_array_equal(mine, same)
    among = among[among.run == 1].drop(columns="run").reset_index(drop=True)
    np.testing.assert_allclose(alone.drop(columns="run").to_numpy(), among.to_numpy(), rtol=1e-4, atol=1e-6)


def test_the_log_is_tidy_and_goes_on():
    agent = PPO.for_env("CartPole-v1", SMALL, seeds=[0, 1])
    log = train(agent, steps=200, env="CartPole-v1", progress=False)
    assert tuple(log.columns) == (*LOG_COLUMNS, "step", "length")
    assert (log.reward == log.length).all()
    assert log.run.is_monotonic_increasing
    for _, rows in log.groupby("run"):
        assert rows.episode.tolist() == list(range(len(rows)))
        assert rows.step.is_monotonic_increasing
        assert rows.groupby("step").loss_v.nunique().max() == 1
    assert set(log.step) <= set(range(20, 201, 20))
    assert np.isfinite(log[["loss_act", "loss_v", "loss_ent", "kl_after"]].to_numpy()).all()
    assert agent.updates == 10
    assert train(agent, steps=100, env="CartPole-v1", progress=False).step.min() > 200


def test_evaluate_plays_the_same_starts_and_the_first_of_more():
    make = lambda: gymnasium.make("CartPole-v1", max_episode_steps=12)  # noqa: E731
    agent = PPO.for_env(make, SMALL, seeds=[0, 1])
    states = [g.get_state() for g in agent.generators]
    for deterministic in (False, True):
        few, many = (evaluate(agent, n, deterministic, env=make) for n in (3, 25))
        assert many.shape == (2, 25)
        np.testing.assert_array_equal(few, many[:, :3])
    assert all(torch.equal(g.get_state(), state) for g, state in zip(agent.generators, states, strict=True))
    env, one = make(), agent.select([1])
    for seed, expected in enumerate(few[1]):
        observation, over, total = env.reset(seed=seed)[0], False, 0.0
        while not over:
            observation, reward, terminated, truncated, _ = env.step(one.act(observation, deterministic=True))
            over, total = terminated or truncated, total + reward
        assert total == expected
    ids = [evaluate(agent, n, env="CartPole-v1") for n in (2, 5)]
    np.testing.assert_array_equal(ids[0], ids[1][:, :2])


class TwoActions(gymnasium.Env):
    """Two actions of different bounds; keeps all that it was given."""

    observation_space = spaces.Box(-1.0, 1.0, (3,))
    action_space = spaces.Box(np.array([0.0, -0.5], np.float32), np.array([3.0, 0.1], np.float32))
    given = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.given.append(action.copy())
        return np.zeros(3, np.float32), float(action[0] - 3), False, self.np_random.random() < 0.1, {}


@pytest.mark.parametrize("heads", [{}, {"std_head": "free", "mean_head": "linear"}])
def test_two_actions_with_different_bounds(heads, tmp_path):
    agent = PPO.for_env(TwoActions, SMALL.replace(actor_lr=0.05, initial_std=1.0, **heads), seeds=[0, 1])
    np.testing.assert_allclose(agent.bounds, [(0.0, -0.5), (3.0, 0.1)], rtol=1e-6)
    TwoActions.given.clear()
    train(agent, steps=200, env=TwoActions, progress=False)
    given = np.array(TwoActions.given)
    low, high = TwoActions.action_space.low, TwoActions.action_space.high
    assert (given.min(0) == low).all(), "cut at both ends of both"
    assert (given.max(0) == high).all()
    middle = agent.applied(np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(middle, [(low + high) / 2], rtol=1e-6)
    one = agent.select([1])
    one.save(tmp_path / "a.pt")
    again = PPO.load(tmp_path / "a.pt")
    assert again.bounds == agent.bounds
    observation = np.zeros(3)
    np.testing.assert_array_equal(again.act(observation, True), one.act(observation, True))
    assert TwoActions.action_space.contains(again.act(observation))
    assert run_episode(TwoActions(), again).action.shape[-1] == 2


def test_an_agent_reads_sizes_bounds_and_kind_of_actions(tmp_path):
    cart = PPO.for_env("CartPole-v1")
    assert (cart.obs_dim, cart.action_dim, cart.choices) == (4, 1, 2)
    assert A2C.for_env(gymnasium.make("Acrobot-v1"), seeds=[1, 2]).choices == 3
    assert PPO.for_env(gymnasium.make_vec("CartPole-v1", num_envs=2)).choices == 2
    for env, limit in [("Pendulum-v1", 2.0), ("MountainCarContinuous-v0", 1.0)]:
        agent = PPO.for_env(env)
        assert (agent.action_limit, agent.bounds, agent.choices) == (limit, None, 0)
    choice = cart.act(np.zeros(4))
    assert choice in (0, 1)
    assert cart.act(np.zeros(4), deterministic=True) in (0, 1)
    rollout = run_episode(gymnasium.make("CartPole-v1"), cart)
    assert rollout.terminated[0, 0, -1]
    cart.save(tmp_path / "cart.pt")
    assert PPO.load(tmp_path / "cart.pt").choices == 2


def fake(observation, action):
    env = Counting()
    env.observation_space, env.action_space = observation, action
    return env


BOX, TWO = spaces.Box(0.0, 1.0, (2,)), spaces.Discrete(2)
REFUSED = {
    "dict": (spaces.Dict({"a": BOX}), TWO, TypeError, r"observation space of env must be a Box.*FlattenObs.*Dict"),
    "discrete states": (spaces.Discrete(5), TWO, TypeError, r"must be a Box.*FlattenObservation.*Discrete\(5\)"),
    "pictures": (spaces.Box(0, 255, (8, 8, 3), np.uint8), TWO, TypeError, r"got pictures.*\(8, 8, 3\)"),
    "grey pictures": (spaces.Box(0, 255, (8, 8), np.uint8), TWO, TypeError, "got pictures"),
    "many choices": (BOX, spaces.MultiDiscrete([2, 3]), TypeError, r"a Box or Discrete, got MultiDiscrete"),
    "from one": (BOX, spaces.Discrete(2, start=1), ValueError, "choices of env must begin at 0"),
    "unbounded": (BOX, spaces.Box(-np.inf, np.inf, (1,)), ValueError, "action space of env must have finite bounds"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_agent_takes_is_named(kind):
    observation, action, error, message = REFUSED[kind]
    with pytest.raises(error, match=message):
        PPO.for_env(fake(observation, action), SMALL)


CART = {"steps": 20, "env": "CartPole-v1"}
BAD = {
    "no id": (lambda a: train(a, steps=20, env="CartPol-v1"), ValueError, "env must be the id of a registered"),
    "no id to evaluate": (lambda a: evaluate(a, env="CartPol-v1"), ValueError, "env must be the id of a registered"),
    "an environment": (lambda a: train(a, steps=20, env=Counting()), TypeError, "env must be an id, a function"),
    "an object where only for_env takes one": (
        lambda a: evaluate(a, env=Counting()), TypeError, r"\(only for_env takes a single one, too\), got <.*Counting",
    ),
    "no environment": (lambda a: train(a, steps=20, env=lambda: 5), TypeError, "env must be an id, a function"),
    "half an update": (lambda a: train(a, **CART | {"steps": 30}), ValueError, "steps must be a multiple of .* 20,"),
    "no steps": (lambda a: train(a, env="CartPole-v1"), ValueError, "steps must be a multiple of .* got None"),
    "steps of the pendulum": (lambda a: train(a, steps=20), ValueError, "train takes episodes of the pendulum, or"),
    "both": (lambda a: train(a, 5, **CART), ValueError, "train takes episodes of the pendulum, or steps and env"),
    "three environments": (
        lambda a: train(a, steps=20, env=gymnasium.make_vec("CartPole-v1", num_envs=3)), ValueError,
        r"env must hold episodes_per_update, 2, environments for each of 1 run\(s\), got 3 in all",
    ),
    "numbers for choices": (
        lambda a: train(a, steps=20, env="MountainCarContinuous-v0"), ValueError, "the agent chooses among 2, but",
    ),
    "three choices": (lambda a: train(a, steps=20, env="Acrobot-v1"), ValueError, "the agent chooses among 2, but"),
    "another size": (lambda a: train(a, steps=20, env=Counting), ValueError, "the agent takes 4 observation"),
    "choices for numbers": (lambda a: train(PPO(4, 1, SMALL), **CART), TypeError, "action space of env must be a Box"),
    "other bounds": (
        lambda a: train(PPO(2, 1, SMALL), steps=20, env="MountainCarContinuous-v0"), ValueError,
        r"the agent's actions are in \[-2, 2\].*from \[-1.\] to \[1.\]",
    ),
    "bounds the wrong way": (lambda a: PPO(2, 2, action_limit=([1, 1], [2, 0])), ValueError, "action_limit must be"),
    "three bounds": (lambda a: PPO(2, 2, action_limit=([1, 1, 1], [2, 2, 2])), ValueError, "action_limit must be"),
    "choices": (lambda a: PPO(2, 1, choices=-1), ValueError, "choices must be a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_names_the_argument(kind):
    call, error, message = BAD[kind]
    with pytest.raises(error, match=message):
        call(PPO(4, 1, SMALL, choices=2))


class Breaks(Counting):
    """Fails, or gives no number, in its 19th episode, which is its 37th step."""

    what = "raise"

    def step(self, action):
        observation, reward, *ends = super().step(action)
        bad = self.episode == 19
        if bad and self.what == "raise":
            raise ZeroDivisionError("a pole broke")
        if bad and self.what == "observation":
            observation = observation * np.nan
        return observation, np.nan if bad and self.what == "reward" else reward, *ends


@pytest.mark.parametrize("what", ["raise", "reward", "observation"])
def test_an_environment_that_fails_loses_nothing_of_the_log(what, monkeypatch):
    monkeypatch.setattr(Breaks, "what", what)
    agent = PPO(2, 1, SMALL, seeds=[0, 1], choices=2)
    told = {
        "raise": "env raised ZeroDivisionError in its step: a pole broke$",
        "reward": "environment 0 of run 0 gave a reward that is not finite in step 1 of its episode: nan",
        "observation": r"environment 0 of run 0 gave an observation that is not finite in step 1 of its .* \[nan nan\]",
    }
    with pytest.raises(EnvironmentFailed, match=told[what]) as caught:
        train(agent, steps=400, env=Breaks, progress=False)
    assert isinstance(caught.value.__cause__, ZeroDivisionError) is (what == "raise")
    log = caught.value.log
    assert agent.updates == 3  # of ten steps of each environment; the fourth broke off
    assert log.groupby("run").episode.apply(list).tolist() == [list(range(2 * 18))] * 2
    learned = log.loss_v.notna()
    assert (log.step[learned] <= 60).all()
    assert (log.step[~learned] == 80).all()
    assert (~learned).groupby(log.run).sum().tolist() == [2 * 3] * 2
    assert np.isfinite(weights(agent)).all()
    again = agent.select([0])
    assert len(train(again, steps=20, env=Counting, progress=False)) > 0


class FirstIsNan(Counting):
    """Shows no number in the reset that begins its second episode, or its first."""

    which = 2

    def reset(self, **kwargs):
        observation, info = super().reset(**kwargs)
        return observation * (np.nan if self.episode == self.which else 1), info


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("mode", [None, *MODES])
def test_a_reset_without_numbers_names_the_environment_and_not_the_step_size(mode, which, monkeypatch):
    monkeypatch.setattr(FirstIsNan, "which", which)
    env = FirstIsNan if mode is None else SyncVectorEnv([Counting, FirstIsNan], autoreset_mode=mode)
    agent, place = PPO(2, 1, SMALL, choices=2), int(mode is not None)
    for call in (lambda: train(agent, steps=40, env=env, progress=False), lambda: evaluate(agent, 8, env=env)):
        with pytest.raises(EnvironmentFailed, match=f"environment {place} of run 0 gave an .* not finite in its reset"):
            call()
        for one in getattr(env, "envs", []):
            one.episode = 0


class FourReturned(Counting):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


class OneNumberShort(Counting):
    def reset(self, **kwargs):
        return super().reset(**kwargs)[0][:1], {}


class WrongInside(Counting):
    def step(self, action):
        raise ValueError("not enough values to unpack")


def limited(kind):
    return lambda: gymnasium.wrappers.TimeLimit(kind(), 5)


@pytest.mark.filterwarnings("error")  # such as that no episode ended
@pytest.mark.parametrize("wrapped", [lambda kind: kind, limited])
@pytest.mark.parametrize("kind", [FourReturned, OneNumberShort, WrongInside])
def test_what_a_step_and_a_reset_must_return_is_said_where_that_is_the_fault(kind, wrapped):
    agent = PPO(2, 1, SMALL, choices=2)
    with pytest.raises(EnvironmentFailed, match=r"^env raised ValueError in its") as caught:
        train(agent, steps=20, env=wrapped(kind), progress=False)
    must = r"step must return observation, reward, terminated, truncated, info .* of shape \(2,\)$"
    assert (re.search(must, str(caught.value)) is not None) == (kind is not WrongInside)


def same(env):
    return lambda: env


SHARED = {
    "one object at each call": same(Counting()),
    "a wrapper around one object": lambda env=Counting(): gymnasium.wrappers.TimeLimit(env, 5),  # noqa: B008
    "a vector environment of one object": SyncVectorEnv([same(Counting())] * 4),
    "one that is wrapped": gymnasium.wrappers.vector.NormalizeObservation(SyncVectorEnv([same(Counting())] * 4)),
    "a function that makes such a one": lambda env=Counting(): SyncVectorEnv([lambda: env] * 2),  # noqa: B008
    "one vector environment at each call": same(gymnasium.make_vec("CartPole-v1", num_envs=2)),
}


@pytest.mark.parametrize("kind", SHARED)
def test_environments_that_share_one_state_are_refused(kind):
    env = SHARED[kind]
    agent = PPO.for_env("CartPole-v1" if kind == "one vector environment at each call" else Counting, SMALL, [0, 1])
    for call in (lambda: train(agent, steps=20, env=env, progress=False), lambda: evaluate(agent, 4, env=env)):
        with pytest.raises(ValueError, match="env must make an environment anew at each call"):
            call()


def test_without_env_the_error_says_that_the_pendulum_is_meant():
    sizes, bounds, numbers = PPO(2, 1, SMALL), PPO.for_env(TwoActions, SMALL), PPO(3, 1, SMALL, choices=2)
    for agent, call in itertools.product([sizes, bounds, numbers], [evaluate, lambda a: train(a, 2, progress=False)]):
        with pytest.raises(ValueError, match=r"but \(no env= is given\) Pendulum-v1's .* space is"):
            call(agent)


class Endless(Counting):
    def step(self, action):
        observation, reward, *_ = super().step(action)
        return observation, reward, False, False, {}


def test_an_environment_that_never_ends_is_named():
    agent = PPO(2, 1, SMALL, choices=2)
    with pytest.warns(UserWarning, match="no episode of env ended") as caught:
        log = train(agent, steps=40, env=Endless, progress=False)
    assert caught[0].filename == __file__
    assert len(log) == 0
    assert tuple(log.columns) == (*LOG_COLUMNS, "step", "length")
    assert agent.updates == 2
    with pytest.raises(ValueError, match="must end within max_steps, 30;"):
        evaluate(agent, 2, env=Endless, max_steps=30)


def test_an_interrupt_keeps_the_log(monkeypatch):
    agent, collect = PPO(2, 1, SMALL, choices=2), []

    def interrupted(*args):
        collect.append(1)
        if len(collect) == 4:
            raise KeyboardInterrupt
        return collect_steps(*args)

    monkeypatch.setattr("lecture_utils.training.collect_steps", interrupted)
    log = train(agent, steps=200, env=Counting, progress=False)
    assert agent.updates == 3
    assert log.step.unique().tolist() == [20, 40, 60]
    assert log.loss_v.notna().all()


def test_environments_made_here_are_closed_and_a_given_one_stays_open():
    closed = []

    class Closing(Counting):
        def close(self):
            closed.append(self)

    agent = PPO(2, 1, SMALL, choices=2)
    train(agent, steps=20, env=Closing, progress=False)
    assert len(closed) == 2
    envs = SyncVectorEnv([Closing] * 2)
    train(agent, steps=20, env=envs, progress=False)
    assert len(closed) == 2
    assert environments.sizes(envs)["choices"] == 2


def test_a_policy_that_diverges_is_named_and_not_the_environment():
    agent = PPO.for_env(TwoActions, SMALL, seeds=[4, 5])
    train(agent, steps=20, env=TwoActions, progress=False)
    with torch.no_grad():
        next(agent.actor.parameters())[1, 0, 0] = torch.nan
    with pytest.raises(TrainingDiverged, match=r"run 1 \(seed 5\) diverged in step 20: action is not finite"):
        train(agent, steps=20, env=TwoActions, progress=False)


class Numbered(gymnasium.Env):
    """Three numbers, of which one is NaN in the environment that was made as number `bad`."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)
    made, bad = 0, 4

    def __init__(self):
        self.number = Numbered.made
        Numbered.made += 1

    def reset(self, *, seed=None, options=None):
        return np.zeros(3, np.float32), {}

    def step(self, action):
        nan = np.nan if self.number == Numbered.bad else 0
        return np.array([0, nan, 0], np.float32), 1.0, False, False, {}


@pytest.mark.parametrize("bad", range(4))
def test_the_environment_that_gives_nan_is_named_among_several(bad, monkeypatch):
    monkeypatch.setattr(Numbered, "made", 0)
    monkeypatch.setattr(Numbered, "bad", bad)
    agent = PPO(3, 1, SMALL.replace(episodes_per_update=2), seeds=[0, 1], choices=2)
    run, place = divmod(bad, 2)
    with pytest.raises(EnvironmentFailed, match=f"environment {place} of run {run} gave an observation"):
        train(agent, steps=40, env=Numbered, progress=False)


def test_bounds_are_one_number_only_where_all_are_that_number():
    def limit(low, high):
        return checks.sizes(gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Box(np.array(low), np.array(high)))

    assert limit([-2.0, -2.0], [2.0, 2.0])["action_limit"] == 2.0
    for low, high in (([-2.0, -2.0], [2.0, 1.0]), ([-2.0, -1.0], [2.0, 2.0]), ([-1.0, -1.0], [2.0, 2.0])):
        np.testing.assert_array_equal(limit(low, high)["action_limit"], (low, high))
