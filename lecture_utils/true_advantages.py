"""The true advantage of a state and action on Pendulum-v1, by simulation, and the errors of GAE measured against it.

`python -m lecture_utils.true_advantages` measures both at states that the recorded PPO agents visit and writes
data/true_advantages.npz. It takes two to four minutes; a few states at a time fit into a notebook.
"""

import os
import pathlib

import numpy as np
import pandas as pd
import torch

from lecture_utils import recordings
from lecture_utils.continuations import HORIZON, LAMBDAS, measure
from lecture_utils.data_files import DATA, checked, read_arrays, write_checksums
from lecture_utils.rollouts import collect_episodes

FILE = "true_advantages.npz"
CONTINUATIONS = 1024
RUNS = (0, 1, 2, 3)
STEPS = (0, 10, 20, 40, 80, 160)  # of an episode: most of them while the pendulum still swings up
EPISODES = 4  # a run
OF_A_STATE = ("run", "theta", "theta_dot", "action", "q", "v", "q_error", "v_error", "advantage_error")
OF_AN_ESTIMATE = ("mean", "variance", "offset", "bias_error", "rest_error")


def true_advantages(agent, states, actions, *, continuations=1000, horizon=HORIZON, seed=0):
    """Q(s, a), V(s) and their difference under the agent's sampled policy, with the agent's gamma.

    agent: of one run. states: (N, 2) theta in rad, theta_dot in rad/s; actions: (N, 1) torques in N m. Each value is
    the mean over `continuations` episodes of `horizon` steps, set to the state. Returns a DataFrame with a row a state:
    q, v, advantage (discounted rewards) and q_error, v_error, advantage_error (standard errors).
    Raises ValueError for an agent of several runs and for shapes or numbers that do not fit.
    """
    measured = measure(agent, {}, states, actions, continuations=continuations, horizon=horizon, seed=seed)
    return _truth(measured)


def visited(agent, episodes=EPISODES, steps=STEPS):
    """States (N, 2) that an agent of one run visits at these steps of its next episodes, and its actions (N, 1)."""
    rollout = collect_episodes(agent, episodes)
    cos, sin, theta_dot = np.moveaxis(rollout.observation[0][:, list(steps)].astype(np.float64), -1, 0)
    states = np.stack([np.arctan2(sin, cos), theta_dot], axis=-1)
    return states.reshape(-1, 2), rollout.action[0][:, list(steps)].reshape(-1, 1)


def record(folder=DATA, runs=RUNS, continuations=CONTINUATIONS):
    """Measure at states that the agent "ppo" visits, with the critics of "ppo_early" and "ppo", and write the file."""
    torch.set_num_threads(1)
    late, early = (recordings.load_agent(name, folder=folder) for name in ("ppo", "ppo_early"))
    parts = []
    for run in runs:
        agent = late.select([run])
        critics = {"early": early.select([run]).critic, "late": agent.critic}
        states, actions = visited(agent)
        part = measure(agent, critics, states, actions, continuations=continuations, seed=run)
        parts.append({"run": np.full(len(states), run), "theta": states[:, 0], "theta_dot": states[:, 1],
                      "action": actions[:, 0], **part})  # fmt: skip
    arrays = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}
    path = pathlib.Path(folder) / FILE
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, critics=np.array(["early", "late"]), lambdas=np.array(LAMBDAS), **arrays)
    os.replace(temporary, path)


def load_true_advantages(folder=DATA):
    """What `record` wrote, as two DataFrames.

    truth: one row a state: run, theta, theta_dot, action, q, v, advantage and the standard errors.
    estimates: one row a critic, lambda and state: critic, lambda, state, advantage (the true one), mean, variance,
    offset, bias_error, rest_error; see `measure`.
    Raises FileNotFoundError or ValueError that say what is wrong with the file.
    """
    dimensions = {"critics": 1, "lambdas": 1} | dict.fromkeys(OF_A_STATE, 1) | dict.fromkeys(OF_AN_ESTIMATE, 3)
    arrays = read_arrays(checked(FILE, folder), dimensions)
    truth = _truth(arrays)
    index = pd.MultiIndex.from_product(
        [arrays["critics"], arrays["lambdas"], range(len(truth))], names=["critic", "lambda", "state"]
    )
    estimates = pd.DataFrame({name: arrays[name].ravel() for name in OF_AN_ESTIMATE}, index=index).reset_index()
    estimates.insert(3, "advantage", truth.advantage.to_numpy()[estimates.state])
    return truth, estimates


def _truth(arrays):
    frame = pd.DataFrame({name: arrays[name] for name in OF_A_STATE if name in arrays})
    return frame.assign(advantage=frame.q - frame.v)


if __name__ == "__main__":
    record()
    write_checksums(names=["true_advantages.npz"])
