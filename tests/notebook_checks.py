"""What a notebook of the series must hold to. Each check takes the notebook as a dict and returns its problems."""

import ast
import base64
import io
import itertools
import pathlib
import re
import statistics

from matplotlib.image import imread
from numbers_in_prose import disagreements, source

PRIVATE = re.compile(r"/(?:work|tmp|home|root|Users|private|mnt)/\w|[A-Z]:\\Users")
LAST_SECTIONS = ("Takeaways", "Common mistakes", "Exercises", "Where next", "References")


def code_cells(notebook):
    return [c for c in notebook["cells"] if c["cell_type"] == "code" and source(c).strip()]


def tags(cell):
    return cell["metadata"].get("tags", [])


def text_outputs(cell):
    """All text that a reader sees below a code cell."""
    texts = []
    for output in cell.get("outputs", []):
        texts += ["".join(output.get("text", "")), "\n".join(output.get("traceback", []))]
        texts += ["".join(x) for kind, x in sorted(output.get("data", {}).items()) if kind.startswith("text/")]
    return "\n".join(texts)


def executed(notebook, folder):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    wrong = counts != list(range(1, len(counts) + 1))
    return [f"not executed once from top to bottom: execution counts {counts}"] if wrong else []


def no_unexpected_error(notebook, folder):
    return [
        f"ends in an error: {source(cell)[:60]!r}"
        for cell in code_cells(notebook)
        if "raises-exception" not in tags(cell) and any(o["output_type"] == "error" for o in cell["outputs"])
    ]


def nothing_skipped(notebook, folder):
    problems = [f"skipped by nbval: {source(c)[:60]!r}" for c in code_cells(notebook) if "nbval-skip" in tags(c)]
    cells = code_cells(notebook)
    unchecked = [i for i, cell in enumerate(cells) if "nbval-ignore-output" in tags(cell)]
    if len(unchecked) * 10 > len(cells):
        problems.append(f"{len(unchecked)} of {len(cells)} code cells have unchecked output, at most one in ten may")
    problems += [
        f"unchecked and not followed by asserts: {source(cells[i])[:60]!r}"
        for i in unchecked
        if i + 1 == len(cells) or "assert" not in source(cells[i + 1])
    ]
    return problems


def short_cells(notebook, folder):
    lengths = [len([line for line in source(c).splitlines() if line.strip()]) for c in code_cells(notebook)]
    problems = [f"a code cell of {max(lengths)} lines, at most 30"] if max(lengths) > 30 else []
    if statistics.median(lengths) > 8:
        problems.append(f"code cells have a median of {statistics.median(lengths):g} lines, at most 8")
    return problems


def short_setup(notebook, folder):
    """The cell that imports: it fits a slide and a narrow window, and what one section alone uses is imported there."""
    cells = [source(cell).splitlines() for cell in code_cells(notebook) if "point_to_cells(" in source(cell)]
    lines = [line for line in (cells or [[]])[0] if line.strip()]
    return [f"a set-up cell of {len(lines)} lines, at most 10"] if len(lines) > 10 else []


def short_lines(notebook, folder):
    """A page and a slide show code unbroken up to 76 characters."""
    lines = [line for cell in code_cells(notebook) for line in source(cell).splitlines()]
    return [f"a line of {len(line)} characters, at most 76: {line}" for line in lines if len(line) > 76]


def headings(notebook):
    """(level, text) of every heading, code blocks left out."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"```.*?```", "", source(cell), flags=re.S)
            found += [(len(marks), words.strip()) for marks, words in re.findall(r"^(#+) (.+)$", text, flags=re.M)]
    return found


def structure(notebook, folder):
    levels = [level for level, _ in headings(notebook)]
    names = [words for level, words in headings(notebook) if level == 2]
    problems = []
    if levels[:1] != [1] or levels.count(1) != 1:
        problems.append("must begin with its only heading of level 1")
    problems += [f"heading levels jump from {a} to {b}" for a, b in itertools.pairwise(levels) if b > a + 1]
    if names[:1] != ["What you will be able to do"]:
        problems.append("the first section must be 'What you will be able to do'")
    tests = [place for place, name in enumerate(names) if name.startswith("Put to the test")]
    if [names[place + 1] for place in tests] not in (["Takeaways"], ["The map of the series"]):
        problems.append(f"'Put to the test' must be one section, after all that teaches, and is in {tests} of {names}")
    if names[-5:] != list(LAST_SECTIONS):
        problems.append(f"must end with the sections {LAST_SECTIONS}, ends with {names[-5:]}")
    return problems


def links_lead_somewhere(notebook, folder):
    problems = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for picture, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", source(cell)):
            remote = re.match(r"\w+://|//", target)
            if picture and remote:
                problems.append(f"remote image {target}")
            if picture and not words.strip():
                problems.append(f"image without alternative text: {target}")
            if not remote and not target.startswith("#") and not (folder / target.split("#")[0]).exists():
                problems.append(f"link to a file that does not exist: {target}")
        problems += [f"remote image: {tag}" for tag in re.findall(r"<img[^>]*src=.http[^>]*>", source(cell))]
    return problems


def figures_have_captions(notebook, folder):
    problems = []
    for cell in code_cells(notebook):
        for i, output in enumerate(cell["outputs"]):
            if not any(kind.startswith("image/") for kind in output.get("data", {})):
                continue
            metadata = output.get("metadata", {})
            after = cell["outputs"][i + 1 : i + 2]
            if not any(m.get("alt") for m in metadata.values() if isinstance(m, dict)):
                problems.append(f"figure without alternative text: {source(cell)[:60]!r}")
            if not after or "text/markdown" not in after[0].get("data", {}):
                problems.append(f"figure without a caption below: {source(cell)[:60]!r}")
    return problems


def figures_are_whole(notebook, folder):
    """A word or a mark that the figure has no room for is cut at its edge; all others keep a margin of one colour."""
    problems = []
    for cell in code_cells(notebook):
        pictures = [output["data"].get("image/png") for output in cell["outputs"] if "data" in output]
        for picture in filter(None, pictures):
            pixels = imread(io.BytesIO(base64.b64decode("".join(picture))), format="png")
            edges = {"top": pixels[0], "bottom": pixels[-1], "left": pixels[:, 0], "right": pixels[:, -1]}
            cut = [edge for edge, line in edges.items() if abs(line - pixels[0, 0]).max() > 0.03]
            problems += [f"figure cut off at the {edge}: {source(cell)[:60]!r}" for edge in cut]
    return problems


def nothing_private(notebook, folder):
    texts = [source(cell) + text_outputs(cell) for cell in notebook["cells"]]
    return [f"a path of one machine: {m.group()!r}" for text in texts for m in [PRIVATE.search(text)] if m]


def imports_at_hand(notebook, folder):
    """Code must parse; magics and shell escapes would tie the notebook to one machine or to the network."""
    problems = []
    for cell in code_cells(notebook):
        # The magics in use: one needs no package, the other installs what is missing.
        code = re.sub(r"^( *)%(run|pip) .*$", r"\1pass", source(cell), flags=re.M)
        try:
            ast.parse(code)
        except SyntaxError as error:
            problems.append(f"not plain Python ({error.msg}): {source(cell)[:60]!r}")
    return problems


def slides(notebook, folder):
    wrong = [source(c)[:60] for c in notebook["cells"] if "slide_type" not in c["metadata"].get("slideshow", {})]
    shown = [
        source(c)[:60]
        for c in notebook["cells"]
        if c["metadata"].get("slideshow", {}).get("slide_type") == "notes" and "remove-cell" not in tags(c)
    ]
    return [f"no slide_type: {text!r}" for text in wrong] + [f"a speaker note in the page: {text!r}" for text in shown]


def sections(notebook):
    """(heading, cells) of every section of level 2, and of what stands before the first."""
    found = [("", [])]
    for cell in notebook["cells"]:
        match = re.search(r"^## (.+)$", source(cell), flags=re.M) if cell["cell_type"] == "markdown" else None
        if match:
            found.append((match.group(1).strip(), []))
        found[-1][1].append(cell)
    return found


def numbers_agree(notebook, folder):
    """A number in prose agrees with the output nearest to it: numbers_in_prose says which that is."""
    return [
        f"{number} in section {heading!r} is in no code or checked output near it: {source(cell)[:60]!r}"
        for heading, cell, number in disagreements(sections(notebook))
    ]


CHECKS = (
    executed, no_unexpected_error, nothing_skipped, short_cells, short_setup, short_lines, structure,
    links_lead_somewhere, figures_have_captions, figures_are_whole, nothing_private, imports_at_hand, slides,
    numbers_agree,
)  # fmt: skip

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
