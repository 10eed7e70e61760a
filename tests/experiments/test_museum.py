"""Every bug is one replaced line, does what its label says, and is seen by something."""

import inspect
import pickle
import textwrap

import numpy as np
import pytest
import torch
from helpers import make_rollout, weights

from lecture_utils import A2C, PPO, TUNED, ppo, train
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


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_planted_line_is_the_only_difference(bug):
    """All methods but one are the healthy ones, and that one differs by the text that the label shows."""
    methods = {name for name in dir(PPO) if inspect.isfunction(getattr(PPO, name))}
    assert {name for name in methods if not healthy(bug, name)} == {bug.method.__name__}
    source = textwrap.dedent(inspect.getsource(bug.method))
    assert source.count(bug.right) == 1
    ours = getattr(bug, bug.method.__name__)
    ours = ours if bug.method is getattr(PPO, bug.method.__name__) else bug.__mro__[2].__dict__[bug.method.__name__]
    expected = source.replace(bug.right, bug.wrong).replace("super()", "super(PPO, self)")
    namespace = dict(vars(ppo))
    exec(compile(expected, f"<{bug.__name__}>", "exec"), namespace)
    assert ours.__code__ == namespace[bug.method.__name__].__code__


def healthy(bug, name):
    """Whether the bug's method, and what it reaches with super(), is PPO's and A2C's own."""
    ours, theirs = ([vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)] for kind in (bug, PPO))
    return ours[: len(theirs)] == theirs


def told_and_used(bug, monkeypatch, recipe=RECIPE):
    """An update's log, and the log ratios (passes x steps, R, B) that the loss computed its objective with."""
    agent, used = bug(3, 1, recipe, seeds=(0, 1)), []
    namespace = bug.actor_loss.__globals__
    ratio = namespace["probability_ratio"]

    def spy(log_prob, old_log_prob):
        used.append((log_prob - old_log_prob).detach())
        return ratio(log_prob, old_log_prob)

    monkeypatch.setitem(namespace, "probability_ratio", spy)
    rollouts = [collect_episodes(agent) for _ in range(2)]
    agent.update(rollouts[0])
    used.clear()
    return agent.update(rollouts[1]), torch.cat(used, dim=-1)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_diagnostics_are_those_of_the_ratio_that_the_loss_uses(bug, monkeypatch):
    log, used = told_and_used(bug, monkeypatch)
    np.testing.assert_allclose(log["approx_kl"], ppo.approx_kl(used), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(log["clip_fraction"], ppo.clip_fraction(used, RECIPE.clip), rtol=1e-5)


def test_a_loss_with_a_ratio_of_its_own_is_noticed(monkeypatch):
    """As two exhibits were until they were mended: the loss used another ratio than the log told of."""
    bug = planted("Own", "", PPO.actor_loss, 'log_prob, batch["old_log_prob"]', "log_prob, log_prob.detach()")
    log, used = told_and_used(bug, monkeypatch)
    assert (ppo.approx_kl(used) == 0).all()
    assert (log["approx_kl"] > 1e-4).all()


def test_the_two_ratios_that_are_always_one_tell_so(monkeypatch):
    for bug in (museum.NotDetached, museum.OldPolicyEveryStep):
        log, used = told_and_used(bug, monkeypatch, RECIPE.replace(entropy_coef=0.0))
        assert (used == 0).all()
        assert (log["clip_fraction"] == 0).all()
        assert (log["kl_after"] > 1e-3).all() == (bug is museum.OldPolicyEveryStep), "the policy moves all the same"


def test_the_missing_sum_keeps_the_clip():
    """One sample far outside the band in the direction of its advantage: no gradient, with the bug as without."""
    agent = museum.NoSumOverActions(3, 1, RECIPE)
    log_prob = torch.log(torch.tensor([[2.0, 2.0]])).requires_grad_()
    batch = {"old_log_prob": torch.zeros(1, 2), "advantage": torch.ones(1, 2)}
    agent.actor_loss(log_prob, batch).sum().backward()
    assert torch.equal(log_prob.grad, torch.zeros(1, 2))


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
