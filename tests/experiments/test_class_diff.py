"""PPO is A2C with exactly three additions, counted in the source."""

import ast
import inspect

import pytest

from lecture_utils import A2C, PPO
from lecture_utils.experiments.class_diff import additions, class_diff


class Base:
    def __init__(self, a):
        self.a = a

    def value(self):
        """Not compared."""
        x = self.a  # nor this
        return x + 1

    def same(self):
        return 0


class Refreshed(Base):
    def __init__(self, *args):
        super().__init__(*args)
        self.old = self.a

    def value(self):
        y = super().value()
        self.refresh(self.old)
        return y


class Fourth(PPO):
    """PPO with one addition more."""

    def minibatches(self, batch):
        batch["advantage"] = batch["advantage"] - 1
        return super().minibatches(batch)


def test_ppo_adds_exactly_three_things_to_a2c():
    found = additions(A2C, PPO)
    assert len(found) == 3
    old_actor, old_log_prob, loss = ("\n".join(place) for place in found)
    assert "+    self.old_actor = copy.deepcopy(self.actor)" in old_actor
    assert "self.old_actor.load_state_dict" in old_actor
    assert "torch.no_grad()" in old_log_prob
    assert "old_log_prob" in old_log_prob
    assert "-    return -policy_gradient" in loss
    assert "clipped_surrogate" in loss


def test_nothing_but_the_loss_is_taken_away():
    removed = [line for line in class_diff(A2C, PPO).splitlines() if line.startswith("-")]
    assert len(removed) == 1
    assert "policy_gradient" in removed[0]


def test_every_line_of_ppo_is_in_the_diff_or_in_a2c():
    """Counted another way: the statements of PPO's methods that do not call super() and do not return its result."""
    tree = ast.parse(inspect.getsource(PPO)).body[0]
    methods = [method for method in tree.body if isinstance(method, ast.FunctionDef)]
    lines = [line for method in methods for statement in method.body for line in ast.unparse(statement).split("\n")]
    own = [line.strip() for line in lines if "super()" not in line and line != "return batch"]
    added = [line[1:].strip() for line in class_diff(A2C, PPO).splitlines() if line.startswith("+")]
    assert added == own


def test_small_classes():
    assert class_diff(Base, Refreshed).splitlines() == [
        "@@ def __init__(self, a):",
        "+    self.old = self.a",
        "@@ def value(self):",
        "+    self.refresh(self.old)",
    ]
    assert additions(Base, Refreshed) == [["+    self.old = self.a", "+    self.refresh(self.old)"]]


def test_a_fourth_addition_is_noticed():
    assert len(additions(PPO, Fourth)) == 1


@pytest.mark.parametrize("cls", [A2C, Base])
def test_nothing_added_to_itself(cls):
    assert additions(cls, cls) == []
