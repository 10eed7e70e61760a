"""Notebook 01's figures show the numbers that they are given, and the clipped objective as its formula has it."""

import numpy as np
import pandas as pd
import pytest

from lecture_utils.figures import ratio_and_clip as draw

CLIP = 0.2
R = np.linspace(0, 2.5, 1001)


def curves(axes):
    """label -> values of the curves that a legend names."""
    lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    return {line.get_label(): np.asarray(line.get_ydata(), float) for line in lines}


def dots(axes):
    """(x, y) of each single mark."""
    lines = [line for line in axes.get_lines() if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def bands(axes):
    """(low, high) of what is shaded, across the axis on which it is narrow."""
    extents = [patch.get_path().get_extents(patch.get_patch_transform()) for patch in axes.patches]
    return [(box.x0, box.x1) if (box.y0, box.y1) == (0, 1) else (box.y0, box.y1) for box in extents]


def objective(r, advantage):
    return np.minimum(r * advantage, np.clip(r, 1 - CLIP, 1 + CLIP) * advantage)


@pytest.mark.parametrize("advantage", [1.0, -1.0, 0.5])
def test_the_branches_their_min_and_the_band(advantage):
    left, right = draw.one_case(advantage, CLIP, 1.5).axes
    found = curves(left)
    np.testing.assert_allclose(found["r A"], R * advantage)
    np.testing.assert_allclose(found["clip(r) A"], np.clip(R, 0.8, 1.2) * advantage)
    np.testing.assert_allclose(found["min"], objective(R, advantage))
    assert dots(left) == [(1.5, pytest.approx(objective(1.5, advantage)))]
    assert dots(right) == [(1.5, pytest.approx(0.0 if advantage > 0 else advantage))]
    inside, away = (R > 0.8) & (R < 1.2), np.abs(R - 1) > 0.201
    np.testing.assert_allclose(curves(right)["clip alone"][inside], advantage)
    assert (curves(right)["clip alone"][away] == 0).all()
    kept = (R < 0.799) if advantage > 0 else (R > 1.201)
    np.testing.assert_allclose(curves(right)["with the min"][kept], advantage)
    assert (curves(right)["with the min"][away & ~kept] == 0).all()
    for axes in (left, right):
        np.testing.assert_allclose(bands(axes), [(0.8, 1.2)])


def test_the_six_cases_lie_below_inside_and_above_the_band():
    axes = np.array(draw.six_cases(CLIP).axes).reshape(2, 3)
    for row, advantage in zip(axes, (1.0, -1.0), strict=True):
        for panel, ratio in zip(row, (0.4, 1.0, 1.6), strict=True):
            assert dots(panel) == [(pytest.approx(ratio), pytest.approx(objective(ratio, advantage)))]
            np.testing.assert_allclose(curves(panel)["min"], objective(R, advantage))
            flat = (ratio > 1.2) if advantage > 0 else (ratio < 0.8)
            arrows = [text.arrow_patch for text in panel.texts if text.arrow_patch]
            assert len(arrows) == (0 if flat else 1)
            assert ("no gradient" in panel.get_title()) == flat
            if arrows:
                (mark,) = [text for text in panel.texts if text.arrow_patch]
                assert np.sign(mark.xy[0] - ratio) == np.sign(advantage)


def test_the_steps_of_a_sample_stand_on_the_objective():
    (axes,) = draw.steps_on_objective([1.0, 1.1, 1.3], 1.0, CLIP).axes
    assert dots(axes) == [(r, pytest.approx(objective(r, 1.0))) for r in (1.0, 1.1, 1.3)]
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2"]


def test_two_policies_and_their_ratio():
    action, old, new = np.linspace(-1, 1, 5), np.arange(1.0, 6), np.arange(2.0, 12, 2)
    left, right = draw.two_policies(action, old, new, new / old, CLIP).axes
    found = curves(left)
    np.testing.assert_array_equal(found["old policy"], old)
    np.testing.assert_array_equal(found["new policy"], new)
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), new / old)
    assert right.get_yscale() == "log"
    np.testing.assert_allclose(bands(right), [(0.8, 1.2)])


def test_the_old_policy_lies_on_the_return():
    theta, returns, surrogates = [0.0, 0.5, 1.0], [0.0, 1.0, 0.0], [0.5, 1.0, 1.5]
    (axes,) = draw.return_and_surrogate(theta, returns, surrogates, 0.25).axes
    (of_return,) = [y for name, y in curves(axes).items() if name.startswith("return J")]
    (of_surrogate,) = [y for name, y in curves(axes).items() if name.endswith("+ surrogate")]
    assert (list(of_return), list(of_surrogate)) == (returns, surrogates)
    assert dots(axes) == [(0.25, 0.5)]


def test_each_climb_is_drawn_under_its_name():
    paths = {"no clip": np.array([1.0, 2.0]), "clip": np.array([1.0, 1.2])}
    (axes,) = draw.climbs(paths, CLIP).axes
    found = curves(axes)
    assert found.keys() == paths.keys()
    assert all((found[name] == paths[name]).all() for name in paths)
    np.testing.assert_allclose(bands(axes), [(0.8, 1.2)])


def test_medians_over_passes_with_their_intervals():
    table = pd.DataFrame({"passes": [1, 2], "kl": [1.0, 3.0], "kl low": [0.5, 1.0], "kl high": [2.0, 7.0]})
    tables = {"a": table, "b": table.assign(kl=[1.5, 4.0])}
    (axes,) = draw.over_passes(tables, {"kl": ("the title", True)}).axes
    assert (axes.get_title(), axes.get_yscale(), axes.get_xscale()) == ("the title", "log", "log")
    for container, (name, rows) in zip(axes.containers, tables.items(), strict=True):
        line, _, (bars,) = container
        assert container.get_label() == name
        np.testing.assert_array_equal(line.get_ydata(), rows.kl)
        ends = [segment[:, 1].astype(float) for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, rows[["kl low", "kl high"]])
    first, second = (np.asarray(container[0].get_xdata(), float) for container in axes.containers)
    np.testing.assert_allclose(first, [1, 2])
    np.testing.assert_allclose(second, [1.07, 2.14])
