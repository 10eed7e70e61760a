"""The exercises of notebook 06: the log-probability of a choice, and advantages across the ends of episodes."""

import numpy as np
import torch
from torch.distributions import Categorical

from lecture_utils import gae
from lecture_utils.exercises.judge import Task, judge, plain
from lecture_utils.exercises.verdict import checker


@checker
def check_choice(answer):
    """Exercise 6.1: answer(logits (B, C), choice (B,)) -> (B,) log-probabilities of the choices made."""
    return judge(CHOICE, answer)


@checker
def check_across_episodes(answer):
    """Exercise 6.2: answer(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda) -> (..., T)."""
    return judge(ACROSS, answer)


def _chosen(x, choice):
    return x.gather(-1, choice[:, None])[:, 0]


def _log_prob(logits, choice):
    return _chosen(logits.log_softmax(-1), choice)


def _choice_cases(rng):
    """One row of two choices, the less likely one made; then more rows and choices."""
    cases = []
    for rows, choices, dtype in [(1, 2, torch.float32), (1, 3, torch.float32), (2, 2, torch.float32),
                                 (3, 2, torch.float32), (4, 3, torch.float64)]:  # fmt: skip
        logits = torch.as_tensor(rng.uniform(-2, 2, (rows, choices)).round(2), dtype=dtype)
        choice = torch.as_tensor(rng.integers(choices, size=rows))
        choice[0] = logits[0].argmin()
        cases.append({"logits": logits, "choice": choice})
    return cases


CHOICE = Task(
    "6.1", _log_prob, _choice_cases, plain(),
    mistakes={
        "the logit itself is returned: only normalised over the choices it is a log-probability": _chosen,
        "the probability is returned, not its logarithm": lambda x, c: _chosen(x.softmax(-1), c),
        "normalised over the batch: it is the choices of one state whose probabilities add up to 1":
            lambda x, c: _chosen(x.log_softmax(0), c),
        "the log-probability of the likeliest choice, not of the one that was made":
            lambda x, c: x.log_softmax(-1).max(-1).values,
        "summed over all choices: only the one that was made counts": lambda x, c: x.log_softmax(-1).sum(-1),
        "the entropy of the policy is returned": lambda x, c: Categorical(logits=x).entropy(),
        "the sign is flipped: this is a cross-entropy, minus the log-probability": lambda x, c: -_log_prob(x, c),
    },
    partly={"right for one row only": lambda case: len(case["logits"]) == 1},
    learned="Normalise over the choices, then take the one that was made. All else of PPO stays as it was.",
)  # fmt: skip


def _case(rng, marks):
    """marks: "." a step like any other, "e" an end, "c" a cut; the numbers are drawn anew.

    V(s_{t+1}) is the next of the values but after an end or a cut, as whoever collects has it.
    """
    marks = np.array([list(row) for row in marks]).squeeze(0) if len(marks) == 1 else np.array([*map(list, marks)])
    numbers = {name: rng.uniform(-3, 3, marks.shape).round(2) for name in ("rewards", "values", "next_values")}
    follows = np.concatenate([marks[..., :-1] == ".", np.zeros_like(marks[..., -1:], dtype=bool)], axis=-1)
    numbers["next_values"] = np.where(follows, np.roll(numbers["values"], -1, axis=-1), numbers["next_values"])
    gamma, gae_lambda = (round(x, 2) for x in rng.uniform([0.7, 0.4], [0.95, 0.9]))
    masks = {"terminated": (marks == "e").astype(float), "truncated": (marks == "c").astype(float)}
    return {**numbers, **masks, "gamma": gamma, "gae_lambda": gae_lambda}


def _across_cases(rng):
    rows = [["."], [".."], ["...."], ["....", "...."], ["e."], ["c."], [".e.."], [".c.."], [".e.c."],
            [".e.c..", "c...e."]]  # fmt: skip
    return [_case(rng, row) for row in rows]


def _across(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    return gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda, truncated=truncated)


def _masked(bootstrap, trace, following=lambda values, next_values: next_values):
    """The recursion with other masks; each is a function of terminated and truncated that gives 1 where nothing stops.

    following: the values after each step, made of values and next_values.
    """

    def function(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
        after = following(values, next_values)
        advantages = rewards + gamma * bootstrap(terminated, truncated) * after - values
        keep = gamma * gae_lambda * trace(terminated, truncated)
        for t in reversed(range(rewards.shape[-1] - 1)):
            advantages[..., t] += keep[..., t] * advantages[..., t + 1]
        return advantages

    return function


def _kept(power_of_gamma, power_of_lambda):
    """The recursion with other powers of the two factors in the trace."""

    def function(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
        advantages = rewards + gamma * (1 - terminated) * next_values - values
        keep = gamma**power_of_gamma * gae_lambda**power_of_lambda * _goes_on(terminated, truncated)
        for t in reversed(range(rewards.shape[-1] - 1)):
            advantages[..., t] += keep[..., t] * advantages[..., t + 1]
        return advantages

    return function


def _alone(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    """The temporal-difference error of the next step in place of its advantage."""
    delta = rewards + gamma * (1 - terminated) * next_values - values
    later = np.concatenate([delta[..., 1:], np.zeros_like(delta[..., -1:])], axis=-1)
    return delta + gamma * gae_lambda * _goes_on(terminated, truncated) * later


def _on_the_first_axis(*arrays, **numbers):
    return _across(*(x.T for x in arrays), **numbers).T


def _end_to_end(*arrays, **numbers):
    return _across(*(x.reshape(-1) for x in arrays), **numbers).reshape(arrays[0].shape)


def _normalized(*arrays, **numbers):
    advantages = _across(*arrays, **numbers)
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def _alive(terminated, truncated):
    return 1 - terminated


def _goes_on(terminated, truncated):
    return (1 - terminated) * (1 - truncated)


def _always(terminated, truncated):
    return np.ones_like(terminated)


def _one_late(mask):
    def shifted(terminated, truncated):
        x = mask(terminated, truncated)
        return np.concatenate([np.ones_like(x[..., :1]), x[..., :-1]], axis=-1)

    return shifted


ACROSS = Task(
    "6.2", _across, _across_cases, plain("gamma", "gae_lambda"),
    mistakes={
        "a cut is taken for an end: after a cut the task would go on, so the value after it counts":
            _masked(_goes_on, _goes_on),
        "an end is taken for a cut: after an end no reward can follow": _masked(_always, _goes_on),
        "the trace runs across a cut, into another episode": _masked(_alive, _alive),
        "the trace runs across an end, into another episode":
            _masked(_alive, lambda terminated, truncated: 1 - truncated),
        "the trace runs across ends and cuts": _masked(_alive, _always),
        "neither ends nor cuts are used": _masked(_always, _always),
        "the masks are used a step late": _masked(_one_late(_alive), _one_late(_goes_on)),
        "`next_values` are taken from the next row of `values`: after an end or a cut that is another episode":
            _masked(_alive, _goes_on, lambda v, n: np.concatenate([v[..., 1:], n[..., -1:]], axis=-1)),
        "ends and cuts are exchanged": _masked(lambda e, c: 1 - c, _goes_on),
        "lambda is left out of the trace: these are Monte Carlo advantages": _kept(1, 0),
        "gamma is left out of the trace": _kept(0, 1),
        "no trace: this is the temporal-difference error": _masked(_alive, lambda e, c: 0 * e),
        "only the next temporal-difference error is added: the recursion needs the advantage of the next step": _alone,
        "gamma is left out of the bootstrap":
            lambda r, v, n, e, c, *, gamma, gae_lambda: _across(r, v, n / gamma, e, c, gamma=gamma,
                                                                gae_lambda=gae_lambda),
        "the value of the state is not taken off": lambda r, v, n, e, c, **k: _across(r, 0 * v, n, e, c, **k),
        "values and next_values are exchanged": lambda r, v, n, e, c, **k: _across(r, n, v, e, c, **k),
        "returns, not advantages: the value of the state is still in": lambda r, v, *x, **k: _across(r, v, *x, **k) + v,
        "the value after the last step is not that of the first: np.roll goes around":
            lambda r, v, n, e, c, **k: _across(r, v, np.roll(v, -1, axis=-1), e, c, **k),
        "the sign is flipped": lambda *x, **k: -_across(*x, **k),
        "the advantages are normalised, which is not asked here": _normalized,
        "the result is in reversed order: a list that grew backwards is not turned around":
            lambda *x, **k: _across(*x, **k)[..., ::-1],
        "time is taken to be on the first axis: it is on the last": _on_the_first_axis,
        "environments side by side run into each other": _end_to_end,
    },
    partly={
        "right only where no episode ends or is cut": lambda case: not (case["terminated"] + case["truncated"]).any(),
        "right only where nothing is cut": lambda case: not case["truncated"].any(),
        "right only where nothing terminates": lambda case: not case["terminated"].any(),
        "right for one environment only: time is the last axis": lambda case: case["rewards"].ndim == 1,
    },
    learned="An end masks the value and the trace. A cut masks the trace alone.",
)  # fmt: skip
