"""Seconds and samples to solve: counted as the updates come, and an unsolved run is not a fast one."""

import numpy as np
import pandas as pd

from lecture_utils import TUNED_EPISODES
from lecture_utils.experiments.time_to_solve import COLUMNS, SOLVED, load_time_to_solve, tuned, until_solved, watched


def test_samples_and_seconds_are_those_of_the_updates_so_far():
    rows = watched(iter([lambda: np.array([-900.0, -800.0]), lambda: np.array([-150.0, -140.0])]), samples=100)
    assert [[(count, score) for count, _, score in update] for update in rows] == [
        [(100, -900.0), (100, -800.0)],
        [(200, -150.0), (200, -140.0)],
    ]
    seconds = [update[0][1] for update in rows]
    assert 0 <= seconds[0] <= seconds[1]


def test_scoring_is_not_counted():
    def slow():
        sum(range(10_000_000))
        return np.array([0.0])

    ((_, seconds, _),) = watched(iter([slow]), samples=1)[0]
    assert seconds < 0.05


def test_the_first_solved_update_counts_and_never_is_infinite():
    rows = [("a", 0, 1, 0.1, -900.0), ("a", 0, 2, 0.2, SOLVED), ("a", 0, 3, 0.3, -100.0), ("b", 0, 1, 0.1, -161.0)]
    table = until_solved(pd.DataFrame(rows, columns=COLUMNS)).set_index("program")
    assert table.loc["a", ["samples", "seconds"]].tolist() == [2, 0.2]
    assert np.isinf(table.loc["b", ["samples", "seconds"]].astype(float)).all()


def test_tuned_is_scored_after_every_update():
    updates = tuned([0, 1])
    assert next(updates)().shape == (2,)


def test_the_recorded_table_is_complete():
    table = load_time_to_solve()
    ends = table.groupby(["program", "seed"]).samples.max().groupby("program").agg(["size", "max"])
    assert ends["size"].tolist() == [5, 16, 5]
    assert ends.loc["TUNED, alone", "max"] == TUNED_EPISODES * 200
    assert ends.loc["Stable-Baselines3, RL Zoo", "max"] >= 100_000
