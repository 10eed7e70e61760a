"""The exercises of notebook 05: which action is scored, whose advantages are normalised together, a planted bug."""

import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils import checks
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge
from lecture_utils.experiments.faulty_runs import BUGS, side_by_side

LIMIT = 2.0  # the torque limit of Pendulum-v1


def check_scored_action(answer):
    """Exercise 5.1: answer(mean, std, noise, limit) -> (applied action, log_prob); all (B, A), log_prob (B,)."""
    return judge(SCORED_ACTION, answer)


def check_normalize(answer):
    """Exercise 5.2: answer(advantage (R, N)) -> (R, N), each run to mean 0 and standard deviation 1."""
    return judge(NORMALIZE, answer)


def plant_bug(number):
    """The diagnostics of healthy runs and of runs with a bug that the number decides: a DataFrame of text.

    number: any whole number; whoever chose it does not know the bug either. Answer with check_bug(number, bug).
    """
    return side_by_side({"healthy": "healthy", "with the bug": _bug(number)})


def check_bug(number, answer):
    """Exercise 5.3: the bug that plant_bug(number) planted, one of BUGS."""
    bug, question = _bug(number), f"bug number {number}"
    signs = {
        BUGS[0]: "the return falls while the diagnostics look healthy: the update works, in the wrong direction",
        BUGS[1]: "clip_fraction and approx_kl are 0, because every step is compared with itself; yet kl_after is not",
        BUGS[2]: "the policy does not move at all: kl_after is 0, and so are approx_kl and clip_fraction",
        BUGS[3]: "the explained variance is near 0: the critic knows the mean return and nothing about the state",
    }
    answers = answer if answer is ... or answer is None else {question: answer}
    return judge_choices(
        "5.3", answers, {question: {bug}}, BUGS,
        "A bug is found by what it leaves unchanged, too: compare every row with the healthy run.",
        measured={question: f"the sign: {signs[bug]}"},
        mistakes=[(f"a bug of another kind than {answer!r:.80}", {question: set(BUGS) - {bug}})],
    )  # fmt: skip


def _bug(number):
    number = checks.plain(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"number must be a whole number, got {number!r}")
    return BUGS[np.random.default_rng(abs(number) + 5).integers(len(BUGS))]


def _both(function, inputs):
    returned = function(*inputs.values())
    if returned is None or returned is ...:
        return {"result": returned}
    action, log_prob = returned
    return {"result": log_prob, "applied action": action}


def _score(scored="sampled", applied="clipped", reduce=lambda x: x.sum(-1), scale=lambda s: s):
    def function(mean, std, noise, limit):
        sampled = mean + scale(std) * noise
        actions = {"sampled": sampled, "clipped": sampled.clamp(-limit, limit), "mean": mean}
        return actions[applied], reduce(Normal(mean, scale(std)).log_prob(actions[scored]))

    return function


def _squared_scale(mean, std, noise, limit):
    sampled = mean + std * noise
    return sampled.clamp(-limit, limit), Normal(mean, std**2).log_prob(sampled).sum(-1)


def _score_cases(rng):
    """Inside the limits, beyond either, then three samples of two dimensions, one beyond."""
    rows = [([[0.3]], [[0.5]]), ([[1.6]], [[1.5]]), ([[-1.6]], [[-1.5]]),
            ([[1.6, 0.2], [0.4, -0.3], [-1.7, 1.8]], [[1.5, 0.4], [0.5, -0.6], [-1.4, 1.2]])]  # fmt: skip
    cases = []
    for dtype, (mean, noise) in zip((torch.float32, torch.float32, torch.float32, torch.float64), rows, strict=True):
        mean, noise = (torch.tensor(x, dtype=dtype) for x in (mean, noise))
        shift, std = (torch.as_tensor(rng.uniform(*x, mean.shape).round(2), dtype=dtype)
                      for x in ((-0.2, 0.2), (0.6, 0.9)))  # fmt: skip
        cases.append({"mean": mean + shift, "std": std, "noise": noise, "limit": LIMIT})
    return cases


def _normalize(centre=True, divide=lambda x, **k: x.std(**k), axis=-1, small=1e-8):
    def function(advantage):
        dims = {"dim": axis, "keepdim": True} if axis is not None else {"dim": (0, 1), "keepdim": True}
        shifted = advantage - advantage.mean(**dims) if centre else advantage
        return shifted / (divide(advantage, **dims) + small)

    return function


def _normalize_cases(rng):
    """Two runs of very different size and offset, then more; last a run whose advantages are all alike."""
    cases = []
    for (runs, n), dtype in zip([(1, 3), (2, 3), (4, 50), (3, 8)], [torch.float32] * 3 + [torch.float64], strict=True):
        offset, size = rng.uniform(-30, 30, (runs, 1)), 10 ** rng.uniform(-0.5, 1.5, (runs, 1))
        cases.append({"advantage": torch.as_tensor((offset + size * rng.normal(size=(runs, n))).round(2), dtype=dtype)})
    cases.append({"advantage": torch.full((1, 4), float(rng.integers(-5, 5)))})
    return cases


SCORED_ACTION = Task(
    "5.1", _score(), _score_cases, _both,
    mistakes={
        "the clipped action is scored, not the sampled one": _score(scored="clipped"),
        "the action is not clipped to the limit": _score(applied="sampled"),
        "the mean action is scored": _score(scored="mean"),
        "the mean action is applied: no exploration": _score(applied="mean"),
        "log-probabilities are not summed over the action's dimensions": _score(reduce=lambda x: x),
        "the mean over the action's dimensions is taken for the sum": _score(reduce=lambda x: x.mean(-1)),
        "the sum goes over the samples, too": _score(reduce=lambda x: x.sum()),
        "the density is scored, not its logarithm": _score(reduce=lambda x: x.sum(-1).exp()),
        "the standard deviation is squared: Normal takes std, not the variance": _squared_scale,
    },
    partly={
        "right inside the limits only": lambda case: (case["mean"] + case["std"] * case["noise"]).abs() < LIMIT,
        "right for one action dimension only": lambda case: case["mean"].shape[1] == 1,
    },
    learned="The environment gets the clipped action, the policy is held to the one that it drew.",
)  # fmt: skip

NORMALIZE = Task(
    "5.2", _normalize(), _normalize_cases, lambda function, inputs: {"result": function(*inputs.values())},
    mistakes={
        "runs leak into each other: all runs are normalised together": _normalize(axis=None),
        "the wrong axis: every sample is normalised across runs": lambda x: _normalize(axis=0)(x).nan_to_num(),
        "the mean is not taken off": _normalize(centre=False),
        "divided by the variance, not by its root": _normalize(divide=lambda x, **k: x.var(**k)),
        "not divided by the standard deviation": _normalize(divide=lambda x, **k: torch.ones_like(x)),
        "advantages that are all alike are divided by zero": _normalize(small=0.0),
        "the sign of the advantage is flipped": lambda x: -_normalize()(x),
    },
    partly={
        "right for a single run only": lambda case: len(case["advantage"]) == 1,
    },
    learned="Each run has mean 0 and standard deviation 1 of its own; no run's numbers reach another's gradient.",
)  # fmt: skip
