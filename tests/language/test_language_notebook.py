"""Notebook 07's own lines of GRPO agree with the package's, and its check fails where they are wrong."""

import contextlib
import io
import json
import pathlib

import pytest
import torch

from lecture_utils import clipped_surrogate
from lecture_utils.language import learners, policy

NOTEBOOK = pathlib.Path(__file__).parents[2] / "notebooks" / "07_from_ppo_to_language_models.ipynb"
FAULTS = {
    "no price": ("- beta * k3", "- 0.0 * k3"),
    "a dearer price": ("beta=0.05", "beta=0.1"),
    "KL of the wrong sign": ("k3 = log_u.exp()", "k3 = (-log_u).exp()"),
    "no clip": ("clip=0.2", "clip=float('inf')"),
    "another clip": ("clip=0.2", "clip=0.25"),
    "no division": (" / (r.std(-1, keepdim=True) + 1e-4)", ""),
    "the whole batch for a group": ("group=8", "group=32"),
    "a sum over each text": ("/ written.sum(2)", "/ 6"),
    "padding in the mean": ("/ written.sum(2)", "/ written.shape[2]"),
}


def said(old="", new=""):
    """The lines that the check of the notebook prints, where `old` stands as `new` in the cells before it."""
    cells = {c["id"]: "".join(c["source"]) for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]}
    lines = cells["group-hand"].replace("print(", "(") + "\n" + cells["group-objective"]
    assert old in lines
    names = {"torch": torch, "clipped_surrogate": clipped_surrogate, "learners": learners, "policy": policy}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(lines.replace(old, new) + "\n" + cells["group-twin"], names)
    return [line.split(": ")[-1] for line in printed.getvalue().splitlines()]


def test_the_lines_of_the_notebook_are_the_package():
    assert said() == ["True", "True", "False", "False"]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_of_the_notebook_notices(fault):
    assert said(*FAULTS[fault])[1] == "False"
