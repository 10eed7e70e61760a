"""The exercises of notebook 02: the recursion of GAE, an off-by-one, and the choice of lambda."""

import numpy as np

from lecture_utils import gae
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge, plain
from lecture_utils.exercises.verdict import checker
from lecture_utils.experiments.gradient_angle import load_gradient_angle
from lecture_utils.experiments.statistics import interval

QUESTIONS = {f"after {age} updates, {size:,} samples": (age, size) for age in (4, 12) for size in (200, 3200)}


@checker
def check_gae(answer):
    """Exercise 2.1: answer(rewards, values, next_values, terminated, *, gamma, gae_lambda) -> advantages (..., T)."""
    return judge(GAE, answer)


@checker
def check_mended_gae(answer):
    """Exercise 2.2: the mended function, of the same arguments."""
    return judge(MENDED_GAE, answer)


@checker
def check_lambdas(answers, show=False):
    """Exercise 2.3: {age of the agent and size of the batch: lambda}, chosen among the lambdas that were measured.

    show: whether the right answers are told, with the measured cosines.
    """
    cosines = _cosines()
    accepted = {question: _as_good_as_the_best(x) for question, x in cosines.items()}
    measured = {
        question: "measured cosine of each lambda: " + ", ".join(f"{k:g}: {c.mean():.2f}" for k, c in x.iterrows())
        for question, x in cosines.items()
    }
    ages, sizes = (sorted({part[k] for part in QUESTIONS.values()}) for k in (0, 1))
    other = {(age, size): question for question, (age, size) in QUESTIONS.items()}
    exchanged_ages = {q: accepted[other[ages[1 - ages.index(a)], n]] for q, (a, n) in QUESTIONS.items()}
    exchanged_sizes = {q: accepted[other[a, sizes[1 - sizes.index(n)]]] for q, (a, n) in QUESTIONS.items()}
    return judge_choices(
        "2.3", answers, accepted, list(next(iter(cosines.values())).index),
        "A poor critic wants a large lambda even in a small batch; a good critic and few samples want a small one.",
        measured=measured, show=show,
        mistakes=[
            ("the two ages are exchanged", exchanged_ages),
            ("the two sizes are exchanged", exchanged_sizes),
            ("the least bias is chosen, whatever the scatter", {q: {1.0} for q in accepted}),
            ("the least scatter is chosen, whatever the bias", {q: {0.0} for q in accepted}),
        ],
    )  # fmt: skip


def _cosines():
    """Question -> DataFrame of cosines, lambda by run, of the normalised advantages."""
    table, _ = load_gradient_angle()
    table = table[table["normalized"]]
    return {
        question: table[(table["updates"] == age) & (table["samples"] == size)].pivot_table("cosine", "lambda", "run")
        for question, (age, size) in QUESTIONS.items()
    }


def _as_good_as_the_best(cosines):
    """The lambda of the largest mean over runs, and all whose difference to it, run by run, may be 0."""
    best = cosines.mean(axis=1).idxmax()
    low, _ = interval((cosines.loc[best] - cosines).to_numpy(), axis=1)
    return set(cosines.index[(low <= 0) | (cosines.index == best)].tolist())


def _cases(rng):
    """From one step to five, then long episodes and several side by side; ends in the middle, at the end, nowhere."""
    ends = [[0], [1], [0, 0], [0, 1], [1, 0], [0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0, 1], [0] * 60,
            [[0, 0, 1, 0], [0, 0, 0, 0]]]  # fmt: skip
    cases = [_case(rng, np.array(x, dtype=float)) for x in ends]
    whole = _as_in_an_episode(rng, np.array([0, 1, 0, 0]), lambda shape: rng.choice([-3, -2, -1, 1, 2, 3], shape))
    several = _case(rng, np.array([[0] * 5 + [1] + [0] * 6, [0] * 12, [0] * 11 + [1]], dtype=float))
    return [*cases, {**cases[0], **whole}, several]


def _case(rng, terminated):
    gamma, gae_lambda = (round(x, 2) for x in rng.uniform([0.7, 0.4], [0.95, 0.9]))
    numbers = _as_in_an_episode(rng, terminated, lambda shape: rng.uniform(-3, 3, shape).round(2))
    return {**numbers, "gamma": gamma, "gae_lambda": gae_lambda}


def _as_in_an_episode(rng, terminated, draw):
    """Rewards and values drawn; V(s_{t+1}) is values[t + 1] unless the episode ended at t, as whoever collects has it.

    After a terminal state the array goes on with the next episode, so V of the terminal state stands nowhere else.
    """
    rewards, values, after = (draw(terminated.shape) for _ in range(3))
    follows = np.concatenate([terminated[..., :-1] == 0, np.zeros_like(terminated[..., -1:], dtype=bool)], axis=-1)
    next_values = np.where(follows, np.roll(values, -1, axis=-1), after)
    return {"rewards": rewards, "values": values, "next_values": next_values, "terminated": terminated}


def _variant(bootstrap=lambda a: a, trace=lambda a: a, base=lambda v: v, gamma_in_trace=1, lambda_in_trace=1,
             recursive=True, plus=0.0, gamma_in_delta=1, lambda_of=lambda x: x, last=True, first=True, after=None,
             rewards_of=lambda r: r):  # fmt: skip
    """GAE with parts exchanged: how `terminated` reaches bootstrap and trace, whose value is subtracted, what fades."""

    def function(rewards, values, next_values, terminated, *, gamma, gae_lambda):
        alive = 1.0 - terminated
        following = next_values if after is None else after(values, next_values)
        delta = rewards_of(rewards) + gamma**gamma_in_delta * bootstrap(alive) * following - base(values)
        keep = gamma**gamma_in_trace * lambda_of(gae_lambda) ** lambda_in_trace * trace(alive)
        advantages = delta.astype(float)
        if not last:
            advantages[..., -1] = 0
        for t in reversed(range(0 if first else 1, delta.shape[-1] - 1)):
            next_one = advantages if recursive else delta
            advantages[..., t] = delta[..., t] + keep[..., t] * next_one[..., t + 1]
        if not first and delta.shape[-1] > 1:
            advantages[..., 0] = 0
        return advantages + plus * values

    return function


def _next(x):
    """What belongs to the next step, and to the last step again."""
    return np.concatenate([x[..., 1:], x[..., -1:]], axis=-1)


def _before(x):
    """What belongs to the step before, and to the first step again."""
    return np.concatenate([x[..., :1], x[..., :-1]], axis=-1)


def _ended_at_the_clock(alive):
    return np.concatenate([alive[..., :-1], 0 * alive[..., -1:]], axis=-1)


def _of_next_values(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    return gae(rewards, next_values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda)


def _forwards(mask):
    """The recursion run forwards in time; mask: (alive, t) -> what the sum so far is multiplied by."""

    def function(rewards, values, next_values, terminated, *, gamma, gae_lambda):
        advantages = gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=0.0)
        alive = 1.0 - terminated
        for t in range(1, advantages.shape[-1]):
            advantages[..., t] += gamma * gae_lambda * mask(alive, t) * advantages[..., t - 1]
        return advantages

    return function


def _from_the_start(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    """Every step weighted by its distance from the start of the array."""
    advantages = gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda)
    return advantages * (gamma * gae_lambda) ** np.arange(advantages.shape[-1])


def _first_terms(terms):
    """So many temporal-difference errors and no more."""

    def function(rewards, values, next_values, terminated, *, gamma, gae_lambda):
        delta = gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=0.0)
        alive, steps = 1.0 - terminated, delta.shape[-1]
        advantages = delta.copy()
        for t in range(steps):
            weight = 1.0
            for k in range(t + 1, min(t + terms, steps)):
                weight = weight * gamma * gae_lambda * alive[..., k - 1]
                advantages[..., t] += weight * delta[..., k]
        return advantages

    return function


def _time_on_the_first_axis(*arrays, **numbers):
    return gae(*(x.T for x in arrays), **numbers).T


def _one_long_episode(*arrays, **numbers):
    """Episodes side by side laid end to end, as if one followed another."""
    return gae(*(x.reshape(-1) for x in arrays), **numbers).reshape(arrays[0].shape)


def _value_in_the_mask(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    alive = 1.0 - terminated
    return gae(rewards, alive * values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda)


def _normalized(*x, **numbers):
    advantages = gae(*x, **numbers)
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


_given = _variant(trace=_next)
NEXT_VALUE = "off by one: the value of the next step is used for this one"
MISTAKES = {
    NEXT_VALUE: _of_next_values,
    "off by one: `values` are shifted by a step": _variant(base=_next),
    "off by one: the mask of the next step is used for this one": _given,
    "off by one: the mask of the step before is used for this one":
        [_variant(trace=_before), _variant(trace=_before, bootstrap=_before), _variant(bootstrap=_before)],
    "off by one: both masks are those of the next step": _variant(trace=_next, bootstrap=_next),
    "the value of this step is taken for that of the next": _variant(after=lambda v, n: v),
    "the value after the last step is not that of the first: np.roll goes around":
        _variant(after=lambda v, n: np.roll(v, -1, axis=-1)),
    "the last value is repeated: the value after the last step stands in next_values":
        _variant(after=lambda v, n: _next(v)),
    "nothing is taken to follow the last step: the clock is taken for an end":
        [_variant(bootstrap=_ended_at_the_clock, trace=_ended_at_the_clock), _variant(bootstrap=_ended_at_the_clock)],
    "`terminated` masks the bootstrap, but not the trace": _variant(trace=np.ones_like),
    "`terminated` masks the trace, but not the bootstrap": _variant(bootstrap=np.ones_like),
    "`terminated` is not used": _variant(bootstrap=np.ones_like, trace=np.ones_like),
    "`terminated` is taken for its opposite": lambda r, v, n, e, **k: gae(r, v, n, 1 - e, **k),
    "`terminated` masks the value of the state, too": _value_in_the_mask,
    "lambda is left out of the trace: these are Monte Carlo advantages": _variant(lambda_in_trace=0),
    "gamma is left out of the trace": _variant(gamma_in_trace=0),
    "gamma is left out of the bootstrap": _variant(gamma_in_delta=0),
    "gamma is used twice in the trace": _variant(gamma_in_trace=2),
    "gamma and lambda are exchanged":
        lambda *x, gamma, gae_lambda: gae(*x, gamma=gae_lambda, gae_lambda=gamma),
    "1 - lambda stands for lambda": _variant(lambda_of=lambda x: 1 - x),
    "only the next temporal-difference error is added: the recursion needs the advantage of the next step, "
    "and so the loop runs backwards": _variant(recursive=False),
    "the sum ends after a few temporal-difference errors": [_first_terms(n) for n in (3, 4, 5, 10)],
    "no trace: this is the temporal-difference error": _variant(trace=np.zeros_like),
    "returns, not advantages: the value of the state is still in": _variant(plus=1.0),
    "the value of the state is not taken off in the temporal-difference error": _variant(base=np.zeros_like),
    "discounted rewards minus the value: what the critic expects after the last step is left out":
        lambda r, v, n, e, *, gamma, gae_lambda: gae(r, 0 * v, 0 * n, e, gamma=gamma, gae_lambda=1.0) - v,
    "lambda is multiplied into the bootstrap, too":
        lambda r, v, n, e, *, gamma, gae_lambda: gae(r, v, gae_lambda * n, e, gamma=gamma, gae_lambda=gae_lambda),
    "the reward of the next step is used": _variant(rewards_of=_next),
    "the rewards are left out": _variant(rewards_of=np.zeros_like),
    "rewards alone are summed: the critic is left out":
        lambda r, v, n, e, **k: gae(r, 0 * v, 0 * n, e, **k),
    "the loop runs forwards: each step gets the advantages of the past":
        [_forwards(lambda alive, t: alive[..., t - 1]), _forwards(lambda alive, t: alive[..., t]),
         _forwards(lambda alive, t: 1.0)],
    "the result is in reversed order: a list that grew backwards is not turned around":
        lambda *x, **k: gae(*x, **k)[..., ::-1],
    "the last step is left out": _variant(last=False),
    "the first step is left out": _variant(first=False),
    "the discount is counted from the start of the episode, not from the step": _from_the_start,
    "time is taken to be on the first axis: it is on the last": _time_on_the_first_axis,
    "episodes side by side run into each other": _one_long_episode,
    "the advantages are normalised, which is not asked here": _normalized,
    "the mean over the steps is returned": lambda *x, **k: gae(*x, **k).mean(-1),
    "the sign is flipped": lambda *x, **k: -gae(*x, **k),
}  # fmt: skip


def _last_step(case):
    return np.arange(case["rewards"].shape[-1]) == case["rewards"].shape[-1] - 1


GAE = Task(
    "2.1", gae, _cases, plain("gamma", "gae_lambda"), mistakes=MISTAKES,
    partly={
        "right only where nothing terminates": lambda case: not case["terminated"].any(),
        "right for one episode, wrong for several side by side: time is on the last axis, `[..., t]`":
            lambda case: case["rewards"].ndim == 1,
        "the last step is right, what comes before it is not":
            lambda case: _last_step(case) & np.ones(case["rewards"].shape, dtype=bool),
    },
    learned="Only `terminated` stops the bootstrap and the trace; the clock stops neither.",
)  # fmt: skip
MENDED_GAE = Task(
    "2.2", gae, _cases, plain("gamma", "gae_lambda"), given=_given,
    mistakes={name: function for name, function in MISTAKES.items() if function is not _given}, partly=GAE.partly,
    learned="The mask belongs to the step that ended: whether anything follows step t is known at t, not at t + 1.",
)  # fmt: skip
