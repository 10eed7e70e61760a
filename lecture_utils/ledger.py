"""The claims ledger of notebook 04: what the lecture says, what was measured, and a verdict that follows from a rule.

A claim becomes one or more numbers, each with the side of a threshold on which the claim has it. A number with a 95 %
interval agrees with the claim where the whole interval lies on that side. A claim is supported where all its numbers
agree, not supported where none does, and otherwise depends on what those numbers tell apart.
"""

import dataclasses
import math

import pandas as pd

from lecture_utils import ledger_measures as m
from lecture_utils.ledger_measures import CELLS, EARLY, EPISODES, FIRST, MARGIN, RARELY, cell, final, last, mean, name


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
        Claim("Both algorithms run with identical hyperparameters.", (m.fields_that_differ(),)),
        Claim("Early learning is comparable.", (
            m.comparable("5 passes against 2", mean(ppo, 0, EARLY), mean(a2c, 0, EARLY)),
            *(m.comparable(name(*which), cell(passes, "PPO", *which, 0, EARLY), cell(passes, "A2C", *which, 0, EARLY))
              for which in CELLS if which[1] == 2),
        )),
        Claim("The clip rarely activates early.", (
            *(m.estimate(f"share outside, episodes 0 to 49, {name('abs', count)}",
                        cell(passes, "PPO", "abs", count, 0, FIRST, "clip_fraction"), (0, RARELY), 2)
              for count in (2, 10)),
        )),
        Claim("PPO reaches a higher asymptote.", (
            m.higher("5 passes against 2", last(ppo), last(a2c)),
            *(m.higher(name(*which), final(passes, "PPO", *which), final(passes, "A2C", *which))
              for which in CELLS),
        )),
        Claim("PPO has less variance.", (
            m.spread("5 passes against 2", last(a2c), last(ppo)),
            *(m.spread(name(*which), final(passes, "A2C", *which), final(passes, "PPO", *which))
              for which in CELLS),
        )),
        Claim("Ten passes destabilise A2C.", (
            m.difference("10 passes against 5", final(passes, "A2C", "abs", 10), final(passes, "A2C", "abs", 5),
                        (-math.inf, -MARGIN)),
            m.difference("10 passes against 2", final(passes, "A2C", "abs", 10), final(passes, "A2C", "abs", 2),
                        (-math.inf, -MARGIN)),
        )),
        Claim("Ten passes are safe for PPO.", (
            m.difference("10 passes against 5", final(passes, "PPO", "abs", 10), final(passes, "PPO", "abs", 5),
                        (-MARGIN, math.inf)),
            m.difference("10 passes against 2", final(passes, "PPO", "abs", 10), final(passes, "PPO", "abs", 2),
                        (-MARGIN, math.inf)),
        )),
        Claim("Outside the band the gradient vanishes, so the policy cannot run away.", (
            *(m.estimate(f"share outside, {name('abs', count)}",
                        cell(passes, "PPO", "abs", count, 0, EPISODES, "clip_fraction"), (0, RARELY), 2)
              for count in (2, 10)),
            *(m.kl_ratio(passes, count) for count in (2, 10)),
            m.width(passes, 10),
        )),
        Claim("The min admits guaranteed improvement only.", (m.falls(passes),)),
        Claim("Four cases describe the clip.", (m.covered(),)),
        Claim("No KL, no second order: a clamp and a min.", (m.other_operations(),)),
        Claim("PPO adds exactly three things to A2C.", (m.added(),)),
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
