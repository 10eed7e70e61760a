"""How long a notebook takes: the rule on a small notebook, and that README, index and the notebooks' heads say it."""

import json
import re

import notebook_times
import pytest


def cell(kind, text, *tags):
    return {"cell_type": kind, "source": text, "metadata": {"tags": list(tags)}, "outputs": []}


SMALL = {
    "cells": [
        cell("markdown", "# 99 Small\n\n" + "word " * 398),
        cell("markdown", "## The idea\n\n**Before you run this**: what is $1 + 1$?"),
        cell("code", "1 + 1"),
        cell("markdown", "note " * 1000, "remove-cell"),
        cell("markdown", "## Put to the test: is it so?\n\n" + "word " * 993),
        cell("code", "2 + 2"),
        cell("markdown", "## Exercises\n\nChoose."),
        cell("markdown", "### 9.1 Add\n\n*Difficulty 1, importance 5, about 8 minutes.*\n\n" + "word " * 500),
        cell("markdown", "### 9.2 Subtract\n\n*Difficulty 4, importance 2, about 2 minutes.*"),
        cell("code", "my_sum = ..."),
        cell("markdown", "1. Why?\n2. Why not?"),
        cell("markdown", "## References\n\n" + "word " * 1000),
    ]
}


def test_the_rule():
    idea, test, exercises = notebook_times.minutes(SMALL)
    assert idea == pytest.approx((2 + 398 + 2 + 7) / 200 + 1 + 0.5)  # title, words, heading, prediction; and a cell
    assert test == pytest.approx((7 + 993) / 200 + 0.5)
    assert exercises == pytest.approx((1 + 1 + 2 + 3) / 200 + 8 + 2 + 2 * 2)
    assert notebook_times.line(SMALL) == (
        "**Time**: about 5 minutes in class, 5 more for *Put to the test*, 15 for the exercises."
    )


def test_every_place_says_what_the_rule_gives():
    for path, (found, right) in notebook_times.places().items():
        assert found == right, f"{path.name}: python tests/notebook_times.py writes it"


@pytest.mark.parametrize("path", notebook_times.NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_says_its_time_once(path):
    assert len(re.findall(notebook_times.LINE, path.read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize("path", notebook_times.tables(), ids=lambda path: path.name)
def test_every_table_has_every_notebook(path):
    text = path.read_text(encoding="utf-8")
    for notebook in notebook_times.NOTEBOOKS:
        row = notebook_times.row(path, json.loads(notebook.read_text(encoding="utf-8")))
        assert re.search(rf"\| .*{notebook.stem[:2]} .*\|.*\|{re.escape(row)}", text), notebook.stem


@pytest.mark.parametrize("wrong", ["about 3 minutes in class", "about 300 minutes in class, 2 for the exercises"])
def test_a_wrong_time_is_seen_and_mended(wrong):
    path = notebook_times.ROOT / "notebooks" / "99_small.ipynb"
    text = f"Before. **Time**: {wrong}. After."
    right = notebook_times.wanted(path, text, {path.name: SMALL})
    assert right == f"Before. {notebook_times.line(SMALL)} After."
    table = notebook_times.ROOT / "README.md"
    told = "| [99 Small](notebooks/99_small.ipynb) | Is it so? | 1 | – | 70 | 3 s |"
    assert notebook_times.wanted(table, told, {path.name: SMALL}) == told.replace("1 | – | 70", "5 | 5 | 15")
