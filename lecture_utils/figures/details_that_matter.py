"""The figures of notebook 05: the regret that each recipe leaves, and scores on the way, run by run."""

import numpy as np

from lecture_utils.experiments.ladder import CLOSE, regrets
from lecture_utils.experiments.statistics import iqm
from lecture_utils.figures.style import LINE_STYLES, PALETTE, fixed_settings, new_figure


@fixed_settings()
def regret_by_recipe(log, settings):
    """Regret at the end of training, logarithmic, a line a recipe: every run a small mark, the middle runs' mean large.

    log: ladder.load_details(). settings: dict of label -> name of the setting, top to bottom.
    """
    figure, axes = new_figure(width=7.8, height=0.8 + 0.24 * len(settings))
    shift = 0.3 * (np.random.default_rng(0).random(64) - 0.5)  # so that runs do not hide each other
    for y, setting in enumerate(settings.values()):
        final = np.maximum(regrets(log, setting)[:, -1], 1.0)
        axes.plot(final, y + shift[: len(final)], "o", markersize=3, color=PALETTE["grey"], alpha=0.7)
        axes.plot(iqm(final), y, "D", markersize=7, color=PALETTE["blue"])
    axes.axvline(CLOSE, color=PALETTE["black"], linestyle=":", linewidth=1.2)
    axes.set_yticks(range(len(settings)), list(settings))
    axes.set(xscale="log")
    axes.set_xlabel("regret: points of return below the optimum (log scale)", loc="right")  # wider than the axes
    axes.set_xticks([10, 20, 50, 100, 200, 500, 1000], ["10", "20", "50", "100", "200", "500", "1000"])
    axes.minorticks_off()
    axes.invert_yaxis()
    return figure


@fixed_settings()
def scores_on_the_way(table, thresholds, optimum):
    """The score of every run over the samples (left) and over the seconds of one core (right, logarithmic).

    table: time_to_solve.load_time_to_solve(). thresholds, optimum: returns to draw as lines.
    """
    figure, panels = new_figure(1, 2, width=8.6, height=4.2, sharey=True)
    colors = ("blue", "orange", "green", "purple")
    for (program, rows), color, linestyle in zip(table.groupby("program"), colors, LINE_STYLES, strict=False):
        look = {"color": PALETTE[color], "linestyle": linestyle, "linewidth": 1.1, "alpha": 0.8}
        for k, (_, run) in enumerate(rows.groupby("seed")):
            for axes, column in zip(panels, ("samples", "seconds"), strict=True):
                axes.plot(run[column], run.score, label=program if k == 0 else None, **look)
    for axes in panels:
        for threshold in thresholds:
            axes.axhline(threshold, color=PALETTE["grey"], linestyle=":", linewidth=1)
        axes.axhline(optimum, color=PALETTE["black"], linestyle=":", linewidth=1.5)
    panels[0].set(ylim=(-420, optimum + 15), xlabel="samples (environment steps of a run)",
                  ylabel="mean return on 300 fixed starts")  # fmt: skip
    panels[0].set_xticks([0, 30_000, 60_000, 90_000])
    panels[0].xaxis.set_major_formatter("{x:,.0f}")
    panels[1].set(xscale="log", xlabel="seconds of one core, a run")
    panels[1].xaxis.set_major_formatter("{x:g}")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=10, frameon=False
    )
    return figure
