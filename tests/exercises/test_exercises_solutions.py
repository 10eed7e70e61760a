"""Every notebook with exercises has one of solutions, all of them right; the exercises themselves are untouched."""

import json
import pathlib
import re

import pytest
from notebook_checks import (
    NOTEBOOKS,
    code_cells,
    executed,
    figures_are_whole,
    figures_have_captions,
    imports_at_hand,
    links_lead_somewhere,
    no_unexpected_error,
    nothing_private,
    nothing_skipped,
    numbers_agree,
    short_cells,
    short_lines,
    slides,
    source,
    text_outputs,
)
from notebook_times import SAYS

from lecture_utils.exercises.verdict import EXERCISES

SOLUTIONS = sorted((NOTEBOOKS[0].parent / "solutions").glob("*.ipynb"))
CHECKS = (
    executed, no_unexpected_error, nothing_skipped, short_cells, short_lines, links_lead_somewhere,
    figures_have_captions, figures_are_whole, nothing_private, imports_at_hand, slides, numbers_agree,
)  # fmt: skip
ASKING = [path for path in NOTEBOOKS if "lecture_utils.exercises" in path.read_text(encoding="utf-8")]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def asked(notebook):
    """The exercises whose checkers the notebook calls."""
    text = "\n".join(source(cell) for cell in code_cells(notebook))
    return {number for number, (_, checker) in EXERCISES.items() if re.search(rf"\b{checker}\(", text)}


def verdicts(notebook):
    """{number: status} as shown below the checkers' cells."""
    shown = "\n".join(text_outputs(cell) for cell in code_cells(notebook))
    found = re.findall(r"^[○✓✗] (\d\.\d) [^:]+: (not attempted|right|wrong)", shown, flags=re.M)
    return dict(found)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_hold_to_the_conventions(path, check):
    assert check(read(path), path.parent) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_solution_is_right(path):
    assert len(asked(read(path))) >= 2
    assert asked(read(path)) >= asked(read(path.parents[1] / path.name))
    assert verdicts(read(path)) == dict.fromkeys(asked(read(path)), "right")


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.stem)
def test_exercises_are_handed_out_untouched(path):
    notebook = read(path)
    assert {number[0] for number in asked(notebook)} == {path.name[1]}
    assert verdicts(notebook) == dict.fromkeys(asked(notebook), "not attempted")
    text = "\n".join(source(cell) for cell in notebook["cells"])
    assert text.count("<details>") == text.count("</details>") >= len(asked(notebook))
    assert f"(solutions/{path.name})" in text


def statements(notebook):
    """{number: text} of the exercises that have a checker."""
    texts = [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return {match[1]: text for text in texts if (match := re.match(r"### (\d\.\d) ", text))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_says_what_it_takes_and_helps_in_three_steps(path):
    told = statements(read(path))
    assert list(told) == sorted(asked(read(path)))
    assert told
    for text in told.values():
        assert len(SAYS.findall(text)) == 1
        folds = re.findall(r"<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>", text, flags=re.S)
        assert [name for name, _ in folds] == ["A hint", "A second hint", "A smaller task"]
        assert len({words for _, words in folds}) == 3


def test_there_are_solutions_for_every_notebook_that_asks():
    assert ASKING
    assert {path.name for path in ASKING} <= {path.name for path in SOLUTIONS}


def test_a_wrong_or_missing_verdict_is_noticed(tmp_path):
    notebook = read(SOLUTIONS[0])
    before = verdicts(notebook)
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            shown = output.get("data", {}).get("text/plain", [])
            output.get("data", {})["text/plain"] = [line.replace(": right", ": wrong") for line in shown]
    assert before != verdicts(notebook)
    assert pathlib.Path(SOLUTIONS[0]).exists()
