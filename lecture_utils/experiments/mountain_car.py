"""The honest failure of notebook 06: a car that must swing up a hill and is paid only at the top, and what helps it.

MountainCarContinuous-v0 pays 100 at the flag and takes 0.1 times the square of the push at every step. Whoever never
reaches the flag learns to do nothing. `python -m lecture_utils.experiments.mountain_car` (part of `make data-cartpole`)
records both ways to explore in data/mountain_car; it can be stopped, and goes on with the one that is missing.
"""

import functools

import gymnasium
import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, TUNED, train
from lecture_utils.experiments.data_files import DATA, ROOT, checked, kept, read_table, write_checksums, write_table

TASK = "MountainCarContinuous-v0"
HELD = 16  # steps of the car for which one push is kept
SEEDS = range(8)
UPDATES = 12
CAR_STEPS = 98_304  # of the car, a run: 12 updates of 8 environments x 1,024 steps
RECIPE = TUNED.replace(
    gamma=0.98 ** (1 / HELD), initial_std=0.0, episodes_per_update=8, rollout_steps=1024, minibatch_size=4096,
    reward_scale=0.1, anneal_updates=UPDATES,
)  # fmt: skip
HELD_RECIPE = RECIPE.replace(gamma=0.98, rollout_steps=1024 // HELD, minibatch_size=4096 // HELD)
FOLDER = DATA / "mountain_car"
COLUMNS = ("run", "step", "reward", "length")


class Hold(gymnasium.Wrapper):
    """Each action is repeated for `steps` steps of the environment, or until the episode ends; their rewards add up."""

    def __init__(self, env, steps):
        super().__init__(env)
        self.steps = steps

    def step(self, action):
        total = 0.0
        for _ in range(self.steps):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += reward
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


def make(held=1):
    """The task, each push held for so many steps."""
    env = gymnasium.make(TASK)
    return env if held == 1 else Hold(env, held)


def random_pushes(held, episodes=100, seed=0):
    """Share of episodes that reach the flag where each push is drawn from a standard normal distribution and cut."""
    rng, env, arrived = np.random.default_rng(seed), make(held), 0
    for episode in range(episodes):
        env.reset(seed=seed + episode)
        terminated = truncated = False
        while not (terminated or truncated):
            push = rng.standard_normal(1).clip(-1, 1).astype(np.float32)
            *_, terminated, truncated, _ = env.step(push)
        arrived += terminated
    return arrived / episodes


SETTINGS = {"a push at every step": (1, RECIPE), f"a push held for {HELD} steps": (HELD, HELD_RECIPE)}


def _file(held):
    return f"mountain_car/held_{held}.csv"


def record(held, recipe):
    """One row a run and episode: run, step (of the car, a run, by the update that learned from it), reward, length."""
    agent = PPO.for_env(TASK, recipe, seeds=SEEDS)
    log = train(agent, steps=CAR_STEPS // held, env=functools.partial(make, held))
    return log.assign(step=log.step * held)[list(COLUMNS)]


def load_mountain_car(folder=FOLDER):
    """Both ways to explore as one DataFrame: pushes (a key of SETTINGS), run, step, reward, length, arrived."""
    command, logs = "make data-cartpole", {}
    for name, (held, _) in SETTINGS.items():
        path = checked(_file(held), folder.parent, command)
        logs[name] = read_table(path, COLUMNS, command)
    log = pd.concat(logs, names=["pushes"]).reset_index("pushes").reset_index(drop=True)
    return log.assign(arrived=log.reward > 0)  # who never arrives only pays


def summary(log, last=CAR_STEPS // 4):
    """By pushes: runs of SEEDS that learn anything of the flag, the first update, the last quarter of the steps."""
    late = log[log.step > CAR_STEPS - last]
    runs = late.groupby(["pushes", "run"]).agg(arrived=("arrived", "mean"), reward=("reward", "mean"))
    by = runs.groupby("pushes", sort=False)
    ever = log.groupby(["pushes", "run"]).arrived.sum().gt(10).groupby("pushes", sort=False).sum()
    first = log[log.step == log.step.min()].groupby(["pushes", "run"]).reward.mean().groupby("pushes", sort=False)
    table = {
        "runs that arrive more than ten times": ever,
        "episodes that arrive at the end": by.arrived.mean(),
        "mean return in the first update": first.mean(),
        "mean return at the end": by.reward.mean(),
        "median run's": by.reward.median(),
        "worst run's": by.reward.min(),
    }
    return pd.DataFrame(table).loc[list(SETTINGS)]


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for held, recipe in SETTINGS.values():
        log = kept(ROOT / "build" / _file(held), record, held, recipe)
        write_table(log, DATA / _file(held), float_format="%.4g")
    write_checksums(names=[_file(held) for held, _ in SETTINGS.values()])


if __name__ == "__main__":
    main()
