"""Maps over states and the panels of diagnostics: labelled, and showing the numbers they were given."""

import json
import pathlib

import numpy as np
import pytest

from lecture_utils import PendulumVectorEnv
from lecture_utils.experiments.recordings import load_log
from lecture_utils.figures.ppo_training import DIAGNOSTICS, diagnostics, observed, state_grid, state_maps

CELLS = (5, 3)


def test_states_are_observed_as_the_environment_shows_them():
    states = state_grid(CELLS)
    envs = PendulumVectorEnv(len(states))
    np.testing.assert_allclose(observed(states), envs.reset(options={"state": states})[0], atol=1e-6)


def test_a_state_is_drawn_where_the_axes_say():
    states = state_grid(CELLS)
    figure = state_maps({"angle": states[:, 0], "speed": states[:, 1]}, ("rad", "rad/s"), ((-4, 4), (-9, 9)), CELLS)
    angle, speed = (axes.images[0] for axes in figure.axes[:2])
    assert angle.origin == "lower"
    left, right, low, high = angle.get_extent()
    assert left < 0 < right
    assert low < 0 < high
    assert (np.diff(angle.get_array(), axis=1) > 0).all()  # the angle grows to the right
    assert (np.diff(speed.get_array(), axis=0) > 0).all()  # the speed grows upwards


def test_maps_are_labelled():
    figure = state_maps({"a": np.zeros(15), "b": np.ones(15)}, ("N m", "reward"), ((-2, 2), (0, 1)), CELLS)
    left, right, *bars = figure.axes
    assert [left.get_title(), right.get_title()] == ["a", "b"]
    assert "angle" in left.get_xlabel()  # in words: in the notebook theta is the policy's parameters
    assert "angle" in right.get_xlabel()
    assert "speed" in left.get_ylabel()
    assert [bar.get_ylabel() for bar in bars] == ["N m", "reward"]


@pytest.fixture(scope="module")
def log():
    log = load_log("ppo")
    return log[log.episode < 200]


def test_diagnostics_draw_every_run_and_their_median(log):
    figure = diagnostics(log, window=100)
    for axes, (name, label) in zip(figure.axes, DIAGNOSTICS.items(), strict=True):
        assert axes.get_ylabel() == label
        *runs, median = [line.get_ydata() for line in axes.get_lines() if line.get_label() != "approx_kl"]
        assert len(runs) == 16
        np.testing.assert_allclose(median, np.median(runs, axis=0))
        first = log[(log.run == 3) & (log.episode < 100)][name]
        mean = name in ("clip_fraction", "loss_ent")
        assert runs[3][0] == pytest.approx(first.mean() if mean else first.median())
    assert all(axes.get_xlabel() for axes in figure.axes[2:])


def test_the_panel_of_the_kl_shows_both_and_tells_them_apart(log):
    panel = diagnostics(log, window=100).axes[list(DIAGNOSTICS).index("kl_after")]
    after, along = (line for line in panel.get_lines() if line.get_label() in ("kl_after", "approx_kl"))
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["kl_after", "approx_kl"]
    assert after.get_linestyle() != along.get_linestyle()
    blocks = log[log.episode < 100].groupby("run").approx_kl.median()
    assert along.get_ydata()[0] == pytest.approx(blocks.median())
    assert (after.get_ydata() > along.get_ydata()).all()  # a mean along the update is smaller than its end


def test_the_loop_has_about_as_many_lines_as_the_notebook_says():
    path = pathlib.Path(__file__).parents[2] / "notebooks" / "03_ppo_training.ipynb"
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    taught = "network", "agent-class", "policy", "act", "collect", "prepare", "loss", "descend", "step", "update"
    loop = [line for name in (*taught, "plain-live") for line in cells[name].splitlines() if line.strip()]
    assert "about seventy lines" in next(iter(cells.values()))
    assert 65 <= len(loop) <= 75
