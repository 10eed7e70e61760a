"""Talks: decks for a room, of cells from several notebooks. notebooks/decks/75.md becomes build/slides/75.html.

A talk is a file of slides. A slide begins with its heading and its minutes; below stand text and places of cells:

    ## The clip (3 min)

    How does one stay close?

    {{01:47a78bf0 formula 1}}

    ---

    {{01:99fa2f7e output}}

    Notes: let the class draw both curves first.

`{{01:id}}` is a whole cell of the notebook 01, `code` or `output` that part of a code cell, `paragraph 2`, `formula 1`
of a Markdown cell that paragraph or displayed formula, `sentences 1-2` those of its first paragraph, `paragraph 2
sentence 1` that of the second. So a number stands in the notebook alone. What follows `---` comes at the next key.
Where `{{75}}` alone stands under a heading, the slide is that of the talk 75, with its notes if it has none of its own.
A cell of a notebook may bring a slide itself, in its metadata: "decks": {"75": {"after": "The clip", "minutes": 2,
"title": "Six cases", "text": "what stands on the slide in place of the cell"}}.
"""

import functools
import pathlib
import re

import _pages
import _slides
import nbformat

HERE = pathlib.Path(__file__).resolve().parent
PLACE = re.compile(r"\{\{(\w+):([\w-]+)((?: \w+(?: [\d-]+)?)*)\}\}")
HEADING = re.compile(r"^## (.+) \((\d+(?:\.\d)?) min\)[ \t]*$", flags=re.M)
SENTENCE = re.compile(r"(?:(?<=[.!?:])|(?<=[.!?]\)))(?<!\bvs\.)\s+(?=[A-Z*`$(])")
NOTHING_RUNS = ("**Before you run this**", "**Think first**")  # in a talk


@functools.cache
def _notebook(number):
    [path] = HERE.glob(f"{number}_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    _pages.must_hold_outputs(notebook, path.name)
    return {cell.id: cell for cell in notebook.cells}


def cell_at(number, name):
    """The cell `name` of the notebook `number`; ValueError where it has none."""
    cells = _notebook(number)
    if name not in cells:
        raise ValueError(f"the notebook {number} has no cell {name!r}")
    return cells[name]


def _span(parts, what, which):
    """Parts number 2, or 1-3, counted from 1."""
    first, _, last = which.partition("-")
    chosen = parts[int(first) - 1 : int(last or first)]
    if not chosen:
        raise ValueError(f"{what} {which} of {len(parts)} was asked for")
    return chosen


def markdown_part(source, wanted):
    """A part of a Markdown cell, as the file's docstring says; headings are left out."""
    source = re.sub(r"^#+ .*$", "", source, flags=re.M)
    formulas = re.findall(r"\$\$.*?\$\$", source, flags=re.S)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", source) if part.strip()]
    wanted = dict(zip(wanted[::2], wanted[1::2], strict=True))
    if "formula" in wanted:
        return "\n\n".join(_span(formulas, "formula", wanted["formula"]))
    if "paragraph" in wanted or "paragraphs" in wanted:
        paragraphs = _span(paragraphs, "paragraph", wanted.get("paragraph") or wanted["paragraphs"])
    elif wanted:
        paragraphs = paragraphs[:1]
    if "sentence" in wanted or "sentences" in wanted:
        sentences = SENTENCE.split(" ".join(paragraphs))
        return " ".join(_span(sentences, "sentence", wanted.get("sentence") or wanted["sentences"]))
    return "\n\n".join(paragraphs)


def _written(place):
    """The text of a place of a Markdown cell; a place of a code cell as it is."""
    cell = cell_at(place[1], place[2])
    return markdown_part(cell.source, place[3].split()) if cell.cell_type == "markdown" else place[0]


def _drawn(number, name, words):
    """HTML of a place of a code cell."""
    cell, wanted, parts = cell_at(number, name), words.split(), []
    if not wanted or wanted == ["code"]:
        parts.append(_slides.highlighted(cell.source))
    if not wanted or wanted[0] in ("output", "outputs"):
        shown = [output for output in cell.outputs if "text/markdown" not in output.get("data", {})]  # no captions
        shown = _span(shown, "output", wanted[1]) if len(wanted) > 1 else shown
        parts += [_slides.output(one) for one in shown]
    return "\n".join(parts)


def read(text):
    """[{"title", "minutes", "text", "notes"}] of a talk's slides; ValueError for a heading without minutes."""
    if wrong := [line for line in re.findall(r"^## .*$", text, flags=re.M) if not HEADING.match(line)]:
        raise ValueError(f"a slide's heading ends in its minutes, as in '## The clip (3 min)': {wrong[0]}")
    parts = HEADING.split(text)
    slides = []
    for title, minutes, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        words, _, notes = body.partition("\nNotes:")
        slides.append({"title": title, "minutes": float(minutes), "text": words.strip(), "notes": notes.strip()})
    return slides


def from_cells(name, slides):
    """The slides with those that cells of the notebooks bring in their metadata, each after the slide that it names."""
    slides = list(slides)
    for path in sorted(HERE.glob("[0-9]*.ipynb")):
        number = path.stem.split("_")[0]
        for cell in _notebook(number).values():
            if (wish := cell.metadata.get("decks", {}).get(name)) is None:
                continue
            titles = [slide["title"] for slide in slides]
            if wish["after"] not in titles:
                raise ValueError(f"the cell {cell.id!r} of {number} wants a slide after {wish['after']!r} in {name}")
            text = wish.get("text", f"{{{{{number}:{cell.id}}}}}")
            new = {"title": wish["title"], "minutes": wish["minutes"], "text": text, "notes": wish.get("notes", "")}
            slides.insert(titles.index(wish["after"]) + 1, new)
    return slides


def slides_of(path):
    """The slides of the talk at `path`, those of other talks and of cells' metadata in their places."""
    slides = from_cells(path.stem, read(path.read_text(encoding="utf-8")))
    for slide in slides:
        if found := re.fullmatch(r"\{\{(\w+)\}\}", slide["text"]):
            other = {one["title"]: one for one in slides_of(path.with_name(f"{found[1]}.md"))}
            if slide["title"] not in other:
                raise ValueError(f"the talk {found[1]} has no slide {slide['title']!r}, which {path.stem} takes")
            same = other[slide["title"]]
            slide |= {"text": same["text"], "notes": slide["notes"] or same["notes"]}
    return slides


def _clock(minutes):
    return f"{int(minutes)}:{round(minutes % 1 * 60):02d}"


def columns(slides):
    """The slides as _slides.page takes them; the notes begin with the minutes, and with the time at their end."""
    made, clock = [], 0.0
    for number, slide in enumerate(slides):
        clock += slide["minutes"]
        notes = f"**{slide['minutes']:g} min, until {_clock(clock)}.** {slide['notes']}"
        cells = [f'<aside class="notes">\n{_slides.rendered(notes)}\n</aside>']
        level = "h2" if number else "h1"
        cells.append(f'<div class="cell"><{level}>{_slides.inline(slide["title"])}</{level}></div>')
        for step, part in enumerate(re.split(r"^---[ \t]*$", slide["text"], flags=re.M)):
            drawn, part = [], PLACE.sub(_written, part).replace(*NOTHING_RUNS)
            for place, text in enumerate(PLACE.split(part)[::4]):
                found = list(PLACE.finditer(part))
                drawn.append(_slides.rendered(text))
                if place < len(found):
                    drawn.append(_drawn(*found[place].groups()))
            cells.append(f'<div class="cell{" fragment" if step else ""}">\n{"".join(drawn)}\n</div>')
        made.append([cells])
    return made


def talk(path):
    """A file of slides as a page that needs no other file."""
    slides = slides_of(path)
    return _slides.page(slides[0]["title"], columns(slides), kind="talk")


def copied_numbers(slide):
    """Numbers with a point, or of three digits and more, in a slide's own text: they belong into a cell."""
    words = re.sub(r"`[^`]*`|\$[^$]*\$", "", PLACE.sub("", f"{slide['title']} {slide['text']}"))
    return re.findall(r"(?<![\w.,])-?\d+\.\d+|(?<![\w.,])-?\d[\d,]{2,}", words)
