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

from lecture_utils import A2C, PPO, Hyperparameters, TrainingDiverged, checks, evaluate, fast, train
from lecture_utils.experiments.data_files import checked, read_exactly, read_table
from lecture_utils.experiments.sweep_progress import Progress
from lecture_utils.training import LOG_COLUMNS

COLUMNS = ("run", *LOG_COLUMNS[1:], "kl_after_median", "score_sampled", "score_mean", "seconds")
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
    env: the id of another task than the pendulum. What are episodes above are then rollouts of one environment, of
    rollout_steps each; a block is one call of train, and a row averages the episodes that ended in it.
    """

    agent: type = PPO
    hyperparameters: Hyperparameters = dataclasses.field(default_factory=Hyperparameters)
    episodes: int = 3000
    block: int = 50
    scored_every: int = 250
    scored_on: int = 100
    env: str = ""

    def __post_init__(self):
        for name in ("episodes", "block", "scored_every", "scored_on"):
            object.__setattr__(self, name, checks.whole(name, getattr(self, name), 1))
        if self.episodes % self.block or self.scored_every % self.block:
            raise ValueError(
                f"episodes and scored_every must be multiples of block ({self.block}), "
                f"got {self.episodes} and {self.scored_every}"
            )

    def recipe(self, seeds):
        """All of it as plain values, for a file's first line, just as they are read from there: tuples are lists."""
        fields = dataclasses.asdict(self)
        if not self.env:
            del fields["env"]  # which files of the pendulum do not name
        others = {"agent": self.agent.__name__, "seeds": [int(seed) for seed in seeds]}
        return json.loads(json.dumps(fields | others))

    def begin(self, seeds):
        """The agent before training."""
        if self.env:
            return self.agent.for_env(self.env, self.hyperparameters, seeds)
        return self.agent(3, 1, self.hyperparameters, seeds=seeds)

    def train(self, agent, episodes):
        """The log of so many more episodes."""
        if self.env:
            steps = episodes * self.hyperparameters.rollout_steps
            return train(agent, steps=steps, env=self.env, progress=False)
        return train(agent, episodes, progress=False)

    def score(self, agent, deterministic):
        """(R,) mean returns."""
        return evaluate(agent, self.scored_on, deterministic, env=self.env or None).mean(-1)


def run_setting(setting, seeds, workspace, tell=lambda episodes: None):
    """Train one setting; returns one row a run and block of episodes.

    Columns: run, episode (the block's first), the block's means of what train logs, the median of kl_after, then
    score_sampled and score_mean, the mean returns on fixed_starts after the block with sampled and with mean actions
    (NaN where not scored), and seconds, the processor time of all runs together so far, scoring left out.
    workspace: path without ending; what is unfinished lies there and is taken up again. A run that diverges is left
    out from there on, and the others go on: its later rows are missing.
    tell: called with the number of episodes that are done, about every second.
    """
    seeds, workspace = checks.seeds(seeds), pathlib.Path(workspace)
    with fast.torch_threads(1):
        agent, runs, rows = _resume(setting, seeds, workspace)
        tell(agent.episodes)
        saved = time.monotonic()
        while runs and agent.episodes < setting.episodes:
            agent, runs, block = _block(agent, runs, setting, rows[-1].seconds.iloc[-1] if rows else 0.0, tell)
            rows.append(block)
            if runs and time.monotonic() - saved > SAVE_EVERY:
                _save(agent, runs, setting, seeds, rows, workspace)
                saved = time.monotonic()
    for path in _unfinished(workspace):
        path.unlink()
    return pd.concat(rows, ignore_index=True).sort_values(["run", "episode"], ignore_index=True)


def _block(agent, runs, setting, seconds, tell):
    """One block of episodes: the agent that goes on, the numbers of its runs, and the block's rows."""
    first, start, logs = agent.episodes, time.process_time(), []
    while runs and agent.episodes < first + setting.block:
        a_second = agent.episodes / (seconds + time.process_time() - start + 1e-6)  # episodes
        updates = max(1, round(a_second / agent.hyperparameters.episodes_per_update))
        piece = min(updates * agent.hyperparameters.episodes_per_update, first + setting.block - agent.episodes)
        if setting.env:  # each call begins new episodes: what is computed must not depend on how long it takes
            piece = first + setting.block - agent.episodes
        goal = agent.episodes + piece
        try:
            log = setting.train(agent, piece)
            logs.append(log.assign(run=[runs[run] for run in log.run]))
            if agent.episodes < goal:
                raise KeyboardInterrupt  # train swallowed it
            tell(goal)
        except TrainingDiverged as error:
            logs.append(error.log.assign(run=[runs[run] for run in error.log.run]))
            left = [run for run in range(agent.runs) if run != error.run]
            agent, runs = agent.select(left) if left else agent, [runs[run] for run in left]
    by_run = pd.concat(logs).astype(float).groupby("run")
    rows = by_run.mean().assign(kl_after_median=by_run.kl_after.median()).reset_index().astype({"run": int})
    rows["episode"], rows["score_sampled"], rows["score_mean"] = first, np.nan, np.nan
    rows["seconds"] = seconds + time.process_time() - start
    if runs and agent.episodes % setting.scored_every == 0:
        for name, deterministic in {"score_sampled": False, "score_mean": True}.items():
            scores = setting.score(agent, deterministic)
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
    return setting.begin(seeds), list(range(len(seeds))), []


def write_rows(path, recipe, rows, digits=6):
    """The recipe in the first line, then the rows, to a temporary name that is then moved into place."""
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    table = rows.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n")
    temporary.write_text(f"# {json.dumps(recipe)}\n{table}", newline="\n")
    os.replace(temporary, path)


def read_rows(path, command="sweep(...)"):
    """The rows of a file that write_rows wrote; ValueError that names `command`, which makes it, where they are not."""
    return read_table(path, COLUMNS, command, skiprows=1, more=True)


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

    agent: A2C or PPO (or a subclass). axes: lists or arrays of values for fields of Hyperparameters, or for `episodes`;
    a value of several numbers is a tuple in the list, hidden=[(32, 32), (64, 64)]. Raises ValueError for what is none.
    """
    fields = {field.name for field in dataclasses.fields(Hyperparameters)}
    unknown = [name for name in axes if name not in fields | {"episodes"}]
    if not (isinstance(agent, type) and issubclass(agent, A2C)) or unknown:
        raise ValueError(f"grid takes A2C or PPO and lists of values for {sorted(fields)} or episodes, "
                         f"got {agent!r} and {unknown}")  # fmt: skip
    for name, values in axes.items():
        if not np.iterable(values) or isinstance(values, (str, bytes, dict, set)) or not (values := list(values)):
            raise ValueError(f"grid takes a list or an array of values for {name}, {name}=[...], got {values!r:.80}")
        axes[name] = [
            checks.whole(name, x, 1) if name == "episodes" else checks.hyperparameter(name, x) for x in values
        ]
    settings = {}
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        name = "_".join([agent.__name__, *(f"{field}={value}" for field, value in chosen.items())])
        length = {"episodes": chosen.pop("episodes")} if "episodes" in chosen else {}
        settings[name] = Setting(agent, agent.default.replace(**chosen), **length)
    return settings


def sweep(settings, folder, *, seeds=range(16), client=None, workers=None, workspace=None, progress=True):
    """Run every setting that `folder` does not hold yet; returns all of them as one tidy DataFrame (see load_sweep).

    settings: dict name -> Setting, as grid makes it. seeds: one whole number a run, for every setting.
    client: None for processes of this machine (`workers` of them, by default one a core), the address of a scheduler
        ("tcp://...", started by dask-jobqueue, dask-kubernetes or dask itself), or a dask.distributed.Client.
    workspace: a folder for unfinished settings, by default folder/unfinished; best one that the workers share.
    progress: print what will be done and about how long it takes, before any worker is started; then show a bar of the
        episodes of all settings with the time that is left, and print what fails as it fails. False: silence.

    How long is extrapolated from an update and a scoring of each setting, timed here, or of as many as five seconds
    allow: of workers on other machines it says less.
    A worker that dies costs the minute since its setting was last saved: another takes over. A setting that fails does
    not stop the others; the RuntimeError at the end names all that did. Ctrl-C loses nothing that was saved.
    Raises ValueError for settings that cannot be run, and where `folder` holds a file made from another recipe.
    """
    folder = pathlib.Path(folder).absolute()
    workspace = folder / "unfinished" if workspace is None else pathlib.Path(workspace).absolute()
    seeds = checks.seeds(seeds)
    wrong = [name for name, setting in settings.items() if not isinstance(setting, Setting) or "/" in name]
    if wrong or not settings:
        raise ValueError(f"settings must be a dict of file name -> Setting, at least one; wrong: {wrong}")
    wrong = [name for name, x in settings.items() if x.block % x.hyperparameters.episodes_per_update]
    if wrong:
        raise ValueError(f"block must be a multiple of episodes_per_update; wrong in {wrong}")
    todo = {name: setting for name, setting in settings.items() if not _finished(folder, name, setting, seeds)}
    failed = {}
    if todo:
        from dask.distributed import as_completed  # the only part that needs the extra

        def agent(name):
            return _resume(todo[name], seeds, workspace / name)[0]

        folder.mkdir(parents=True, exist_ok=True)
        begun = {name: agent(name).episodes for name in todo if _unfinished(workspace / name)}
        shown = Progress(progress, len(settings), todo, len(seeds), begun, agent)
        with _connected(client, workers, shown.announce) as connected, shown.bar(connected) as topic:
            futures = {
                connected.submit(_on_worker, setting, seeds, str(workspace / name), topic, name, pure=False): name
                for name, setting in todo.items()
            }
            try:
                arriving = as_completed(futures)
                while not arriving.is_empty():
                    time.sleep(0.2)
                    shown.move()
                    for done in arriving.next_batch(block=False):
                        name = futures[done]
                        if done.status == "finished":
                            write_rows(folder / f"{name}.csv", todo[name].recipe(seeds), done.result())
                        else:
                            failed[name] = done.exception() or done.status
                        shown.move(name, failed.get(name))
            finally:
                connected.cancel(list(futures))
    elif progress:
        print(f"0 of {len(settings)} settings to train: all there already")
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(settings)} settings failed, the others are in {folder}: {failed}")
    return load_sweep(folder, settings)


def _on_worker(setting, seeds, workspace, topic, name):
    """run_setting, telling how far it is where somebody listens."""
    from dask.distributed import get_worker

    tell = (lambda episodes: get_worker().log_event(topic, [name, episodes])) if topic else (lambda episodes: None)
    return run_setting(setting, seeds, workspace, tell)


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
def _connected(client, workers, announce):
    """A Client; what was started here is closed again. announce: called before, with the number of workers."""
    import dask
    from dask.distributed import Client, LocalCluster

    if isinstance(client, (Client, str)):
        with contextlib.nullcontext(client) if isinstance(client, Client) else Client(client) as connected:
            announce(sum(connected.nthreads().values()))
            yield connected
    elif client is None:
        workers = os.cpu_count() if workers is None else checks.whole("workers", workers, 1)
        announce(workers, at_once=min(workers, os.cpu_count()))
        with (
            dask.config.set(CONFIGURATION),
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as connected,
        ):
            yield connected
    else:
        raise TypeError(f"client must be None, the address of a scheduler or a dask Client, got {client!r}")
