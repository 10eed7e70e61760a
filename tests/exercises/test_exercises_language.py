"""Exercise 7.3: three losses in hidden order, told by their gradients."""

import numpy as np
import pytest

from lecture_utils.exercises import check_estimators, hidden_losses
from lecture_utils.exercises.language import ESTIMATORS, LABELS, _hidden
from lecture_utils.exercises.verdict import NOT_ATTEMPTED, RIGHT, WRONG


def by_hand(number):
    """What a student works out from the table alone."""
    table = hidden_losses(number)
    pi, ref = table["pi"].to_numpy(), table["ref"].to_numpy()
    log_ratio = np.log(pi / ref)
    closed = {"k1": 0 * pi, "k2": pi * (log_ratio - (pi * log_ratio).sum()), "k3": pi - ref}
    return {x: min(closed, key=lambda kind: abs(closed[kind] - table[x]).sum()) for x in LABELS}


@pytest.mark.parametrize("number", range(12))
def test_the_closed_forms_tell_the_three_apart(number):
    answers = by_hand(number)
    assert sorted(answers.values()) == sorted(ESTIMATORS)
    assert check_estimators(number, answers).status == RIGHT
    turned = {x: answers[y] for x, y in zip(LABELS, LABELS[1:] + LABELS[:1], strict=True)}
    assert check_estimators(number, turned).status == WRONG


def test_the_number_decides_and_all_orders_come():
    assert hidden_losses(3).equals(hidden_losses(3))
    assert len({tuple(_hidden(number)[2]) for number in range(60)}) == 6


def test_the_two_directions_exchanged_are_recognised():
    exchanged = {"k1": "k1", "k2": "k3", "k3": "k2"}
    verdict = check_estimators(1, {x: exchanged[kind] for x, kind in by_hand(1).items()})
    assert verdict.mistake == "the two directions of the KL are exchanged"


def test_untouched_and_half_done():
    assert check_estimators(1, dict.fromkeys(LABELS, ...)).status == NOT_ATTEMPTED
    assert check_estimators(1, ...).status == NOT_ATTEMPTED
    assert check_estimators(1, {**dict.fromkeys(LABELS, ...), "A": "k1"}).mistake == "not all are answered"
    assert check_estimators(1, dict.fromkeys(LABELS, "k4")).mistake == "not one of the choices"


@pytest.mark.parametrize("number", ["1", 1.5, None, True])
def test_another_number_is_refused(number):
    with pytest.raises(TypeError, match="number must be a whole number"):
        hidden_losses(number)
