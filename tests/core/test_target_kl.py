"""Early stopping on KL: a run that has moved far enough sits out the rest of the passes, whatever its neighbours do."""

import math

import numpy as np
import pytest
import torch
from helpers import doubled, make_rollout, weights
from plain_updates import PlainTuned, largest_difference, linears

from lecture_utils import PPO, TUNED, Hyperparameters
from lecture_utils.training import collect_episodes

FAST = Hyperparameters(passes=6, actor_lr=3e-3)
SMALL = TUNED.replace(episodes_per_update=1, minibatch_size=50, passes=3, actor_lr=1e-2, target_kl=math.inf)


def test_the_rest_of_the_passes_is_sat_out():
    """With a threshold that every first pass exceeds, six passes are one, in all weights and moments."""
    many, one = (PPO(3, 1, h, seeds=[1, 2]) for h in (FAST.replace(target_kl=1e-9), FAST.replace(passes=1)))
    rollout = make_rollout(many)
    many.update(rollout)
    one.update(rollout)
    np.testing.assert_array_equal(weights(many), weights(one))
    torch.testing.assert_close(many.actor_optimizer.moments, one.actor_optimizer.moments, rtol=0, atol=0)


@pytest.mark.parametrize("recipe", [FAST, SMALL])
def test_a_run_stops_alike_alone_or_among_others(recipe):
    seeds = [0, 1, 2, 3, 4, 5]
    free = PPO(3, 1, recipe, seeds=seeds)
    for _ in range(3):
        kl = free.update(collect_episodes(free))["approx_kl"]
    recipe = recipe.replace(target_kl=float(np.median(kl)))  # about half of the runs go further than that
    together = PPO(3, 1, recipe, seeds=seeds)
    alone = [PPO(3, 1, recipe, seeds=[seed]) for seed in seeds]
    stopped = []
    for _ in range(3):
        together.update(collect_episodes(together))
        stopped.append(together.stopped.clone())
        for agent in alone:
            agent.update(collect_episodes(agent))
    some = torch.stack(stopped).float().mean()
    assert 0 < some < 1, "nobody stopped, or everybody: the test would show nothing"
    for run, agent in enumerate(alone):
        np.testing.assert_allclose(weights(together, run), weights(agent, 0), rtol=1e-4, atol=1e-6)


def test_ten_updates_equal_those_of_loops_that_break():
    """A run that sits out draws no order of minibatches, and Adam counts none of the steps that it leaves out."""
    agent = doubled(PPO(3, 1, TUNED.replace(target_kl=0.003), seeds=[4, 5, 6]))
    plain = [PlainTuned(agent, run) for run in range(3)]
    passes = []
    for k in range(10):
        rollout = make_rollout(agent, steps=50, seed=k)
        agent.update(rollout)
        for run, loop in enumerate(plain):
            loop.update(rollout, run, updates_before=k, target_kl=0.003)
        passes.append([loop.passes for loop in plain])
    passes = np.array(passes)
    assert 1 < passes.min() < passes.max() == 10
    assert (passes.min(1) < passes.max(1)).any(), "all stopped together: the test would show little"
    for run, loop in enumerate(plain):
        for name in ("actor", "critic"):
            assert largest_difference(agent, name, run, linears(getattr(loop, name))) < 1e-6
        assert (agent.actor.log_std[run, 0] - loop.log_std).abs().max() < 1e-6


def test_what_a_run_tells_is_of_the_passes_that_it_took():
    """Beside a run that goes on, one that stopped early logs what it would log alone."""
    recipe = SMALL.replace(target_kl=0.01)
    together, alone = PPO(3, 1, recipe, seeds=range(6)), [PPO(3, 1, recipe, seeds=[seed]) for seed in range(6)]
    for _ in range(3):
        log = together.update(collect_episodes(together))
        stopped = together.stopped.clone()
        for run, agent in enumerate(alone):
            own = agent.update(collect_episodes(agent))
            for name, values in log.items():
                assert values[run] == pytest.approx(own[name][0], rel=1e-2, abs=1e-4), name
        assert 0 < stopped.float().mean() < 1


def test_it_holds_the_policy_closer():
    recipe = TUNED.replace(episodes_per_update=2, minibatch_size=100, actor_lr=0.02, passes=20)
    far, near = (PPO(3, 1, recipe.replace(target_kl=kl), seeds=range(8)) for kl in (math.inf, 0.01))
    rollout = collect_episodes(far)
    for agent in (far, near):
        agent.update(rollout)
    distance = [agent.actor.log_std.detach().abs().mean() for agent in (far, near)]
    assert near.stopped.all()
    assert distance[1] < distance[0]
