"""The figures of notebook 05 show what was recorded."""

import numpy as np
import pandas as pd

from lecture_utils.experiments.ladder import LADDER, load_details
from lecture_utils.figures.details_that_matter import regret_by_recipe, scores_on_the_way


def test_the_figure_shows_every_run():
    settings = {name: f"ladder_{k:02}" for k, name in enumerate(LADDER)}
    (axes,) = regret_by_recipe(load_details(), settings).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [16] * len(LADDER)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(LADDER)


def made_up_scores():
    rows = [(name, seed, 10 * k, k / 4, -200.0 + k + seed) for name in "ab" for seed in (0, 1) for k in (1, 2, 3)]
    return pd.DataFrame(rows, columns=["program", "seed", "samples", "seconds", "score"])


def test_every_run_is_on_the_way():
    table = made_up_scores()
    left, right = scores_on_the_way(table, (-180.0, -160.0), -130.0).axes
    for axes, column in ((left, "samples"), (right, "seconds")):
        curves = [line for line in axes.lines if len(line.get_xdata()) == 3]
        assert len(curves) == 4
        for line, (_, run) in zip(curves, table.groupby(["program", "seed"]), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), run[column])
            np.testing.assert_array_equal(line.get_ydata(), run.score)
        levels = {line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2}
        assert levels == {-180.0, -160.0, -130.0}
    assert right.get_xscale() == "log"
