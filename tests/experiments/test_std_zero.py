"""The unrepaired program stops where its standard deviation is 0, and nowhere else; what is recorded is that."""

import numpy as np
import pytest
import torch

from lecture_utils.experiments import std_zero
from lecture_utils.experiments.plain_loop import PlainPPO, plain_train
from lecture_utils.experiments.std_zero import EPISODES, SEEDS, load_std_zero, record


class DiesInTheSecondEpisode(PlainPPO):
    """After the first update its z is 0 in every state."""

    def one_pass(self, *args):
        super().one_pass(*args)
        with torch.no_grad():
            self.actor[-1].weight[1] = 0
            self.actor[-1].bias[1] = 0


def test_a_run_that_stops_is_counted_with_the_episodes_that_it_completed(monkeypatch):
    monkeypatch.setattr(std_zero, "PlainPPO", DiesInTheSecondEpisode)
    # The second pass of the first episode's update finds z = 0 already.
    assert record([3, 4], episodes=3).values.tolist() == [[3, 0, 1], [4, 0, 1]]
    assert record([3], episodes=2, std_floor=0.001).values.tolist() == [[3, 2, 0]]  # the repair


def test_another_error_is_not_counted(monkeypatch):
    def broken(*args):
        raise ValueError("something else")

    monkeypatch.setattr(std_zero, "plain_train", broken)
    with pytest.raises(ValueError, match="something else"):
        record([0], episodes=1)


@pytest.mark.filterwarnings("ignore:Creating a tensor")
def test_a_seed_gives_the_same_run_every_time():
    returns = []
    for _ in range(2):
        torch.manual_seed(5)
        returns.append(plain_train(PlainPPO(0.0), 2, seed=5))
    np.testing.assert_array_equal(*returns)
    assert record([5], episodes=2).values.tolist() == [[5, 2, 0]]


def test_the_recorded_runs_are_complete():
    table = load_std_zero()
    assert table.seed.tolist() == list(SEEDS)
    assert ((table.episodes == EPISODES) == (table.stopped == 0)).all()
    assert table.episodes.between(0, EPISODES).all()
