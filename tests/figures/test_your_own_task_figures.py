"""The figures of notebook 06 show what was recorded, every run of it."""

import numpy as np
import pandas as pd

from lecture_utils.experiments.cartpole import PASSES, by_run, load_cartpole
from lecture_utils.experiments.mountain_car import SETTINGS, load_mountain_car
from lecture_utils.figures.your_own_task import arrivals, boat_ways, comparison, returns_on_the_way


def test_the_comparison_shows_every_run():
    log = load_cartpole()
    runs = by_run(log)
    left, right = comparison(log).axes
    for axes, column in ((left, "early"), (right, "score")):
        dots = [line for line in axes.lines if line.get_color() == "#767676"]
        assert [len(line.get_xdata()) for line in dots] == [16] * 3 * len(PASSES)
        assert sorted(np.concatenate([line.get_ydata() for line in dots])) == sorted(runs[column])
    ppo = next(line for line in right.lines if line.get_marker() == "o" and line.get_markersize() == 9)
    assert ppo.get_ydata()[-1] == 500


def test_arrivals_show_every_run_and_both_ways_to_push():
    (axes,) = arrivals(load_mountain_car()).axes
    thick = [line for line in axes.lines if line.get_linewidth() > 2]
    assert [line.get_label() for line in thick] == list(SETTINGS)
    assert len(axes.lines) == 2 * (8 + 1)
    assert thick[0].get_ydata()[-1] < 0.3 < thick[1].get_ydata()[-1] == 1


def test_returns_on_the_way_are_means_of_an_update():
    log = pd.DataFrame({"run": [0, 0, 1, 0], "step": [64, 64, 64, 128], "reward": [10.0, 20.0, 40.0, 30.0]})
    (axes,) = returns_on_the_way(log).axes
    mean = next(line for line in axes.lines if line.get_linewidth() == 2.5)
    np.testing.assert_array_equal(mean.get_xydata(), [(64, (15 + 40) / 2), (128, 30)])


def test_every_way_is_drawn_from_its_start():
    ways = [np.array([3 + 4j, 1 + 1j, 0j]), np.array([-2 - 1j, 0.5j])]
    (axes,) = boat_ways(ways).axes
    drawn = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) > 1]
    assert [x.tolist() for x in drawn] == [[[w.real, w.imag] for w in way] for way in ways]
    assert len(axes.texts) == 2
