"""How often the lecture's standard deviation, |z| with nothing added, is exactly zero in training: its program stops.

`python -m lecture_utils.experiments.std_zero` (part of `make data`) trains the lecture's recipe, which adds 0.001, and
counts where z itself is 0. It writes data/std_zero.csv, one row a run.
"""

import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, fast
from lecture_utils.experiments.data_files import DATA, checked, read_table, write_checksums, write_table
from lecture_utils.training import collect_episodes

FILE = "std_zero.csv"
COLUMNS = ("seed", "computed", "zeros", "first_zero")
SEEDS, EPISODES, TOGETHER = range(256), 200, 64


def record(seeds, episodes=EPISODES, agent=None):
    """Train one run a seed; returns a DataFrame of COLUMNS.

    computed: standard deviations computed in updates (rollouts not counted), zeros: how many had z = 0 exactly,
    first_zero: the first episode with one, -1 if none.
    """
    agent = PPO(3, 1, seeds=seeds) if agent is None else agent
    computed, zeros, first = np.zeros(agent.runs, int), np.zeros(agent.runs, int), np.full(agent.runs, -1)

    def count(module, inputs, output):
        if module is agent.actor.body and not torch.is_grad_enabled():
            return  # kl_after asks, which the lecture's program does not
        z = output.detach()[..., agent.action_dim :].flatten(1)
        computed[:] += z.shape[1]
        zeros[:] += (z == 0).sum(-1).cpu().numpy()

    for actor in (agent.actor, agent.old_actor):
        actor.body.register_forward_hook(count)
    with fast.training(agent):
        for episode in range(episodes):
            agent.update(collect_episodes(agent))
            first[(first < 0) & (zeros > 0)] = episode
    return pd.DataFrame(dict(zip(COLUMNS, (list(agent.seeds), computed, zeros, first), strict=True)))


def load_std_zero(folder=DATA):
    """The recorded counts, as `record` returns them. Raises FileNotFoundError or ValueError that name the file."""
    return read_table(checked(FILE, folder), COLUMNS)


def main():
    torch.set_num_threads(1)
    groups = [SEEDS[first : first + TOGETHER] for first in range(0, len(SEEDS), TOGETHER)]
    write_table(pd.concat([record(group) for group in groups]), DATA / FILE)
    write_checksums(names=[FILE])


if __name__ == "__main__":
    main()
