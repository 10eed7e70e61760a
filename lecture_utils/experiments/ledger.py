"""The claims ledger of notebook 04: what the lecture says, what was measured, and a verdict that follows from a rule.

A claim becomes one or more numbers, each with the side of a threshold on which the claim has it. A number with a 95 %
interval agrees with the claim where the whole interval lies on that side. A claim is supported where all its numbers
agree, not supported where none does, and otherwise depends on what those numbers tell apart.
"""

import dataclasses
import dis
import math

import numpy as np
import pandas as pd

from lecture_utils import A2C, PPO, checks, clipped_surrogate
from lecture_utils.experiments.case_table import LECTURE_ROWS, SIGNS, case_table
from lecture_utils.experiments.class_diff import additions
from lecture_utils.experiments.fair_experiment import PASSES
from lecture_utils.experiments.statistics import interval, iqm

MARGIN = 100.0  # points of return that count as a difference: a twelfth of the way from untrained to the optimum
FIRST, EARLY, LATE, EPISODES = 50, 500, 250, 3000  # episodes: "early" for the clip, early learning, the end of training
RARELY = 0.1  # share of samples below which the clip "rarely activates", and a run-away policy stays in the band
UNIT_ENTROPY = 0.5 * math.log(2 * math.pi * math.e)  # nats, of a Gaussian with standard deviation 1
NEVER = 0.05  # share of steps below which a score "never" falls
CELLS = tuple((head, count) for head, counts in PASSES.items() for count in sorted(counts))


@dataclasses.dataclass(frozen=True)
class Claim:
    says: str
    measures: tuple

    @property
    def verdict(self):
        agree = [measure.agrees for measure in self.measures]
        if len(set(agree)) == 1:
            return "supported" if agree[0] else "not supported"
        return "depends: not for " + "; ".join(x.what for x in self.measures if not x.agrees)


def ledger(ppo, a2c, passes):
    """The claims, measured: a list of Claim.

    ppo, a2c: logs of the lecture's own settings (recordings.load_log). passes: the fair experiment (load_passes).
    """
    return [
        Claim("Both algorithms run with identical hyperparameters.", (fields_that_differ(),)),
        Claim("Early learning is comparable.", (
            comparable("5 passes against 2", mean(ppo, 0, EARLY), mean(a2c, 0, EARLY)),
            *(comparable(name(*which), cell(passes, "PPO", *which, 0, EARLY), cell(passes, "A2C", *which, 0, EARLY))
              for which in CELLS if which[1] == 2),
        )),
        Claim("The clip rarely activates early.", (
            *(estimate(f"share outside, episodes 0 to 49, {name('abs', count)}",
                        cell(passes, "PPO", "abs", count, 0, FIRST, "clip_fraction"), (0, RARELY), 2)
              for count in (2, 10)),
        )),
        Claim("PPO reaches a higher asymptote.", (
            higher("5 passes against 2", last(ppo), last(a2c)),
            *(higher(name(*which), final(passes, "PPO", *which), final(passes, "A2C", *which))
              for which in CELLS),
        )),
        Claim("PPO has less variance.", (
            spread("5 passes against 2", last(a2c), last(ppo)),
            *(spread(name(*which), final(passes, "A2C", *which), final(passes, "PPO", *which))
              for which in CELLS),
        )),
        Claim("Ten passes destabilise A2C.", (
            difference("10 passes against 5", final(passes, "A2C", "abs", 10), final(passes, "A2C", "abs", 5),
                        (-math.inf, -MARGIN)),
            difference("10 passes against 2", final(passes, "A2C", "abs", 10), final(passes, "A2C", "abs", 2),
                        (-math.inf, -MARGIN)),
        )),
        Claim("Ten passes are safe for PPO.", (
            difference("10 passes against 5", final(passes, "PPO", "abs", 10), final(passes, "PPO", "abs", 5),
                        (-MARGIN, math.inf)),
            difference("10 passes against 2", final(passes, "PPO", "abs", 10), final(passes, "PPO", "abs", 2),
                        (-MARGIN, math.inf)),
        )),
        Claim("Outside the band the gradient vanishes, so the policy cannot run away.", (
            *(estimate(f"share outside, {name('abs', count)}",
                        cell(passes, "PPO", "abs", count, 0, EPISODES, "clip_fraction"), (0, RARELY), 2)
              for count in (2, 10)),
            *(kl_ratio(passes, count) for count in (2, 10)),
            width(passes, 10),
        )),
        Claim("The min admits guaranteed improvement only.", (falls(passes),)),
        Claim("Four cases describe the clip.", (covered(),)),
        Claim("No KL, no second order: a clamp and a min.", (other_operations(),)),
        Claim("PPO adds exactly three things to A2C.", (added(),)),
    ]  # fmt: skip


def verdicts(claims):
    """The ledger in short, as a DataFrame: one row a claim, numbered from 1."""
    rows = [{"the lecture says": claim.says, "verdict": claim.verdict} for claim in claims]
    return pd.DataFrame(rows, index=range(1, len(claims) + 1))


def table(claims):
    """The ledger in full, as a DataFrame: one row a number, with its claim's; the claim stands in the first."""
    rows = [
        {
            "the lecture says": claim.says if first else "",
            "number": measure.what,
            "claimed": _side(measure),
            "measured": _format(measure.value, measure),
            "95 % interval": "counted" if measure.bounds is None else
            " to ".join(_format(bound, measure) for bound in measure.bounds),
            "agrees": "yes" if measure.agrees else "no",
        }
        for claim in claims
        for first, measure in zip([True] + [False] * len(claim.measures), claim.measures, strict=False)
    ]  # fmt: skip
    claim_numbers = [i for i, claim in enumerate(claims, 1) for _ in claim.measures]
    return pd.DataFrame(rows, index=claim_numbers)


def _side(measure):
    low, high = measure.claimed
    if low == high:
        return _format(low, measure)
    if high == math.inf:
        return f"above {_format(low, measure)}"
    if low in (0, -math.inf):
        return f"below {_format(high, measure)}"
    return f"{_format(low, measure)} to {_format(high, measure)}"


def _format(value, measure):
    return f"{value:,.{measure.digits}f}"


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number of a claim: its value, its 95 % interval, the range in which the claim has it.

    bounds is None where the number is counted, not estimated.
    """

    what: str
    value: float
    bounds: tuple | None
    claimed: tuple  # (low, high): the claim has the number between the two
    digits: int = 0

    @property
    def agrees(self):
        low, high = self.bounds or (self.value, self.value)
        return bool(self.claimed[0] <= low and high <= self.claimed[1])


def mean(log, first, last, column="reward"):
    """Each run's mean of a column over the episodes from `first` up to, not including, `last`."""
    return log[(log.episode >= first) & (log.episode < last)].groupby("run")[column].mean().to_numpy()


def last(log):
    """Each run's mean return over the last 250 episodes of a log."""
    return mean(log, log.episode.max() + 1 - LATE, math.inf)


def cell(passes, algorithm, std_head, count, first, last, column="reward"):
    """As mean, for one setting of the fair experiment."""
    chosen = (passes.algorithm == algorithm) & (passes.std_head == std_head) & (passes.passes == count)
    return mean(passes[chosen], first, last, column)


def final(passes, algorithm, std_head, count):
    """Each run's mean return over the last 250 episodes of one setting of the fair experiment."""
    return cell(passes, algorithm, std_head, count, EPISODES - LATE, EPISODES)


def name(std_head, count):
    """Such as "2 passes" (of the lecture's recipe) or "2 passes, softplus"."""
    return f"{count} {'pass' if count == 1 else 'passes'}" + (", softplus" if std_head == "softplus" else "")


def _difference(x, y, axis=0):
    """Interquartile mean of x minus that of y, along `axis`."""
    return iqm(x, axis) - iqm(y, axis)


def _spread(x, y, axis=0):
    """Standard deviation of x over that of y, along `axis`."""
    return np.std(x, axis=axis, ddof=1) / np.std(y, axis=axis, ddof=1)


def _quotient(x, y, axis=0):
    """Interquartile mean of x over that of y, along `axis`."""
    return iqm(x, axis) / iqm(y, axis)


def of_two(what, x, y, statistic, claimed, digits=0):
    return Measure(what, float(statistic(x, y)), interval((x, y), statistic=statistic), claimed, digits)


def comparable(label, ppo, a2c):
    return of_two(f"PPO minus A2C, episodes 0 to {EARLY - 1}, {label}", ppo, a2c, _difference, (-MARGIN, MARGIN))


def higher(label, ppo, a2c):
    return of_two(f"PPO minus A2C, last {LATE} episodes, {label}", ppo, a2c, _difference, (0, math.inf))


def spread(label, a2c, ppo):
    return of_two(f"spread of A2C's runs over PPO's, {label}", a2c, ppo, _spread, (1, math.inf), 1)


def difference(label, x, y, claimed):
    return of_two(f"last {LATE} episodes, {label}", x, y, _difference, claimed)


def kl_ratio(passes, count):
    x, y = (cell(passes, algorithm, "abs", count, 0, EPISODES, "approx_kl") for algorithm in ("PPO", "unclipped"))
    return of_two(f"KL an update over that without the clip, {name('abs', count)}", x, y, _quotient, (0, 1), 2)


def width(passes, count):
    """The standard deviation at the end, from the mean entropy. The claim has it below the torque limit, 2 N m."""
    std = np.exp(cell(passes, "PPO", "abs", count, EPISODES - LATE, EPISODES, "loss_ent") - UNIT_ENTROPY)
    return estimate(f"std at the end (N m), {name('abs', count)} (added after seeing it)", std, (0, 2.0), 0)


def estimate(what, x, claimed, digits=0):
    return Measure(what, float(iqm(x)), interval(x, statistic=iqm), claimed, digits)


def falls(passes):
    chosen = passes[(passes.algorithm == "PPO") & (passes.std_head == "abs") & (passes.passes == 2)]
    scores = chosen.dropna(subset="score_sampled").pivot_table(index="run", columns="episode", values="score_sampled")
    falls = (np.diff(scores, axis=1) < 0).mean(axis=1)
    what = "share of steps of 250 episodes after which the score on the same starts is lower"
    return Measure(what, float(falls.mean()), interval(falls), (0, NEVER), 2)


def fields_that_differ():
    ours, theirs = (dataclasses.asdict(agent.default) for agent in (PPO, A2C))
    differ = [name for name in ours if ours[name] != theirs[name]]
    return Measure(f"fields that differ: {', '.join(differ)}", len(differ), None, (0, 0))


def covered():
    cases = case_table(clip=0.2)
    points = list(zip(cases.advantage, cases.ratio, strict=True))
    rows = [
        (SIGNS[sign], *(offset + epsilons * 0.2 for offset, epsilons in ends)) for _, sign, _, *ends in LECTURE_ROWS
    ]
    covered = [any(s == a and low < r < high for s, low, high in rows) for a, r in points]
    return Measure(f"entries of the complete table covered, of {len(cases)}", sum(covered), None, (len(cases),) * 2)


def other_operations():
    """What the objective calls on tensors, from its bytecode, besides the two operations of the claim."""
    names = {i.argval for i in dis.get_instructions(clipped_surrogate) if i.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    others = names - {"min", "clamp"} - set(vars(checks))  # what checks the arguments computes nothing
    return Measure("operations in the objective besides min and clamp", len(others), None, (0, 0))


def added():
    return Measure("additions in the diff of the classes", len(additions(A2C, PPO)), None, (3, 3))
