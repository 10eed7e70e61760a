"""What the pages add to the notebooks while Sphinx builds them: folded answers and links to the glossary.

A fold: a row of neighbouring cells with the tag `answer` stands between cells that open and close an HTML `details`.
A link: the first use of a term in a notebook's prose leads to its entry in glossary.md.
"""

import json
import pathlib
import re

import docutils.nodes
import PIL.Image
import sphinx.addnodes
from sphinx.errors import ExtensionError

PREDICTION = "**Before you run this**"
SETUP_NOTE = "you can start at any of these sections"
UNLINKED = ("What you will be able to do", "Exercises", "Where next", "References")  # sections that keep plain words
ENTRY = re.compile(
    r"^\*\*(?P<term>[^*\n]+)\*\*(?: \((?P<others>[^)]*)\))?: (?P<words>.+?)"
    r"(?:\n<!-- linked:(?P<linked>.*?)-->)?$\n(?:\n|\Z)",
    flags=re.M | re.S,
)
NO_PROSE = (
    docutils.nodes.title,
    docutils.nodes.literal,
    docutils.nodes.literal_block,
    docutils.nodes.math,
    docutils.nodes.math_block,
    docutils.nodes.reference,
    docutils.nodes.raw,
    docutils.nodes.comment,
    docutils.nodes.table,
    docutils.nodes.image,
    docutils.nodes.system_message,
    sphinx.addnodes.pending_xref,
)


def is_answer(cell):
    return "answer" in cell["metadata"].get("tags", [])


def answers(cells):
    """Rows of neighbouring cells tagged `answer`, each a list of places in `cells`.

    What is not on the pages (`remove-cell`: an instructor's note) neither ends a row nor belongs to it.
    """
    rows, open_row = [], False
    for place, cell in enumerate(cells):
        if "remove-cell" in cell["metadata"].get("tags", []):
            continue
        if is_answer(cell):
            if not open_row:
                rows.append([])
            rows[-1].append(place)
        open_row = is_answer(cell)
    return rows


def has_heading(source):
    return bool(re.search(r"^#{1,6} ", re.sub(r"```.*?```", "", source, flags=re.S), flags=re.M))


def must_hold_outputs(notebook, name):
    """ValueError for a notebook whose outputs were cleared: pages and slides show what it holds, and run nothing."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    if code and not any(cell["outputs"] for cell in code):
        raise ValueError(
            f"{name} holds no outputs: run all of its cells (make lab) and save it, or take it back with git"
        )


def fold_answers(text, name):
    """A notebook's JSON with a fold around each row of answers and a box around each prediction.

    name: of the notebook, for the error where a heading stands in a fold. Returns JSON.
    """
    notebook = json.loads(text)
    before, after = {}, {}
    for number, row in enumerate(answers(notebook["cells"])):
        for place in row:
            cell = notebook["cells"][place]
            if cell["cell_type"] == "markdown" and has_heading("".join(cell["source"])):
                raise ExtensionError(
                    f"{name}: the cell {cell.get('id', place)!r} has the tag 'answer' and a heading; "
                    "a fold hides no heading, so take the tag away or put the heading before the row"
                )
        before[row[0]] = _raw_cell(
            f"open-{number}", '<details class="answer">\n<summary>Show the answer</summary>\n<div class="folded">'
        )
        after[row[-1]] = _raw_cell(f"close-{number}", "</div>\n</details>")
    cells = []
    for place, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            cell["source"] = _box("".join(cell["source"]))
        cells += [one for one in (before.get(place), cell, after.get(place)) if one]
    return json.dumps({**notebook, "cells": cells})


def _raw_cell(name, source):
    return {"cell_type": "markdown", "id": f"fold-{name}", "metadata": {}, "source": source}


def _box(source):
    """Markdown with its prediction, up to the next heading or the end of the cell, in a box."""
    found = re.search(rf"^{re.escape(PREDICTION)}.*?(?=^#{{1,6}} |\Z)", source, flags=re.M | re.S)
    if not found:
        return source
    box = f'<div class="prediction">\n\n{found[0].strip()}\n\n</div>\n\n'
    return source[: found.start()] + box + source[found.end() :]


def bring_pictures(doctree, folder):
    """Mark what is animated, and put beside the figure of a panel what panels.js needs to move it.

    The latter travels in the figure's PNG.

    The plots are a template and the numbers a script that nobody runs, so that without JavaScript the figure alone is
    seen. folder: to which the pictures' addresses are relative.
    """
    for image in list(doctree.findall(docutils.nodes.image)):
        path = pathlib.Path(folder, image["uri"])
        if path.suffix != ".png" or not path.is_file():
            continue
        with PIL.Image.open(path) as picture:
            carried = picture.info.get("lecture-panel")
            if getattr(picture, "is_animated", False):
                image["classes"].append("animation")
        if carried:
            moving = json.loads(carried)
            plots = moving.pop("picture")
            numbers = json.dumps(moving).replace("<", "\\u003c")
            before = (
                f'<div class="panel"><script type="application/json">{numbers}</script><template>{plots}</template>'
            )
            place = image.parent.index(image)
            image.parent.insert(place + 1, docutils.nodes.raw("", "</div>", format="html"))
            image.parent.insert(place, docutils.nodes.raw("", before, format="html"))


def glossary(text):
    """{anchor: (term, spellings, definition)} of the entries of glossary.md.

    An entry is a paragraph `**term** (*other*, *spellings*): definition`. A comment `<!-- linked: a, b -->` below it
    names the spellings that are linked, in place of those in the entry; `<!-- linked: -->` links none.
    """
    entries = {}
    for found in ENTRY.finditer(text):
        term = found["term"]
        if found["linked"] is not None:
            spellings = [word.strip() for word in found["linked"].split(",") if word.strip()]
        else:
            spellings = [term, *re.findall(r"\*([^*]+)\*", found["others"] or "")]
        entries[anchor(term)] = (term, spellings, " ".join(found["words"].split()))
    return entries


def anchor(term):
    return "term-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")


def plain(definition):
    """A definition for a tooltip: Markdown's marks and the formulas' dollars are left out."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", definition)
    text = re.sub(r"\$([^$]*)\$", lambda formula: _plain_formula(formula[1]), text)
    return re.sub(r"[*`]", "", text)


SIGNS = {"gamma": "γ", "lambda": "λ", "delta": "δ", "epsilon": "ε", "theta": "θ", "pi": "π", "mu": "μ", "sigma": "σ"}
SIGNS |= {"log": "log ", "mid": "|", "le": "≤", "ge": "≥", "cdot": "·", "sum": "sum of ", "dots": "…", "text": ""}


def _plain_formula(tex):
    tex = re.sub(r"\\([a-z]+) ?", lambda name: SIGNS.get(name[1], name[1]), tex)
    return re.sub(r"[{}\\]|_(?=\{)", "", tex)


def mark_entries(doctree):
    """Give every entry of the glossary its anchor."""
    for paragraph in doctree.findall(docutils.nodes.paragraph):
        first = next((child for child in paragraph.children if child.astext()), None)
        if isinstance(first, docutils.nodes.strong) and isinstance(paragraph.parent, docutils.nodes.section):
            paragraph.insert(0, docutils.nodes.target("", "", ids=[anchor(first.astext())]))
            paragraph["classes"].append("entry")


def pattern(entries):
    """Finds every spelling of every term as a whole word, the longest first; a plural s may follow.

    A spelling with a capital beyond its first letter, as KL, is found as it is written; others at a sentence's
    beginning too.
    """
    spellings = {spelling: name for name, (_, found, _) in entries.items() for spelling in found}
    parts = []
    for spelling in sorted(spellings, key=len, reverse=True):
        words = re.escape(spelling).replace(r"\ ", r"\s+")
        if spelling[0].islower():
            words = f"[{spelling[0]}{spelling[0].upper()}]" + words[len(re.escape(spelling[0])) :]
        parts.append(words)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})s?(?![\w-])") if parts else None


def link_terms(doctree, entries, page="glossary.html"):
    """Make the first use of each term in the prose a link to its entry; the anchors that were linked."""
    finder, linked = pattern(entries), []
    if finder is None:
        return linked
    by_spelling = {spelling.lower(): name for name, (_, found, _) in entries.items() for spelling in found}
    for text in list(_prose(doctree)):
        pieces, end, words = [], 0, text.astext()
        for found in finder.finditer(words):
            spelling = " ".join(found[0].lower().split())
            name = by_spelling.get(spelling) or by_spelling[spelling.removesuffix("s")]
            if name in linked:
                continue
            linked.append(name)
            definition = entries[name][2]
            link = docutils.nodes.reference(
                "", found[0], refuri=f"{page}#{name}", internal=True, classes=["term"], reftitle=plain(definition)
            )
            pieces += [docutils.nodes.Text(words[end : found.start()]), link]
            end = found.end()
        if pieces:
            pieces = [piece for piece in [*pieces, docutils.nodes.Text(words[end:])] if piece.astext()]
            text.parent.replace(text, pieces)
    return linked


def _prose(node):
    """The texts of a page's paragraphs outside code, outputs, formulas, links and tables, in the order of reading.

    Left out too are the title's cell, the sections UNLINKED, and the note after the set-up cell, which names headings.
    """
    if isinstance(node, docutils.nodes.paragraph) and SETUP_NOTE in node.astext():
        return
    if isinstance(node, docutils.nodes.Text):
        if _within(node, docutils.nodes.paragraph):
            yield node
        return
    if isinstance(node, NO_PROSE) or (isinstance(node, docutils.nodes.container) and "cell" in node["classes"]):
        return
    if isinstance(node, docutils.nodes.section):
        if node.next_node(docutils.nodes.title).astext() in UNLINKED:
            return
        if isinstance(node.parent, docutils.nodes.document):  # before the first section stands the title's cell
            for child in node.children:
                if isinstance(child, docutils.nodes.section):
                    yield from _prose(child)
            return
    for child in node.children:
        yield from _prose(child)


def _within(node, kind):
    while node is not None and not isinstance(node, kind):
        node = node.parent
    return node is not None
