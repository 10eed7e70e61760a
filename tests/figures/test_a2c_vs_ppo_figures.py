"""The figures of notebook 04 draw what they are given."""

import numpy as np
import pandas as pd
import pytest

from lecture_utils.experiments.statistics import interval, iqm
from lecture_utils.figures.a2c_vs_ppo import LOOKS, by_passes, many_ends, one_seed, training_curves, widths


def made_up_logs():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(4), range(120)], names=["run", "episode"])
    return {
        name: pd.DataFrame({"reward": rng.normal(-600, 50, len(index))}, index=index).reset_index()
        for name in ("A2C", "PPO")
    }


def made_up_runs():
    index = pd.MultiIndex.from_product([LOOKS, [1, 2], range(8)], names=["algorithm", "passes", "run"])
    return pd.DataFrame({"reward": np.arange(len(index), dtype=float), "head": "abs"}, index=index).reset_index()


@pytest.fixture
def logs():
    return made_up_logs()


def labelled(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_training_curves_show_every_run_and_the_interquartile_mean(logs):
    (axes,) = training_curves(logs, optimum=-140.0, window=20).axes
    lines = labelled(axes)
    assert set(lines) == {"A2C: interquartile mean of 4", "PPO: interquartile mean of 4", "optimum"}
    assert len(axes.lines) == 2 * (4 + 1) + 1
    assert len(axes.collections) == 2, "an interval for each"
    last = logs["PPO"][logs["PPO"].episode >= 99].query("episode < 119").groupby("run").reward.mean()
    assert lines["PPO: interquartile mean of 4"].get_ydata()[-1] == pytest.approx(iqm(last), abs=5)
    assert lines["optimum"].get_ydata()[0] == -140.0


def test_one_seed_draws_the_runs_that_were_picked(logs):
    (axes,) = one_seed(logs, {"A2C": 1, "PPO": 3}, window=20).axes
    lines = labelled(axes)
    assert set(lines) == {"A2C, seed 1", "PPO, seed 3"}
    expected = logs["A2C"].query("run == 1").reward.rolling(20).mean().dropna().iloc[-1]
    assert lines["A2C, seed 1"].get_ydata()[-1] == pytest.approx(expected, abs=15)


def test_by_passes_joins_interquartile_means():
    runs = made_up_runs()
    (axes,) = by_passes(runs, "reward", "head", {"abs": "title"}, label="return").axes
    assert axes.get_ylabel() == "return"
    for name, line in labelled(axes).items():
        here = runs[runs.algorithm == name]
        np.testing.assert_allclose(line.get_ydata(), [iqm(here[here.passes == n].reward) for n in (1, 2)])


def made_up_widths():
    index = pd.MultiIndex.from_product([range(4), range(0, 200, 50)], names=["run", "episode"])
    return pd.DataFrame({"std": np.exp(np.random.default_rng(0).normal(size=len(index)))}, index=index).reset_index()


def test_widths_draw_every_run_its_median_and_the_limit():
    rows = made_up_widths()
    (axes,) = widths({"two": rows, "ten": rows.assign(std=rows["std"] * 10)}, limit=2.0).axes
    lines = labelled(axes)
    assert set(lines) == {"two", "ten", "limit of the torque"}
    assert len(axes.lines) == 2 * (4 + 1) + 1
    np.testing.assert_allclose(lines["ten"].get_ydata(), 10 * rows.groupby("episode")["std"].median())
    assert set(lines["limit of the torque"].get_ydata()) == {2.0}
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "standard deviation (N m)")


def made_up_ends(many=400, few=16):
    rng = np.random.default_rng(0)
    return [{name: rng.normal(mean, 50, n) for name, mean in {"A2C": -500, "PPO": -300}.items()} for n in (many, few)]


def test_many_ends_shows_how_runs_are_distributed_and_where_the_few_lie():
    many, few = made_up_ends()
    figure = many_ends(many, few)
    assert figure.axes[-1].get_xlabel() == "mean return of the last 250 episodes"
    for axes, (name, returns) in zip(figure.axes, many.items(), strict=True):
        assert axes.get_ylabel() == f"{name}\nruns of 400"
        bars = [(patch.get_x(), patch.get_height()) for patch in axes.patches]
        edges, counts = np.array(bars).T
        assert counts.sum() == len(returns)
        assert np.average(edges, weights=counts) == pytest.approx(returns.mean(), abs=20)
        middle, bar, strokes = axes.lines
        assert middle.get_xdata()[0] == iqm(returns)
        np.testing.assert_array_equal(bar.get_xdata(), interval(few[name], statistic=iqm))
        np.testing.assert_array_equal(strokes.get_xdata(), few[name])
        assert max(*bar.get_ydata(), *strokes.get_ydata()) < 0


def test_limits_are_those_that_are_asked_for():
    (axes,) = by_passes(made_up_runs(), "reward", "head", {"abs": ""}, label="return", limits=(-5, 70)).axes
    assert axes.get_ylim() == (-5, 70)
