"""What every benchmark does with its numbers: a section of build/benchmarks.json, and a table on the screen."""

import json
import os
import pathlib
import platform
import statistics
import time

import gymnasium
import numpy
import stable_baselines3
import torch

REPORT = pathlib.Path(__file__).parents[2] / "build" / "benchmarks.json"


def in_turn(contestants, rounds, clock=time.process_time):
    """Each contestant once a round, so that whatever else the machine does meets all of them.

    contestants: name -> function without arguments. Returns name -> list of `rounds` times in s, by default of the
    processor: on a machine that others use too, the wall clock would time them.
    """
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = clock()
            run()
            times[name].append(clock() - start)
    return times


def medians(times):
    return {name: statistics.median(x) for name, x in times.items()}


def record(section, results):
    """Put `results` under `section` into build/benchmarks.json, with versions and load; what else is there stays."""
    try:
        report = json.loads(REPORT.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        report = {}
    versions = {module.__name__: module.__version__ for module in (torch, numpy, gymnasium, stable_baselines3)}
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    report[section] = results | {"versions": {"python": platform.python_version(), **versions}, "machine": machine}
    REPORT.parent.mkdir(exist_ok=True)
    part = REPORT.with_suffix(".part")
    part.write_text(json.dumps(report, indent=2) + "\n")
    part.replace(REPORT)


def print_table(title, rows):
    """rows: name -> dict of numbers (None: nothing to say), the same keys in every row."""
    columns = {name: max(len(name), 9) + 3 for name in next(iter(rows.values()))}
    width = max(map(len, rows))
    print(f"\n\n{title}\n{'':{width}}" + "".join(f"{name:>{w}}" for name, w in columns.items()))
    for name, values in rows.items():
        print(f"{name:{width}}" + "".join(f"{_short(values[c]):>{w}}" for c, w in columns.items()))


def _short(x):
    return "" if x is None else f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.2f}"
