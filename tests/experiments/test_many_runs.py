"""1,024 runs on a device: its episode is the core's, its file is what 04 says; the graph is tried where a device is."""

import numpy as np
import pytest
import torch

from lecture_utils import PPO, Hyperparameters, train
from lecture_utils.experiments import many_runs
from lecture_utils.pendulum import START_HIGH, PendulumVectorEnv
from lecture_utils.training import _roll_out

RUNS = 3
# Of some width from the start: next to a width of zero an update makes much of what rounding differs by.
RECIPES = {
    "cut action": Hyperparameters(initial_std=1.0),
    "drawn action": Hyperparameters(initial_std=1.0, score_action="sampled", reward_scale=0.5, passes=5),
}
needs_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def drawn(runs=RUNS, steps=60):  # longer ones drift apart: a pendulum that falls doubles what rounding differs by
    rng = np.random.default_rng(0)
    return rng.uniform(-START_HIGH, START_HIGH, (runs, 2)), rng.standard_normal((runs, steps, 1, 1), dtype=np.float32)


def test_the_pendulum_steps_as_the_environment_does():
    rng = np.random.default_rng(0)
    state, torque = rng.uniform(-9, 9, (200, 2)), rng.uniform(-3, 3, 200)
    env = PendulumVectorEnv(200)
    env.reset(options={"state": state})
    observation, reward, *_ = env.step(torque[:, None])
    next_state, tensor_reward = many_runs.step_pendulums(torch.as_tensor(state), torch.as_tensor(torque))
    np.testing.assert_allclose(next_state, env.state, rtol=0, atol=1e-14)
    np.testing.assert_allclose(tensor_reward, reward, rtol=0, atol=1e-13)
    np.testing.assert_allclose(many_runs.observe(next_state)[:, 0], observation, rtol=0, atol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_episode_is_that_of_the_core(algorithm, recipe):
    here, there = (algorithm(3, 1, RECIPES[recipe], seeds=range(RUNS)) for _ in range(2))
    for agent in (here, there):
        for network in (x for x in vars(agent).values() if isinstance(x, torch.nn.Module)):
            network.double()
    for _ in range(2):  # the second from weights that have moved
        starts, noise = drawn()
        rollout = _roll_out(here, starts[:, None], noise)
        log = {"reward": rollout.returns[:, 0], **here.update(rollout)}
        numbers = many_runs.episode(there, torch.as_tensor(starts), torch.as_tensor(noise[..., 0]).movedim(1, 0))
        for name, row in zip(many_runs.COLUMNS, numbers, strict=True):
            assert row.numpy() == pytest.approx(log[name], rel=1e-4, abs=1e-5), name
    for network in ("actor", "critic"):
        pairs = zip(getattr(here, network).parameters(), getattr(there, network).parameters(), strict=True)
        assert max((a - b).abs().max().item() for a, b in pairs) < 1e-6


def test_what_it_cannot_train_is_refused():
    for agent in (PPO(3, 1), PPO(3, 1, Hyperparameters(shuffle=True)), PPO(3, 1, choices=2)):
        with pytest.raises(ValueError, match=r"from a CUDA device, with .*; got "):
            many_runs.train_on_device(agent, 5)


@needs_device
def test_a_graph_learns_what_single_operations_learn(algorithm):
    def trained(episodes, in_a_graph):
        torch.cuda.manual_seed(1)
        agent = algorithm(3, 1, seeds=range(RUNS), device="cuda")
        log = many_runs.train_on_device(agent, episodes, progress=False, warm_up=3 if in_a_graph else episodes)
        return log, torch.cat([p.detach().flatten() for p in agent.actor.parameters()])

    (graph, weights), (single, others) = trained(6, True), trained(6, False)
    assert graph.shape == (len(many_runs.COLUMNS), 6, RUNS)
    np.testing.assert_allclose(graph[0], single[0], rtol=1e-3)
    assert (weights - others).abs().max() < 1e-3


@needs_device
def test_runs_on_the_device_end_where_those_on_the_cpu_do(algorithm):
    runs, episodes = 32, 200
    log = train(algorithm(3, 1, seeds=range(runs)), episodes, progress=False)
    cpu = log[log.episode >= episodes - 100].groupby("run").reward.mean().to_numpy()
    device = many_runs.train_on_device(algorithm(3, 1, seeds=range(runs), device="cuda"), episodes, progress=False)
    device = device[0, -100:].mean(0)
    error = np.hypot(cpu.std() / runs**0.5, device.std() / runs**0.5)
    assert abs(cpu.mean() - device.mean()) < 4 * error
    assert 0.5 < cpu.std() / device.std() < 2
