"""Editions of the notebooks: `python notebooks/_editions.py student build/student`, which is `make student`.

The student's edition has no notes for the instructor, no solutions, no answers to predictions and no outputs of
exercises; code that answers a prediction stays, to be run. The instructor's has everything, notes and solutions too.

Notes for the instructor stand in notes/<number>.md, where no student's JupyterLab shows them: under a heading
`## after <id of a cell>` what to say behind that cell. `python notebooks/_editions.py notes` moves there what stands as
cells in the notebooks.
"""

import copy
import pathlib
import re
import sys

import _pages
import nbformat

HERE = pathlib.Path(__file__).resolve().parent
FOR_THE_INSTRUCTOR = "*For the instructor.*"
YOUR_ANSWER = "*Your answer:*"
FOLDED = re.compile(r"\n*<details>\s*<summary>Answers?</summary>.*?</details>", flags=re.S)
TO_SOLUTIONS = re.compile(r"\s*[^.!?\n]*(?:\n[^.!?\n]+)?\]\(solutions/[^)]*\)[^.!?]*[.!?]")


def is_note(cell):
    """Whether a cell is a note for the instructor."""
    return cell.metadata.get("slideshow", {}).get("slide_type") == "notes"


def notes_file(path):
    """The file of notes that belongs to the notebook at `path`."""
    return path.parent / "notes" / f"{path.stem.split('_')[0]}.md"


def read_notes(text):
    """[(id of the cell before it, Markdown)] of a file of notes, in its order; two notes may follow one cell."""
    parts = re.split(r"^## after (\S+)[ \t]*$", text, flags=re.M)
    return [(place, body.strip()) for place, body in zip(parts[1::2], parts[2::2], strict=True)]


def put_in(notebook, notes):
    """The notebook with the notes as cells of speaker's notes; ValueError for a note whose cell is not there."""
    notebook, numbers = copy.deepcopy(notebook), {}
    if lost := {place for place, _ in notes} - {cell.id for cell in notebook.cells}:
        raise ValueError(f"notes stand after cells that the notebook has not: {', '.join(sorted(lost))}")
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        for place, body in notes:
            if place == cell.id:
                numbers[place] = numbers.get(place, 0) + 1
                metadata = {"slideshow": {"slide_type": "notes"}, "tags": ["remove-cell"]}
                name = f"note-{place}-{numbers[place]}"[-64:]
                cells.append(nbformat.v4.new_markdown_cell(f"{FOR_THE_INSTRUCTOR} {body}", id=name, metadata=metadata))
    notebook.cells = cells
    return notebook


def take_out(notebook):
    """The notebook without its notes, and the notes as put_in takes them."""
    notebook, notes, place = copy.deepcopy(notebook), [], None
    for cell in notebook.cells:
        if not is_note(cell):
            place = cell.id
        elif place is None:
            raise ValueError("a note stands before the first cell, and a note follows the cell that it is about")
        else:
            notes.append((place, cell.source.removeprefix(FOR_THE_INSTRUCTOR).strip()))
    notebook.cells = [cell for cell in notebook.cells if not is_note(cell)]
    return notebook, notes


def write_notes(title, notes):
    """The text of a file of notes."""
    return f"# Notes for the instructor: {title}\n" + "".join(
        f"\n## after {place}\n\n{body}\n" for place, body in notes
    )


def with_notes(path):
    """The notebook at `path` with the notes of its file, where there is one."""
    notebook = nbformat.read(path, as_version=4)
    file = notes_file(path)
    return put_in(notebook, read_notes(file.read_text(encoding="utf-8"))) if file.is_file() else notebook


def for_students(notebook):
    """The notebook as one hands it out."""
    notebook, _ = take_out(notebook)
    rows = _pages.answers(notebook.cells)
    begins, members = {row[0] for row in rows}, {place for row in rows for place in row}
    cells, exercises = [], False
    for place, cell in enumerate(notebook.cells):
        if place in begins:
            metadata = {"slideshow": {"slide_type": "-"}}
            cells.append(nbformat.v4.new_markdown_cell(YOUR_ANSWER, id=f"yours-{cell.id}"[:64], metadata=metadata))
        if cell.cell_type == "markdown":
            if place in members:
                continue
            for level, words in re.findall(r"^(#{1,2}) (.+)$", cell.source, flags=re.M):
                exercises = level == "##" and words.strip() == "Exercises"
            cell.source = TO_SOLUTIONS.sub("", FOLDED.sub("", cell.source))
        elif cell.cell_type == "code" and (exercises or place in members):
            cell.outputs, cell.execution_count = [], None
        if tags := [tag for tag in cell.metadata.get("tags", []) if tag != "answer"]:
            cell.metadata.tags = tags
        else:
            cell.metadata.pop("tags", None)
        cells.append(cell)
    notebook.cells = cells
    return notebook


def write(edition, folder):
    """Write an edition, "student" or "instructor", into `folder`, which holds nothing else afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.rglob("*.ipynb"):
        old.unlink()
    for path in sorted(HERE.glob("[0-9]*.ipynb")):
        notebook = with_notes(path)
        nbformat.write(for_students(notebook) if edition == "student" else notebook, folder / path.name)
    if edition == "instructor":
        (folder / "solutions").mkdir(exist_ok=True)
        for path in sorted(HERE.glob("solutions/[0-9]*.ipynb")):
            (folder / "solutions" / path.name).write_bytes(path.read_bytes())


def move_notes(folder=HERE):
    """Move the notes that are cells of the notebooks in `folder` into files of their own, behind those there."""
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        notebook, notes = take_out(with_notes(path))
        if notes:
            title = re.search(r"^# (.+)$", notebook.cells[0].source, flags=re.M)[1]
            notes_file(path).parent.mkdir(exist_ok=True)
            notes_file(path).write_text(write_notes(title, notes), encoding="utf-8", newline="\n")
            nbformat.write(notebook, path)


if __name__ == "__main__":
    if sys.argv[1:] == ["notes"]:
        move_notes()
    elif sys.argv[1:2] in (["student"], ["instructor"]) and len(sys.argv) == 3:
        write(sys.argv[1], pathlib.Path(sys.argv[2]))
    else:
        sys.exit("python notebooks/_editions.py student FOLDER | instructor FOLDER | notes")
