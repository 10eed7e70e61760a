"""The estimators against numbers worked by hand, the definition, and Stable-Baselines3."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stable_baselines3.common.buffers import RolloutBuffer

from lecture_utils import gae, monte_carlo, one_step
from lecture_utils.checks import NotFinite
from lecture_utils.ppo import standardize


def masks_truncation(rewards, values, next_values, terminated, **factors):
    """The usual bug: the step at which the clock cuts the episode is taken for one that terminated."""
    terminated = np.array(terminated)
    terminated[..., -1] = True
    return gae(rewards, values, next_values, terminated, **factors)


def bootstraps_terminations(rewards, values, next_values, terminated, **factors):
    return gae(rewards, values, next_values, np.zeros_like(terminated), **factors)


def drops_lambda(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    return gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=1.0)


def check_by_hand(estimator):
    """gamma = lambda = 1/2, so a trace decays by 1/4. Step 1 terminates; the clock cuts after step 2.

    delta_2 = 1 + 8/2 - 2 = 3;  delta_1 = 2 - 4 = -2 (no bootstrap);  delta_0 = 1 + 4/2 - 1 = 2.
    A_2 = 3;  A_1 = -2 (no trace);  A_0 = 2 - 2/4 = 1.5.
    """
    advantages = estimator([1.0, 2.0, 1.0], [1.0, 4.0, 2.0], [4.0, 2.0, 8.0], [0, 1, 0], gamma=0.5, gae_lambda=0.5)
    assert np.array_equal(advantages, [1.5, -2.0, 3.0])


def by_definition(rewards, values, next_values, terminated, gamma, gae_lambda):
    """A_t = sum over k >= t of (gamma lambda)^(k - t) delta_k, up to the first termination: O(T^2)."""
    steps = len(rewards)
    advantages = np.zeros(steps)
    for t in range(steps):
        for k in range(t, steps):
            bootstrap = 0.0 if terminated[k] else gamma * next_values[k]
            advantages[t] += (gamma * gae_lambda) ** (k - t) * (rewards[k] + bootstrap - values[k])
            if terminated[k]:
                break
    return advantages


@pytest.mark.parametrize("as_tensors", [False, True])
def test_several_episodes_in_one_array_are_those_episodes_one_by_one(as_tensors):
    """`truncated` cuts the trace where another episode begins and keeps the value; `terminated` takes both."""
    rng = np.random.default_rng(0)
    lengths, ended = (5, 1, 7, 3), (False, True, False, True)
    rewards, values, next_values = rng.normal(size=(3, 2, sum(lengths)))  # two runs
    terminated, truncated = np.zeros((2, 2, sum(lengths)), dtype=bool)
    expected, first = [], 0
    for length, ends in zip(lengths, ended, strict=True):
        part = slice(first, first + length)
        (terminated if ends else truncated)[:, part.stop - 1] = True
        alone = [x[:, part] for x in (rewards, values, next_values, terminated)]
        expected.append(gae(*alone, gamma=0.9, gae_lambda=0.8))
        first += length
    arguments = [rewards, values, next_values, terminated, truncated]
    arguments = [torch.as_tensor(x) for x in arguments] if as_tensors else arguments
    got = gae(*arguments[:4], gamma=0.9, gae_lambda=0.8, truncated=arguments[4])
    assert np.asarray(got) == pytest.approx(np.concatenate(expected, axis=1), abs=1e-12)
    without = gae(*arguments[:4], gamma=0.9, gae_lambda=0.8)
    assert np.abs(np.asarray(without - got)).max() > 0.1
    with pytest.raises(ValueError, match="truncated must hold truth values"):
        gae(*arguments[:4], gamma=0.9, gae_lambda=0.8, truncated=arguments[4] + 0.5)
    with pytest.raises(ValueError, match="truncated must have one shape"):
        gae(*arguments[:4], gamma=0.9, gae_lambda=0.8, truncated=arguments[4][:, 1:])


def check_definition(estimator):
    numbers, shares = st.floats(-20, 20), st.floats(0, 1)

    @settings(max_examples=100, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(data=st.data(), steps=st.integers(1, 25), gamma=shares, gae_lambda=shares)
    def check(data, steps, gamma, gae_lambda):
        floats = [data.draw(arrays(np.float64, (2, steps), elements=numbers)) for _ in range(3)]
        terminated = data.draw(arrays(np.bool_, (2, steps)))
        got = estimator(*floats, terminated, gamma=gamma, gae_lambda=gae_lambda)
        for row in range(2):
            expected = by_definition(*(x[row] for x in floats), terminated[row], gamma, gae_lambda)
            assert got[row] == pytest.approx(expected, rel=1e-10, abs=1e-8)

    check()


def check_stable_baselines3(estimator):
    """Three environments; two episodes of 50 steps, of which the clock cuts the first (as SB3 handles it) and the last.

    SB3 has one stream of steps: a truncation adds gamma V(last observation) to the reward and cuts the trace.
    """
    rng, n, steps, gamma, gae_lambda = np.random.default_rng(0), 3, 50, 0.95, 0.85
    rewards, values, next_values = (rng.normal(size=(n, 2, steps)).astype(np.float32) for _ in range(3))
    terminated = rng.random((n, 2, steps)) < 0.08
    inside = ~terminated[..., :-1]
    next_values[..., :-1][inside] = values[..., 1:][inside]
    terminated[..., -1] = False

    stream = rewards.copy()
    stream[:, 0, -1] += gamma * next_values[:, 0, -1]
    ends = terminated.copy()
    ends[:, 0, -1] = True
    stream, stream_values, ends = (x.reshape(n, -1).T for x in (stream, values, ends))
    space = spaces.Box(-1, 1, (1,))
    buffer = RolloutBuffer(2 * steps, space, space, gae_lambda=gae_lambda, gamma=gamma, n_envs=n)
    starts = np.concatenate([np.ones((1, n)), ends[:-1]])
    zeros = np.zeros((n, 1), dtype=np.float32)
    for t in range(2 * steps):
        buffer.add(zeros, zeros, stream[t], starts[t], torch.as_tensor(stream_values[t]), torch.zeros(n))
    buffer.compute_returns_and_advantage(torch.as_tensor(next_values[:, 1, -1]), np.zeros(n))

    got = estimator(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda)
    assert pytest.approx(buffer.advantages, abs=1e-5) == got.reshape(n, -1).T


CHECKS = [check_by_hand, check_definition, check_stable_baselines3]


@pytest.mark.parametrize("check", CHECKS)
def test_gae(check):
    check(gae)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("bug", [masks_truncation, bootstraps_terminations, drops_lambda])
def test_planted_bugs_are_seen(check, bug):
    with pytest.raises(AssertionError):
        check(bug)


def random_arguments(dtype=np.float64):
    rng = np.random.default_rng(1)
    return [*rng.normal(size=(3, 2, 4, 30)).astype(dtype), rng.random((2, 4, 30)) < 0.1]


def test_one_step_and_monte_carlo_are_the_two_ends():
    rewards, values, next_values, terminated = arguments = random_arguments()
    delta = rewards + 0.9 * ~terminated * next_values - values
    assert one_step(*arguments, gamma=0.9) == pytest.approx(delta)
    returns = np.zeros_like(rewards)
    after = next_values[..., -1]
    for t in reversed(range(30)):
        after = returns[..., t] = rewards[..., t] + 0.9 * np.where(terminated[..., t], 0, after)
    consistent = next_values.copy()
    consistent[..., :-1] = values[..., 1:]
    assert monte_carlo(rewards, values, consistent, terminated, gamma=0.9) == pytest.approx(returns - values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_and_arrays_give_the_same(dtype):
    arguments = random_arguments(dtype)
    got = gae(*map(torch.as_tensor, arguments), gamma=0.9, gae_lambda=0.8)
    expected = gae(*arguments, gamma=0.9, gae_lambda=0.8)
    assert got.numpy() == pytest.approx(expected, abs=1e-5 if dtype == np.float32 else 1e-12)
    assert expected.dtype == got.numpy().dtype == dtype


def test_whole_numbers_and_the_arguments_stay_whole():
    rewards = [1, 2, 3]
    advantages = gae(rewards, [0, 0, 0], [0, 0, 0], [False] * 3, gamma=0.5, gae_lambda=1.0)
    assert advantages == pytest.approx([1 + 1 + 0.75, 3.5, 3])
    assert rewards == [1, 2, 3]


def test_standardize_works_on_each_run_alone():
    x = torch.randn(3, 50, dtype=torch.float64) * torch.tensor([[1.0], [10.0], [100.0]]) + 5
    z = standardize(x)
    assert z.mean(-1).abs().max() < 1e-12
    assert (z.std(-1) - 1).abs().max() < 1e-6
    assert torch.allclose(z[1:2], standardize(x[1:2]), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": np.zeros(4)}, "rewards, values, next_values, terminated must have one shape"),
        ({"terminated": np.zeros((3, 1))}, "must have one shape"),
        ({"gae_lambda": 1.5}, r"gae_lambda must be a number in \[0, 1\], got 1.5"),
        ({"gamma": -0.1}, r"gamma must be a number in \[0, 1\], got -0.1"),
        ({"gamma": float("nan")}, "gamma must be"),
        ({"rewards": np.array([0, np.nan, 0])}, "rewards must be finite"),
        ({"next_values": np.array([0, np.inf, 0])}, "next_values must be finite"),
        ({"terminated": np.array([0, 0.5, 0])}, "terminated must hold truth values"),
    ],
)
def test_bad_input_names_the_argument(change, message):
    good = dict.fromkeys(("rewards", "values", "next_values", "terminated"), np.zeros(3))
    with pytest.raises(ValueError, match=message):
        gae(**{**good, "gamma": 0.9, "gae_lambda": 0.8, **change})


def test_not_finite_names_the_runs():
    zeros, values = np.zeros((2, 4, 1, 5))
    values[[1, 3], 0, 2] = np.nan
    with pytest.raises(NotFinite, match=r"values must be finite.*\[1, 3\]") as caught:
        gae(zeros, values, zeros, zeros, gamma=1, gae_lambda=1)
    assert caught.value.runs == [1, 3]
