"""After a class: run every student's notebook in a fresh kernel and tabulate the verdicts of its checkers.

A notebook runs as it is, with the rights of whoever calls this; its file is not written to. The verdicts come from
the checkers themselves, through a file of their own: what a notebook prints or stores as output counts for nothing.
"""

import argparse
import asyncio
import concurrent.futures
import copy
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from lecture_utils.exercises.verdict import EXERCISES, KEPT_IN, NOT_ATTEMPTED, RIGHT, WRONG

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "notebooks"  # where kernels start, if the package is in a checkout
NOT_CHECKED = "not checked"  # the checker was not called, or not reached
FINISHED, STOPPED = "finished", "stopped"


def summarize(paths, time_limit=300, jobs=2):
    """One row for each notebook: DataFrame with columns notebook, run, and one for each exercise that occurs.

    paths: notebooks, opened or not. time_limit: seconds a notebook may take. jobs: how many run at a time.
    run: how it ended: "finished", "finished; raised NameError", "timed out", "kernel died", "does not open: ...".
    An exercise: "right", "wrong: <mistake>" (or "wrong"), "not attempted", "not checked"; "" where not asked.
    """
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:  # threads: each kernel has an event loop of its own
        rows = list(pool.map(lambda path: _row(str(path), time_limit), paths))
    columns = [number for number in EXERCISES if any(number in row for row in rows)]
    return pd.DataFrame(rows, columns=["notebook", "run", *columns]).fillna("")


def as_text(table):
    """The table in short words, then for each exercise the mistakes that were recognised, the most frequent first."""
    numbers = [column for column in table if column in EXERCISES]
    short = table.copy()
    short[numbers] = short[numbers].map(lambda cell: cell.split(":")[0])
    short["run"] = short.pop("run").str.slice(0, 60)
    if len({os.path.dirname(path) for path in table.notebook}) == 1:
        short["notebook"] = short.notebook.map(os.path.basename)
    names = dict(zip(table.notebook, short.notebook, strict=True))
    columns = [[name, *short[name].astype(str)] for name in short]
    widths = [max(map(len, column)) for column in columns]
    rows = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns, strict=True)]
    lines = [*rows, ""]
    for number in numbers:
        asked = table[table[number] != ""]
        lines.append(f"{number} {EXERCISES[number][0]}: right in {(asked[number] == RIGHT).sum()} of {len(asked)}")
        mistakes = asked[asked[number].str.startswith(f"{WRONG}:")].groupby(number).notebook.agg(list)
        for mistake, who in sorted(mistakes.items(), key=lambda item: -len(item[1])):
            lines.append(f"    {len(who)} x {mistake.removeprefix(WRONG + ': ')} ({', '.join(map(names.get, who))})")
    return "\n".join(lines)


def _row(path, time_limit):
    row = {"notebook": path}
    try:
        notebook = nbformat.read(path, as_version=4)
        sources = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    except FileNotFoundError:
        return {**row, "run": "does not open: no such file"}
    except Exception as error:  # whatever a file may hold: it is a row of the table, not the end of it
        return {**row, "run": f"does not open: not a notebook ({type(error).__name__})"}
    where = NOTEBOOKS if NOTEBOOKS.is_dir() else pathlib.Path(path).parent
    for _ in range(2):  # once more where not the notebook failed but its start: a port taken by another kernel
        with tempfile.TemporaryDirectory() as folder:
            kept = pathlib.Path(folder) / "verdicts"
            run = asyncio.run(_execute(copy.deepcopy(notebook), where, kept, time_limit))
            verdicts = _verdicts(kept)
        if not run.startswith(STOPPED):
            break
    asked = {number: NOT_CHECKED for number in EXERCISES if number[0] in _notebook_numbers(sources, path)}
    return {**row, "run": run, **asked, **verdicts}


async def _execute(notebook, where, kept, time_limit):
    """How the run ended, in words. Errors do not stop it: what comes after may be right."""
    client = NotebookClient(
        notebook, timeout=None, allow_errors=True, kernel_name="python3", shutdown_kernel="immediate",
        resources={"metadata": {"path": str(where)}},
    )  # fmt: skip
    environment = {**os.environ, KEPT_IN: str(kept)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # nbclient keeps asking after a kernel that was stopped in mid-cell, and would tell so in a traceback.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    began = time.monotonic()
    try:
        await asyncio.wait_for(client.async_execute(env=environment, **quiet), time_limit)
    except Exception as error:
        if time.monotonic() - began >= time_limit:  # the kernel was stopped: nbclient may call that a dead kernel
            return f"timed out after {time_limit:g} s"
        return "kernel died" if isinstance(error, DeadKernelError) else f"{STOPPED}: {type(error).__name__}"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    raised = list(dict.fromkeys(output.ename for output in outputs if output.output_type == "error"))
    return FINISHED + (f"; raised {', '.join(raised)}" if raised else "")


def _verdicts(kept):
    """The last verdict on each exercise, in words."""
    found = {}
    for line in kept.read_text(encoding="utf-8", errors="replace").splitlines() if kept.is_file() else ():
        try:
            verdict = json.loads(line)
            number, status, mistake = verdict["exercise"], verdict["status"], str(verdict["mistake"])
        except (ValueError, TypeError, KeyError):
            continue
        if number in EXERCISES and status in {RIGHT, WRONG, NOT_ATTEMPTED}:
            found[number] = f"{status}: {mistake}" if mistake else status
    return found


def _notebook_numbers(sources, path):
    """Digits of the notebooks whose checkers are called in the sources; without any, that of the file's name."""
    called = {number[0] for number, (_, checker) in EXERCISES.items() if re.search(rf"\b{checker}\b", sources)}
    named = re.match(r"0(\d)", pathlib.Path(path).name)
    return called or ({named.group(1)} if named else set())


def main(arguments=None):
    """The command line; returns the exit status, 0 whatever the students did."""
    parser = argparse.ArgumentParser(
        prog="python -m lecture_utils.exercises",
        description="Run students' notebooks, each in a fresh kernel, and tabulate which exercises are right.",
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    parser.add_argument("--csv", metavar="PATH", help="write the table to this file, too")
    parser.add_argument("--time-limit", type=float, default=300, metavar="SECONDS", help="for one notebook (300)")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks that run at a time (2)")
    chosen = parser.parse_args(arguments)
    if chosen.time_limit <= 0 or chosen.jobs < 1:
        parser.error(f"--time-limit must be above 0 and --jobs at least 1, got {chosen.time_limit:g} and {chosen.jobs}")
    began = time.monotonic()
    table = summarize(chosen.notebooks, chosen.time_limit, chosen.jobs)
    print(as_text(table))
    print(f"\n{len(table)} notebooks in {time.monotonic() - began:.0f} s")
    if chosen.csv:
        temporary = pathlib.Path(f"{chosen.csv}.tmp")
        table.to_csv(temporary, index=False, lineterminator="\n")
        os.replace(temporary, chosen.csv)
    return 0
