"""Time per run and episode: the plain loop, and `train` with one run and with sixteen, side by side on one thread."""

import json
import pathlib
import platform
import statistics
import time

import gymnasium
import numpy
import torch
from plain_loop import PlainPPO, plain_train

from lecture_utils import PPO, train

ROUNDS, EPISODES = 9, 8
REPORT = pathlib.Path(__file__).parents[2] / "build" / "benchmarks.json"
LEAST = {"train, R = 1": 2.0, "train, R = 16": 10.0}  # times as fast as the plain loop, per run


def contestants():
    """What is timed: name -> (function of a number of episodes, runs)."""
    plain, one, sixteen = PlainPPO(), PPO(3, 1, seeds=[0]), PPO(3, 1, seeds=range(16))
    return {
        "plain loop": (lambda episodes: plain_train(plain, episodes), 1),
        "train, R = 1": (lambda episodes: train(one, episodes, progress=False), 1),
        "train, R = 16": (lambda episodes: train(sixteen, episodes, progress=False), 16),
    }


def test_train_is_faster_than_the_plain_loop(capsys):
    """In turn, so that whatever else the machine does meets all of them; the medians are compared."""
    assert torch.get_num_threads() == 1
    torch.manual_seed(0)
    entries = contestants()
    for run_for, _ in entries.values():
        run_for(2)  # warm up
    times = {name: [] for name in entries}
    for _ in range(ROUNDS):
        for name, (run_for, runs) in entries.items():
            start = time.perf_counter()
            run_for(EPISODES)
            times[name].append(1000 * (time.perf_counter() - start) / (EPISODES * runs))

    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = {name: median["plain loop"] / value for name, value in median.items()}
    pairs = {name: [a / b for a, b in zip(times["plain loop"], x, strict=True)] for name, x in times.items()}
    with capsys.disabled():  # shown without -s too
        print(f"\n\nms per run and episode, {ROUNDS} rounds of {EPISODES} episodes in turn, one thread")
        print(f"{'':15}{'median':>9}{'fastest':>9}{'slowest':>9}{'times as fast':>15}{'pair by pair':>18}")
        for name, values in times.items():
            span = f"{min(pairs[name]):.1f} to {max(pairs[name]):.1f}"
            print(f"{name:15}{median[name]:9.2f}{min(values):9.2f}{max(values):9.2f}{ratio[name]:15.1f}{span:>18}")
    REPORT.parent.mkdir(exist_ok=True)
    versions = {module.__name__: module.__version__ for module in (torch, numpy, gymnasium)}
    report = {
        "unit": "ms per run and episode",
        "median": median,
        "times_as_fast_as_plain_loop": ratio,
        "all": times,
        "versions": {"python": platform.python_version(), **versions},
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n")

    for name, least in LEAST.items():
        assert ratio[name] >= least, f"{name} is {ratio[name]:.2f} times as fast as the plain loop, not {least}"
