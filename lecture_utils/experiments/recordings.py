"""The recorded training runs in data/: reading them, checking them, and making them again.

`python -m lecture_utils.experiments.recordings` (that is `make data`) trains the lecture's recipe and writes logs,
agents, README and checksums. It can be stopped: called again it goes on where it was, from what it keeps in
build/recordings.
"""

import concurrent.futures
import contextlib
import dataclasses
import importlib.metadata
import multiprocessing
import os
import pathlib
import platform
import queue

import pandas as pd
import torch
from tqdm.auto import tqdm

from lecture_utils import A2C, PPO, networks, train
from lecture_utils.experiments.data_files import (
    DATA,
    ROOT,
    checked,
    read_exactly,
    read_table,
    write_checksums,
    write_table,
)
from lecture_utils.training import LOG_COLUMNS

RECORDED = "<!-- below this line: written by `make data` -->"

AGENTS = {"ppo": PPO, "a2c": A2C}
SEEDS = range(16)
EPISODES = 3000
EARLY = 250  # episodes after which an early agent is kept
CHUNK = 250  # episodes between two savings
# Floats are double already in memory: a log that was written, read and continued is then the same to the last digit.
DTYPES = {name: int if name in ("run", "episode") else float for name in LOG_COLUMNS}


def load_log(name, folder=DATA):
    """The recorded log `name` ("ppo", "a2c") as train returns it: a DataFrame of 16 runs x 3,000 episodes.

    Raises FileNotFoundError or ValueError that say which file, what is wrong and how to make it again.
    """
    _check_name(name, list(AGENTS))
    return read_table(checked(f"{name}.csv", folder), LOG_COLUMNS)


def load_agent(name, device="cpu", folder=DATA):
    """The recorded agent `name`: "ppo" or "a2c" after 3,000 episodes, "ppo_early" or "a2c_early" after 250."""
    _check_name(name, [*AGENTS, *(f"{algorithm}_early" for algorithm in AGENTS)])
    path = checked(f"{name}.pt", folder)
    return networks.load(AGENTS[name.removesuffix("_early")], path, device, remedy="`make data` makes it again")


def _check_name(name, names):
    if name not in names:
        raise ValueError(f"name must be one of {names}, got {name!r}")


def record(name, workspace, folder=DATA, seeds=SEEDS, episodes=EPISODES, early=EARLY, chunk=CHUNK, told=None):
    """Train `name` and write its log and agents; goes on from `workspace` where an earlier call was stopped.

    told: a queue that gets the number of episodes which are done, at the start and after every chunk, or None.
    """
    tell = (lambda done: told.put((name, done))) if told else (lambda done: None)
    torch.set_num_threads(1)
    workspace, folder = pathlib.Path(workspace), pathlib.Path(folder)
    for place in (workspace, folder):
        place.mkdir(parents=True, exist_ok=True)
    agent, log = _resume(AGENTS[name], workspace / f"{name}.pt", seeds)
    tell(agent.episodes)
    while agent.episodes < episodes:
        goal = min(agent.episodes + chunk, episodes)
        new = train(agent, goal - agent.episodes, progress=False)
        if agent.episodes < goal:
            # train swallowed it. The half chunk is not kept, so that a stopped recording ends as an unstopped one does.
            raise KeyboardInterrupt
        log = pd.concat([log, new], ignore_index=True).astype(DTYPES)
        if agent.episodes == early:
            agent.save(folder / f"{name}_early.pt", resumable=False)
        # The agent carries the name that resuming looks for, so it is written last, with its log's name inside.
        _write_log(log, workspace / f"{name}-{agent.episodes}.csv", float_format=None)
        agent.save(workspace / f"{name}.pt")
        tell(goal)
    _write_log(log, folder / f"{name}.csv", float_format="%.6g")
    agent.save(folder / f"{name}.pt", resumable=False)
    for path in (workspace / f"{name}.pt", *workspace.glob(f"{name}-*.csv")):
        path.unlink()  # the next call makes everything again


def _resume(cls, path, seeds):
    agent = cls.load(path) if path.is_file() else None
    if agent is None or (agent.hyperparameters, agent.seeds) != (cls.default, tuple(seeds)):
        return cls(3, 1, seeds=seeds), pd.DataFrame(columns=LOG_COLUMNS)  # nothing there, or of another recipe
    return agent, read_exactly(path.with_name(f"{path.stem}-{agent.episodes}.csv"))


def _write_log(log, path, float_format):
    log = log[list(LOG_COLUMNS)].sort_values(["run", "episode"])
    write_table(log, path, float_format)


def write_readme(folder=DATA):
    """Put recipe and versions into data/README.md, below its line RECORDED."""
    versions = {"Python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in ("torch", "numpy", "gymnasium", "pandas")}
    fields = dataclasses.asdict(PPO.default)
    rows = [f"| {name} | {value} | {getattr(A2C.default, name)} |\n" for name, value in fields.items()]
    path = pathlib.Path(folder) / "README.md"
    kept = path.read_text().split(RECORDED)[0]
    made_with = ", ".join(f"{name} {version}" for name, version in versions.items())
    path.write_text(
        f"{kept}{RECORDED}\n\nMade with {made_with}.\n\n| field | PPO | A2C |\n| --- | --- | --- |\n{''.join(rows)}"
    )


def main(folder=DATA, workspace=ROOT / "build" / "recordings", episodes=EPISODES, **small):
    """Make every recorded file again, each algorithm in a process of its own. small: other arguments of record."""
    done = dict.fromkeys(AGENTS, 0)
    with (
        multiprocessing.Manager() as manager,
        concurrent.futures.ProcessPoolExecutor(max_workers=min(os.cpu_count(), len(AGENTS))) as pool,
        tqdm(total=len(AGENTS) * episodes, desc="episodes of PPO and A2C") as bar,
    ):
        told = manager.Queue()
        how = {"folder": folder, "episodes": episodes, "told": told} | small
        jobs = [pool.submit(record, name, workspace, **how) for name in AGENTS]
        while not all(job.done() for job in jobs) or not told.empty():
            with contextlib.suppress(queue.Empty):
                name, done[name] = told.get(timeout=1)
                bar.update(sum(done.values()) - bar.n)
        for job in jobs:
            job.result()
    write_checksums(folder, [f"{name}{ending}" for name in AGENTS for ending in (".csv", ".pt", "_early.pt")])
    write_readme(folder)


if __name__ == "__main__":
    main()
