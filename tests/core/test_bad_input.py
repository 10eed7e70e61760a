"""Whatever is given to a public function: the right answer, or a ValueError or TypeError that names the argument."""

import dataclasses
import faulthandler
import math

import gymnasium
import numpy as np
import pytest
import torch
from bad_input import BAD_KINDS, BAD_SHAPES, NO_NUMBERS, TRIED, Bad, array, check, number, plain, whole
from helpers import make_rollout
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import lecture_utils
from lecture_utils import (
    A2C,
    PPO,
    Hyperparameters,
    PendulumVectorEnv,
    Rollout,
    clipped_surrogate,
    evaluate,
    fixed_starts,
    gae,
    monte_carlo,
    one_step,
    policy_gradient,
    probability_ratio,
    run_episode,
    surrogate,
    train,
)
from lecture_utils.checks import RANGES
from lecture_utils.experiments.statistics import interval, iqm, probability_of_improvement
from lecture_utils.ppo import approx_kl, clip_fraction, explained_variance
from lecture_utils.training import collect_episodes

TINY = Hyperparameters(hidden=(4,), passes=1, minibatch_size=100)
SHAPES = st.sampled_from([(1,), (5,), (2, 3), (2, 1, 4), (3, 2, 2)])
NO_DATA = {
    "TUNED",
    "TUNED_EPISODES",
    "TrainingDiverged",
    "EnvironmentFailed",
}  # and what is raised


def trying(examples):
    """So many inputs, the same at every call, nothing written."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def counted(request):
    faulthandler.dump_traceback_later(600, exit=True)  # a hang ends the run and shows where
    yield
    faulthandler.cancel_dump_traceback_later()
    report = request.config.pluginmanager.getplugin("terminalreporter")
    text = ", ".join(f"{name} {count}" for name, count in sorted(TRIED.items()))
    report.write_line(f"\n{sum(TRIED.values()):,} inputs tried: {text}")


# Advantages


def by_definition(rewards, values, next_values, terminated, gamma, gae_lambda):
    """A_t = sum over k >= t of (gamma lambda)^(k - t) delta_k, up to the first termination."""
    alive = 1 - terminated
    delta = rewards + gamma * alive * next_values - values
    advantages = np.zeros_like(delta)
    for t in range(delta.shape[-1]):
        weight = np.ones(delta.shape[:-1])
        for k in range(t, delta.shape[-1]):
            advantages[..., t] += weight * delta[..., k]
            weight = weight * gamma * gae_lambda * alive[..., k]
    return advantages


@st.composite
def rollouts(draw):
    """Arguments of an estimator, and the same in float64 (None where one is bad)."""
    shape, tensor = draw(SHAPES), draw(st.booleans())
    names = ("rewards", "values", "next_values")
    drawn = {name: draw(array(shape, tensor=tensor, bad=0.05)) for name in names}
    ends = np.random.default_rng(draw(st.integers(0, 99))).random(shape) < 0.3
    ends = draw(st.sampled_from([ends, ends.astype(int), ends.tolist(), Bad(ends + 0.5), Bad(ends[..., None])]))
    arguments = {name: value for name, (value, _) in drawn.items()} | {"terminated": ends}
    if any(isinstance(value, Bad) for value in arguments.values()):
        return arguments, None
    return arguments, [reference for _, reference in drawn.values()] + [np.asarray(ends, dtype=np.float64)]


@trying(600)
@given(rollouts(), number(0, 1), number(0, 1), st.sampled_from([gae, one_step, monte_carlo]))
def test_advantages(drawn, gamma, gae_lambda, estimator):
    arguments, references = drawn
    arguments = arguments | {"gamma": gamma}
    fixed = {one_step: 0.0, monte_carlo: 1.0}.get(estimator, gae_lambda)
    if estimator is gae:
        arguments["gae_lambda"] = gae_lambda
    expected = None
    if references is not None and not isinstance(gamma, Bad) and not isinstance(fixed, Bad):
        expected = by_definition(*references, float(gamma), float(fixed))
    check(estimator.__name__, estimator, arguments, expected, rtol=1e-5)


# Objectives and diagnostics


def clipped(ratio, advantage, clip):
    return np.minimum(ratio * advantage, np.clip(ratio, 1 - clip, 1 + clip) * advantage)


OBJECTIVES = {
    probability_ratio: (("log_prob", "old_log_prob"), lambda x, y: np.exp(x - y)),
    policy_gradient: (("log_prob", "advantage"), np.multiply),
    surrogate: (("ratio", "advantage"), np.multiply),
    clipped_surrogate: (("ratio", "advantage"), clipped),
}


# A pair is a clip too, as an array as well.
CLIPS = number(0, math.inf, infinite=True).filter(lambda x: np.ndim(plain(x)) != 1)


@trying(900)
@given(st.data(), SHAPES, CLIPS, st.sampled_from(list(OBJECTIVES)))
def test_objectives(data, shape, clip, objective):
    (first, second), reference = OBJECTIVES[objective]
    # Only one of the two has another shape: two could have the same.
    x, known_x = data.draw(array(shape, tensor=True, finite=False, bad_kinds=("nan", "inf", *NO_NUMBERS)))
    kinds = tuple(kind for kind in BAD_KINDS if len(shape) > 1 or kind != "one axis less")  # of (5,): a number
    y, known_y = data.draw(array(shape, tensor=True, finite=False, bad_kinds=kinds))
    arguments = {first: x, second: y} | ({"clip": clip} if objective is clipped_surrogate else {})
    expected = None
    if not any(isinstance(value, Bad) for value in arguments.values()):
        extra = [float(clip)] if objective is clipped_surrogate else []
        rounded = torch.float32 in (x.dtype, y.dtype) and max(np.abs(known_x).max(), np.abs(known_y).max()) > 20
        with np.errstate(all="ignore"):
            expected = None if rounded else reference(known_x, known_y, *extra)
    check(objective.__name__, objective, arguments, expected, rtol=1e-4)


def explained(values, returns):
    return 1 - np.var(returns - values, axis=-1) / np.var(returns, axis=-1)


DIAGNOSTICS = {
    approx_kl: (("log_ratio",), lambda x: (np.expm1(x) - x).mean(-1)),
    clip_fraction: (
        ("log_ratio",),
        lambda x, clip: np.where(np.isnan(x), np.nan, np.abs(np.exp(x) - 1) > clip).mean(-1),
    ),
    explained_variance: (("values", "returns"), explained),
}
LOG_RATIOS = array((2, 6), tensor=True, finite=False, scales=(1e-3, 0.1, 3.0), bad_kinds=("nan", "inf", *NO_NUMBERS))


@trying(600)
@given(LOG_RATIOS, array((2, 6), tensor=True, finite=False, scales=(0.1, 1.0)), CLIPS,
       st.sampled_from(list(DIAGNOSTICS)))  # fmt: skip
def test_diagnostics(x, y, clip, diagnostic):
    names, reference = DIAGNOSTICS[diagnostic]
    drawn = dict(zip(names, (x, y), strict=False))
    arguments = {name: value for name, (value, _) in drawn.items()}
    arguments |= {"clip": clip} if diagnostic is clip_fraction else {}
    expected = None
    if not any(isinstance(value, Bad) for value in arguments.values()):
        extra = [float(clip)] if diagnostic is clip_fraction else []
        with np.errstate(all="ignore"):
            expected = reference(*(known for _, known in drawn.values()), *extra)
    check(diagnostic.__name__, diagnostic, arguments, expected, rtol=1e-3, atol=1e-5)


# Statistics


def middle_half(x):
    x = np.sort(x, axis=0)
    left_out = len(x) // 4
    return x[left_out : len(x) - left_out].mean(0)


RUNS = st.sampled_from([(2,), (7,), (16,), (5, 3), (4, 2, 2)])
SCORES = ("nan", "inf", *NO_NUMBERS, "empty")


@trying(300)
@given(RUNS.flatmap(lambda shape: array(shape, bad_kinds=SCORES)))
def test_iqm(x):
    check("iqm", iqm, {"x": x[0]}, None if x[1] is None else middle_half(x[1]))


@trying(300)
@given(st.data(), RUNS, st.integers(1, 5))
def test_probability_of_improvement(data, shape, runs):
    x, y = data.draw(array(shape, bad_kinds=SCORES)), data.draw(array((runs, *shape[1:]), bad_kinds=SCORES))
    expected = None
    if x[1] is not None and y[1] is not None:
        expected = np.mean([[(a > b) + 0.5 * (a == b) for b in y[1]] for a in x[1]], axis=(0, 1))
    check("probability_of_improvement", probability_of_improvement, {"x": x[0], "y": y[0]}, expected)


@trying(200)
@given(array((5, 2), bad_kinds=SCORES, bad=0.3), number(0, 1, open_low=True, open_high=True),
       whole(1, 30), st.sampled_from(["BCa", "percentile", Bad("t"), Bad(None), Bad(5)]))  # fmt: skip
def test_interval(x, confidence, resamples, method):
    def sensible(result):
        low, high = result
        assert np.shape(low) == np.shape(high) == x[1].shape[1:]
        slack = 1e-9 * np.abs(x[1]).max()
        assert (x[1].min(0) - slack <= low).all()
        assert (low <= high + slack).all()
        assert (high <= x[1].max(0) + slack).all()

    arguments = {"x": x[0], "confidence": confidence, "resamples": resamples, "method": method}
    check("interval", interval, arguments, sensible)


# Recipes, agents, environments

FRACTIONS = {"gamma": number(0, 1), "gae_lambda": number(0, 1)}
POSITIVE = ("actor_lr", "critic_lr", "reward_scale")
COUNTS = {"minibatch_size": 1, "passes": 1, "episodes_per_update": 1, "rollout_steps": 1, "anneal_updates": 0}
CHOICES = {
    "mean_head": ("tanh", "linear"), "std_head": ("abs", "softplus", "free"), "score_action": ("clipped", "sampled"),
    "normalize_advantages": ("no", "rollout", "minibatch"), "activation": ("relu", "tanh"),
    "initialization": ("default", "orthogonal"), "shuffle": (True, False),
}  # fmt: skip
WIDTHS = [(1,), (3, 4), [2], Bad(()), Bad([0]), Bad((2.0,)), Bad("12"), Bad(8), Bad(None), Bad((True,)), Bad({2})]
FIELDS = (
    FRACTIONS
    | {name: number(0, math.inf, open_low=True, open_high=True) for name in POSITIVE}
    | {"entropy_coef": number(0, math.inf, open_high=True), "clip": CLIPS}
    | {name: number(0, math.inf, open_low=True, infinite=True) for name in ("max_grad_norm", "target_kl")}
    | {name: whole(low, 9) for name, low in COUNTS.items()}
    | {name: st.sampled_from([*choices, Bad("x"), Bad(0), Bad(None), Bad([])]) for name, choices in CHOICES.items()}
    | {
        "hidden": st.sampled_from(WIDTHS),
        "initial_std": st.sampled_from([0, 0.5, 2, Bad(1e-3), Bad(-1), Bad(math.inf)]),
    }
)


@trying(1200)
@given(st.data(), st.sampled_from(sorted(FIELDS)), st.sampled_from(sorted(FIELDS)))
def test_hyperparameters(data, first, second):
    arguments = {}
    for name in {first: None, second: None}:
        value = data.draw(FIELDS[name])
        arguments[name] = Bad(value) if isinstance(value, bool) and name != "shuffle" else value  # no number

    def keeps(result):
        for name, value in arguments.items():
            assert getattr(result, name) == (tuple(value) if name == "hidden" else value)

    check("Hyperparameters", Hyperparameters, arguments, keeps)
    check("Hyperparameters.replace", TINY.replace, arguments, keeps)


def test_every_field_is_drawn():
    assert set(FIELDS) == set(RANGES) == {field.name for field in dataclasses.fields(Hyperparameters)}


BAD_SEEDS = ((), [-1], [1.5], "12", 7, None, [2**63], [None], {})
SEEDS = [(0,), [3, 1], range(3), np.arange(2), (2**63 - 1,), *map(Bad, BAD_SEEDS)]


@trying(150)
@given(st.sampled_from([A2C, PPO]), whole(1, 4), whole(1, 2), st.sampled_from(SEEDS),
       st.sampled_from(["cpu", torch.device("cpu"), Bad("abacus"), Bad(None), Bad(1.5)]),
       number(0, math.inf, open_low=True, open_high=True),
       st.sampled_from([TINY, TINY.replace(std_head="free"), Bad("x"), Bad({"gamma": 0.9}), Bad(0.9)]))  # fmt: skip
def test_agents(cls, obs_dim, action_dim, seeds, device, action_limit, hyperparameters):
    def acts(agent):
        action = agent(np.zeros((len(seeds), obs_dim)))
        assert action.shape == (len(seeds), action_dim)
        assert (np.abs(action) <= np.float32(action_limit)).all()

    arguments = {"obs_dim": obs_dim, "action_dim": action_dim, "seeds": seeds, "device": device,
                 "action_limit": action_limit, "hyperparameters": hyperparameters}  # fmt: skip
    check(cls.__name__, cls, arguments, acts)


AGENTS = {runs: PPO(3, 1, TINY, seeds=range(runs)) for runs in (1, 2)}


@trying(300)
@given(st.sampled_from([1, 2]), st.data())
def test_acting(runs, data):
    agent, shape = AGENTS[runs], data.draw(st.sampled_from([(3,), (1, 3), (2, 3)]))
    kinds = ("nan", "inf", "complex", "objects", "ragged", "none", "empty", "other shape")
    observation, known = data.draw(array(shape, bad=0.3, bad_kinds=kinds))
    fits = shape == (runs, 3) or (shape, runs) == ((3,), 1)

    def is_the_mean(action):
        with torch.no_grad():
            mean, _ = agent.actor(torch.as_tensor(known.astype(np.float32)).reshape(runs, 1, 3))
        assert action.reshape(-1) == pytest.approx(mean.numpy().clip(-2, 2).reshape(-1), abs=1e-4)

    act = lambda observation: agent.act(observation, deterministic=True)  # noqa: E731
    check("PPO.act", act, {"observation": observation}, is_the_mean, refused=not fits)


INDICES = [[0], [1, 0], (1,), range(2), np.array([1]), Bad([]), Bad([2]), Bad([-1]), Bad([True]), Bad([0.0]), Bad("0"),
           Bad(0), Bad(None), Bad([None]), Bad([[0]])]  # fmt: skip


@pytest.mark.parametrize("runs", INDICES, ids=lambda runs: repr(plain(runs)))
def test_selecting(runs):
    check("PPO.select", AGENTS[2].select, {"runs": runs}, lambda agent: agent.seeds == tuple(runs))


@trying(200)
@given(st.data(), st.sampled_from([f.name for f in dataclasses.fields(Rollout)]))
def test_rollouts(data, name):
    agent = AGENTS[2]
    fields = vars(make_rollout(agent, steps=6)).copy()
    kinds = ("nan", "inf", "text", "objects", "ragged", "none", "empty", "other shape", "one axis less")
    kinds = tuple(kind for kind in kinds if (name, kind) != ("truncated", "none"))  # which is its default
    fields[name], _ = data.draw(array(fields[name].shape, bad=0.6, bad_kinds=kinds))
    if name in ("terminated", "truncated") and not isinstance(fields[name], Bad):
        fields[name] = np.asarray(fields[name]) > 0

    def learns(rollout):
        log = agent.select([0, 1]).update(rollout)
        assert all(values.shape == (2,) for values in log.values())

    if not isinstance(fields[name], Bad):
        fields[name] = np.array(fields[name])  # not a list; and torch takes no array that is reversed
    check("Rollout", Rollout, fields, learns)


@trying(200)
@given(st.data(), whole(1, 4), whole(1, 30))
def test_environments(data, num_envs, max_episode_steps):
    arguments = {"num_envs": num_envs, "max_episode_steps": max_episode_steps}
    check("PendulumVectorEnv", PendulumVectorEnv, arguments)
    if any(isinstance(x, Bad) for x in arguments.values()):
        return
    envs = PendulumVectorEnv(num_envs, max_episode_steps)
    kinds = ("nan", "inf", "complex", "ragged", "none", *BAD_SHAPES)
    state, start = data.draw(array((num_envs, 2), bad=0.2, bad_kinds=kinds))
    check("PendulumVectorEnv.reset", lambda state: envs.reset(options={"state": state}), {"state": state})
    if start is None:
        return
    assert (envs.state == start).all()
    actions, torque = data.draw(array((num_envs, 1), bad=0.2, bad_kinds=("complex", "ragged", "other shape", "empty")))

    def physics(result):
        u = torque[:, 0].clip(-2, 2)
        theta_dot = (start[:, 1] + (15 * np.sin(start[:, 0]) + 3 * u) * 0.05).clip(-8, 8)
        assert envs.state[:, 1] == pytest.approx(theta_dot, rel=1e-6, abs=1e-6)
        assert result[0][:, 2] == pytest.approx(theta_dot, rel=1e-6, abs=1e-6)

    check("PendulumVectorEnv.step", envs.step, {"actions": actions}, physics)


@trying(200)
@given(whole(1, 50))
def test_fixed_starts(n):
    check("fixed_starts", fixed_starts, {"n": n}, lambda starts: np.array_equal(starts, fixed_starts(100)[:n]))


# Loops: few inputs, because each trains or plays


@trying(40)
@given(whole(1, 2))
def test_training(episodes):
    agent = PPO(3, 1, TINY)
    check("train", lambda episodes: train(agent, episodes, progress=False), {"episodes": episodes},
          lambda log: log.episode.tolist() == list(range(episodes)))  # fmt: skip


@trying(40)
@given(whole(1, 4))
def test_an_episode_in_a_plain_environment(max_steps):
    env = gymnasium.make("Pendulum-v1")
    check("run_episode", lambda max_steps: run_episode(env, AGENTS[1], max_steps), {"max_steps": max_steps},
          lambda rollout: rollout.reward.shape == (1, 1, max_steps))  # fmt: skip


@trying(40)
@given(
    array((2, 2), bad=0.7, bad_kinds=("nan", "inf", "complex", "empty", "other shape", "one axis less")), whole(1, 3)
)
def test_evaluating(drawn, episodes):
    starts, known = drawn
    check("evaluate", lambda episodes: evaluate(AGENTS[2], episodes), {"episodes": episodes},
          lambda returns: returns.shape == (2, episodes))  # fmt: skip
    check("evaluate", lambda starts: evaluate(AGENTS[2], starts=starts), {"starts": starts},
          lambda returns: known is None or returns.shape == (2, 2))  # fmt: skip


@pytest.mark.parametrize("agent", [None, "ppo", 3, {}, torch.nn.Linear(3, 1), PPO])
def test_what_is_no_agent(agent):
    env = gymnasium.make("Pendulum-v1")
    calls = {"run_episode": lambda agent: run_episode(env, agent), "evaluate": evaluate,
             "collect_episodes": collect_episodes, "train": lambda agent: train(agent, 1, progress=False)}  # fmt: skip
    for name, call in calls.items():
        check(name, call, {"agent": Bad(agent)})


@pytest.mark.parametrize("rollout", [None, 3, "rollout", {}, np.zeros((1, 1, 4, 3))])
def test_what_is_no_rollout(rollout):
    check("PPO.update", AGENTS[1].update, {"rollout": Bad(rollout)})


def test_every_public_name_is_tried():
    """Run after the others: they count what they call."""
    tried = {name.split(".")[0] for name in TRIED}
    assert set(lecture_utils.__all__) - tried - NO_DATA == set()
    assert sum(TRIED.values()) > 5000
