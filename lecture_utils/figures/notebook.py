"""What a notebook does for its reader: figures shown with a caption, and help where cells are run out of order."""

import json
import pathlib
import re
import symtable

from IPython import get_ipython
from IPython.display import Markdown, display

from lecture_utils.experiments.data_files import ROOT
from lecture_utils.figures.style import png


def show(figure, caption):
    """Display a figure with its caption below; the caption is its alternative text too."""
    data = {"image/png": png(figure), "text/plain": "<Figure>"}
    display(data, metadata={"image/png": {"alt": caption}}, raw=True)
    display(Markdown(f"*{caption}*"))


def point_to_cells(notebook, folder=ROOT / "notebooks"):
    """From here on, a NameError in this kernel ends with the heading and the first line of the cell to run first.

    notebook: name of a file in `folder`, without ending; where the package came alone, in the working directory. The
    error itself, its traceback and every other one stay as they are. Outside IPython, and where the file is missing,
    nothing changes.
    """
    path, shell = folder / f"{notebook}.ipynb", get_ipython()
    if not path.is_file():
        path = pathlib.Path.cwd() / path.name
    if shell is None or not path.is_file():
        return

    def add_cell(shell, kind, error, traceback, tb_offset=None):
        hint = where_made(getattr(error, "name", None), _cells(path), shell.user_ns.get("In", [""])[-1])
        if hint and kind is NameError:
            error.args = (f"{error}. {hint}",)
        shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), add_cell)


def where_made(name, cells, current=""):
    """Which of the cells, (heading, source) each, makes `name`: a sentence, or "" where none does.

    The last one before the cell `current`; the first of all where that is not among them, or nothing before it does.
    """
    sources = [source for _, source in cells]
    before = cells[: sources.index(current)] if current in sources else []
    for heading, source in [*reversed(before), *cells]:
        if source != current and name in _names_made(source):
            first = source.splitlines()[0]
            return f"It is made under the heading '{heading}', in the cell that begins `{first}`: run it first."
    return ""


def _cells(path):
    cells, heading = [], ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and source.strip():
            cells.append((heading, source))
        elif found := re.findall(r"^#+ (.+)$", source, flags=re.M):
            heading = found[-1]
    return cells


def _names_made(source):
    try:
        table = symtable.symtable(re.sub(r"^( *)[%!].*$", r"\1pass", source, flags=re.M), "cell", "exec")
    except SyntaxError:
        return set()
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
