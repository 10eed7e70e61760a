"""One sweep with one worker and with two."""

import os
import tempfile
import time

import pytest
from record import in_turn, print_table, record

from lecture_utils.experiments.sweep import CONFIGURATION, grid, sweep

ROUNDS, LEAST = 2, 1.8
SETTINGS = grid(gae_lambda=[0.8, 0.85, 0.9, 0.95], episodes=[50])


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two workers need two cores")
def test_two_workers_are_nearly_twice_one(tmp_path, capsys):
    """The start of the workers is left out: a sweep that is worth two workers takes longer than that."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")

    def swept(client):
        sweep(SETTINGS, tempfile.mkdtemp(dir=tmp_path), client=client, progress=False)

    contestants, opened = {}, []
    with dask.config.set(CONFIGURATION):
        for workers in (1, 2):
            cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            opened += [cluster, client := distributed.Client(cluster)]
            client.run(__import__, "lecture_utils.ppo")  # warm up
            contestants[f"{workers} worker" + "s" * (workers > 1)] = lambda c=client: swept(c)
        try:
            times = in_turn(contestants, ROUNDS, clock=time.perf_counter)
        finally:
            for one in reversed(opened):
                one.close()
    best = {name: min(x) for name, x in times.items()}
    rows = {name: {"wall s": x, "times as fast": best["1 worker"] / x} for name, x in best.items()}
    with capsys.disabled():  # shown without -s too
        title = f"a sweep of {len(SETTINGS)} settings of 16 runs and 50 episodes, the faster of {ROUNDS} rounds in turn"
        print_table(title, rows)
    record("sweep", {"unit": "s", "fastest": rows, "all": times})
    assert rows["2 workers"]["times as fast"] >= LEAST
