"""Write the notebooks as reveal.js slides: `python notebooks/_slides.py build/slides`, which is `make slides`.

One self-contained file a deck, made from the cells' slide types and the stored outputs; nothing is executed. A code
cell shows its code where it is short and its result is no figure; otherwise the slide shows the result alone. What
follows a prediction ("Before you run this") on its slide comes at the next key. Beside the decks of the notebooks stand
the talks, which _talks.py makes of cells of several notebooks.
"""

import base64
import html
import pathlib
import re
import struct
import sys

import _editions
import _pages
import jinja2
import markdown_it
import math_core
import pygments.formatters
import pygments.lexers
import sphinx_revealjs
from mdit_py_plugins.dollarmath import dollarmath_plugin

HERE = pathlib.Path(__file__).parent
REVEAL = pathlib.Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"
LINES = 8  # of code on a slide
SLIDE_TYPES = ("slide", "subslide", "fragment", "-", "skip", "notes")

_converter = math_core.LatexToMathML()
_lexer = pygments.lexers.get_lexer_by_name("ipython3")
_formatter = pygments.formatters.HtmlFormatter(nowrap=True, style="a11y-high-contrast-light")


def _formula(tex, options):
    """MathML, which every browser draws without a script."""
    mathml = _converter.convert_with_local_state(tex, displaystyle=options["display_mode"])
    return f'<div class="formula">{mathml}</div>' if options["display_mode"] else mathml


def _highlight(code, language, attributes):
    """The marked-up code of a fenced block; nothing where the block names no language."""
    return pygments.highlight(code, pygments.lexers.get_lexer_by_name(language), _formatter) if language else ""


def _link(self, tokens, index, options, env):
    """A link to another notebook leads to its deck; one to solutions, which have no deck, to their page."""
    target = tokens[index].attrGet("href")
    if match := re.fullmatch(r"(\w+/)?(\w+)\.ipynb(?:#.*)?", target):
        tokens[index].attrSet("href", f"../{match[1]}{match[2]}.html" if match[1] else deck_name(match[2]))
    return self.renderToken(tokens, index, options, env)


_markdown = markdown_it.MarkdownIt("commonmark", {"highlight": _highlight}).enable("table")
_markdown.use(dollarmath_plugin, renderer=_formula, double_inline=True)
_markdown.add_render_rule("link_open", _link)


def deck_name(stem):
    """`01_ratio_and_clip` is the deck `01.html`."""
    return stem.split("_")[0] + ".html"


def slide_type(cell):
    """The cell's slide type; ValueError where it has none that reveal.js knows."""
    kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
    if kind not in SLIDE_TYPES:
        raise ValueError(f"slide_type must be one of {SLIDE_TYPES}, got {kind!r} in the cell {cell.source[:60]!r}")
    return kind


def output(output):
    """HTML of one output: a figure with its alternative text, else HTML, Markdown or text."""
    data = output.get("data", {})
    if "image/png" in data:
        alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""), quote=True)
        encoded = "".join(data["image/png"].split())
        width, height = struct.unpack(">II", base64.b64decode(encoded[:32])[16:24])
        # A wide figure may be lower than others, and the text in a figure is drawn for its own size.
        aspect = f"--aspect: {height / width:.3f}; --natural: {height}px"
        return f'<img class="figure" alt="{alt}" style="{aspect}" src="data:image/png;base64,{encoded}">'
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    if "text/markdown" in data:
        body = _markdown.render(data["text/markdown"])
        return f'<div class="{"output" if "<pre>" in body else "caption"}">{body}</div>'
    text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # colours of a terminal
    return f'<pre class="output">{html.escape(text)}</pre>'


def rendered(text):
    """HTML of Markdown."""
    return _markdown.render(text)


def inline(text):
    """HTML of a line of Markdown, as a heading."""
    return _markdown.renderInline(text)


def highlighted(code):
    """HTML of Python code."""
    return f'<pre class="code">{pygments.highlight(code, _lexer, _formatter)}</pre>'


def _code(cell):
    """HTML of a code cell: its code where that fits beside its result, and its outputs."""
    tags = cell.metadata.get("tags", [])
    lines = [line for line in cell.source.splitlines() if line.strip()]
    figure = any("image/png" in output.get("data", {}) for output in cell.outputs)
    parts = []
    if lines and len(lines) <= LINES and not figure and not {"hide-input", "remove-input"} & set(tags):
        code = re.sub(r"\n\n+", "\n\n", cell.source)
        parts.append(highlighted(code))
    if not {"hide-output", "remove-output"} & set(tags):
        parts += [output(one) for one in cell.outputs]
    return "\n".join(parts)


def _answers(cells):
    """Whether a slide has asked for a prediction, so that what follows on it comes at the next key."""
    return any("Before you run" in cell for cell in cells)


def slides(notebook):
    """The deck as a list of columns, each a list of slides, each a list of the cells' HTML."""
    columns, section = [], ""
    for cell in notebook.cells:
        kind = slide_type(cell)
        if heading := re.search(r"^## (.+)$", cell.source, flags=re.M) if cell.cell_type == "markdown" else None:
            section = _markdown.renderInline(heading[1])
        if kind == "skip" or (kind != "notes" and "remove-cell" in cell.metadata.get("tags", [])):
            continue
        if kind == "slide" or not columns:
            columns.append([[]])
        elif kind == "subslide":
            columns[-1].append([] if heading else [f'<p class="section">{section}</p>'])
        current = columns[-1][-1]
        body = _code(cell) if cell.cell_type == "code" else _markdown.render(cell.source)
        if kind == "notes":
            current.append(f'<aside class="notes">\n{body}\n</aside>')
        else:
            later = kind == "fragment" or _answers(current)
            current.append(f'<div class="cell{" fragment" if later else ""}">\n{body}\n</div>')
    return columns


def _fonts():
    """The style sheet of the fonts with the fonts inside."""

    def embed(match):
        return f"data:font/woff2;base64,{base64.b64encode((HERE / '_static' / match[0]).read_bytes()).decode()}"

    return re.sub(r"fonts/[\w-]+\.woff2", embed, (HERE / "_static" / "fonts.css").read_text(encoding="utf-8"))


def deck(path):
    """One notebook as a page of slides that needs no other file."""
    notebook = _editions.with_notes(path)
    _pages.must_hold_outputs(notebook, path.name)
    title = next(re.findall(r"^# (.+)$", cell.source, flags=re.M) for cell in notebook.cells)[0]
    return page(title, slides(notebook))


def page(title, columns, kind="notebook"):
    """Columns of slides as a page that needs no other file. kind: "notebook", or "talk" for large text."""
    css = [REVEAL / "dist" / "reveal.css", HERE / "_static" / "slides.css"]
    js = [REVEAL / "dist" / "reveal.js", REVEAL / "plugin" / "notes" / "notes.js"]
    template = jinja2.Template((HERE / "_static" / "slides.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        css=[_fonts()]
        + [file.read_text(encoding="utf-8") for file in css]
        + [_formatter.get_style_defs(".reveal pre")],
        js=[file.read_text(encoding="utf-8") for file in js],
        columns=columns,
        kind=kind,
    )


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(HERE.glob("[0-9]*.ipynb")):
        (folder / deck_name(path.stem)).write_text(deck(path), encoding="utf-8")
    import _talks  # which draws with this module

    for path in sorted(HERE.glob("decks/*.md")):
        (folder / f"{path.stem}.html").write_text(_talks.talk(path), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
