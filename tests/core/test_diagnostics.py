"""The diagnostics on numbers worked by hand, and against what they estimate."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from lecture_utils.ppo import approx_kl, clip_fraction, explained_variance


def test_approx_kl_estimates_the_divergence_between_two_normals():
    old, new = Normal(torch.tensor(0.0), 1.0), Normal(torch.tensor(0.3), 1.2)
    torch.manual_seed(0)
    action = old.sample((2, 200_000))
    estimate = approx_kl(new.log_prob(action) - old.log_prob(action))
    assert estimate.shape == (2,)
    assert estimate.numpy() == pytest.approx(kl_divergence(old, new).item(), rel=0.02)


def test_approx_kl_by_hand_and_never_negative():
    assert approx_kl(torch.tensor([[math.log(2), 0.0]])).item() == pytest.approx((1 - math.log(2)) / 2)
    assert (approx_kl(torch.randn(50, 20)) > 0).all()
    assert approx_kl(torch.zeros(3, 20)).tolist() == [0, 0, 0]


def test_clip_fraction_counts_both_sides_of_the_band():
    log_ratio = torch.tensor([[1.1, 1.3, 0.9, 0.7], [1.0, 1.0, 1.0, 3.0]]).log()
    assert clip_fraction(log_ratio, 0.2).tolist() == [0.5, 0.25]
    assert clip_fraction(log_ratio, math.inf).tolist() == [0, 0]


def test_explained_variance():
    returns = torch.tensor([1.0, 2.0, 3.0, 4.0]).repeat(4, 1)
    values = torch.stack([returns[0] + 7, torch.full((4,), 2.0), -returns[0], returns[0] / 2])
    assert explained_variance(values, returns).tolist() == pytest.approx([1.0, 0.0, -3.0, 0.75])
    assert explained_variance(torch.zeros(1, 3), torch.ones(1, 3)).isnan().all()
