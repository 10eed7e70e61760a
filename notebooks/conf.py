"""Sphinx builds the pages from these notebooks (make lecture). Everything a page needs is written into build/."""

import hashlib
import json
import pathlib
import re
import sys

import docutils.nodes
import math_core

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import _pages
import _repository

project = "Proximal Policy Optimization, measured"
author = "the authors of the PPO lecture"
copyright = "2026, the authors of the PPO lecture"

REPOSITORY = _repository.address()  # gives every page buttons that open its notebook on Binder and Colab

extensions = ["myst_nb"]
exclude_patterns = ["**.ipynb_checkpoints", "decks", "notes"]  # talks, and notes for the instructor, are no pages
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_dmath_double_inline = True
myst_heading_anchors = 3

nb_execution_mode = "off"  # pages show the outputs that the notebooks hold; make test executes them and compares
# A page has no kernel: panels and progress bars show their text, and nothing is asked of the network.
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

html_theme = "sphinx_book_theme"
html_title = "PPO, measured"
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search stands in the side bar already
}
if REPOSITORY:
    html_theme_options |= {
        "repository_url": REPOSITORY,
        "repository_branch": "main",
        "path_to_docs": "notebooks",
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is, until the reader chooses
html_static_path = ["_static"]
html_css_files = ["fonts.css", "lecture.css"]
html_js_files = ["lecture.js", "panels.js"]
html_use_index = False
html_show_search_summary = False  # it would fetch the pages, which a browser refuses for files
html_copy_source = False
html_show_sourcelink = False

_converter = math_core.LatexToMathML()


def _write_math(displaystyle):
    def visit(writer, node):
        mathml = _converter.convert_with_local_state(node.astext(), displaystyle=displaystyle)
        writer.body.append(f'<div class="formula">{mathml}</div>' if displaystyle else mathml)
        raise docutils.nodes.SkipNode

    return visit


def _caption_as_alternative_text(app, doctree):
    """Below every figure of a cell stands its caption, which is its alternative text too (`show`)."""
    for image in doctree.findall(docutils.nodes.image):
        if not image.get("alt"):
            below = image.findall(docutils.nodes.paragraph, ascend=True)
            image["alt"] = next((paragraph.astext() for paragraph in below), "")


def _fold_answers(app, docname, source):
    if pathlib.Path(app.env.doc2path(docname)).suffix == ".ipynb":
        _pages.must_hold_outputs(json.loads(source[0]), docname)
        source[0] = _pages.fold_answers(source[0], docname)


def _use_glossary(app, doctree):
    """Anchors in the glossary, and links to them from the notebooks, which are read again when it changes."""
    path, name = pathlib.Path(app.srcdir, "glossary.md"), app.env.docname
    if name == "glossary":
        _pages.mark_entries(doctree)
    elif re.match(r"\d\d_", name) and path.is_file():
        app.env.note_dependency(str(path))
        _pages.link_terms(doctree, _pages.glossary(path.read_text(encoding="utf-8")))


def _bring_pictures(app, doctree):
    _pages.bring_pictures(doctree, app.srcdir)


def setup(app):
    """Write formulas as MathML while building: every browser shows it, without a script."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_write_math(False), None), block_renderers=(_write_math(True), None)
    )
    app.connect("doctree-read", _caption_as_alternative_text)
    app.connect("source-read", _fold_answers)
    app.connect("doctree-read", _use_glossary)
    app.connect("doctree-read", _bring_pictures)
    own = hashlib.sha256(b"".join(pathlib.Path(file).read_bytes() for file in (__file__, _pages.__file__)))
    app.add_config_value("lecture_pages", own.hexdigest(), "env")  # all pages are read again when this code changes


html_math_renderer = "mathml"
