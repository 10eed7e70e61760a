"""The figures of notebook 02: labelled axes, and curves that are the numbers they were given."""

import numpy as np
import pandas as pd
import pytest

from lecture_utils import gae
from lecture_utils.figures import gae as draw
from lecture_utils.figures import panels

T = 50
REWARDS, VALUES, NEXT_VALUES = np.random.default_rng(0).normal(size=(3, T))


def lines(axes):
    return [line.get_ydata() for line in axes.get_lines() if len(line.get_ydata()) > 2]


def table():
    rows = [(c, x) for c in ("early", "late") for x in (0.0, 0.5, 1.0)]
    frame = pd.DataFrame(rows, columns=["critic", "lambda"])
    return frame.assign(bias=range(6), **{"rest of bias": range(6, 12)}, std=range(12, 18))


FIGURES = {
    "weights": lambda: draw.weights(0.95, [0.0, 0.5]),
    "episode": lambda: draw.episode(REWARDS, VALUES, NEXT_VALUES, gamma=0.95, lambdas=[0.0, 0.85]),
    "cut_or_ended": lambda: draw.cut_or_ended(
        REWARDS, VALUES, pd.DataFrame({"run": [0, 1], "cut": [0.0, 1.0], "ended": [2.0, 3.0]})
    ),
    "bias_and_variance": lambda: draw.bias_and_variance(table()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_column_has_a_labelled_x_axis_and_every_row_a_y_axis(name):
    axes = FIGURES[name]().axes
    assert axes[-1].get_xlabel()
    assert axes[0].get_ylabel()


def test_weights_are_powers_of_gamma_lambda():
    curves = lines(draw.weights(0.9, [0.0, 0.5], steps=4).axes[0])
    np.testing.assert_allclose(curves, [[1, 0, 0, 0, 0], 0.45 ** np.arange(5)])


def test_an_episode_is_drawn_with_its_advantages():
    top, *panels = FIGURES["episode"]().axes
    np.testing.assert_array_equal(lines(top), [VALUES, REWARDS])
    for axes, gae_lambda in zip(panels, (0.0, 0.85), strict=True):
        expected = gae(REWARDS, VALUES, NEXT_VALUES, np.zeros(T), gamma=0.95, gae_lambda=gae_lambda)
        np.testing.assert_allclose(lines(axes), [expected])


def test_bias_and_variance_have_a_panel_each_and_a_curve_a_critic():
    drawn = draw.bias_and_variance(table()).axes
    np.testing.assert_array_equal([lines(axes) for axes in drawn], np.arange(18).reshape(3, 2, 3))


def test_the_panel_draws_the_lambda_of_its_slider(monkeypatch):
    seen = {}
    monkeypatch.setattr(panels, "panel", lambda draw, **sliders: seen.update(draw=draw, sliders=sliders))
    panels.lambda_panel(REWARDS, VALUES, NEXT_VALUES, gamma=0.95)
    slider = seen["sliders"]["gae_lambda"]
    assert (slider.min, slider.max) == (0, 1)
    figure, caption = seen["draw"](gae_lambda=0.6)
    expected = gae(REWARDS, VALUES, NEXT_VALUES, np.zeros(T), gamma=0.95, gae_lambda=0.6)
    np.testing.assert_allclose(lines(figure.axes[1]), [expected])
    assert "λ = 0.6" in caption
    assert "2.3 steps" in caption
