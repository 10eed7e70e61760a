"""What is handed out holds no answers, and executes; the instructor's edition has everything."""

import copy
import json
import pathlib
import re

import _editions
import _slides
import nbformat
import notebook_checks
import pytest
from nbclient import NotebookClient

NOTEBOOKS = notebook_checks.NOTEBOOKS
UNWANTED = re.compile(r"For the instructor|Answer|\]\(solutions/")


def given_away(notebook, original):
    """What a student's edition must not have: words, outputs of exercises, answers of the original."""
    problems = [f"says {word!r}" for word in set(UNWANTED.findall(nbformat.writes(notebook)))]
    headings = [place for place, cell in enumerate(notebook.cells) if re.match(r"## Exercises\b", cell.source)]
    end = [place for place, cell in enumerate(notebook.cells) if re.match(r"## Where next\b", cell.source)]
    stored = [cell for cell in notebook.cells[headings[0] : end[0]] if cell.get("outputs")]
    problems += [f"an exercise's output: {cell.source[:60]!r}" for cell in stored]
    kept = {cell.id: cell for cell in notebook.cells}
    for cell in original.cells:
        if "answer" not in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "code" and (kept[cell.id].source != cell.source or kept[cell.id].outputs):
            problems.append(f"code that answers is to stay, without outputs: {cell.source[:60]!r}")
        elif cell.cell_type == "markdown" and any(cell.source == other.source for other in notebook.cells):
            problems.append(f"an answer: {cell.source[:60]!r}")
    return problems


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_students_notebook_gives_nothing_away(path):
    original = _editions.with_notes(path)
    student = _editions.for_students(original)
    nbformat.validate(student)
    assert given_away(student, original) == []
    # Nothing else is lost, and there is one place to write for each row of answers.
    left = {cell.id for cell in original.cells} - {cell.id for cell in student.cells}
    answers = {cell.id for cell in original.cells if "answer" in cell.metadata.get("tags", [])}
    assert left <= answers | {cell.id for cell in original.cells if _editions.is_note(cell)}
    rows = len(_editions._pages.answers(_editions.take_out(original)[0].cells))
    assert sum(cell.source == _editions.YOUR_ANSWER for cell in student.cells) == rows


def test_what_is_given_away_is_noticed():
    path = next(path for path in NOTEBOOKS if path.stem.startswith("01"))
    original = _editions.with_notes(path)
    checks = _editions.for_students(original)
    ids = [cell.id for cell in original.cells if "answer" in cell.metadata.get("tags", [])]
    whole = {cell.id: cell for cell in original.cells}
    for name in (ids[0], ids[1], "ex1-1-check", "ex1-intro"):
        spoiled = copy.deepcopy(checks)
        spoiled.cells = [cell for cell in spoiled.cells if cell.id != name]
        place = next(i for i, cell in enumerate(spoiled.cells) if cell.id in ("ex1-1", "ex1-import"))
        spoiled.cells.insert(place, whole[name])
        assert given_away(spoiled, original), name


def test_the_instructors_edition_has_everything(tmp_path):
    _editions.write("student", tmp_path)
    assert len(list(tmp_path.rglob("*.ipynb"))) == len(NOTEBOOKS)
    _editions.write("instructor", tmp_path)
    made = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.ipynb"))
    folder = NOTEBOOKS[0].parent
    assert made == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("[0-9]*.ipynb"))
    for path in NOTEBOOKS:
        cells = {cell.id for cell in nbformat.read(tmp_path / path.name, as_version=4).cells}
        assert {cell.id for cell in nbformat.read(path, as_version=4).cells} <= cells
    assert "For the instructor" in (tmp_path / NOTEBOOKS[0].name).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_students_notebook_executes():
    """02, without a single output of an answer or an exercise."""
    path = next(path for path in NOTEBOOKS if path.stem.startswith("02"))
    student = _editions.for_students(_editions.with_notes(path))
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(student, timeout=300, kernel_name="python3", resources=resources).execute()
    assert all(cell.execution_count for cell in student.cells if cell.cell_type == "code" and cell.source)


# Notes in files of their own.

TEXT = """# Notes for the instructor: 07 A small one

## after first

Ask for guesses.

- most say 10

## after first

Then wait.

## after second

Show it.
"""


def small():
    cells = [nbformat.v4.new_markdown_cell(f"# {name}", id=name) for name in ("first", "second", "third")]
    for cell in cells:
        cell.metadata.slideshow = {"slide_type": "slide"}
    return nbformat.v4.new_notebook(cells=cells)


def test_notes_are_put_in_behind_their_cells():
    notes = _editions.read_notes(TEXT)
    with_notes = _editions.put_in(small(), notes)
    assert [cell.id[:8] for cell in with_notes.cells] == [
        "first",
        "note-fir",
        "note-fir",
        "second",
        "note-sec",
        "third",
    ]
    assert with_notes.cells[1].source == "*For the instructor.* Ask for guesses.\n\n- most say 10"
    assert notebook_checks.slides(json.loads(nbformat.writes(with_notes)), pathlib.Path()) == []
    without, taken = _editions.take_out(with_notes)
    assert (without, taken) == (small(), notes)
    assert _editions.write_notes("07 A small one", taken) == TEXT


def test_a_note_whose_cell_is_gone_is_named():
    with pytest.raises(ValueError, match="cells that the notebook has not: second"):
        _editions.put_in(nbformat.v4.new_notebook(cells=small().cells[:1]), _editions.read_notes(TEXT))


def test_moved_notes_are_those_that_were_there(tmp_path):
    """In a copy: afterwards no notebook has a note, editions and decks have them all, and nothing else has changed."""
    before = {path.name: _editions.with_notes(path) for path in NOTEBOOKS}
    for name, notebook in before.items():
        nbformat.write(notebook, tmp_path / name)
    deck = _slides.slides(before[NOTEBOOKS[1].name])
    for _ in range(2):
        _editions.move_notes(tmp_path)
    for path in sorted(tmp_path.glob("*.ipynb")):
        bare = nbformat.read(path, as_version=4)
        assert bare == _editions.take_out(before[path.name])[0]
        assert "For the instructor" not in path.read_text(encoding="utf-8")
        assert _editions.take_out(_editions.with_notes(path)) == _editions.take_out(before[path.name])
    assert _slides.slides(_editions.with_notes(tmp_path / NOTEBOOKS[1].name)) == deck
    assert len(list((tmp_path / "notes").glob("*.md"))) >= 5


def test_every_file_of_notes_fits_its_notebook():
    for path in NOTEBOOKS:
        assert _editions.with_notes(path).cells
