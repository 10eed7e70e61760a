"""A class on one server: eight kernels at once execute a notebook. `make class`; it takes some minutes."""

import concurrent.futures
import pathlib
import threading
import time

import nbclient
import nbformat
import psutil
import pytest

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "notebooks"
STUDENTS = 8
MEBIBYTE = 2**20


class Watched(nbclient.NotebookClient):
    """A client that also measures: `seconds` from start to end, `memory` the kernel's peak in MiB, its own pages alone
    (uss) where the system tells them, for what kernels share counts once for all of them."""

    def run(self):
        self.memory, done, began = 0.0, threading.Event(), time.monotonic()
        watcher = threading.Thread(target=self._watch, args=[done])
        watcher.start()
        try:
            self.execute()
        finally:
            done.set()
            watcher.join()
        self.seconds = time.monotonic() - began
        return self

    def _watch(self, done):
        while not done.wait(0.5):
            try:
                self.memory = max(
                    self.memory, psutil.Process(self.km.provisioner.pid).memory_full_info().uss / MEBIBYTE
                )
            except (AttributeError, psutil.Error):  # not started yet, or gone
                continue


def student(path):
    notebook = nbformat.read(path, as_version=4)
    return Watched(notebook, timeout=1200, resources={"metadata": {"path": str(path.parent)}}).run()


@pytest.mark.parametrize("name", ["01_ratio_and_clip", "03_ppo_training"])
def test_a_class_executes(name, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as the README says
    path = NOTEBOOKS / f"{name}.ipynb"
    student(path)  # the files are in the system's cache for those who are measured
    alone = student(path)
    with concurrent.futures.ThreadPoolExecutor(STUDENTS) as pool:
        together = list(pool.map(student, [path] * STUDENTS))  # raises where a cell does
    seconds, memory = [one.seconds for one in together], [one.memory for one in together]
    print(f"\n{name}: alone {alone.seconds:.0f} s; {STUDENTS} at once {min(seconds):.0f} to {max(seconds):.0f} s "
          f"({max(seconds) / alone.seconds:.1f} times); memory of a kernel at most {max(memory):.0f} MiB")  # fmt: skip
    assert max(seconds) <= STUDENTS * alone.seconds
    assert 50 < max(memory) < 500
