"""The tables of notebook 05, computed from what `make data-details` recorded."""

import numpy as np
import pandas as pd

from lecture_utils.details import BUG_RECIPES, LADDER, LEAVE_ONE_OUT, STARTS
from lecture_utils.hyperparameters import TUNED
from lecture_utils.museum import BUGS
from lecture_utils.optimal import optimal_returns
from lecture_utils.pendulum import EPISODE_STEPS, fixed_starts
from lecture_utils.statistics import interval, iqm

ROUNDING = 1e-6  # a number smaller than this is what rounding leaves of a zero
SOLVED = 50.0  # points of regret; how long a run takes to get below is what the tables call samples and seconds
SYMPTOMS = {
    "loss_v": "critic loss",
    "explained_variance": "explained variance",
    "loss_ent": "entropy",
    "clip_fraction": "clip fraction",
    "approx_kl": "approx. KL",
}


def regrets(log, setting):
    """(R, S) regret of each run at each of its S scores: the optimum minus the mean return of the mean action.

    Over the fixed starts that the runs were scored on. A run that diverged keeps its last score.
    """
    optimum = optimal_returns(fixed_starts(STARTS)).mean()
    scores = log[log.setting == setting].pivot_table(index="run", columns="episode", values="score_mean")
    return optimum - scores.dropna(axis=1, how="all").ffill(axis=1).to_numpy()


def effort(log, setting):
    """(R, 2) samples, and seconds of one core, that each run took until its regret was below SOLVED; inf if never."""
    here = log[(log.setting == setting) & log.score_mean.notna()]
    seconds = here.pivot_table(index="run", columns="episode", values="seconds").ffill(axis=1).to_numpy()
    solved = regrets(log, setting) < SOLVED
    first = np.where(solved.any(axis=1), solved.argmax(axis=1), -1)
    ends = np.sort(here.episode.unique()) + TUNED.episodes_per_update
    taken = np.stack([ends[first] * EPISODE_STEPS, seconds[np.arange(len(first)), first] / len(first)], axis=1)
    return np.where(first[:, None] < 0, np.inf, taken)


def row(log, setting):
    """One row of the ladder: the regret at the end, and what a run took to get below SOLVED."""
    final, taken = regrets(log, setting)[:, -1], effort(log, setting)
    low, high = interval(final, statistic=iqm)
    samples, seconds = np.median(taken, axis=0)
    reached = np.isfinite(samples)
    return {
        "regret": round(iqm(final)),
        "95 % interval": f"{round(low)} to {round(high)}",
        "worst run": round(final.max()),
        "ever below 50": int(np.isfinite(taken[:, 0]).sum()),
        "end below 50": int((final < SOLVED).sum()),
        "samples to 50": f"{samples:,.0f}" if reached else "never",
        "seconds to 50": f"{seconds:.1f}" if reached else "never",
    }


def ladder_table(log):
    """A row a rung, from the lecture's recipe to TUNED; each adds one detail to the rung above it."""
    return _table({name: f"ladder_{k:02}" for k, name in enumerate(LADDER)}, log)


def leave_one_out_table(log):
    """A row a detail: TUNED with the lecture's value of that detail alone; TUNED itself first."""
    names = [f"without: {name}" for name in LEAVE_ONE_OUT]
    names[0] = "all of TUNED"
    return _table({name: f"without_{k:02}" for k, name in enumerate(names)}, log)


def healthy(bug):
    """The name of the setting that differs from the bug's by the bug alone."""
    return "without_00" if BUG_RECIPES[bug.__name__] == TUNED else "bug_none_with_entropy"


def symptoms(log, setting):
    """(R,) rows: what the diagnostics say of each run, means over the second quarter of the training."""
    here = log[log.setting == setting]
    episodes = here.episode.max() + TUNED.episodes_per_update
    window = here[(here.episode >= episodes / 4) & (here.episode < episodes / 2)]
    return window.groupby("run")[list(SYMPTOMS)].mean()


def museum_table(log):
    """A row a bug: the middle run's diagnostics, and what the bug costs in return.

    A star marks a number outside the range of the sixteen healthy runs: the symptom. The cost is the difference of the
    interquartile means of the return with and without the bug, with its 95 % interval.
    """
    rows = {"healthy": _exhibit(log, "without_00", "without_00")}
    rows |= {bug.__name__: _exhibit(log, f"bug_{bug.__name__}", healthy(bug)) for bug in BUGS}
    return pd.DataFrame(rows).T


def _exhibit(log, setting, without):
    sick, well = symptoms(log, setting), symptoms(log, without)
    cells = {}
    for column, name in SYMPTOMS.items():
        middle = sick[column].median()
        star = "" if well[column].min() <= middle <= well[column].max() else " *"
        cells[name] = (f"{middle:.2g}" if abs(middle) > ROUNDING else "0") + star
    if setting == without:
        return cells | {"cost": 0, "95 % interval": ""}
    final, other = regrets(log, setting)[:, -1], regrets(log, without)[:, -1]
    low, high = interval((final, other), statistic=lambda x, y, axis=0: iqm(x, axis) - iqm(y, axis))
    return cells | {"cost": round(iqm(final) - iqm(other)), "95 % interval": f"{round(low)} to {round(high)}"}


def _table(settings, log):
    return pd.DataFrame({name: row(log, setting) for name, setting in settings.items()}).T
