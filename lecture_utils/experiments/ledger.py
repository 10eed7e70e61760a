"""The claims ledger of notebook 04: what the lecture says, what was measured at its own settings, and where else.

A claim becomes one number with a 95 % interval over runs, and the range in which the claim has that number. The verdict
is "supported" where the whole interval lies in the range, "contradicted" where all of it lies outside, and "undecided"
where it lies across the range's end. `elsewhere` asks the same number of other settings, by the same rule. What holds
by the construction of the code (`by_construction`) is no measurement, and stands apart.
"""

import dataclasses
import dis
import math

import numpy as np
import pandas as pd

from lecture_utils import A2C, PPO, checks, clipped_surrogate
from lecture_utils.experiments.case_table import case_table, lecture_cases
from lecture_utils.experiments.class_diff import additions
from lecture_utils.experiments.fair_experiment import FAR, PASSES
from lecture_utils.experiments.statistics import interval, iqm

EARLY, LATE, EPISODES = 500, 250, 3000  # episodes: "the first few hundred", the end, all
BLOCK = 50  # episodes of one mean of a curve
MARGIN = 100.0  # points of return
RARELY = 0.1  # share of samples
SELDOM = 0.05  # share of updates
# Those that the lecture names in parentheses:
NAMED = ("gamma", "gae_lambda", "entropy_coef", "actor_lr", "critic_lr", "minibatch_size")
OWN = {"A2C": 5, "PPO": 2}  # the lecture's passes; it scores the cut action, and its standard deviation is |z|
STATISTICS = {"interquartile mean": iqm, "mean": np.mean, "median": np.median}  # of the runs; the first is the ledger's


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number, its 95 % interval (low, high), and the range (low, high) in which the claim has it."""

    where: str  # the setting
    value: float
    bounds: tuple
    claimed: tuple
    digits: int = 0

    @property
    def verdict(self):
        (low, high), (least, most) = self.bounds, self.claimed
        if least <= low and high <= most:
            return "supported"
        return "contradicted" if high < least or low > most else "undecided"

    def __str__(self):
        value, low, high = (f"{x:,.{self.digits}f}" for x in (self.value, *self.bounds))
        return f"{value} [{low}, {high}]"


@dataclasses.dataclass(frozen=True)
class Claim:
    """says: the lecture's words. number: what is measured. threshold: why its range is the claim's. own: a Measure."""

    says: str
    number: str
    threshold: str
    sentence: str  # what was found, with {} for the Measure at the lecture's settings
    own: Measure
    elsewhere: tuple  # Measures

    @property
    def verdict(self):
        return self.own.verdict

    @property
    def found(self):
        return self.sentence.format(self.own)

    @property
    def other_places(self):
        """Such as "2 supported, 1 undecided: drawn action, 5 passes"."""
        parts = []
        for verdict in ("supported", "undecided", "contradicted"):
            places = [measure.where for measure in self.elsewhere if measure.verdict == verdict]
            parts += [f"{verdict}: {', '.join(_joined(places))}"] if places else []
        return "; ".join(parts)


def _joined(places):
    """ "drawn action, 2 passes" and "drawn action, 5 passes" as "drawn action, 2 and 5 passes"."""
    kinds = {}
    for place in places:
        kind, _, counts = place.rpartition(", ")
        kinds.setdefault(kind, []).append(counts.removesuffix(" passes").removesuffix(" pass"))
    return [f"{kind} ({', '.join(counts)})" for kind, counts in kinds.items()]


class Runs:
    """The recorded runs, by setting. ppo, a2c: the lecture's logs (recordings.load_log); passes: load_passes()."""

    def __init__(self, ppo, a2c, passes=None, statistic=iqm):
        self.own, self.statistic = {"PPO": _blocks(ppo), "A2C": _blocks(a2c)}, statistic
        cells = ["algorithm", "std_head", "scored", "passes"]
        self.cells = {} if passes is None else dict(list(passes.groupby(cells)))

    def of(self, setting):
        """The rows of an algorithm at the lecture's settings ("PPO"), or of a cell of the fair experiment (a tuple)."""
        return self.own[setting] if isinstance(setting, str) else self.cells[setting]

    def mean(self, setting, first, last, column="reward"):
        """(R,) means of a column over the episodes from `first` up to, not including, `last`."""
        rows = self.of(setting)
        rows = rows[(rows.episode >= first) & (rows.episode < last)]
        return rows.groupby("run")[column].mean().to_numpy()

    def end(self, setting):
        return self.mean(setting, EPISODES - LATE, EPISODES)

    def early(self, setting):
        return self.mean(setting, 0, EARLY)

    def dip(self, setting):
        """(R,) largest fall within a curve of 50-episode means: the highest point before, minus the point."""
        curves = self.of(setting).pivot_table(index="run", columns="episode", values="reward").to_numpy()
        return (np.maximum.accumulate(curves, axis=1) - curves).max(axis=1)

    def one(self, where, x, claimed, digits=0):
        return Measure(where, float(self.statistic(x)), interval(x, statistic=self.statistic), claimed, digits)

    def difference(self, where, x, y, claimed):
        def statistic(x, y, axis=0):
            return self.statistic(x, axis=axis) - self.statistic(y, axis=axis)

        return Measure(where, float(statistic(x, y)), interval((x, y), statistic=statistic), claimed)

    def quotient(self, where, x, y, claimed):
        def statistic(x, y, axis=0):
            return self.statistic(x, axis=axis) / self.statistic(y, axis=axis)

        return Measure(where, float(statistic(x, y)), interval((x, y), statistic=statistic), claimed, digits=1)


def _blocks(log):
    """A log of train in means of 50 episodes, as the fair experiment's is."""
    log = log.assign(episode=log.episode // BLOCK * BLOCK)
    return log.groupby(["run", "episode"], as_index=False).mean(numeric_only=True)


def _cells(*counts, heads=PASSES):
    """(where, the cell without its algorithm) of the fair experiment, in the order of the tables."""
    return [
        (f"{_kind(head, scored)}, {count} {'pass' if count == 1 else 'passes'}", (head, scored, count))
        for head in heads
        for scored in ("cut", "drawn")
        for count in sorted(counts or PASSES[head])
        if count in PASSES[head]
    ]


def _kind(head, scored):
    return f"{scored} action" + (", softplus" if head == "softplus" else "")


def _of_returns(runs):
    """Of the claims that take returns alone: how PPO and A2C are measured, by which number of a run, and the range."""

    def a2c_over_ppo(where, ppo, a2c, claimed):
        return runs.quotient(where, a2c, ppo, claimed)

    return {
        1: (runs.difference, runs.early, (-MARGIN, MARGIN)),
        3: (runs.difference, runs.end, (0, math.inf)),
        4: (a2c_over_ppo, runs.dip, (1, math.inf)),
    }


def ledger(ppo, a2c, passes, statistic=iqm):
    """The measured claims: a list of Claim.

    ppo, a2c: logs of the lecture's own settings (recordings.load_log). passes: the fair experiment (load_passes).
    statistic: of the runs, one of STATISTICS' values; the ledger's own is the interquartile mean.
    """
    runs = Runs(ppo, a2c, passes, statistic)
    higher = (0, math.inf)
    cells = _cells()

    def against(measure, of, claimed):
        """PPO against A2C, at the lecture's own passes and at equal passes in every cell."""
        own = measure("5 passes of A2C, 2 of PPO", of("PPO"), of("A2C"), claimed)
        return own, tuple(measure(where, of(("PPO", *cell)), of(("A2C", *cell)), claimed) for where, cell in cells)

    def ten_for_five(algorithm, of, claimed):
        pairs = {
            _kind(*kind): (of((algorithm, *kind, 10)), of((algorithm, *kind, 5)))
            for kind in (("abs", "cut"), ("abs", "drawn"))
        }
        own, *others = (runs.difference(f"{kind}, 10 passes", *pair, claimed) for kind, pair in pairs.items())
        return own, tuple(others)

    returns, early = _of_returns(runs), runs.early

    def outside(setting):
        return runs.mean(setting, 0, EARLY, "clip_fraction")

    def far(setting):
        return runs.mean(setting, 0, EPISODES, "far")

    own_cell = ("abs", "cut", OWN["PPO"])
    others = [(where, cell) for where, cell in cells if cell != own_cell]
    return [
        Claim(
            "Early learning is comparable. For the first few hundred episodes, both collect mostly random rollouts",
            f"PPO minus A2C, mean return of episodes 0 to {EARLY - 1}",
            f"within {MARGIN:.0f} points, a twelfth of the way from an untrained policy to the optimum, "
            "which a reader of the curves would not notice",
            "PPO is ahead by {} points.",
            *against(*returns[1]),
        ),
        Claim(
            "and the clip rarely activates",
            f"share of PPO's samples outside the band, mean of episodes 0 to {EARLY - 1}",
            f"below {RARELY:g}: nine samples of ten are treated as without a clip",
            "Share of the samples outside the band: {}.",
            runs.one("2 passes", outside("PPO"), (0, RARELY), 3),
            tuple(runs.one(where, outside(("PPO", *cell)), (0, RARELY), 3) for where, cell in others),
        ),
        Claim(
            "PPO reaches a higher asymptote",
            f"PPO minus A2C, mean return of the last {LATE} episodes",
            "above 0: higher by whatever amount",
            "PPO ends higher by {} points.",
            *against(*returns[3]),
        ),
        Claim(
            "with less variance. [A2C] occasionally takes a step that invalidates its own advantage estimates and the "
            "reward curve dips",
            f"largest dip within a run's curve of {BLOCK}-episode means, A2C over PPO",
            "above 1: A2C's are deeper",
            "A2C's largest dip is {} times PPO's.",
            *against(*returns[4]),
        ),
        Claim(
            "If you re-ran A2C with 10 inner passes instead of 5, you would see training destabilize",
            f"A2C, 10 passes minus 5, mean return of the last {LATE} episodes",
            f"worse by {MARGIN:.0f} points or more",
            "A2C's end changes by {} points.",
            *ten_for_five("A2C", runs.end, (-math.inf, -MARGIN)),
        ),
        Claim(
            "PPO's clip means the same change is safe",
            f"PPO, 10 passes minus 5, mean return of the last {LATE} episodes",
            f"not worse by {MARGIN:.0f} points",
            "PPO's end changes by {} points.",
            *ten_for_five("PPO", runs.end, (-MARGIN, math.inf)),
        ),
        Claim(
            "(and usually helpful, since you reuse each rollout more)",
            f"PPO, 10 passes minus 5, mean return of episodes 0 to {EARLY - 1}",
            "above 0: reuse shows in the speed of learning",
            "PPO's first 500 episodes change by {} points.",
            *ten_for_five("PPO", early, higher),
        ),
        Claim(
            "The gradient automatically vanishes once r leaves the band in the wrong direction, so the optimizer can "
            "safely run multiple epochs [...] without blowing up the policy",
            f"share of PPO's updates that move the policy by more than {FAR:g} nat (exact KL)",
            f"below {SELDOM:g}; {FAR:g} nat is a mean action moved by 1.4 standard deviations",
            "Share of the updates beyond 1 nat: {}.",
            runs.one("2 passes", far(("PPO", *own_cell)), (0, SELDOM), 3),
            tuple(runs.one(where, far(("PPO", *cell)), (0, SELDOM), 3) for where, cell in others),
        ),
    ]


def verdicts(claims):
    """The ledger in short, as a DataFrame: one row a claim, numbered from 1."""
    rows = [
        {
            "the lecture says": x.says,
            "range": _side(*x.own.claimed),
            "found": x.found,
            "verdict": x.verdict,
            "elsewhere": x.other_places,
        }
        for x in claims
    ]  # fmt: skip
    return pd.DataFrame(rows, index=range(1, len(claims) + 1))


def table(claims):
    """The ledger in full, as a DataFrame: one row a number; the first of each claim is at the lecture's settings."""
    rows = [
        {
            "claim": number,
            "number": claim.number,
            "setting": f"the lecture's: {measure.where}" if measure is claim.own else measure.where,
            "the claim has it": _side(*measure.claimed),
            "measured": f"{measure.value:,.{measure.digits}f}",
            "95 % interval": " to ".join(f"{bound:,.{measure.digits}f}" for bound in measure.bounds),
            "verdict": measure.verdict,
        }
        for number, claim in enumerate(claims, 1)
        for measure in (claim.own, *claim.elsewhere)
    ]
    return pd.DataFrame(rows)


def _side(low, high):
    if high == math.inf:
        return f"above {low:g}"
    return f"below {high:g}" if low in (0, -math.inf) else f"{low:g} to {high:g}"


def by_statistic(ppo, a2c, passes):
    """The verdicts at the lecture's settings with each of STATISTICS: a DataFrame, one row a claim, numbered from 1."""
    columns = {
        name: [claim.verdict for claim in ledger(ppo, a2c, passes, statistic)] for name, statistic in STATISTICS.items()
    }
    return pd.DataFrame(columns, index=range(1, len(next(iter(columns.values()))) + 1)).rename_axis("claim")


def with_many_runs(ppo, a2c, many, statistic=iqm):
    """Claims 1, 3 and 4 by sixteen runs and by 1,024: a DataFrame, one row a claim; many: load_many_runs()."""
    rows = {}
    for runs in (
        Runs(ppo, a2c, None, statistic),
        Runs(*(_from_blocks(many[name]) for name in ("ppo", "a2c")), statistic=statistic),
    ):
        for claim, (measure, of, claimed) in _of_returns(runs).items():
            found = measure("", of("PPO"), of("A2C"), claimed)
            count = f"{len(of('PPO')):,} runs"
            rows.setdefault(claim, {}).update({count: str(found), f"verdict of {count}": found.verdict})
    return pd.DataFrame(rows).T.rename_axis("claim")


def _from_blocks(returns):
    """(R, blocks) means of BLOCK episodes as a log: a DataFrame with run, episode and reward."""
    run, block = np.indices(returns.shape)
    return pd.DataFrame({"run": run.ravel(), "episode": block.ravel() * BLOCK, "reward": returns.ravel()})


def by_construction():
    """What the lecture says of the code and of the formula, counted in ours: a DataFrame, one row a sentence."""
    ours, theirs = (dataclasses.asdict(agent.default) for agent in (PPO, A2C))
    differ = [name for name in ours if ours[name] != theirs[name]]
    rows_right, cases = lecture_rows_right(), case_table(clip=0.2)
    below = (cases.objective <= cases.unclipped).sum()
    rows = [
        ("both with identical hyperparameters (gamma, lambda, entropy, actor lr, critic lr, mini-batch)",
         f"{sum(ours[name] == theirs[name] for name in NAMED)} of the {len(NAMED)} named are equal; "
         f"beside them differ: {', '.join(differ)}, as the lecture's table of the two says"),
        ("this is the pessimistic bound",
         f"at most the unclipped surrogate in {below} of {len(cases)} cases; it is no bound on the return"),
        ("the four cases of what the clip does",
         f"{sum(rows_right)} of {len(rows_right)} rows are right; a ratio between 1 and the edge beyond it has no row"),
        ("no KL constraint, no second-order optimization: just a hard clamp and a min",
         f"{len(other_operations())} other operations in the objective"),
        ("the PPO class adds exactly three things", f"{len(additions(A2C, PPO))} additions in the diff of the classes"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["the lecture says", "in this code"])


def lecture_rows_right():
    """Of each row of the lecture's case table, whether the gradient is what it says, at ratios across its range."""
    says = {"already": ["0"], "still": ["1", "-1"]}
    rows = lecture_cases(clip=0.2)
    return [
        gradient in says["already" if "already" in case else "still"]
        for case, gradient in zip(rows.case, rows.gradient, strict=True)
    ]


def other_operations():
    """What the objective calls on tensors, from its bytecode, besides the two operations of the claim."""
    names = {i.argval for i in dis.get_instructions(clipped_surrogate) if i.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    return names - {"min", "clamp"} - set(vars(checks))  # what checks the arguments computes nothing
