"""Wall time and peak memory of every notebook, each run in a kernel of its own; and of the whole series."""

import os
import pathlib
import time

import nbclient
import nbformat
from record import print_table, record

FOLDER = pathlib.Path(__file__).parents[2] / "notebooks"
MOST = {"wall s": 60, "GiB": 1.0}
MOST_OF_ALL = 300  # s, on two cores
# The kernel's peak. Linux counts to getrusage's what the parent held when the kernel started, so not that there.
PEAK = """
import pathlib as _pathlib, resource as _resource, sys as _sys, time as _time
_status = _pathlib.Path("/proc/self/status")
_kib = int(_status.read_text().split("VmHWM:")[1].split()[0]) if _status.exists() else (
    _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss / (1024 if _sys.platform == "darwin" else 1))
print(_kib / 2**20, _time.process_time())
"""


def cost(path):
    """Runs a notebook: wall time with the start of its kernel, the kernel's processor time, its peak memory."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    start = time.perf_counter()
    nbclient.NotebookClient(
        notebook, timeout=600, coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    wall = time.perf_counter() - start
    peak, processor = map(float, notebook.cells[-1].outputs[0].text.split())
    return {"wall s": wall, "processor s": processor, "GiB": peak}


def test_every_notebook_and_the_series(capsys):
    rows = {str(path.relative_to(FOLDER)): cost(path) for path in sorted(FOLDER.rglob("[0-9]*.ipynb"))
            if ".ipynb_checkpoints" not in path.parts}  # fmt: skip
    series = [row for name, row in rows.items() if os.sep not in name]
    rows["the series"] = {name: (max if name == "GiB" else sum)(row[name] for row in series) for name in series[0]}
    with capsys.disabled():  # shown without -s too
        print_table("wall time, processor time and peak memory of the notebooks, one after the other", rows)
    record("notebooks", {"units": "s and GiB", "all": rows})
    over = {name: row for name, row in rows.items() if any(row[k] > most for k, most in MOST.items())}
    whole = over.pop("the series", rows["the series"])
    assert not over
    assert whole["wall s"] <= MOST_OF_ALL
