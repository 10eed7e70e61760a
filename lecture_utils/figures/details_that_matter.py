"""The figure of notebook 05: the regret that each recipe leaves, run by run."""

import numpy as np

from lecture_utils.experiments.ladder import SOLVED, regrets
from lecture_utils.experiments.statistics import iqm
from lecture_utils.figures.style import PALETTE, fixed_settings, new_figure


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
    axes.axvline(SOLVED, color=PALETTE["black"], linestyle=":", linewidth=1.2)
    axes.set_yticks(range(len(settings)), list(settings))
    axes.set(xscale="log")
    axes.set_xlabel("regret: points of return below the optimum (log scale)", loc="right")  # wider than the axes
    axes.set_xticks([10, 20, 50, 100, 200, 500, 1000], ["10", "20", "50", "100", "200", "500", "1000"])
    axes.minorticks_off()
    axes.invert_yaxis()
    return figure
