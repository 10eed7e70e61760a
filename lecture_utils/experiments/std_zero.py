"""How often the lecture's program stops: its standard deviation, |z| with nothing added, must not be 0.

`python -m lecture_utils.experiments.std_zero` (part of `make data`) trains the plain loop without the repair, one run a
seed, until torch refuses a standard deviation of 0. It writes data/std_zero.csv, one row a run; stopped, it goes on.
"""

import concurrent.futures
import os
import warnings

import pandas as pd
import torch
from tqdm.auto import tqdm

from lecture_utils.experiments.data_files import DATA, ROOT, checked, kept, read_table, write_checksums, write_table
from lecture_utils.experiments.plain_loop import PlainPPO, plain_train

FILE = "std_zero.csv"
COLUMNS = ("seed", "episodes", "stopped")
SEEDS, EPISODES, TOGETHER = range(256), 100, 8


def record(seeds, episodes=EPISODES, std_floor=0.0):
    """Train one run a seed; returns a DataFrame of COLUMNS: episodes it completed, stopped 1 where it did not go on."""
    torch.set_num_threads(1)
    rows = []
    for seed in seeds:
        torch.manual_seed(seed)  # weights and actions; the environment has its own
        agent, returns, stopped = PlainPPO(std_floor), [], 0
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Creating a tensor from a list")  # as the lecture does, slow as it is
                plain_train(agent, episodes, seed, returns)
        except ValueError as error:
            if "scale" not in str(error):
                raise
            stopped = 1
        rows.append((seed, len(returns), stopped))
    return pd.DataFrame(rows, columns=COLUMNS)


def load_std_zero(folder=DATA):
    """The recorded runs, as `record` returns them. Raises FileNotFoundError or ValueError that name the file."""
    return read_table(checked(FILE, folder), COLUMNS)


def main():
    groups = [SEEDS[first : first + TOGETHER] for first in range(0, len(SEEDS), TOGETHER)]
    parts = [ROOT / "build" / "std_zero" / f"{EPISODES}-{group[0]}.csv" for group in groups]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(kept, path, record, group) for path, group in zip(parts, groups, strict=True)]
        for job in tqdm(concurrent.futures.as_completed(jobs), total=len(jobs), desc=FILE):
            job.result()
    write_table(pd.concat([job.result() for job in jobs]), DATA / FILE)
    write_checksums(names=[FILE])
    for path in parts:
        path.unlink()


if __name__ == "__main__":
    main()
