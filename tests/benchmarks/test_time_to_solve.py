"""Seconds of one core to solve the task: Stable-Baselines3 with RL Zoo's values, `TUNED` alone, sixteen at once.

Solved: the mean return of the mean action over 300 fixed starts is at least -160. Evaluating is not counted. Where
Stable-Baselines3 is not there after RL Zoo's 100,000 steps, the seconds until then count: the ratios are lower bounds.
"""

import statistics
import time

import torch
from record import print_table, record

from lecture_utils import PPO, TUNED, train
from lecture_utils.experiments.time_to_solve import SOLVED, tuned, zoo

ROUNDS, RUNS = 3, 16
ZOO = "Stable-Baselines3, RL Zoo"
LEAST = {"TUNED, R = 1": 4.0, "TUNED, R = 16": 10.0}  # times as fast as Stable-Baselines3, per run


def solve_times(contestants):
    """Lets generators work in turns, so that whatever else the machine does meets all of them.

    contestants: name -> generator that yields after each update a function without arguments: the scores, (R,).
    Returns for each the seconds of training (processor, wall) until every one of its runs was solved once, or, for ZOO
    alone, until it ends.
    """
    times = {name: [0.0, 0.0] for name in contestants}
    solved, unfinished = {}, dict(contestants)
    while unfinished:
        for name, updates in list(unfinished.items()):
            before = time.process_time(), time.perf_counter()
            score = next(updates, None)
            after = time.process_time(), time.perf_counter()
            times[name] = [total + b - a for total, a, b in zip(times[name], before, after, strict=True)]
            if score is None:
                assert name == ZOO, f"{name} did not reach {SOLVED} in all runs, it did in {solved[name]}"
                del unfinished[name]
                continue
            solved[name] = (score() >= SOLVED) | solved.get(name, False)
            if solved[name].all():
                del unfinished[name]
    return times


def test_tuned_solves_sooner_than_stable_baselines3(capsys):
    assert torch.get_num_threads() == 1
    train(PPO(3, 1, TUNED), TUNED.episodes_per_update, progress=False)  # warm up
    next(zoo(ROUNDS))
    times = {name: [] for name in (ZOO, *LEAST)}
    for seed in range(ROUNDS):
        contestants = {ZOO: zoo(seed), "TUNED, R = 1": tuned([seed])}
        if seed == 0:
            contestants["TUNED, R = 16"] = tuned(range(RUNS))
        for name, seconds in solve_times(contestants).items():
            runs = RUNS if name.endswith("16") else 1
            times[name].append([x / runs for x in seconds])

    median = {name: [statistics.median(column) for column in zip(*x, strict=True)] for name, x in times.items()}
    rows = {
        name: {"processor s per run": x[0], "wall s per run": x[1], "times as fast": median[ZOO][0] / x[0]}
        for name, x in median.items()
    }
    with capsys.disabled():  # shown without -s too
        title = f"seconds to a mean return of {SOLVED:.0f}, one thread, medians of {ROUNDS} rounds in turn"
        print_table(title, rows)
    record("time to solve", {"unit": "s per run", "median": rows, "all (processor, wall)": times})
    for name, least in LEAST.items():
        assert rows[name]["times as fast"] >= least, f"{name}: not {least} times as fast as Stable-Baselines3"
