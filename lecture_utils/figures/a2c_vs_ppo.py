"""Figures of notebook 04: A2C and PPO over many runs."""

import numpy as np

from lecture_utils.experiments.statistics import interval, iqm
from lecture_utils.figures.ppo_training import smoothed
from lecture_utils.figures.style import PALETTE, fixed_settings, new_figure

LOOKS = {
    "A2C": {"color": PALETTE["orange"], "linestyle": "--", "marker": "s"},
    "unclipped": {"color": PALETTE["green"], "linestyle": "-.", "marker": "^"},
    "PPO": {"color": PALETTE["blue"], "linestyle": "-", "marker": "o"},
}


@fixed_settings()
def training_curves(logs, optimum, window=100):
    """Return over episodes: every run thin, the interquartile mean thick with its 95 % bootstrap interval shaded.

    logs: dict of "A2C", "PPO" -> DataFrame with run, episode, reward. optimum: a mean return to draw as a line. Each
    point is the mean of the `window` episodes before it.
    """
    figure, axes = new_figure(width=7.6, height=4.0)
    for name, log in logs.items():
        look = {key: LOOKS[name][key] for key in ("color", "linestyle")}
        curves = smoothed(log, window).dropna()
        low, high = interval(curves.to_numpy().T, statistic=iqm, resamples=500)
        axes.plot(curves.index, curves, color=look["color"], linewidth=0.5, alpha=0.45, linestyle="-")
        axes.fill_between(curves.index, low, high, color=look["color"], alpha=0.3, linewidth=0)
        axes.plot(curves.index, iqm(curves, axis=1), label=f"{name}: interquartile mean of {curves.shape[1]}", **look)
    axes.axhline(optimum, color=PALETTE["black"], linestyle=":", linewidth=1.5, label="optimum")
    axes.set(xlabel="episode (200 steps each)", ylabel=f"return, mean of {window} episodes", ylim=(-1700, 0))
    axes.legend(loc="lower right", fontsize=10)
    return figure


@fixed_settings()
def one_seed(logs, runs, window=100):
    """One run of each algorithm, as a paper with one seed would show them.

    logs: dict of "A2C", "PPO" -> DataFrame. runs: dict of the same names -> the number of the run.
    """
    figure, axes = new_figure(width=7.2, height=3.2)
    for name, log in logs.items():
        curve = smoothed(log[log.run == runs[name]], window).dropna()
        look = {key: LOOKS[name][key] for key in ("color", "linestyle")}
        axes.plot(curve.index, curve, label=f"{name}, seed {runs[name]}", **look)
    axes.set(xlabel="episode (200 steps each)", ylabel=f"return, mean of {window} episodes", ylim=(-1700, 0))
    axes.legend(loc="lower right")
    return figure


@fixed_settings()
def by_passes(runs, measured, panels, labels, label, log=False, reference=None, limits=None):
    """One panel a value of `panels`: every run a dot over the number of passes, interquartile means joined by lines.

    runs: a DataFrame, one row a run and setting, with algorithm, passes, `panels` and the column `measured`.
    panels: the column that tells the panels apart. labels: its values -> titles. label: of the vertical axis, whose
    scale is logarithmic with `log`, and goes from limits[0] to limits[1] where they are given. reference: a number to
    draw as a line.
    """
    figure, grid = new_figure(1, len(labels), width=8.2, height=3.5, sharey=True, squeeze=False)
    for axes, (value, title) in zip(grid[0], labels.items(), strict=True):
        here = runs[runs[panels] == value]
        counts = sorted(here.passes.unique())
        for shift, (name, look) in zip((-0.2, 0.0, 0.2), LOOKS.items(), strict=True):
            groups = [here[(here.algorithm == name) & (here.passes == n)][measured].to_numpy() for n in counts]
            places = np.arange(len(counts)) + shift
            for place, group in zip(places, groups, strict=True):
                axes.plot(np.full(len(group), place), group, look["marker"], color=look["color"], alpha=0.35,
                          markersize=4, linestyle="none")  # fmt: skip
            axes.plot(places, [iqm(group) for group in groups], label=name, markersize=8,
                      **{key: look[key] for key in ("color", "linestyle", "marker")})  # fmt: skip
        if reference is not None:
            axes.axhline(reference, color=PALETTE["black"], linestyle=":", linewidth=1.5)
        axes.set_xticks(range(len(counts)), counts)
        axes.set(xlabel="passes over each rollout", title=title)
        if log:
            axes.set_yscale("log")
    grid[0, 0].set(ylabel=label, ylim=limits)
    grid[0, 0].legend(fontsize=10)
    return figure


@fixed_settings()
def widths(groups, limit=2.0):
    """The standard deviation of the policy over the episodes, logarithmic: runs thin, their median thick.

    groups: dict of name -> DataFrame of run, episode and std (N m). limit: the motor's, in N m, drawn as a line.
    """
    figure, axes = new_figure(width=7.6, height=3.8)
    looks = zip((("blue", "-"), ("orange", "--"), ("green", "-.")), groups.items(), strict=False)
    for (color, linestyle), (name, rows) in looks:
        curves = rows.pivot(index="episode", columns="run", values="std")
        axes.plot(curves.index, curves, color=PALETTE[color], linewidth=0.5, alpha=0.45, linestyle="-")
        axes.plot(curves.index, curves.median(axis=1), color=PALETTE[color], linestyle=linestyle, label=name)
    axes.axhline(limit, color=PALETTE["black"], linestyle=":", linewidth=1.5, label="limit of the torque")
    axes.set(xlabel="episode (200 steps each)", ylabel="standard deviation (N m)", yscale="log")
    axes.legend(loc="upper left", fontsize=10)
    return figure


@fixed_settings()
def many_ends(many, few, bins=50):
    """How the runs of each algorithm are distributed, one panel each: histograms of many runs, a mark for each of few.

    many, few: dicts of "A2C", "PPO" -> (R,) mean returns of a run. The line is the interquartile mean of the many, the
    bar the 95 % interval of that of the few.
    """
    figure, grid = new_figure(2, 1, width=7.6, height=4.2, sharex=True, sharey=True)
    edges = np.linspace(min(x.min() for x in many.values()), max(x.max() for x in many.values()), bins + 1)
    highest = max(np.histogram(returns, edges)[0].max() for returns in many.values())
    for axes, (name, returns) in zip(grid, many.items(), strict=True):
        color = LOOKS[name]["color"]
        axes.hist(returns, edges, color=color, alpha=0.45)
        axes.axvline(iqm(returns), color=color, linewidth=2)
        low, high = interval(few[name], statistic=iqm)
        axes.plot([low, high], [-0.12 * highest] * 2, color=PALETTE["black"], linewidth=3)
        axes.plot(few[name], np.full(len(few[name]), -0.28 * highest), "|", color=color, markersize=9)
        axes.set(ylabel=f"{name}\nruns of {len(returns):,}")
    grid[-1].set(xlabel="mean return of the last 250 episodes")
    return figure
