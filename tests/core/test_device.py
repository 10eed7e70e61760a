"""On a CUDA device, where there is one: the same numbers, and gradient steps that ask the CPU for nothing."""

import numpy as np
import pytest
import torch
from helpers import make_rollout

from lecture_utils import PPO, TUNED, Hyperparameters, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
RECIPES = {"lecture": Hyperparameters(), "tuned": TUNED.replace(episodes_per_update=2, passes=2)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_update_equals_that_of_the_cpu(recipe):
    here, there = (PPO(3, 1, RECIPES[recipe], seeds=[0, 1], device=device) for device in ("cpu", "cuda"))
    for agent in (here, there):
        for network in (agent.actor, agent.critic, agent.old_actor, agent.old_critic):
            network.double()
    rollout = make_rollout(here)
    logs = here.update(rollout), there.update(rollout)
    for name, numbers in logs[0].items():
        assert logs[1][name] == pytest.approx(numbers, abs=1e-6)
    for name in ("actor", "critic"):
        pairs = zip(getattr(here, name).parameters(), getattr(there, name).parameters(), strict=True)
        assert max((a - b.cpu()).abs().max().item() for a, b in pairs) < 1e-8


def test_a_gradient_step_copies_nothing_and_waits_for_nothing():
    agent = PPO(3, 1, seeds=range(4), device="cuda")
    batch = agent.prepare(make_rollout(PPO(3, 1, seeds=range(4))))
    minibatches = list(agent.minibatches(batch))
    agent.step(minibatches[0])
    torch.cuda.set_sync_debug_mode("error")
    try:
        for minibatch in minibatches:
            agent.step(minibatch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_training_saving_and_loading(tmp_path):
    agent = PPO(3, 1, seeds=range(4), device="cuda")
    assert np.isfinite(train(agent, 2, progress=False).to_numpy()).all()
    agent.save(tmp_path / "agent.pt")
    loaded = PPO.load(tmp_path / "agent.pt", device="cuda")
    assert {p.device.type for p in loaded.actor.parameters()} == {"cuda"}
    assert np.isfinite(train(loaded, 1, progress=False).to_numpy()).all()
