"""The exercises of notebook 02: the recursion of GAE, an off-by-one, and the choice of lambda."""

import numpy as np

from lecture_utils import gae
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge, plain
from lecture_utils.experiments.gradient_angle import load_gradient_angle
from lecture_utils.experiments.statistics import interval

QUESTIONS = {f"after {age} updates, {size:,} samples": (age, size) for age in (4, 12) for size in (200, 3200)}


def check_gae(answer):
    """Exercise 2.1: answer(rewards, values, next_values, terminated, *, gamma, gae_lambda) -> advantages (..., T)."""
    return judge(GAE, answer)


def check_mended_gae(answer):
    """Exercise 2.2: the mended function, of the same arguments."""
    return judge(MENDED_GAE, answer)


def check_lambdas(answers):
    """Exercise 2.3: {age of the agent and size of the batch: lambda}, chosen among the lambdas that were measured."""
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
        measured=measured,
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
    """From one step to five, then two episodes side by side; ends in the middle, at the end, and nowhere."""
    ends = [[0], [1], [0, 0], [0, 1], [1, 0], [0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0, 1], [[0, 0, 1, 0], [0, 0, 0, 0]]]
    cases = [_case(rng, np.array(x, dtype=float)) for x in ends]
    whole = {name: _whole_numbers(rng, (4,)) for name in ("rewards", "values", "next_values", "terminated")}
    return [*cases, {**cases[0], **whole, "terminated": np.array([0, 1, 0, 0])}]


def _case(rng, terminated):
    numbers = {name: rng.uniform(-3, 3, terminated.shape).round(2) for name in ("rewards", "values", "next_values")}
    gamma, gae_lambda = (round(x, 2) for x in rng.uniform([0.7, 0.4], [0.95, 0.9]))
    return {**numbers, "terminated": terminated, "gamma": gamma, "gae_lambda": gae_lambda}


def _whole_numbers(rng, shape):
    return rng.choice([-3, -2, -1, 1, 2, 3], shape)


def _variant(bootstrap=lambda a: a, trace=lambda a: a, base=lambda v: v, gamma_in_trace=1, lambda_in_trace=1,
             recursive=True, plus=0.0, gamma_in_delta=1):  # fmt: skip
    """GAE with parts exchanged: how `terminated` reaches bootstrap and trace, whose value is subtracted, what fades."""

    def function(rewards, values, next_values, terminated, *, gamma, gae_lambda):
        alive = 1.0 - terminated
        delta = rewards + gamma**gamma_in_delta * bootstrap(alive) * next_values - base(values)
        keep = gamma**gamma_in_trace * gae_lambda**lambda_in_trace * trace(alive)
        advantages = delta.astype(float)
        for t in reversed(range(delta.shape[-1] - 1)):
            following = advantages if recursive else delta
            advantages[..., t] = delta[..., t] + keep[..., t] * following[..., t + 1]
        return advantages + plus * values

    return function


def _next(x):
    """What belongs to the next step, and to the last step again."""
    return np.concatenate([x[..., 1:], x[..., -1:]], axis=-1)


def _ended_at_the_clock(alive):
    return np.concatenate([alive[..., :-1], 0 * alive[..., -1:]], axis=-1)


def _of_next_values(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    return gae(rewards, next_values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda)


def _previous_trace(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    advantages = gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=0.0)
    alive = 1.0 - terminated
    for t in range(1, advantages.shape[-1]):
        advantages[..., t] += gamma * gae_lambda * alive[..., t - 1] * advantages[..., t - 1]
    return advantages


_given = _variant(trace=_next)
NEXT_VALUE = "off by one: the value of the next step is used for this one"
MISTAKES = {
    NEXT_VALUE: _of_next_values,
    "off by one: `values` are shifted by a step": _variant(base=_next),
    "off by one: the mask of the next step is used for this one": _given,
    "the trace is cut where the clock ran out: the last step is taken for an end":
        _variant(bootstrap=_ended_at_the_clock, trace=_ended_at_the_clock),
    "`terminated` masks the bootstrap, but not the trace": _variant(trace=np.ones_like),
    "`terminated` masks the trace, but not the bootstrap": _variant(bootstrap=np.ones_like),
    "`terminated` is not used": _variant(bootstrap=np.ones_like, trace=np.ones_like),
    "lambda is left out of the trace": _variant(lambda_in_trace=0),
    "gamma is left out of the trace": _variant(gamma_in_trace=0),
    "gamma is left out of the bootstrap": _variant(gamma_in_delta=0),
    "only the next temporal-difference error is added: the recursion needs the advantage of the next step":
        _variant(recursive=False),
    "no trace: this is the temporal-difference error": _variant(trace=np.zeros_like),
    "returns, not advantages: the value of the state is still in": _variant(plus=1.0),
    "the loop runs forwards: each step gets the advantages of the past": _previous_trace,
    "the sign is flipped": lambda *x, **k: -gae(*x, **k),
}  # fmt: skip
GAE = Task(
    "2.1", gae, _cases, plain("gamma", "gae_lambda"), mistakes=MISTAKES,
    partly={
        "right for a single step only": lambda case: case["rewards"].shape == (1,),
        "right only where nothing terminates": lambda case: not case["terminated"].any(),
        "right for a single episode only: time is the last axis": lambda case: case["rewards"].ndim == 1,
    },
    learned="One line, walked backwards; only `terminated` stops the bootstrap and the trace, the clock neither.",
)  # fmt: skip
MENDED_GAE = Task(
    "2.2", gae, _cases, plain("gamma", "gae_lambda"), given=_given,
    mistakes={name: function for name, function in MISTAKES.items() if function is not _given}, partly=GAE.partly,
    learned="The mask belongs to the step that ended: whether anything follows step t is known at t, not at t + 1.",
)  # fmt: skip
