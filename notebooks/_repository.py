"""Where students find this repository, and what follows from it: the first cell of every notebook, buttons, PDF links.

The address is one setting, `repository` under [tool.lecture] in pyproject.toml; the variable LECTURE_REPOSITORY goes
before it. `python notebooks/_repository.py` writes the first cell into every notebook, which is `make first-cells`;
with the word `say` it only says so where the address is not set.
"""

import os
import pathlib
import sys
import tomllib

import nbformat

HERE = pathlib.Path(__file__).resolve().parent
CELL = "install"  # the id of the first cell
MORE = {"05_details_that_matter": " stable-baselines3"}  # what a notebook needs beside the package
MISSING = (
    "Where students find this repository is not set: write its address behind `repository` in pyproject.toml and run "
    "`make first-cells`, and the pages get buttons for Colab and Binder, and the notebooks a cell that installs."
)
INSTALLS = """\
from importlib.util import find_spec

SOURCE = "{source}"
if not find_spec("lecture_utils"):  # as on Colab: install it
    %pip install -q "{{SOURCE}}"{more}
    if not find_spec("lecture_utils"):
        print("Not installed: connect to the network and run it again.")"""
EXPLAINS = """\
from importlib.util import find_spec

if not find_spec("lecture_utils"):
    print("Not installed: in a terminal, in the folder of this lecture, "
          "run `pip install .{more}`, then restart the kernel.")"""


def address(root=HERE.parent):
    """The repository's address without a slash at its end; "" where it is not set."""
    settings = root / "pyproject.toml"
    table = tomllib.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    chosen = os.environ.get("LECTURE_REPOSITORY") or table.get("tool", {}).get("lecture", {}).get("repository", "")
    return chosen.rstrip("/")


def first_cell(repository, notebook=""):
    """Source of the first cell: it does nothing where the package is there; elsewhere it installs it.

    repository: an address, or what pip installs: a folder, a wheel; "": the cell says what to do. notebook: its stem.
    """
    more = MORE.get(notebook, "")
    if not repository:
        return EXPLAINS.format(more=more)
    source = repository
    if repository.startswith("https://github.com/"):
        source = f"{repository}/archive/main.zip"  # needs no git
    elif repository.startswith(("https://", "http://")):
        source = f"git+{repository}"
    return INSTALLS.format(source=source, more=more)


def put_first_cell(notebook, source):
    """Put the first cell behind the title, or bring the one that is there up to date. Changes the notebook."""
    there = next((cell for cell in notebook.cells if cell.get("id") == CELL), None)
    if there is not None:
        there.source = source
        return
    counted = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    for cell in counted:  # a notebook is stored as executed once from top to bottom
        for part in (cell, *cell.outputs):
            if part.get("execution_count"):
                part.execution_count += 1
    metadata = {"slideshow": {"slide_type": "skip"}, "tags": ["remove-cell"]}
    new = nbformat.v4.new_code_cell(source, id=CELL, metadata=metadata, execution_count=1 if counted else None)
    notebook.cells.insert(1, new)


def main(folder=HERE):
    """Write the first cell into all notebooks and their solutions."""
    for path in sorted([*folder.glob("[0-9]*.ipynb"), *folder.glob("solutions/[0-9]*.ipynb")]):
        notebook = nbformat.read(path, as_version=4)
        put_first_cell(notebook, first_cell(address(), path.stem))
        nbformat.write(notebook, path)


if __name__ == "__main__":
    if sys.argv[1:] != ["say"]:
        main()
    print(address() or MISSING)
