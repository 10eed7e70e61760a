"""Experiments of many settings, sixteen runs each, over the cores of this machine or the workers of a cluster.

A setting is a recipe, trained for some episodes by R runs together, in pieces that are kept. Settings are spread over
processes (dask.distributed). Each one's result is one file, written as it arrives; a sweep that was stopped goes on
where it was. Sweeping needs the extra: pip install ".[sweep]".
"""

import contextlib
import dataclasses
import glob
import itertools
import json
import os
import pathlib
import time

import numpy as np
import pandas as pd

from lecture_utils import A2C, PPO, Hyperparameters, TrainingDiverged, evaluate, train
from lecture_utils.experiments.data_files import checked, read_exactly, read_table
from lecture_utils.fast import torch_threads
from lecture_utils.training import LOG_COLUMNS

COLUMNS = ("run", *LOG_COLUMNS[1:], "score_sampled", "score_mean", "seconds")
SAVE_EVERY = 60.0  # seconds of training that may be lost

# Dask asks glibc to give freed memory back at once. Training frees and takes the same megabytes at every step: told to
# keep them, and to use one heap for all threads, it takes a third of the time.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
}
CONFIGURATION = {
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    "distributed.scheduler.worker-saturation": 1.0,  # a setting waits for any worker, not behind a longer one
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained (agent: A2C, PPO or a subclass), for how many episodes a run, and what is kept of it.

    block: episodes that one row of the result averages. scored_every: episodes between two scores on fixed starts, a
    multiple of block. scored_on: how many starts.
    """

    agent: type = PPO
    hyperparameters: Hyperparameters = dataclasses.field(default_factory=Hyperparameters)
    episodes: int = 3000
    block: int = 50
    scored_every: int = 250
    scored_on: int = 100

    def __post_init__(self):
        if self.episodes % self.block or self.scored_every % self.block:
            raise ValueError(
                f"episodes and scored_every must be multiples of block ({self.block}), "
                f"got {self.episodes} and {self.scored_every}"
            )

    def recipe(self, seeds):
        """All of it as plain values, for a file's first line."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        recipe = dataclasses.asdict(self.hyperparameters)
        recipe["hidden"] = list(recipe["hidden"])
        return fields | {"agent": self.agent.__name__, "hyperparameters": recipe, "seeds": list(seeds)}


def run_setting(setting, seeds, workspace):
    """Train one setting; returns one row a run and block of episodes.

    Columns: run, episode (the block's first), the block's means of what train logs, then score_sampled and score_mean,
    the mean returns on fixed_starts after the block with sampled and with mean actions (NaN where not scored), and
    seconds, the processor time of all runs together so far, scoring left out.
    workspace: path without ending; what is unfinished lies there and is taken up again. A run that diverges is left
    out from there on, and the others go on: its later rows are missing.
    """
    seeds, workspace = tuple(seeds), pathlib.Path(workspace)
    with torch_threads(1):
        agent, runs, rows = _resume(setting, seeds, workspace)
        saved = time.monotonic()
        while runs and agent.episodes < setting.episodes:
            agent, runs, block = _block(agent, runs, setting, rows[-1].seconds.iloc[-1] if rows else 0.0)
            rows.append(block)
            if runs and time.monotonic() - saved > SAVE_EVERY:
                _save(agent, runs, setting, seeds, rows, workspace)
                saved = time.monotonic()
    for path in _unfinished(workspace):
        path.unlink()
    return pd.concat(rows, ignore_index=True).sort_values(["run", "episode"], ignore_index=True)


def _block(agent, runs, setting, seconds):
    """One block of episodes: the agent that goes on, the numbers of its runs, and the block's rows."""
    first, start, logs = agent.episodes, time.process_time(), []
    while runs and agent.episodes < first + setting.block:
        try:
            log = train(agent, first + setting.block - agent.episodes, progress=False)
            logs.append(log.assign(run=[runs[run] for run in log.run]))
            if agent.episodes < first + setting.block:
                raise KeyboardInterrupt  # train swallowed it
        except TrainingDiverged as error:
            logs.append(error.log.assign(run=[runs[run] for run in error.log.run]))
            left = [run for run in range(agent.runs) if run != error.run]
            agent, runs = agent.select(left) if left else agent, [runs[run] for run in left]
    rows = pd.concat(logs).astype(float).groupby("run").mean().reset_index().astype({"run": int})
    rows["episode"], rows["score_sampled"], rows["score_mean"] = first, np.nan, np.nan
    rows["seconds"] = seconds + time.process_time() - start
    if runs and agent.episodes % setting.scored_every == 0:
        for name, deterministic in {"score_sampled": False, "score_mean": True}.items():
            scores = evaluate(agent, setting.scored_on, deterministic=deterministic).mean(-1)
            rows[name] = rows.run.map(dict(zip(runs, scores, strict=True)))
    return agent, runs, rows


def _save(agent, runs, setting, seeds, rows, workspace):
    """The agent's file tells by its count of episodes which rows belong to it, and is written last."""
    workspace.parent.mkdir(parents=True, exist_ok=True)
    before = {path for path in _unfinished(workspace) if path.suffix == ".csv"}
    path = pathlib.Path(f"{workspace}.unfinished-{agent.episodes}.csv")
    write_rows(path, setting.recipe(seeds) | {"runs": runs}, pd.concat(rows), digits=17)
    agent.save(f"{workspace}.unfinished.pt")
    for old in before - {path}:
        old.unlink()


def _unfinished(workspace):
    """The files of what is unfinished. To glob, a name such as clip=[1] would be a pattern, which fits other names."""
    return list(workspace.parent.glob(f"{glob.escape(workspace.name)}.unfinished*"))


def _resume(setting, seeds, workspace):
    try:
        agent = setting.agent.load(f"{workspace}.unfinished.pt")
        path = f"{workspace}.unfinished-{agent.episodes}.csv"
        recipe = read_recipe(path)
        runs = recipe.pop("runs")
        if recipe == setting.recipe(seeds):
            return agent, runs, [read_exactly(path, skiprows=1)]
    except (FileNotFoundError, ValueError, KeyError):
        pass  # nothing there, or another recipe's: from the start
    return setting.agent(3, 1, setting.hyperparameters, seeds=seeds), list(range(len(seeds))), []


def write_rows(path, recipe, rows, digits=6):
    """The recipe in the first line, then the rows, to a temporary name that is then moved into place."""
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    table = rows.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n")
    temporary.write_text(f"# {json.dumps(recipe)}\n{table}", newline="\n")
    os.replace(temporary, path)


def read_rows(path, command="sweep(...)"):
    """The rows of a file that write_rows wrote; ValueError that names `command`, which makes it, where they are not."""
    return read_table(path, COLUMNS, command, skiprows=1)


def read_recipe(path, command="sweep(...)"):
    """The recipe in the first line of a file that write_rows wrote; ValueError as read_rows where it has none.

    A detail that Hyperparameters did not have when the file was made stands at its default, the lecture's value.
    """
    with open(path) as file:
        try:
            recipe = json.loads(file.readline().removeprefix("# "))
            recipe["hyperparameters"] = Setting().recipe([])["hyperparameters"] | recipe["hyperparameters"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{path} does not begin with a recipe: no sweep made it; `{command}` makes it again"
            ) from None
    return recipe


def grid(agent=PPO, **axes):
    """A Setting for every combination: grid(PPO, passes=[1, 2], clip=[0.1, 0.2]) holds four, named by what varies.

    agent: A2C or PPO (or a subclass). axes: lists of values for fields of Hyperparameters, or for `episodes`.
    """
    fields = {field.name for field in dataclasses.fields(Hyperparameters)}
    unknown = [name for name in axes if name not in fields | {"episodes"}]
    if not (isinstance(agent, type) and issubclass(agent, A2C)) or unknown:
        raise ValueError(f"grid takes A2C or PPO and lists of values for {sorted(fields)} or episodes, "
                         f"got {agent!r} and {unknown}")  # fmt: skip
    settings = {}
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        name = "_".join([agent.__name__, *(f"{field}={value}" for field, value in chosen.items())])
        length = {"episodes": chosen.pop("episodes")} if "episodes" in chosen else {}
        settings[name] = Setting(agent, agent.default.replace(**chosen), **length)
    return settings


def sweep(settings, folder, *, seeds=range(16), client=None, workers=None, workspace=None, report=None):
    """Run every setting that `folder` does not hold yet; returns all of them as one tidy DataFrame (see load_sweep).

    settings: dict name -> Setting, as grid makes it. seeds: one whole number a run, for every setting.
    client: None for processes of this machine (`workers` of them, by default one a core), the address of a scheduler
        ("tcp://...", started by dask-jobqueue, dask-kubernetes or dask itself), or a dask.distributed.Client.
    workspace: a folder for unfinished settings, by default folder/unfinished; best one that the workers share.
    report: a function of one line of text, called as settings end; None: silence.

    A worker that dies costs the minute since its setting was last saved: another takes over. A setting that fails does
    not stop the others; the RuntimeError at the end names all that did. Ctrl-C loses nothing that was saved.
    Raises ValueError where `folder` holds a file of that name made from another recipe.
    """
    folder = pathlib.Path(folder).absolute()
    workspace = folder / "unfinished" if workspace is None else pathlib.Path(workspace).absolute()
    seeds, report = tuple(int(seed) for seed in seeds), report or (lambda line: None)
    wrong = [name for name, setting in settings.items() if not isinstance(setting, Setting) or "/" in name]
    if wrong or not settings:
        raise ValueError(f"settings must be a dict of file name -> Setting, at least one; wrong: {wrong}")
    todo = {name: setting for name, setting in settings.items() if not _finished(folder, name, setting, seeds)}
    failed = {}
    if todo:
        from dask.distributed import as_completed  # the only part that needs the extra

        folder.mkdir(parents=True, exist_ok=True)
        with _connected(client, workers) as connected:
            futures = {
                connected.submit(run_setting, setting, seeds, str(workspace / name), pure=False): name
                for name, setting in todo.items()
            }
            try:
                for done in as_completed(futures):
                    name = futures[done]
                    if done.status != "finished":
                        failed[name] = done.exception()
                        report(f"{name}: {failed[name]!r}")
                        continue
                    write_rows(folder / f"{name}.csv", todo[name].recipe(seeds), done.result())
                    report(f"{name}: done")
            finally:
                connected.cancel(list(futures))
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(settings)} settings failed, the others are in {folder}: {failed}")
    return load_sweep(folder, settings)


def load_sweep(folder, names=None, command="sweep(...)"):
    """The results in `folder` as one DataFrame, `setting` first, then the columns of run_setting.

    names: which settings, in which order; None: all files, by name. command: what makes them, for error messages.
    Raises FileNotFoundError for a file that is missing, ValueError for one that no sweep of this version wrote.
    """
    folder = pathlib.Path(folder)
    names = sorted(path.stem for path in folder.glob("*.csv")) if names is None else list(names)
    missing = [name for name in names if not (folder / f"{name}.csv").is_file()]
    if missing or not names:
        raise FileNotFoundError(f"{folder} has no results of {missing or 'any setting'}; `{command}` makes them")
    logs = [read_rows(folder / f"{name}.csv", command) for name in names]
    return pd.concat(logs, keys=names, names=["setting"]).reset_index("setting").reset_index(drop=True)


def load_recorded(settings, folder, *, seeds=range(16), command):
    """load_sweep of a folder inside data/, once every file's checksum and recipe are the right ones.

    settings, seeds: as they were given to sweep. command: what records them again. Errors as of load_sweep.
    """
    for name, setting in settings.items():
        path = checked(f"{folder.name}/{name}.csv", folder.parent, command)
        if read_recipe(path, command) != setting.recipe(seeds):
            raise ValueError(f"{path} was made from another recipe; delete it, and `{command}` makes it again")
    return load_sweep(folder, settings, command)


def _finished(folder, name, setting, seeds):
    path = folder / f"{name}.csv"
    if not path.is_file():
        return False
    if (recipe := read_recipe(path)) != setting.recipe(seeds):
        raise ValueError(f"{path} was made from another recipe: {recipe}. Delete it, or give another folder")
    return True


@contextlib.contextmanager
def _connected(client, workers):
    """A Client; what was started here is closed again."""
    import dask
    from dask.distributed import Client, LocalCluster

    if isinstance(client, Client):
        yield client
    elif isinstance(client, str):
        with Client(client) as connected:
            yield connected
    elif client is None:
        workers = os.cpu_count() if workers is None else workers
        with (
            dask.config.set(CONFIGURATION),
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as connected,
        ):
            yield connected
    else:
        raise TypeError(f"client must be None, the address of a scheduler or a dask Client, got {client!r}")
