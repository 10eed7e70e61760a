"""Every cell of every notebook, run twice in a row without a network, gives the same text both times."""

import nbclient
import nbformat
import notebook_checks
import pytest
from notebook_checks import NOTEBOOKS

# Runs in the kernel before the notebook. The kernel's own sockets are on this machine.
NO_NETWORK = """
import socket

def _refuse(self, address, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"the notebook asked for {address} on the network")
    return _connect(self, address, *rest)

_connect, socket.socket.connect = socket.socket.connect, _refuse
_lookup, socket.getaddrinfo = socket.getaddrinfo, None
"""


def run_twice(notebook, folder):
    """The cells whose second run differs from the first, each as its first words."""
    doubled = nbformat.from_dict({**notebook, "cells": []})
    doubled.cells.append(nbformat.v4.new_code_cell(NO_NETWORK))
    for cell in notebook.cells:
        doubled.cells += [cell, cell.copy()] if cell.cell_type == "code" else [cell]
    for i, cell in enumerate(doubled.cells):
        cell["id"] = f"cell-{i}"
    client = nbclient.NotebookClient(doubled, timeout=300, resources={"metadata": {"path": folder}})
    client.execute()
    code = [cell for cell in doubled.cells if cell.cell_type == "code"][1:]
    pairs = zip(code[::2], code[1::2], strict=True)
    return [
        notebook_checks.source(first)[:80]
        for first, second in pairs
        if "nbval-ignore-output" not in notebook_checks.tags(first)
        and notebook_checks.text_outputs(first) != notebook_checks.text_outputs(second)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_same_text_both_times(path):
    assert run_twice(nbformat.read(path, as_version=4), str(path.parent)) == []


@pytest.mark.slow
def test_a_cell_that_counts_its_runs_is_noticed(tmp_path):
    cells = ["n = 0", "n += 1\nprint(n)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    assert run_twice(notebook, str(tmp_path)) == ["n += 1\nprint(n)"]


@pytest.mark.slow
def test_a_cell_that_asks_the_network_is_noticed(tmp_path):
    cell = 'import socket\nsocket.create_connection(("192.0.2.1", 80), timeout=1)'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        run_twice(notebook, str(tmp_path))
