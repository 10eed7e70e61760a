"""Seeds by the hundred: no run crashes, no number stops being finite. `make test-long`: ten to twenty core-minutes."""

import concurrent.futures
import multiprocessing
import os

import numpy as np
import pytest
import torch

from lecture_utils import PPO, TUNED, TUNED_EPISODES, Hyperparameters, train

CASES = {"lecture": (Hyperparameters(), 1000, 50), "tuned": (TUNED, 200, TUNED_EPISODES)}
TOGETHER = 50  # runs that train as one agent


def finite(recipe, first_seed, episodes):
    """Train TOGETHER runs; the rows of their log, and whether all numbers in it and all weights are finite."""
    torch.set_num_threads(1)
    agent = PPO(3, 1, recipe, seeds=range(first_seed, first_seed + TOGETHER))
    log = train(agent, episodes, progress=False)  # TrainingDiverged names run, seed and episode
    weights = [*agent.actor.parameters(), *agent.critic.parameters()]
    numbers = log.drop(columns="explained_variance")  # not defined where all returns are alike
    return len(log), bool(np.isfinite(numbers.to_numpy()).all() and all(torch.isfinite(x).all() for x in weights))


@pytest.mark.parametrize("case", CASES)
def test_no_run_diverges(case):
    recipe, seeds, episodes = CASES[case]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(2, os.cpu_count()), mp_context=context) as pool:
        jobs = [pool.submit(finite, recipe, first, episodes) for first in range(0, seeds, TOGETHER)]
        for done in concurrent.futures.as_completed(jobs):
            rows, all_finite = done.result()
            assert rows == TOGETHER * episodes
            assert all_finite
    print(f"{case}: {seeds} seeds x {episodes} episodes, all finite")
