"""One setting of an experiment: a recipe, trained for some episodes by R runs together, in pieces that are kept."""

import dataclasses
import json
import os
import pathlib
import time

import numpy as np
import pandas as pd

from lecture_utils.agents import PPO
from lecture_utils.data_files import read_exactly, read_table
from lecture_utils.hyperparameters import Hyperparameters
from lecture_utils.rollouts import evaluate, torch_threads
from lecture_utils.training import LOG_COLUMNS, TrainingDiverged, train

COLUMNS = ("run", *LOG_COLUMNS[1:], "score_sampled", "score_mean", "seconds")
SAVE_EVERY = 60.0  # seconds of training that may be lost


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
    for path in workspace.parent.glob(f"{workspace.name}.unfinished*"):
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
    before = set(workspace.parent.glob(f"{workspace.name}.unfinished-*"))
    path = pathlib.Path(f"{workspace}.unfinished-{agent.episodes}.csv")
    write_rows(path, setting.recipe(seeds) | {"runs": runs}, pd.concat(rows), digits=17)
    agent.save(f"{workspace}.unfinished.pt")
    for old in before - {path}:
        old.unlink()


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
