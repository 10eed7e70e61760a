"""Many settings, sixteen runs each, over the cores of this machine or the workers of a cluster (dask.distributed).

The runs of one setting train together; settings are spread over processes. Each setting's result is one file, written
as it arrives; a sweep that was stopped goes on where it was. Needs the extra: pip install ".[sweep]".
"""

import contextlib
import dataclasses
import itertools
import os
import pathlib

import pandas as pd

from lecture_utils.agents import A2C, PPO
from lecture_utils.data_files import checked
from lecture_utils.hyperparameters import Hyperparameters
from lecture_utils.settings import Setting, read_recipe, read_rows, run_setting, write_rows

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
    """The results in `folder` as one DataFrame, `setting` first, then the columns of settings.run_setting.

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
