"""The figure of notebook 05 shows what was recorded."""

from lecture_utils.experiments.ladder import LADDER, load_details
from lecture_utils.figures.details_that_matter import regret_by_recipe


def test_the_figure_shows_every_run():
    settings = {name: f"ladder_{k:02}" for k, name in enumerate(LADDER)}
    (axes,) = regret_by_recipe(load_details(), settings).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [16] * len(LADDER)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(LADDER)
