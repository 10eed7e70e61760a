"""Every bug is one replaced line, does what its label says, and is seen by something."""

import pickle

import numpy as np
import pytest
import torch
from helpers import make_rollout, weights

from lecture_utils import A2C, PPO, TUNED, train
from lecture_utils.experiments import museum
from lecture_utils.experiments.museum import BUGS, label, planted
from lecture_utils.training import collect_episodes

RECIPE = TUNED.replace(episodes_per_update=2, minibatch_size=100, passes=2, anneal_updates=0, entropy_coef=0.01)


def updated(algorithm, seeds=(0, 1)):
    agent = algorithm(3, 1, RECIPE, seeds=seeds)
    rollout = collect_episodes(PPO(3, 1, RECIPE, seeds=seeds))  # its actions go beyond the limit
    logs = [agent.update(rollout) for _ in range(2)]
    return agent, logs


@pytest.fixture(scope="module")
def right():
    return updated(PPO)


def test_replacing_nothing_changes_nothing(right):
    for method, line in [(A2C.prepare, "returns = advantage"), (PPO.prepare, "no_grad"), (A2C.step, "zero_grad()\n")]:
        if method is A2C.step:
            line = "self.actor_optimizer.zero_grad()"
        same = planted("Same", "The same.", method, line, line)
        np.testing.assert_array_equal(weights(updated(same)[0]), weights(right[0]))


def test_a_line_that_is_not_there_once_is_an_error():
    with pytest.raises(ValueError, match="exactly once, it does 0 times"):
        planted("Bug", "", PPO.actor_loss, "not there", "")
    with pytest.raises(ValueError, match="exactly once, it does 2 times"):
        planted("Bug", "", PPO.actor_loss, "batch[", "")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_changes_the_update_and_says_where(bug, right):
    agent, logs = updated(bug)
    assert np.isfinite(weights(agent)).all()
    assert np.abs(weights(agent) - weights(right[0])).max() > 1e-5
    assert [set(x) for x in logs] == [set(x) for x in right[1]]
    assert bug.__doc__.endswith(".")
    assert label(bug).splitlines() == [f"{bug.__name__}, in {bug.method.__name__}", f"- {bug.right}", f"+ {bug.wrong}"]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_can_be_sent_to_a_worker_and_kept_in_a_file(bug, tmp_path):
    assert pickle.loads(pickle.dumps(bug)) is bug is getattr(museum, bug.__name__)
    agent = bug(3, 1, RECIPE)
    train(agent, RECIPE.episodes_per_update, progress=False)
    agent.save(tmp_path / "agent.pt")
    np.testing.assert_array_equal(weights(bug.load(tmp_path / "agent.pt")), weights(agent))


def test_only_the_leak_lets_a_run_depend_on_its_neighbours():
    """Run 0 alone and beside a second run; on the same data, because its own generator drew it."""
    depends = set()
    for bug in BUGS:
        alone, beside = (bug(3, 1, RECIPE, seeds=range(runs)) for runs in (1, 2))
        for agent in (alone, beside):
            train(agent, 2 * RECIPE.episodes_per_update, progress=False)
        if np.abs(weights(alone, 0) - weights(beside, 0)).max() > 1e-4:
            depends.add(bug.__name__)
    assert depends == {"LeakAcrossRuns"}


def test_the_ratio_without_detaching_has_no_gradient():
    agent = museum.NotDetached(3, 1, RECIPE.replace(entropy_coef=0.0))
    before = [x.clone() for x in agent.actor.parameters()]
    agent.update(make_rollout(agent, steps=100))
    assert all(torch.equal(a, b) for a, b in zip(before, agent.actor.parameters(), strict=True))


def test_broadcasting_teaches_the_critic_the_mean():
    """The gradient of the mean over all pairs is that of the distance to the mean return."""
    value, returns = torch.randn(2, 5, requires_grad=True), torch.randn(2, 5)
    (value[..., None] - returns[:, None]).square().mean((-2, -1)).sum().backward()
    torch.testing.assert_close(value.grad, 2 / 5 * (value - returns.mean(-1, keepdim=True)).detach())
