"""Without what is there for speed alone, the core computes the same."""

import numpy as np
import pytest
import torch
from helpers import doubled, make_rollout, weights

from lecture_utils import PPO, TUNED, Hyperparameters, evaluate, fast, train
from lecture_utils.networks import Adam

RECIPES = {
    "lecture": Hyperparameters(),
    "tuned": TUNED.replace(episodes_per_update=2, passes=3, minibatch_size=100, target_kl=0.01),
    "other": Hyperparameters(std_head="softplus", max_grad_norm=0.5, activation="tanh", hidden=(16, 5)),
}


def computed(recipe):
    agent = doubled(PPO(3, 1, recipe, seeds=[0, 1, 2]))
    for k in range(3):
        agent.update(make_rollout(agent, steps=100, seed=k))
    observation = np.random.default_rng(0).normal(size=(3, 3))
    single = PPO(3, 1, recipe, seeds=[0, 1, 2])
    rewards = train(single, 2 * recipe.episodes_per_update, progress=False).reward.to_numpy()
    return weights(agent), agent(observation), evaluate(agent, 3), rewards


@pytest.mark.parametrize("piece", [*sorted(fast.USED), "all of it"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_without_it_the_same_is_computed(piece, recipe, monkeypatch):
    with_it = computed(RECIPES[recipe])
    monkeypatch.setattr(fast, "USED", set() if piece == "all of it" else fast.USED - {piece})
    without = computed(RECIPES[recipe])
    np.testing.assert_allclose(without[0], with_it[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(without[1], with_it[1], atol=1e-6)
    for played, as_played in zip(without[2:], with_it[2:], strict=True):
        np.testing.assert_allclose(played, as_played, atol=0.05)


@pytest.mark.parametrize("used", [set(), {"adam"}])
def test_a_run_that_sits_out_keeps_everything(used, monkeypatch):
    """Each run's numbers are those of a torch.optim.Adam that takes that run's steps alone."""
    monkeypatch.setattr(fast, "USED", used)
    shapes, rng = [(3, 4, 16), (3, 1, 3)], torch.Generator().manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape, generator=rng, dtype=torch.float64)) for shape in shapes]
    theirs = [[torch.nn.Parameter(x[run].detach().clone()) for x in ours] for run in range(3)]
    adam, torchs = Adam(ours, 1e-2), [torch.optim.Adam(parameters, lr=1e-2) for parameters in theirs]
    for out in [(), (1,), (1, 2), (), (0,), (0, 1, 2), ()]:
        for x, *parts in zip(ours, *theirs, strict=True):
            x.grad = torch.randn(x.shape, generator=rng, dtype=torch.float64)
            for run, part in enumerate(parts):
                part.grad = x.grad[run].clone()
        adam.step(sit_out=torch.tensor([run in out for run in range(3)]))
        for run in set(range(3)) - set(out):
            torchs[run].step()
        for run, parameters in enumerate(theirs):
            for x, part in zip(ours, parameters, strict=True):
                torch.testing.assert_close(x[run], part, rtol=0, atol=1e-12)
    assert adam.steps.tolist() == [5, 4, 5]
