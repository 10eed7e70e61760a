"""Every notebook run in a kernel that may not write or ask the network: each cell twice in a row, then all of it again.

(Again only up to the first cell that takes seconds: a training is run twice in a row, and not a third time.)

One execution serves all questions, because it is what takes time: the same text every time, no file written outside
the temporary folder, nobody asked beyond this machine, and the text that is stored in the notebook, though the kernel
rounds as another processor would (SECOND_MACHINE). So a reader who executes the notebook sees what its prose quotes.
"""

import copy
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import nbclient
import nbformat
import notebook_checks
import pytest
from notebook_checks import NOTEBOOKS
from numbers_in_prose import unchecked

ROOT = pathlib.Path(__file__).parents[2]
COPIED = ("lecture_utils", "notebooks", "data", "figures", "pyproject.toml", "constraints.txt")
# PyTorch without the vector instructions of this processor, MKL with those that every processor has: sums in another
# order. What is chaotic comes out otherwise, as it does on other machines.
SECOND_MACHINE = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}

SLOW = 2  # seconds

# Runs in the kernel before the notebook. ZeroMQ's sockets, the kernel's own, are not Python's and go on.
ALONE = r"""
import os, sys

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime"}
CHANGES |= {"shutil.copyfile", "shutil.move", "shutil.rmtree", "sqlite3.connect"}

def _refuse(event, arguments, checkout=os.environ["CHECKOUT"], scratch=os.environ["SCRATCH"], changes=CHANGES, os=os):
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        changed = [path] if writes and not isinstance(path, int) else []
    else:
        changed = arguments[:2 if event == "os.rename" else 1] if event in changes else []
    for path in changed:
        path = os.path.realpath(os.fsdecode(path)) if path is not None else checkout
        if path.startswith(checkout) or not path.startswith((scratch, "/dev/", "\\\\.\\")):
            raise PermissionError(f"the notebook writes {path}")
    if event in ("socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo"):
        host = arguments[0] if event == "socket.getaddrinfo" else arguments[1][0]
        if not isinstance(arguments[-1], (str, bytes)) and host not in ("127.0.0.1", "::1", "localhost", None, ""):
            raise OSError(f"the notebook asked for {host} on the network")

sys.addaudithook(_refuse)
"""


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of what a notebook can reach, and the environment of a kernel that takes it for the checkout."""
    scratch = tmp_path_factory.getbasetemp().resolve()
    folder = scratch / "checkout"
    for name in COPIED:
        place = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        folder.mkdir(exist_ok=True)
        place(ROOT / name, folder / name)
    environment = {"CHECKOUT": folder, "SCRATCH": scratch, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {
        "MPLCONFIGDIR": scratch / "matplotlib",
        "IPYTHONDIR": scratch / "ipython",
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch),
    }
    environment |= SECOND_MACHINE
    environment = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    # Matplotlib says, where it takes long, that it looks through the fonts for the first time.
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], env=environment, check=True)
    return folder, environment


def contents(folder):
    """{path: checksum} of every file."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run_twice(notebook, folder, checkout):
    """(cells that print something else when run again, the notebook as it came out).

    The cells are given by their first words, whether it was at once or with the notebook that they printed it.
    """
    copied, environment = checkout
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    everything = nbformat.from_dict({**notebook, "cells": []})
    client = nbclient.NotebookClient(
        everything, timeout=300, coalesce_streams=True, resources={"metadata": {"path": str(folder)}}
    )

    def run(cell):
        number = len(everything.cells)
        everything.cells.append(nbformat.from_dict({**copy.deepcopy(cell), "id": f"cell-{number}"}))
        return client.execute_cell(everything.cells[-1], number)

    before = contents(copied)
    with client.setup_kernel(env=environment):
        run(nbformat.v4.new_code_cell(ALONE))
        first, at_once, seconds = [], [], []
        for cell in cells:
            began = time.monotonic()
            first.append(run(cell))
            seconds.append(time.monotonic() - began)
            at_once.append(run(cell))
        quick = next((i for i, took in enumerate(seconds) if took > SLOW), len(cells))
        again = [*map(run, cells[:quick]), *at_once[quick:]]
    after = contents(copied)
    assert {path for path in before | after if before.get(path) != after.get(path)} == set(), "files of the checkout"
    outcome = copy.deepcopy(notebook)
    for cell, one in zip((cell for cell in outcome.cells if cell.cell_type == "code"), first, strict=True):
        cell.outputs = one.outputs
    changing = [
        notebook_checks.source(one)[:80]
        for one, *others in zip(first, at_once, again, strict=True)
        if not unchecked(one)
        and any(notebook_checks.text_outputs(one) != notebook_checks.text_outputs(other) for other in others)
    ]
    return changing, outcome


def differing(stored, outcome):
    """What a reader would see otherwise than it is stored, and the numbers that the prose would quote wrongly."""
    cells = [
        notebook_checks.source(one)[:80]
        for one, other in zip(stored.cells, outcome.cells, strict=True)
        if one.cell_type == "code"
        and not unchecked(one)
        and notebook_checks.text_outputs(one) != notebook_checks.text_outputs(other)
    ]
    return cells + notebook_checks.numbers_agree(outcome, None)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS[::-1], ids=lambda path: path.stem)  # the longest are among the last
def test_same_text_every_time_and_nothing_written(path, checkout):
    notebook = nbformat.read(path, as_version=4)
    changing, outcome = run_twice(notebook, checkout[0] / "notebooks", checkout)
    assert changing == []
    assert differing(notebook, outcome) == []


def of_cells(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


@pytest.mark.slow
def test_what_differs_the_second_time_is_noticed(tmp_path, checkout):
    at_once = ["n = 0", "n += 1\nprint(n)"]
    again = ["print(m := globals().get('later', 0))", "later = 1"]
    halves = "import time\nprint('one ', end='')\ntime.sleep(globals().get('pause', 0))\npause = 0.5\nprint('line')"
    told, _ = run_twice(of_cells(*at_once, *again, "print('the same')", halves), tmp_path, checkout)
    assert told == [at_once[1], again[0]]


@pytest.mark.slow
def test_what_another_machine_shows_otherwise_is_noticed(tmp_path, checkout):
    """In an output that is compared, and in the prose about it. Beside it, that the kernel does round otherwise."""
    another = "import torch\nprint(18.19)"
    instructions = "print(torch.backends.cpu.get_cpu_capability(), 2.5)"
    notebook = of_cells(another, instructions, "print(0.75)")
    for cell, text in zip(notebook.cells, ["9.78\n", "AVX2 2.5\n", "0.75\n"], strict=True):
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    prose = [nbformat.v4.new_markdown_cell(f"It is {n}.") for n in (9.78, 2.5, 0.75)]
    notebook.cells = [cell for pair in zip(notebook.cells, prose, strict=True) for cell in pair]
    assert notebook_checks.numbers_agree(notebook, None) == []
    _, outcome = run_twice(notebook, tmp_path, checkout)
    assert outcome.cells[2].outputs[0].text == "DEFAULT 2.5\n"
    told = differing(notebook, outcome)
    assert told[:2] == [another, instructions]
    assert [problem.split()[0] for problem in told[2:]] == ["9.78"]


REFUSED = {
    'import socket\nsocket.create_connection(("192.0.2.1", 80), 1)': "OSError: the notebook asked for 192.0.2.1",
    'import socket\nsocket.getaddrinfo("example.org", 80)': "OSError: the notebook asked for example.org",
    'import urllib.request\nurllib.request.urlopen("http://example.org")': "the notebook asked for example.org",
    'open("result.csv", "w")': "PermissionError: the notebook writes",
    'import pathlib\npathlib.Path("../data/new").touch()': "PermissionError: the notebook writes",
    '(pathlib.Path.home() / "x").mkdir()': "PermissionError: the notebook writes",
    'import os\nos.remove("../data/ppo.csv")': "PermissionError: the notebook writes",
    'os.rename(os.environ["SCRATCH"] + "/a", "../data/ppo.csv")': "PermissionError: the notebook writes",
}


@pytest.mark.slow
def test_a_cell_that_does_more_is_refused(checkout):
    notebook = of_cells(ALONE, *REFUSED)
    client = nbclient.NotebookClient(
        notebook, allow_errors=True, resources={"metadata": {"path": str(checkout[0] / "notebooks")}}
    )
    client.execute(env=checkout[1])
    for cell, says in zip(notebook.cells[1:], REFUSED.values(), strict=True):
        assert [says in f"{output.ename}: {output.evalue}" for output in cell.outputs] == [True], cell.source


@pytest.mark.slow
def test_what_another_process_writes_is_noticed(checkout):
    cell = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'open(\"new.txt\", \"w\")'])"
    with pytest.raises(AssertionError, match=r"new\.txt"):
        run_twice(of_cells(cell), checkout[0] / "notebooks", checkout)
    (checkout[0] / "notebooks" / "new.txt").unlink()


@pytest.mark.slow
def test_the_temporary_folder_may_be_written(checkout):
    cell = "import tempfile, pathlib\nwith tempfile.TemporaryDirectory() as f: pathlib.Path(f, 'x').write_text('1')"
    assert run_twice(of_cells(cell), checkout[0] / "notebooks", checkout)[0] == []
