"""Every notebook holds to the conventions, and each check turns red when its mistake is planted."""

import copy
import json

import notebook_checks
import pytest
from notebook_checks import CHECKS, NOTEBOOKS, code_cells

from lecture_utils.figures.style import new_figure, png


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, check):
    assert check(read(path), path.parent) == []


def markdown(text):
    return {"cell_type": "markdown", "metadata": {"slideshow": {"slide_type": "-"}}, "source": [text]}


def before_the_end(notebook, *cells):
    """Put cells into the last section before the Takeaways."""
    texts = [notebook_checks.source(cell) for cell in notebook["cells"]]
    at = next(i for i, text in enumerate(texts) if text.startswith("## Takeaways"))
    notebook["cells"][at:at] = cells


def plant_unexecuted(nb):
    code_cells(nb)[3]["execution_count"] = None


def plant_error(nb):
    code_cells(nb)[3]["outputs"].append({"output_type": "error", "ename": "E", "evalue": "", "traceback": []})


def plant_skip(nb):
    code_cells(nb)[3]["metadata"]["tags"] = ["nbval-skip"]


def plant_unchecked(nb):
    for cell in code_cells(nb):
        cell["metadata"]["tags"] = ["nbval-ignore-output"]


def plant_long_cell(nb):
    code_cells(nb)[3]["source"] = ["x = 1\n"] * 31


def setup_cell(nb):
    return next(cell for cell in code_cells(nb) if "point_to_cells(" in notebook_checks.source(cell))


def plant_long_setup(nb):
    setup_cell(nb)["source"] += [f"\nimport module_{i}" for i in range(10)]


def plant_wide_line(nb):
    code_cells(nb)[5]["source"] = ["x = " + " + ".join(["1"] * 20)]


def plant_heading_gap(nb):
    before_the_end(nb, markdown("##### Too deep"))


def plant_second_test(nb):
    before_the_end(nb, markdown("## Put to the test: once more"), markdown("## And then"))


def plant_test_first(nb):
    nb["cells"].insert(3, markdown("## Put to the test: before the idea"))


def plant_missing_section(nb):
    nb["cells"] = [cell for cell in nb["cells"] if not "".join(cell["source"]).startswith("## References")]


def plant_broken_link(nb):
    before_the_end(nb, markdown("See [there](99_nowhere.ipynb)."))


def plant_remote_image(nb):
    before_the_end(nb, markdown("![a picture](https://example.org/a.png)"))


def plant_image_without_text(nb):
    before_the_end(nb, markdown("![](conf.py)"))


def plant_figure_without_text(nb):
    for cell in code_cells(nb):
        for output in cell["outputs"]:
            output["metadata"] = {}


def plant_figure_without_caption(nb):
    for cell in code_cells(nb):
        cell["outputs"] = [o for o in cell["outputs"] if "text/markdown" not in o.get("data", {})]


def plant_cut_figure(nb):
    figure, axes = new_figure(width=3)
    axes.set_xlabel("far too many words for an axis of this length " * 2)
    output = next(o for cell in code_cells(nb) for o in cell["outputs"] if "image/png" in o.get("data", {}))
    output["data"]["image/png"] = png(figure)


def plant_path(nb):
    code_cells(nb)[3]["outputs"].append({"output_type": "stream", "name": "stdout", "text": ["/home/me/ppo"]})


def plant_magic(nb):
    code_cells(nb)[3]["source"] = ["!pip install something"]


def plant_no_slide(nb):
    nb["cells"][2]["metadata"] = {}


def plant_note_in_the_page(nb):
    before_the_end(nb, {**markdown("Say this."), "metadata": {"slideshow": {"slide_type": "notes"}}})


def plant_decimal(nb):
    before_the_end(nb, markdown("The share is 0.987654321."))


def plant_bold(nb):
    before_the_end(nb, markdown("It ends at **-98,765**."))


PLANTS = {
    "executed": [plant_unexecuted],
    "no_unexpected_error": [plant_error],
    "nothing_skipped": [plant_skip, plant_unchecked],
    "short_cells": [plant_long_cell],
    "short_setup": [plant_long_setup],
    "short_lines": [plant_wide_line],
    "structure": [plant_heading_gap, plant_missing_section, plant_second_test, plant_test_first],
    "links_lead_somewhere": [plant_broken_link, plant_remote_image, plant_image_without_text],
    "figures_have_captions": [plant_figure_without_text, plant_figure_without_caption],
    "figures_are_whole": [plant_cut_figure],
    "nothing_private": [plant_path],
    "imports_at_hand": [plant_magic],
    "slides": [plant_no_slide, plant_note_in_the_page],
    "numbers_agree": [plant_decimal, plant_bold],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check_turns_red(check):
    path = next(path for path in NOTEBOOKS if path.stem.startswith("03"))
    for plant in PLANTS[check.__name__]:
        notebook = copy.deepcopy(read(path))
        plant(notebook)
        assert check(notebook, path.parent), plant.__name__
