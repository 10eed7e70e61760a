"""The surrogate-objective table against the formula worked by hand, and its corners, zeros and words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lecture_utils.experiments.case_table import case_table, lecture_cases

CLIPS = st.floats(0.01, 0.99)

# A by hand, with epsilon = 0.2: objective, branch, gradient and gradient with the clip alone.
BY_HAND = {
    ("A > 0", "below"): (0.4, "unclipped", 1, 0),
    ("A > 0", "lower edge"): (0.8, "tie", 1, 1),
    ("A > 0", "inside"): (1.0, "tie", 1, 1),
    ("A > 0", "upper edge"): (1.2, "tie", 1, 1),
    ("A > 0", "above"): (1.2, "clipped", 0, 0),
    ("A < 0", "below"): (-0.8, "clipped", 0, 0),
    ("A < 0", "lower edge"): (-0.8, "tie", -1, -1),
    ("A < 0", "inside"): (-1.0, "tie", -1, -1),
    ("A < 0", "upper edge"): (-1.2, "tie", -1, -1),
    ("A < 0", "above"): (-1.6, "unclipped", -1, 0),
}


def test_every_entry_is_the_one_worked_by_hand():
    table = case_table(0.2)
    assert len(table) == 15
    assert not table.duplicated(["advantage", "position"]).any()
    for row in table.itertuples():
        expected = BY_HAND.get((row.advantage, row.position), (0.0, "tie", 0, 0))
        assert row.objective == pytest.approx(expected[0], abs=1e-12)
        assert (row.branch, row.gradient, row.clip_alone) == expected[1:]


@given(CLIPS)
def test_the_pattern_is_the_same_for_every_clip(clip):
    table, usual = case_table(clip), case_table(0.2)
    same = ["advantage", "position", "branch", "gradient", "clip_alone", "action"]
    assert table[same].equals(usual[same])
    assert (table.ratio > 0).all()


@given(CLIPS)
def test_objective_is_the_smaller_branch_and_the_branch_says_which(clip):
    table = case_table(clip)
    np.testing.assert_array_equal(table.objective, table[["unclipped", "clipped"]].min(axis=1))
    order = [table.unclipped < table.clipped, table.unclipped > table.clipped]
    takes = np.select(order, ["unclipped", "clipped"], "tie")
    np.testing.assert_array_equal(table.branch, takes)


def test_gradients_off_the_corners_are_the_slopes_of_the_formula():
    def objective(sign, ratio, low, high):
        return min(ratio * sign, np.clip(ratio, low, high) * sign)

    table = case_table(0.2)
    off_the_edges = table[~table.position.str.contains("edge")]
    for row in off_the_edges.itertuples():
        sign = {"A > 0": 1, "A < 0": -1, "A = 0": 0}[row.advantage]
        step = 1e-6
        slope = (objective(sign, row.ratio + step, 0.8, 1.2) - objective(sign, row.ratio - step, 0.8, 1.2)) / (2 * step)
        assert row.gradient == pytest.approx(slope, abs=1e-6)


def test_the_min_saves_the_gradient_in_the_two_corrective_cases_only():
    table = case_table()
    saved = table[(table.gradient != 0) & (table.clip_alone == 0)]
    assert list(zip(saved.advantage, saved.position, strict=True)) == [("A > 0", "below"), ("A < 0", "above")]
    assert saved.action.str.endswith("thanks to the min").all()
    assert not table.drop(saved.index).action.str.contains("min").any()


def test_the_words_say_what_the_gradient_does():
    table = case_table()
    for gradient, words in {0: "left alone", 1: "made likelier", -1: "made less likely"}.items():
        np.testing.assert_array_equal(table.action.str.contains(words), table.gradient == gradient)
    corners = table[table.action.str.contains("corner")]
    places = list(zip(corners.advantage, corners.position, strict=True))
    assert places == [("A > 0", "upper edge"), ("A < 0", "lower edge")]


def test_the_lectures_four_rows():
    table = lecture_cases()
    assert list(table.condition) == ["A > 0, r > 1 + ε", "A > 0, r < 1", "A < 0, r < 1 - ε", "A < 0, r > 1"]
    assert list(table.branch) == ["clipped", "tie, then unclipped", "clipped", "tie, then unclipped"]
    assert list(table.gradient) == ["0", "1", "0", "-1"]
    assert list(table.objective) == ["1.2", "1.0 to 0.0", "-0.8", "-1.0 to -3.0"]
    assert list(table.clip_alone) == ["0", "1, then 0", "0", "-1, then 0"]
    thanks = "; outside the band thanks to the min"
    likelier, less = f"made likelier{thanks}", f"made less likely{thanks}"
    assert list(table.action) == ["left alone", likelier, "left alone", less]


@pytest.mark.parametrize("clip", [0, 1, -0.2, 2, float("nan"), "0.2", True, None])
@pytest.mark.parametrize("table", [case_table, lecture_cases])
def test_a_clip_without_a_below_an_inside_and_an_above_is_refused(table, clip):
    with pytest.raises(ValueError, match=r"clip must be a number in \(0, 1\)"):
        table(clip)
