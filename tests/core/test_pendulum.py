"""PendulumVectorEnv against Gymnasium's own Pendulum-v1 and Gymnasium's own checks."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.utils.env_match import check_environments_match
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from lecture_utils import PendulumVectorEnv, fixed_starts
from lecture_utils.pendulum import wrap_angle


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
        envs = gymnasium.make_vec("lecture/Pendulum-v1", num_envs=4)
    assert isinstance(envs, PendulumVectorEnv)
    assert (envs.num_envs, envs.max_episode_steps) == (4, 200)
    assert envs.spec.id == "lecture/Pendulum-v1"
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
        (lambda envs: envs.reset(seed=[1]), "seed must be"),
        (lambda envs: envs.reset(options={"x_init": 1.0}), "options takes the key 'state'"),
        (lambda envs: fixed_starts(0), "n must be"),
    ],
)
def test_bad_input_names_the_argument(call, message):
    envs = PendulumVectorEnv(2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        call(envs)
