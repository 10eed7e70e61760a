"""The exercises of notebook 05: which action is scored, whose advantages are normalised together, a planted bug."""

import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils import checks
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Refused, Task, judge
from lecture_utils.exercises.verdict import checker
from lecture_utils.experiments.faulty_runs import BUGS, side_by_side
from lecture_utils.experiments.probes import ENOUGH, PROBES, load_probes

PROBED = {  # bug of exercise 5.4 -> its class in the museum
    "the sign of the advantage is wrong": "WrongSign",
    "values meet every return": "BroadcastValues",
    "the clock's cut counts as an end": "CutIsEnd",
    "advantages belong to the step before": "ShiftedAdvantage",
    "runs leak into each other": "LeakAcrossRuns",
}


@checker
def check_scored_action(answer):
    """Exercise 5.1: answer(mean, std, noise, limit) -> (applied action, log_prob); all (B, A), log_prob (B,)."""
    return judge(SCORED_ACTION, answer)


@checker
def check_normalize(answer):
    """Exercise 5.2: answer(advantage (R, N)) -> (R, N), each run to mean 0 and standard deviation 1."""
    return judge(NORMALIZE, answer)


def plant_bug(number):
    """The diagnostics of healthy runs and of runs with a bug that the number decides: a DataFrame of text.

    number: any whole number; whoever chose it does not know the bug either. Answer with check_bug(number, bug).
    """
    return side_by_side({"healthy": "healthy", "with the bug": _bug(number)})


@checker
def check_bug(number, answer, show=False):
    """Exercise 5.3: the bug that plant_bug(number) planted, one of BUGS.

    show: whether the right answer is told, with its sign in the table.
    """
    bug, question = _bug(number), f"bug number {checks.plain(number)}"
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
        measured={question: f"the sign: {signs[bug]}"}, show=show,
        mistakes=[(f"{name}; with this bug {sign}. The table says otherwise", {question: {name}})
                  for name, sign in signs.items() if name != bug],
    )  # fmt: skip


@checker
def check_probes(answers, show=False):
    """Exercise 5.4: {bug of PROBED: the first probe of the ladder that finds it, or "none"}, as recorded.

    show: whether the right answers are told, with the runs of sixteen that answer each probe.
    """
    table = load_probes().pivot_table("right", "algorithm", "probe")[list(PROBES)]
    found = {bug: [probe for probe, right in table.loc[name].items() if right < ENOUGH] for bug, name in PROBED.items()}
    accepted = {bug: {probes[0] if probes else "none"} for bug, probes in found.items()}
    measured = {bug: "runs of sixteen that answer: " + ", ".join(f"{k} {n}" for k, n in table.loc[name].items())
                for bug, name in PROBED.items()}  # fmt: skip
    return judge_choices(
        "5.4", answers, accepted, (*PROBES, "none"),
        "A probe finds the part that it needs. What no probe needs, here a second run, none of them finds.",
        measured=measured, show=show,
        mistakes=[
            ("the last probe finds most of them; the first that does so says where to look",
             {bug: {list(PROBES)[-1]} for bug in PROBED}),
            ("no probe has a second run, so none can find what leaks from one",
             {**accepted, "runs leak into each other": set(PROBES)}),
            ("where the clock ran out is seen by the one probe whose task goes on",
             {**accepted, "the clock's cut counts as an end": {*PROBES, "none"} - {"time matters"}}),
            ("a critic that knows the mean alone is right where all states are worth the same",
             {**accepted, "values meet every return": {*PROBES, "none"} - {"the state matters"}}),
            ("the wrong way to go is seen where the action counts, and nowhere before",
             {**accepted, "the sign of the advantage is wrong": {*PROBES, "none"} - {"the action matters"}}),
        ],
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
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise Refused("two results are asked for, the applied action and a log-probability")
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


def _from_noise(mean, std, noise, limit):
    return (mean + std * noise).clamp(-limit, limit), Normal(0.0, 1.0).log_prob(noise).sum(-1)


def _squashed(mean, std, noise, limit):
    sampled = mean + std * noise
    return limit * sampled.tanh(), Normal(mean, std).log_prob(sampled).sum(-1)


def _score_cases(rng):
    """Inside the limits, beyond either, then three samples of two dimensions. In units of the limit.

    Of the last ones a mean lies beyond the limit, and its action inside; their limit is larger than the pendulum's 2.
    """
    rows = [([[0.15]], [[0.5]]), ([[0.8]], [[1.5]]), ([[-0.8]], [[-1.5]]),
            ([[0.8, 0.1], [0.2, 1.3], [-0.85, 0.9]], [[1.5, 0.4], [0.5, -1.6], [-1.4, 1.2]])]  # fmt: skip
    dtypes = (torch.float32, torch.float32, torch.float32, torch.float64)
    cases = []
    for dtype, limit, (mean, noise) in zip(dtypes, [*rng.permutation([0.5, 0.8, 1.5]), 3.0], rows, strict=True):
        limit = float(limit)
        mean, noise = (np.array(x) for x in (mean, noise))
        mean = (limit * (mean + rng.uniform(-0.1, 0.1, mean.shape))).round(2)
        std = (limit * rng.uniform(0.3, 0.45, mean.shape)).round(2)
        mean, std, noise = (torch.as_tensor(x, dtype=dtype) for x in (mean, std, noise))
        cases.append({"mean": mean, "std": std, "noise": noise, "limit": limit})
    return cases


def _normalize(centre=True, divide=lambda x, **k: x.std(**k), axis=-1, small=1e-8):
    def function(advantage):
        dims = {"dim": axis if axis is not None else (0, 1), "keepdim": True}
        shifted = advantage - advantage.mean(**dims) if centre else advantage
        return shifted / (divide(advantage, **dims) + small)

    return function


def _only_the(what):
    """One of mean and standard deviation from all runs together, the other from each run."""

    def function(x):
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return (x - x.mean()) / (std + 1e-8) if what == "mean" else (x - mean) / (x.std() + 1e-8)

    return function


def _each(x):
    return _normalize()(x)


def _centred(x):
    return x - x.mean(-1, keepdim=True)


def _normalize_cases(rng):
    """Two runs of very different size and offset, then more; last a run whose advantages are all alike.

    The sizes are far above any small number that is added to the denominator.
    """
    cases = []
    for (runs, n), dtype in zip([(1, 3), (2, 3), (4, 50), (3, 8)], [torch.float32] * 3 + [torch.float64], strict=True):
        size, offset = 10 ** rng.uniform(1, 2.5, (runs, 1)), rng.uniform(20, 90, (runs, 1)) * rng.choice([-1, 1])
        noise = rng.permuted(np.linspace(-1.5, 1.5, n) + rng.uniform(-0.1, 0.1, (runs, n)), axis=-1)
        cases.append({"advantage": torch.as_tensor((offset + size * noise).round(2), dtype=dtype)})
    cases.append({"advantage": torch.full((1, 4), float(rng.integers(1, 6) * rng.choice([-1, 1])))})
    return cases


SCORED_ACTION = Task(
    "5.1", _score(), _score_cases, _both,
    mistakes={
        "the clipped action is scored, not the sampled one": _score(scored="clipped"),
        "the action is not clipped to the limit": _score(applied="sampled"),
        "clipped action scored and sampled one applied: the two are exchanged": _score("clipped", "sampled"),
        "the mean action is scored": [_score(scored="mean"), _score("mean", "mean")],
        "the mean action is applied: no exploration": _score(applied="mean"),
        "the mean is clipped before the noise is added": lambda m, s, n, limit: _score()(
            m.clamp(-limit, limit), s, n, limit),
        "the noise is scored, not the action: the standard deviation is missing in the density": _from_noise,
        "the noise is added without its standard deviation":
            lambda m, s, n, limit: ((m + n).clamp(-limit, limit), Normal(m, s).log_prob(m + n).sum(-1)),
        "the action is squashed with tanh, and should be clipped": _squashed,
        "the argument limit is not used: 2 stands in the code": lambda m, s, n, limit: _score()(m, s, n, 2.0),
        "clipped at one end only": [
            lambda m, s, n, limit: ((m + s * n).clamp(max=limit), _score()(m, s, n, limit)[1]),
            lambda m, s, n, limit: ((m + s * n).clamp(min=-limit), _score()(m, s, n, limit)[1])],
        "clipped to [0, limit]: the lower end is -limit":
            lambda m, s, n, limit: ((m + s * n).clamp(0, limit), _score()(m, s, n, limit)[1]),
        "the two results are in the wrong order": lambda *x: _score()(*x)[::-1],
        "log-probabilities are not summed over the action's dimensions": _score(reduce=lambda x: x),
        "the mean over the action's dimensions is taken for the sum": _score(reduce=lambda x: x.mean(-1)),
        "the sum goes over the samples, too": _score(reduce=lambda x: x.sum()),
        "the sum goes over the samples, not over the action's dimensions": _score(reduce=lambda x: x.sum(0)),
        "the density is scored, not its logarithm": _score(reduce=lambda x: x.sum(-1).exp()),
        "the sign of the log-probability is flipped": _score(reduce=lambda x: -x.sum(-1)),
        "the standard deviation is squared: Normal takes std, not the variance": _squared_scale,
        "the root of the standard deviation is taken: Normal takes std":
            lambda m, s, n, limit: ((m + s * n).clamp(-limit, limit), Normal(m, s.sqrt()).log_prob(m + s * n).sum(-1)),
    },
    partly={
        "right inside the limits only":
            lambda case: ((case["mean"] + case["std"] * case["noise"]).abs() < case["limit"]).all(-1),
        "right for one action dimension only":
            lambda case: torch.full(case["mean"].shape[:1], case["mean"].shape[1] == 1),
    },
    learned="The environment gets the clipped action, the policy is held to the one that it drew.",
)  # fmt: skip

NORMALIZE = Task(
    "5.2", _normalize(), _normalize_cases, lambda function, inputs: {"result": function(*inputs.values())},
    relative=1e-3,  # a small number in the denominator is right, up to a thousandth
    mistakes={
        "runs leak into each other: all runs are normalised together": _normalize(axis=None),
        "runs leak into each other: the mean is that of all runs": _only_the("mean"),
        "runs leak into each other: the standard deviation is that of all runs": _only_the("std"),
        "the wrong axis: every sample is normalised across runs":
            [lambda x: _normalize(axis=0)(x).nan_to_num(), _normalize(axis=0)],
        "the mean is not taken off": _normalize(centre=False),
        "only the mean is divided by the standard deviation: a bracket is missing":
            lambda x: x - x.mean(-1, keepdim=True) / (x.std(-1, keepdim=True) + 1e-8),
        "population standard deviation: torch.std divides by N - 1":
            _normalize(divide=lambda x, **k: x.std(correction=0, **k)),
        "divided by the variance, not by its root": _normalize(divide=lambda x, **k: x.var(**k)),
        "divided by the root of the standard deviation": _normalize(divide=lambda x, **k: x.std(**k).sqrt()),
        "multiplied by the standard deviation": lambda x: _centred(x) * x.std(-1, keepdim=True),
        "not divided by the standard deviation": _normalize(divide=lambda x, **k: torch.ones_like(x)),
        "divided by the norm": _normalize(divide=lambda x, dim, keepdim: _centred(x).norm(dim=dim, keepdim=keepdim)),
        "divided by the mean size": _normalize(divide=lambda x, dim, keepdim: _centred(x).abs().mean(dim, keepdim)),
        "divided by the largest size": _normalize(divide=lambda x, dim, keepdim: _centred(x).abs().amax(dim, keepdim)),
        "divided by the root mean square of what the mean was not taken off":
            _normalize(divide=lambda x, dim, keepdim: x.square().mean(dim, keepdim).sqrt()),
        "scaled to a range by smallest and largest": lambda x: (x - x.amin(-1, True)) / (
            x.amax(-1, True) - x.amin(-1, True) + 1e-8),
        "the median is taken off, not the mean":
            lambda x: (x - x.median(-1, True).values) / (x.std(-1, keepdim=True) + 1e-8),
        "advantages that are all alike are divided by zero": _normalize(small=0.0),
        "the number in the denominator is not small": [_normalize(small=1.0), _normalize(small=0.1)],
        "cut off at a size, which is not asked here": [lambda x, at=at: _each(x).clamp(-at, at) for at in (1.0,)],
        "the sign of the advantage is flipped": lambda x: -_each(x),
    },
    partly={
        "right for a single run only": lambda case: torch.full(case["advantage"].shape, len(case["advantage"]) == 1),
        "right but where the advantages are all alike":
            lambda case: (case["advantage"] != case["advantage"][0, 0]).any(),
    },
    learned="Each run has mean 0 and standard deviation 1 of its own; no run's numbers reach another's gradient.",
)  # fmt: skip
