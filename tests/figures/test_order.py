"""After the setup cell: sections that the notebook calls independent run alone, the others name the cell to run."""

import builtins
import json
import re
import symtable
import sys

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_checks import NOTEBOOKS, sections, source, tags
from traitlets.config import Config

from lecture_utils.figures.notebook import _cells, _names_made, point_to_cells, where_made

NOTE = re.compile(r"you can start at any of these sections: (.+?)\.$", flags=re.S | re.M)
SAYING = [path for path in NOTEBOOKS if "point_to_cells(" in path.read_text(encoding="utf-8")]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def said(notebook):
    """Headings of the sections that the notebook calls independent."""
    text = "\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return re.findall(r"\*([^*]+)\*", NOTE.search(text)[1])


def setup_and_sections(notebook):
    """The cells up to the one that calls point_to_cells, and heading -> cells of every later section with code."""
    setup, later = [], {}
    for heading, cells in sections(notebook):
        for cell in cells:
            if cell["cell_type"] == "code" and source(cell).strip():
                if setup and "point_to_cells(" in source(setup[-1]):
                    later.setdefault(heading, []).append(cell)
                else:
                    setup.append(cell)
    return setup, later


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell puts its own there
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    yield shell
    InteractiveShell.clear_instance()


def run(shell, cells):
    """The first error, as text, and None where all cells run."""
    for cell in cells:
        result = shell.run_cell(source(cell), store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if error and "raises-exception" not in tags(cell):
            return f"{type(error).__name__}: {error}"
    return None


def check(shell, notebook):
    """What of the notebook's saying is not so."""
    setup, later = setup_and_sections(notebook)
    independent, problems = said(notebook), []
    problems += [f"no section of code is called {heading!r}" for heading in independent if heading not in later]
    for heading, cells in later.items():
        shell.reset(new_session=True)
        assert run(shell, setup) is None
        error = run(shell, cells)
        if heading in independent:
            problems += [f"{heading!r} does not run alone: {error}"] if error else []
        elif error is None:
            problems.append(f"{heading!r} runs alone: say so")
        elif not re.match(
            r"NameError: .* It is made under the heading '.+', in the cell that begins `.+`: run it", error
        ):
            problems.append(f"{heading!r} does not name the cell to run: {error}")
    return problems


def names_used(table):
    """Names that a cell's code takes from outside its functions, from its symtable."""
    top = table.get_type() == "module"
    names = {x.get_name() for x in table.get_symbols() if x.is_referenced() and (top or x.is_global())}
    return names.union(*map(names_used, table.get_children()))


def missing(cells, made):
    """Names that some of the cells use and neither an earlier cell nor `made`, a set, has."""
    found, made = set(), {*made, *dir(builtins), "display", "get_ipython"}
    for code in map(source, cells):
        made |= _names_made(code)
        found |= (
            names_used(symtable.symtable(re.sub(r"^( *)[%!].*$", r"\1pass", code, flags=re.M), "cell", "exec")) - made
        )
    return found


@pytest.mark.parametrize("path", SAYING, ids=lambda path: path.stem)
def test_sections_have_the_names_that_they_use_or_point_to_them(path):
    setup, later = setup_and_sections(notebook := read(path))
    assert missing(setup, ()) == set()
    made, independent, everything = set().union(*(_names_made(source(cell)) for cell in setup)), said(notebook), set()
    assert set(independent) <= set(later)
    for heading, cells in later.items():
        alone = missing(cells, made)
        assert (alone == set()) == (heading in independent), (heading, alone)
        assert alone <= everything, heading
        everything |= set().union(*(_names_made(source(cell)) for cell in cells))


def test_names_that_cells_use():
    cells = [
        "import a\nx = [y for y in z]",
        "def f(u):\n    v = u + x + w\n    return lambda: v + q",
        "%time\nprint(f, k)",
    ]
    assert missing([nbformat.v4.new_code_cell(cell) for cell in cells], {"k"}) == {"z", "w", "q"}


# Running the sections takes as long as the notebooks do; in the others the names above must do.
QUICK = [path for path in SAYING if path.stem[:2] in ("00", "02", "04")]


@pytest.mark.slow
@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_sections_alone(path, shell, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert check(shell, read(path)) == []


def test_every_notebook_points_to_its_own_cells():
    assert SAYING == NOTEBOOKS
    for path in SAYING:
        assert f'point_to_cells("{path.stem}")' in "".join(map(source, read(path)["cells"])), path.stem


CELLS = """
# Small
from lecture_utils.figures.notebook import point_to_cells
point_to_cells("small", folder=FOLDER)
# Now that this cell has run, you can start at any of these sections: *One*, *Three*.
## One
made = 1
## Two
print(made)
## Three
def function():
    return 5
function()
""".strip().splitlines()


def small(tmp_path, **changes):
    """A notebook of single-line cells, some changed; `function` is one cell."""
    lines = [changes.get(line, line) for line in CELLS]
    text = "\n".join(lines).replace("FOLDER", repr(tmp_path)).replace("PosixPath", "__import__('pathlib').Path")
    text = text.replace("WindowsPath", "__import__('pathlib').Path")
    cells = []
    for line in text.splitlines():
        if line.startswith("#"):
            cells.append(nbformat.v4.new_markdown_cell(line))
        elif cells and cells[-1].cell_type == "code":
            cells[-1].source += f"\n{line}"
        else:
            cells.append(nbformat.v4.new_code_cell(line))
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, tmp_path / "small.ipynb")
    return notebook


PLANTS = {
    "as it says": ({}, None),
    "calls a dependent one independent": ({CELLS[3]: CELLS[3].replace("*One*", "*One*, *Two*")}, "'Two' does not run"),
    "leaves an independent one out": ({CELLS[3]: CELLS[3].replace("*One*, ", "")}, "'One' runs alone: say so"),
    "needs what nobody makes": ({"print(made)": "print(unmade)"}, "'Two' does not name the cell"),
    "needs more than it says": ({"function()": "function() + made"}, "'Three' does not run alone: NameError"),
    "fails in another way": ({"print(made)": "1 / 0"}, "'Two' does not name the cell to run: ZeroDivisionError"),
    "a section that is not there": ({CELLS[3]: CELLS[3].replace("*One*", "*One*, *Four*")}, "no section of code is"),
    "does not point": ({CELLS[2]: "print('point_to_cells(')"}, "'Two' does not name the cell to run: NameError"),
}  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_not_so_is_noticed(plant, shell, tmp_path):
    changes, expected = PLANTS[plant]
    problems = check(shell, small(tmp_path, **changes))
    assert len(problems) == (expected is not None)
    assert not problems or problems[0].startswith(expected)


def plain(capsys):
    """What was printed, without its colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)


def test_the_error_keeps_what_it_said(shell, tmp_path, capsys):
    small(tmp_path)
    point_to_cells("small", folder=tmp_path)
    shell.run_cell("print(made)", store_history=True)
    shown = plain(capsys)
    hint = "It is made under the heading 'One', in the cell that begins `made = 1`: run it first."
    assert f"name 'made' is not defined. {hint}" in shown
    shell.run_cell("made = 2", store_history=True)
    shell.run_cell("print(made)", store_history=True)
    assert plain(capsys).strip() == "2"
    for code, says in [("nobody_makes_this", "is not defined\n"), ("1 / 0", "ZeroDivisionError: division by zero")]:
        shell.run_cell(code, store_history=True)
        shown = plain(capsys)
        assert says in shown + "\n"
        assert "It is made under" not in shown


def test_the_nearest_cell_before_is_named():
    cells = [("A", "x = 1"), ("B", "x = 2\ny = 3"), ("C", "print(x)"), ("D", "x = 4")]
    assert "'B'" in where_made("x", cells, "print(x)")
    assert "'A'" in where_made("x", cells, "typed by hand")
    assert where_made("z", cells, "print(x)") == where_made(None, cells) == ""


def test_names_made():
    made = _names_made(
        "%run a.py\nimport a.b as c\ndef f(x):\n    y = 1\nfor i in f(2): (j := i)\nwith f() as (k, l): m[0] = 1"
    )
    assert made == {"c", "f", "i", "j", "k", "l"}
    assert _names_made("not python") == set()


def test_cells_have_the_heading_above_them(tmp_path):
    small(tmp_path)
    assert [heading for heading, _ in _cells(tmp_path / "small.ipynb")] == ["Small", "One", "Two", "Three"]
