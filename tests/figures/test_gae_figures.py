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


def actions():
    rows = [(x, torque) for x in (0.0, 0.85, 1.0) for torque in (-2.0, 0.0, 2.0)]
    frame = pd.DataFrame(rows, columns=["lambda", "torque"])
    return frame.assign(advantage=[3.0, 1.0, -1.0] * 3, estimate=np.arange(9.0), scatter=np.arange(9.0) / 10)


def angles():
    rows = [(age, x, n) for age in (4, 12) for x in (0.0, 1.0) for n in (16.0, 64.0, 200.0, np.inf)]
    frame = pd.DataFrame(rows, columns=["updates", "lambda", "samples"])
    cosine = np.arange(16) / 20
    return frame.assign(cosine=cosine, low=cosine - 0.1, high=cosine + 0.2)


FIGURES = {
    "weights": lambda: draw.weights(0.95, [0.0, 0.5]),
    "episode": lambda: draw.episode(REWARDS, VALUES, NEXT_VALUES, gamma=0.95, lambdas=[0.0, 0.85]),
    "offset": lambda: draw.offset(actions()),
    "gradient_angle": lambda: draw.gradient_angle(angles()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_column_has_a_labelled_x_axis_and_every_row_a_y_axis(name):
    axes = FIGURES[name]().axes
    assert axes[-1].get_xlabel()
    assert axes[0].get_ylabel()


def test_weights_are_powers_of_gamma_lambda():
    curves = lines(draw.weights(0.9, [0.0, 0.5], steps=4).axes[0])
    np.testing.assert_allclose(curves, [[1, 0, 0, 0, 0], 0.45 ** np.arange(5)])


def test_a_lambda_looks_the_same_in_every_figure_and_unlike_the_others():
    figures = draw.weights(0.9, [0.0, 0.85, 1.0]), draw.offset(actions()), draw.gradient_angle(angles())
    looks = {}
    for figure in figures:
        for line in (line for axes in figure.axes for line in axes.get_lines()):
            if line.get_marker() not in ("None", "_"):  # the truth and the zero have none; caps have "_"
                name = next(k for k, (color, *_) in draw.LOOKS.items() if draw.PALETTE[color] == line.get_color())
                looks.setdefault(name, set()).add((line.get_color(), line.get_marker()))
    assert set(looks) == {0.0, 0.85, 1.0}
    assert all(len(found) == 1 for found in looks.values())
    for kind in zip(*draw.LOOKS.values(), strict=True):
        assert len(set(kind)) == len(draw.LOOKS)


def test_an_episode_is_drawn_with_its_advantages():
    top, *panels = FIGURES["episode"]().axes
    np.testing.assert_array_equal(lines(top), [VALUES, REWARDS])
    for axes, gae_lambda in zip(panels, (0.0, 0.85), strict=True):
        expected = gae(REWARDS, VALUES, NEXT_VALUES, np.zeros(T), gamma=0.95, gae_lambda=gae_lambda)
        np.testing.assert_allclose(lines(axes), [expected])
        above, below = (part.get_datalim(axes.transData) for part in axes.collections)
        assert (above.y0, above.y1) == pytest.approx((0, expected.max()))
        assert (below.y0, below.y1) == pytest.approx((expected.min(), 0))


def test_the_offset_has_the_truth_once_and_a_curve_with_its_scatter_for_each_lambda():
    (axes,) = draw.offset(actions()).axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [3, 1, -1])
    drawn = np.concatenate([bar[0].get_ydata() for bar in axes.containers]).astype(float)
    np.testing.assert_allclose(drawn, actions().estimate)
    reach = [np.ptp(segment[:, 1]) / 2 for bar in axes.containers for segment in bar[2][0].get_segments()]
    np.testing.assert_allclose(reach, actions().scatter, atol=1e-12)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    arrow, words = axes.texts
    assert (arrow.xy, arrow.xyann) == ((1, 0), (1, 7.5))  # of the largest lambda, half way between two torques
    assert words.get_text().strip() == "offset"
    assert names == ["true advantage", *(rf"mean estimate, $\lambda$ = {x}" for x in ("0", "0.85", "1"))]


def test_the_angle_has_a_curve_a_lambda_its_intervals_and_what_all_rollouts_give_apart():
    panels = draw.gradient_angle(angles()).axes
    bars = [container for axes in panels for container in axes.containers]
    assert len(bars) == 8  # a curve and a point "all" for each of two lambdas and two ages
    drawn = np.concatenate([bar[0].get_ydata() for bar in bars]).astype(float)
    np.testing.assert_allclose(drawn, angles().cosine)
    segments = [segment[:, 1] for bar in bars for segment in bar[2][0].get_segments()]
    np.testing.assert_allclose(segments, angles()[["low", "high"]])
    for axes in panels:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["16", "64", "200", "all"]


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
