"""PendulumVectorEnv against Gymnasium's own Pendulum-v1 and Gymnasium's own checks."""

import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from lecture_utils import PendulumVectorEnv, fixed_starts
from lecture_utils.pendulum import wrap_angle

NAME = "lecture/Pendulum-v1"


def ours_and_sync(num_envs=3):
    """Our environments and Gymnasium's, which steps one Pendulum-v1 after the other."""
    return gymnasium.make_vec(NAME, num_envs), gymnasium.make_vec("Pendulum-v1", num_envs, vectorization_mode="sync")


def states(generators):
    """What a number of generators would draw next, in a form that can be compared."""
    return [generator.bit_generator.state for generator in generators]


def largest_differences(envs, dtype, seed):
    """Step `envs` and as many plain environments through 200 random actions; largest differences seen."""
    n = envs.num_envs
    actions = np.random.default_rng(seed).uniform(-2.5, 2.5, (200, n, 1)).astype(dtype)
    observations, _ = envs.reset(seed=seed)
    plain = [gymnasium.make("Pendulum-v1", disable_env_checker=True).unwrapped for _ in range(n)]
    starts = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(plain)])
    assert np.array_equal(observations, starts)
    worst = dict.fromkeys(("observation", "state", "reward"), 0.0)
    for action in actions:
        observations, rewards, *_ = envs.step(action)
        expected = [env.step(a)[:2] for env, a in zip(plain, action, strict=True)]
        states = np.stack([env.state for env in plain])
        for name, got, wanted in [
            ("observation", observations, np.stack([o for o, _ in expected])),
            ("state", envs.state, states),
            ("reward", rewards, np.array([r for _, r in expected])),
        ]:
            worst[name] = max(worst[name], np.abs(got - wanted).max())
    return worst


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("num_envs", "sequences"), [(1, 10), (500, 1)])
def test_equals_gymnasium_on_random_action_sequences(dtype, num_envs, sequences):
    """With both number formats 1,000 sequences at num_envs=500, and 20 at num_envs=1."""
    envs = PendulumVectorEnv(num_envs)
    for sequence in range(sequences):
        worst = largest_differences(envs, dtype, seed=1000 * sequence + num_envs)
        assert worst["observation"] < 1e-6
        assert worst["state"] < 1e-9
        assert worst["reward"] < 1e-9


def test_a_wrong_constant_would_be_seen(monkeypatch):
    monkeypatch.setattr("lecture_utils.pendulum.TIME_STEP", 0.05 * (1 + 1e-7))
    assert largest_differences(PendulumVectorEnv(1), np.float64, seed=0)["reward"] > 1e-9


def test_make_vec_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs = gymnasium.make_vec(NAME, num_envs=4)
    assert isinstance(envs, PendulumVectorEnv)
    assert (envs.num_envs, envs.max_episode_steps) == (4, 200)
    assert envs.spec.id == NAME
    assert gymnasium.spec(NAME).max_episode_steps == 200  # one by one, and so in sync and async, a wrapper cuts them
    envs.close()


def test_gymnasium_checks():
    """Those of gymnasium.utils.env_checker that a vector environment can take."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs = gymnasium.make_vec("lecture/Pendulum-v1", num_envs=3)
        env_checker.check_space_limit(envs.single_observation_space, "observation")
        env_checker.check_reset_return_type(envs)
        env_checker.check_reset_options(envs)
        if hasattr(env_checker, "check_returned_data_not_reused"):  # Gymnasium 1.1 does not have it
            env_checker.check_returned_data_not_reused(PendulumVectorEnv(1))
        env_checker.check_reset_return_info_deprecation(envs)
        env_checker.check_seed_deprecation(envs)
    reference = gymnasium.make_vec("Pendulum-v1", num_envs=3, vectorization_mode="sync")
    for space in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(envs, space) == getattr(reference, space)
    assert envs.metadata["autoreset_mode"] == reference.metadata["autoreset_mode"]


def test_same_seed_same_episode():
    envs = PendulumVectorEnv(3)
    episodes = [(envs.reset(seed=123)[0], *envs.step(np.ones((3, 1)))[:2], envs.reset()[0]) for _ in range(2)]
    assert data_equivalence(*episodes, exact=True)
    assert not data_equivalence(envs.reset(seed=456)[0], episodes[0][0])


def test_environments_match():
    sync = gymnasium.make_vec("Pendulum-v1", num_envs=1, vectorization_mode="sync")
    check_environments_match(sync, gymnasium.make_vec("lecture/Pendulum-v1", num_envs=1), 450, seed=3)


def test_equals_sync_vector_env_through_its_resets():
    pair = [
        RecordEpisodeStatistics(gymnasium.make_vec("Pendulum-v1", num_envs=4, vectorization_mode="sync")),
        RecordEpisodeStatistics(gymnasium.make_vec("lecture/Pendulum-v1", num_envs=4)),
    ]
    pair[0].action_space.seed(5)
    assert data_equivalence(*(envs.reset(seed=5) for envs in pair), exact=True)
    ends = 0
    for step in range(450):
        actions = pair[0].action_space.sample()
        expected, got = (envs.step(actions) for envs in pair)
        for info in (expected[-1], got[-1]):
            info.get("episode", {}).pop("t", None)  # wall-clock time
        assert data_equivalence(expected, got), f"step {step}"
        assert np.abs(expected[1] - got[1]).max() < 1e-9
        ends += got[3].all()
    assert ends == 2


@pytest.mark.parametrize("num_envs", [1, 3, 10])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [(None, PendulumVectorEnv), ("vector_entry_point", PendulumVectorEnv), ("sync", SyncVectorEnv),
     ("async", AsyncVectorEnv)],
)  # fmt: skip
def test_make_vec_in_every_mode_and_again_from_its_spec(mode, kind, num_envs):
    envs = gymnasium.make_vec(NAME, num_envs, mode, render_mode=None, max_episode_steps=7)
    again = gymnasium.make_vec(envs.spec)
    for made in (envs, again):
        assert type(made) is kind
        assert made.num_envs == num_envs
        assert made.render_mode is None
        assert made.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        made.reset(seed=0)
        truncated = [made.step(np.zeros((num_envs, 1), np.float32))[3] for _ in range(9)]
        assert np.array_equal(truncated, np.repeat(np.arange(9) == 6, num_envs).reshape(9, num_envs))
        assert not made.closed
        made.close()
        made.close()
        assert made.closed
    assert envs.spec == again.spec
    assert envs.spec.kwargs["render_mode"] is None
    assert envs.observation_space == again.observation_space
    assert envs.action_space == again.action_space


@pytest.mark.parametrize("seed", [0, 41, np.int64(41), [5, 3, 5], (2**70, 0, 1), np.array([7, 8, 9])])
def test_seeds_and_generators_are_those_of_sync_vector_env(seed):
    ours, sync = ours_and_sync()
    starts = ours.reset(seed=seed)[0]
    # Gymnasium takes Python's whole numbers only.
    seed = [int(seed) + i for i in range(3)] if np.ndim(seed) == 0 else [int(one) for one in seed]
    assert np.array_equal(starts, sync.reset(seed=seed)[0])
    assert np.array_equal(starts, [gymnasium.make("Pendulum-v1").reset(seed=one)[0] for one in seed])
    for _ in range(2):
        assert ours.np_random_seed == sync.np_random_seed == tuple(seed)
        assert isinstance(ours.np_random, tuple)
        assert states(ours.np_random) == states(sync.np_random)
        assert np.array_equal(ours.reset()[0], sync.reset()[0])  # without a seed they draw on, and keep their seeds
    ours.reset(seed=[None, 12, None])
    sync.reset(seed=[None, 12, None])
    assert ours.np_random_seed == sync.np_random_seed == (seed[0], 12, seed[2])
    assert states(ours.np_random) == states(sync.np_random)
    # What is read is what draws: a draw by hand changes the next start.
    assert [g.random() for g in ours.np_random] == [g.random() for g in sync.np_random]
    assert np.array_equal(ours.reset()[0], sync.reset()[0])


def test_without_a_seed_each_is_seeded_at_random_when_first_asked():
    for read in (lambda envs: envs.np_random, lambda envs: envs.np_random_seed, lambda envs: envs.reset()):
        one, other = PendulumVectorEnv(3), PendulumVectorEnv(3)
        read(one)
        seeds = one.np_random_seed
        assert len({*seeds, *other.np_random_seed}) == 6
        assert all(type(seed) is int for seed in seeds)
        if one.state is None:
            one.reset()
        assert one.np_random_seed == seeds
        again = PendulumVectorEnv(3)
        again.reset(seed=seeds)  # the seeds that are told make the same starts
        assert np.array_equal(one.state, again.state)


def test_generators_that_are_set_draw_the_starts_and_their_seeds_are_unknown():
    ours, sync = ours_and_sync()
    ours.np_random = [np.random.default_rng(seed) for seed in (4, 5, 6)]
    sync.set_attr("np_random", [np.random.default_rng(seed) for seed in (4, 5, 6)])
    assert ours.np_random_seed == sync.np_random_seed == (-1, -1, -1)
    assert np.array_equal(ours.reset()[0], sync.reset()[0])
    # One for all, through a wrapper too: they draw from it in turn.
    generator = np.random.default_rng(7)
    wrapped = RecordEpisodeStatistics(ours)
    wrapped.np_random = generator
    sync.set_attr("np_random", np.random.default_rng(7))
    assert all(one is generator for one in wrapped.np_random)
    for _ in range(2):
        assert np.array_equal(wrapped.reset()[0], sync.reset()[0])
    assert wrapped.np_random_seed == ours.np_random_seed == (-1, -1, -1)
    wrapped.reset(seed=3)
    assert wrapped.np_random_seed == (3, 4, 5)
    assert generator not in wrapped.np_random
    with pytest.raises(AttributeError):
        ours.np_random_seed = 3


def test_a_start_that_is_given_draws_nothing():
    envs = PendulumVectorEnv(2)
    envs.reset(seed=3)
    before = states(envs.np_random)
    envs.reset(options={"state": fixed_starts(2)})
    assert states(envs.np_random) == before
    envs.reset(seed=8, options={"state": fixed_starts(2)})
    assert envs.np_random_seed == (8, 9)
    assert np.array_equal(envs.state, fixed_starts(2))


def test_a_seed_that_is_given_makes_the_next_starts_too():
    """As gymnasium.utils.env_checker asks of an environment with one generator."""
    envs = gymnasium.make_vec(NAME, 3)
    first, second, third, fourth = (envs.reset(seed=seed)[0] for seed in (123, None, 123, None))
    assert np.array_equal(first, third)
    assert np.array_equal(second, fourth)
    assert not np.array_equal(first, second)
    after = states(envs.np_random)
    envs.reset(seed=456)
    assert states(envs.np_random) != after


def test_two_with_the_same_seed_are_the_same_in_what_the_spaces_say():
    """Through two ends of 30 steps: equal to the bit, of the formats and within the spaces that are given."""
    pair = [gymnasium.make_vec(NAME, 3, max_episode_steps=30) for _ in range(2)]
    for envs in pair:
        envs.action_space.seed(1)
    kept = [envs.reset(seed=1) for envs in pair]
    copies = copy.deepcopy(kept)
    assert data_equivalence(*kept, exact=True)
    for step in range(70):
        actions = [envs.action_space.sample() for envs in pair]
        assert np.array_equal(*actions)
        assert actions[0] in pair[0].action_space
        results = [envs.step(action) for envs, action in zip(pair, actions, strict=True)]
        assert data_equivalence(*results, exact=True)
        observations, rewards, terminated, truncated, infos = results[0]
        assert observations in pair[0].observation_space
        assert all(one in pair[0].single_observation_space for one in observations)
        assert observations.flags.c_contiguous
        for array, dtype in [(rewards, np.float64), (terminated, np.bool_), (truncated, np.bool_)]:
            assert array.shape == (3,)
            assert array.dtype == dtype
        assert not terminated.any()
        assert (truncated == (step % 31 == 29)).all()
        if step % 31 == 30:  # the step that resets
            assert (rewards == 0).all()
        assert infos == {}
        kept.append(results)
        copies.append(copy.deepcopy(results))
    assert data_equivalence(kept, copies, exact=True)  # none of what was returned has been written to since


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
def test_a_copy_goes_on_as_the_original_does(duplicate):
    envs = gymnasium.make_vec(NAME, 2, max_episode_steps=4)
    envs.reset(seed=1)
    envs.step(np.ones((2, 1)))
    other = duplicate(envs)
    assert other.spec == envs.spec
    assert other.np_random_seed == (1, 2)
    for _ in range(9):  # through resets, which draw
        assert data_equivalence(envs.step(np.ones((2, 1))), other.step(np.ones((2, 1))), exact=True)
    envs.reset()
    assert states(envs.np_random) != states(other.np_random)  # they share nothing


@pytest.mark.parametrize("num_envs", [1, 3])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ClipAction", {}),
        ("RescaleAction", {"min_action": np.float32(-1), "max_action": np.float32(1)}),
        ("ClipReward", {"min_reward": -3.0, "max_reward": -0.5}),
        ("RescaleObservation", {"min_obs": np.float32(-1), "max_obs": np.float32(1)}),
        ("FlattenObservation", {}),
        ("NormalizeObservation", {}),
        ("NormalizeReward", {}),
        ("RecordEpisodeStatistics", {}),
    ],
)
def test_in_gymnasiums_wrappers_it_is_as_sync_vector_env_in_them(name, arguments, num_envs):
    pair = [getattr(wrappers, name)(envs, **arguments) for envs in ours_and_sync(num_envs)]
    for space in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(pair[0], space) == getattr(pair[1], space)
    assert [envs.num_envs for envs in pair] == [num_envs] * 2
    rng = np.random.default_rng(2)
    assert data_equivalence(*(envs.reset(seed=123) for envs in pair))
    for _ in range(210):
        actions = rng.uniform(-4, 4, (num_envs, 1)).astype(np.float32)
        results = [envs.step(actions) for envs in pair]
        for *_, info in results:
            info.get("episode", {}).pop("t", None)  # wall-clock time
        assert data_equivalence(*results)
    assert pair[0].np_random_seed == pair[1].np_random_seed
    for envs in pair:
        envs.close()
    assert pair[0].unwrapped.closed


def test_setting_the_state():
    envs = PendulumVectorEnv(2, max_episode_steps=2)
    assert envs.state is None
    with pytest.raises(RuntimeError, match="reset"):
        envs.step(np.zeros((2, 1)))
    envs.state = [[0.0, 0.0], [np.pi, 1.0]]
    _, rewards, _, truncated, _ = envs.step(np.zeros((2, 1)))
    assert rewards == pytest.approx([0.0, -(np.pi**2) - 0.1])
    assert not truncated.any()
    observations, _ = envs.reset(options={"state": fixed_starts(2)})
    assert np.array_equal(envs.state, fixed_starts(2))
    assert np.allclose(observations[:, 2], fixed_starts(2)[:, 1])


def test_fixed_starts_are_a_prefix_and_within_the_resets_of_pendulum():
    starts = fixed_starts(300)
    assert np.array_equal(fixed_starts(100), starts[:100])
    assert (np.abs(starts) <= [np.pi, 1.0]).all()
    assert np.abs(starts).max(0) == pytest.approx([np.pi, 1.0], rel=0.02)


def test_wrap_angle():
    assert wrap_angle(np.array([0.0, np.pi, 3 * np.pi + 0.5, -7.0])) == pytest.approx(
        [0.0, -np.pi, 0.5 - np.pi, 2 * np.pi - 7.0]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda envs: PendulumVectorEnv(0), "num_envs must be"),
        (lambda envs: PendulumVectorEnv(2.5), "num_envs must be"),
        (lambda envs: PendulumVectorEnv(2, max_episode_steps=0), "max_episode_steps must be"),
        (lambda envs: envs.step(np.zeros(2)), r"actions must have shape \(2, 1\), got \(2,\)"),
        (lambda envs: envs.step(np.zeros((3, 1))), "actions must have shape"),
        (lambda envs: setattr(envs, "state", np.zeros((2, 3))), "state must be"),
        (lambda envs: setattr(envs, "state", [[0.0, np.nan], [0.0, 0.0]]), "state must be"),
        (lambda envs: PendulumVectorEnv(2, render_mode="human"), "render_mode must be None.* got 'human'"),
        (lambda envs: gymnasium.make_vec(NAME, 2, render_mode="rgb_array"), "render_mode must be None.* got 'rgb_arr"),
        (lambda envs: envs.reset(seed=[1]), "seed must be"),
        (lambda envs: envs.reset(seed=-1), "seed must be"),
        (lambda envs: envs.reset(seed=1.5), "seed must be"),
        (lambda envs: envs.reset(seed=[1, 2.5]), "seed must be"),
        (lambda envs: setattr(envs, "np_random", 3), "np_random must be"),
        (lambda envs: setattr(envs, "np_random", [np.random.default_rng(0)]), "np_random must be"),
        (lambda envs: envs.reset(options={"x_init": 1.0}), "options takes the key 'state'"),
        (lambda envs: fixed_starts(0), "n must be"),
    ],
)
def test_bad_input_names_the_argument(call, message):
    envs = PendulumVectorEnv(2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        call(envs)
