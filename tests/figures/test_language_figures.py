"""The figures of notebook 07 draw what they are given."""

import numpy as np
import pandas as pd
import pytest

from lecture_utils.figures.language import over_probability, over_updates, paths

FRONTIER = np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.9, 1.0])


def made_up_paths(runs=3):
    """Runs that learn as fast as their number says, of two settings, in a DataFrame as brackets.train returns it."""
    index = pd.MultiIndex.from_product([["a", "b"], range(runs), (0, 20, 40)], names=["setting", "run", "update"])
    table = index.to_frame(index=False)
    progress = table["update"] * (1 + table["run"] / 10) / 100 * (1 + (table["setting"] == "b"))
    return table.assign(kl=progress, reward=0.5 + progress / 4, alike=progress.where(table["update"] > 0))


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_paths_show_every_run_its_end_and_the_optimum():
    table = made_up_paths()
    logs = dict(list(table.groupby("setting")))
    (axes,) = paths(logs, FRONTIER, {"start": (0.0, 0.5)}).axes
    named = lines(axes)
    np.testing.assert_array_equal(named["the optimum"].get_xydata(), np.column_stack(FRONTIER))
    assert len(axes.lines) == 1 + 2 * (3 + 1) + 1, "the optimum, each run and their ends, the mark"
    for name, log in logs.items():
        ends = log[log["update"] == 40]
        np.testing.assert_array_equal(named[f"{name}: 3 runs, their ends marked"].get_xydata(), ends[["kl", "reward"]])
    assert [text.get_text() for text in axes.texts] == ["start"]
    assert axes.get_xlim()[1] > table["kl"].max()


def test_the_frontier_alone_can_be_drawn():
    (axes,) = paths({}, FRONTIER).axes
    assert list(lines(axes)) == ["the optimum"]


@pytest.mark.parametrize(("lowest", "bottom"), [(0.2, 0.0), (-1.0, None)])
def test_over_probability_marks_the_prompts(lowest, bottom):
    x = np.linspace(0.1, 0.9, 5)
    (axes,) = over_probability({"one": (x, x + lowest), "two": (x, x + 1)}, [0.3, 0.7], "weight").axes
    named = lines(axes)
    np.testing.assert_array_equal(named["two"].get_ydata(), x + 1)
    marks = named["our ten prompts"]
    assert list(marks.get_xdata()) == [0.3, 0.7]
    assert set(marks.get_ydata()) == {axes.get_ylim()[0]}
    assert bottom is None or axes.get_ylim()[0] == bottom
    assert axes.get_ylabel() == "weight"


def test_over_updates_joins_means_of_runs():
    table = made_up_paths()
    figure = over_updates(table, ["b"], {"reward": "reward", "alike": "share"}, limits=(0, 2))
    assert [axes.get_ylabel() for axes in figure.axes] == ["reward", "share"]
    rows = table[table["setting"] == "b"]
    for axes, column in zip(figure.axes, ("reward", "alike"), strict=True):
        mean = rows.groupby("update")[column].mean().dropna()
        np.testing.assert_allclose(lines(axes)["b"].get_xydata(), np.column_stack([mean.index, mean]))
        assert len(axes.lines) == 3 + 1
        assert axes.get_ylim() == (0, 2)
