"""The objectives, worked by hand and compared with each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lecture_utils import clipped_surrogate, policy_gradient, probability_ratio, surrogate
from lecture_utils.ppo import clip_fraction


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_by_hand():
    """Inside the band, above and below it, with either sign of the advantage; epsilon = 0.2."""
    ratio = tensor(1.1, 1.5, 0.5, 1.1, 1.5, 0.5)
    advantage = tensor(2.0, 2.0, 2.0, -2.0, -2.0, -2.0)
    assert surrogate(ratio, advantage).tolist() == pytest.approx([2.2, 3.0, 1.0, -2.2, -3.0, -1.0])
    # Kept where clipping would flatter: a good action made rarer (0.5), a bad one made more likely (1.5).
    assert clipped_surrogate(ratio, advantage).tolist() == pytest.approx([2.2, 2.4, 1.0, -2.2, -3.0, -1.6])


def test_gradient_vanishes_only_where_the_clip_is_chosen():
    ratio = tensor(1.1, 1.5, 0.5, 1.1, 1.5, 0.5).requires_grad_()
    clipped_surrogate(ratio, tensor(2.0, 2.0, 2.0, -2.0, -2.0, -2.0)).sum().backward()
    assert ratio.grad.tolist() == [2.0, 0.0, 2.0, -2.0, -2.0, 0.0]


@given(st.floats(0.01, 10), st.floats(-10, 10), st.floats(0, 0.99))
def test_a_lower_bound_on_the_surrogate_that_touches_it_inside_the_band(ratio, advantage, clip):
    clipped, free = (f(tensor(ratio), tensor(advantage), *c) for f, c in [(clipped_surrogate, [clip]), (surrogate, [])])
    assert clipped <= free
    if abs(ratio - 1) < clip:
        assert clipped == free
    assert clipped_surrogate(tensor(ratio), tensor(advantage), float("inf")) == free


def test_ratio_survives_densities_that_underflow():
    assert probability_ratio(tensor(-1000.0), tensor(-1001.0)).item() == pytest.approx(2.718281828)


def test_at_the_old_policy_both_gradients_are_that_of_a2c():
    log_prob, advantage = tensor(-0.3, -2.0, -1.0), tensor(1.0, -2.0, 0.5)
    gradients = []
    for objective in (
        lambda x: policy_gradient(x, advantage),
        lambda x: surrogate(probability_ratio(x, log_prob), advantage),
        lambda x: clipped_surrogate(probability_ratio(x, log_prob), advantage, 0.2),
    ):
        x = log_prob.clone().requires_grad_()
        objective(x).sum().backward()
        gradients.append(x.grad.tolist())
    assert gradients[0] == gradients[1] == gradients[2] == advantage.tolist()


@pytest.mark.parametrize("clip", [-0.1, float("nan")])
def test_bad_clip(clip):
    with pytest.raises(ValueError, match=f"clip must be a number of at least 0.*, got {clip}"):
        clipped_surrogate(tensor(1.0), tensor(1.0), clip)


@pytest.mark.parametrize("f", [probability_ratio, policy_gradient, surrogate, clipped_surrogate])
def test_shapes_that_would_broadcast_and_other_types(f):
    with pytest.raises(ValueError, match=r"must have the same shape, got .*\(32, 1\).*\(32,\)"):
        f(torch.zeros(32, 1), torch.zeros(32))
    with pytest.raises(TypeError, match="must be a torch tensor, got list"):
        f(torch.zeros(1), [0.0])
    with pytest.raises(TypeError, match=r"must be a tensor of real numbers, got torch\.bool"):
        f(torch.zeros(1), torch.ones(1, dtype=torch.bool))


NUMBERS = [0.5, 1, np.float32(0.5), np.int64(2), np.array(0.5), torch.tensor(0.5), torch.tensor(0.5).double()]


@pytest.mark.parametrize("f", [probability_ratio, policy_gradient, surrogate, clipped_surrogate])
@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_a_number_goes_with_any_shape(f, number):
    x = torch.tensor([[0.4, 1.1], [1.3, 0.9]])
    same = torch.full_like(x, float(number))
    for got, expected in [(f(x, number), f(x, same)), (f(number, x), f(same, x))]:
        assert got.dtype == torch.float32
        assert torch.equal(got, expected)
    assert f(torch.tensor(1.0), number).shape == ()


def test_a_band_of_two_widths():
    """DAPO's clip-higher: the upper width alone is larger."""
    ratio, advantage = tensor(0.5, 0.9, 1.25, 1.5), tensor(-1.0, -1.0, 1.0, 1.0)
    expected = [-0.8, -0.9, 1.25, 1.28]
    for pair in [(0.2, 0.28), [0.2, 0.28], np.array([0.2, 0.28])]:
        assert clipped_surrogate(ratio, advantage, pair).tolist() == pytest.approx(expected)
        assert clip_fraction(ratio.log(), pair).item() == 0.5
    assert torch.equal(clipped_surrogate(ratio, advantage, (0.2, 0.2)), clipped_surrogate(ratio, advantage, 0.2))
    for bad in [(0.2,), (0.2, -0.1), (0.1, 0.2, 0.3), (0.2, None)]:
        with pytest.raises(ValueError, match=r"clip must be a number of at least 0.*or a pair"):
            clipped_surrogate(ratio, advantage, bad)


def test_a_ratio_on_an_edge_of_the_band_is_inside():
    change = torch.tensor([0.5, -0.5, 0.0, 1.0], dtype=torch.float64)  # exact in binary
    log_ratio = (1 + change).log()
    on_the_edge = (log_ratio.exp() - 1) == change  # where the logarithm comes back exactly
    assert on_the_edge[:3].all()
    assert clip_fraction(log_ratio[:3], 0.5) == 0
    assert clip_fraction(log_ratio, 0.5) == 0.25
