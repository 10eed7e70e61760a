"""Why PPO learns a task in which chance never arrives: Acrobot-v1 of notebook 06, as it is and in two other forms.

An arm of two links has to swing its tip above a line; every step until then costs 1.
`python -m lecture_utils.experiments.acrobot` (part of `make data-cartpole`) records all three in data/acrobot.csv, in
some minutes.
"""

import functools

import gymnasium
import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, train
from lecture_utils.experiments.cartpole import CARTPOLE, CARTPOLE_STEPS
from lecture_utils.experiments.data_files import DATA, ROOT, checked, kept, read_table, write_checksums, write_table

TASK = "Acrobot-v1"
SEEDS = range(16)
PRIZE = 100.0  # for the arrival, where the steps cost nothing
FORMS = ("a cost for each step", "the same, and a critic that expects it", "a prize for the arrival alone")
FILE = "acrobot.csv"
COLUMNS = ("form", "run", "update", "highest", "arrived")


def height(observation):
    """(..., 6) -> (...): the tip above the pivot, in lengths of a link, from -2 (hanging) to 2; the line is at 1."""
    cos_1, sin_1, cos_2, sin_2 = np.moveaxis(observation[..., :4], -1, 0)
    return -cos_1 - (cos_1 * cos_2 - sin_1 * sin_2)


class Watched(PPO):
    """PPO that notes of each rollout and run how high the tip came, and how many episodes reached the line."""

    def update(self, rollout):
        heights = height(rollout.next_observation)  # (R, E, T)
        self.notes.append((heights.max((1, 2)), rollout.terminated.sum((1, 2))))
        return super().update(rollout)


class Prize(gymnasium.Wrapper):
    """Pays PRIZE for the arrival, and nothing else."""

    def step(self, action):
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, PRIZE * terminated, terminated, truncated, info


def make(form):
    env = gymnasium.make(TASK)
    return Prize(env) if form == FORMS[2] else env


def record(form, steps=CARTPOLE_STEPS):
    """One row a run and update: form, run, update (from 0), highest, arrived."""
    agent = Watched.for_env(TASK, CARTPOLE, seeds=SEEDS)
    agent.notes = []
    if form == FORMS[1]:  # the discounted sum of a cost of 1 for ever, as the critic sees it
        h = CARTPOLE
        agent.critic.layers[-1].bias.data -= h.reward_scale / (1 - h.gamma)
    train(agent, steps=steps, env=functools.partial(make, form))
    highest, arrived = (np.stack(x) for x in zip(*agent.notes, strict=True))  # (updates, R)
    update, run = np.indices(highest.shape)
    columns = {"form": form, "run": run.ravel(), "update": update.ravel()}
    return pd.DataFrame(columns | {"highest": highest.ravel(), "arrived": arrived.ravel().astype(int)})


def load_acrobot(folder=DATA):
    """The three forms as one DataFrame of COLUMNS."""
    command = "make data-cartpole"
    return read_table(checked(FILE, folder, command), COLUMNS, command)


def first_arrivals(log):
    """DataFrame, a row a run and a column a form: the update of the first arrival; one that never comes is infinite."""
    came = log[log.arrived > 0].pivot_table(index="run", columns="form", values="update", aggfunc="min")
    return came.reindex(index=sorted(set(log.run)), columns=FORMS).fillna(np.inf)


def summary(log):
    """By form: runs that ever arrive; medians of the update of the first arrival and of the highest tip before it.

    "tip ... before": of the update before that of the first arrival, or the last one in a run that never arrives.
    "later": the runs in which the first arrival comes later than that of the same seed with a cost for each step.
    """
    first = first_arrivals(log)
    tips = log.pivot_table(index=["form", "run"], columns="update", values="highest")
    before = np.minimum(first, tips.shape[1]).sub(1).clip(0).astype(int)
    rows = {}
    for form in FORMS:
        heights = tips.loc[form].to_numpy()
        rows[form] = {
            "runs that arrive": int(np.isfinite(first[form]).sum()),
            "later": int((first[form] > first[FORMS[0]]).sum()),
            "first arrival, update": first[form].median(),
            "tip in the first update": np.median(heights[:, 0]),
            "tip before the arrival": np.median(heights[np.arange(len(heights)), before[form]]),
        }
    return pd.DataFrame(rows).T


def main():
    torch.set_num_threads(1)
    parts = [kept(ROOT / "build" / "acrobot" / f"{k}.csv", record, form) for k, form in enumerate(FORMS)]
    write_table(pd.concat(parts, ignore_index=True), DATA / FILE, float_format="%.4g")
    write_checksums(names=[FILE])


if __name__ == "__main__":
    main()
