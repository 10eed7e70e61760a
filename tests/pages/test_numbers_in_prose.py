"""What the check of numbers in prose takes, what it refuses, and that hardly a number of the series escapes it."""

import copy
import functools
import json
import re

import notebook_checks
import numbers_in_prose
import pytest
from notebook_checks import NOTEBOOKS

SOLUTIONS = sorted((NOTEBOOKS[0].parent / "solutions").glob("*.ipynb"))
TRAINING = next(path for path in NOTEBOOKS if path.stem.startswith("03"))
TABLE = """\
              KL  runs above 1         mean shift   regret
2   0.42 [0.2, 0.39]         3   0.33 [0.2, 0.39]  -338.0
20  73 [1.4, 400]           15   1.26 [0.3, 1.4]   -1415.0
"""
SHARES = "76,800 steps; 62% of the states; return fell in 7 of 16 runs; 0.9 of the samples\n"


@functools.cache
def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def markdown(text, kind="-"):
    return {"cell_type": "markdown", "metadata": {"slideshow": {"slide_type": kind}}, "source": [text]}


def code(source, text, tags=()):
    output = {"output_type": "stream", "name": "stdout", "text": [text]}
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": [source], "outputs": [output]}


def planted(near="", far="", takeaway="", note="", shares=SHARES):
    """What the check says of a copy of notebook 03 with a section more, which ends in these texts."""
    notebook = copy.deepcopy(read(TRAINING))
    cells = notebook["cells"]
    at = next(i for i, cell in enumerate(cells) if "## Takeaways" in "".join(cell["source"]))
    cells[at:at] = [
        markdown("## A section more\n\nWhat comes out?"),
        code("distances(clip=0.3)  # 40 repetitions", TABLE),
        markdown(f"Nothing to add. {near}"),
        markdown("One cell more. **Before you run this**: will it be 21.5 or 99?"),
        code("repeat(7)", shares),
        code("chaos()", "a return of -1234.5, in 88 repetitions", ["nbval-ignore-output"]),
        markdown(f"So it is. {far}"),
        markdown(f"*For the instructor.* {note}", "notes"),
    ]
    if takeaway:
        cells.insert(at + 9, markdown(takeaway))
    return [number for _, _, number in numbers_in_prose.disagreements(notebook_checks.sections(notebook))]


REFUSED = {
    "the last digit": ({"near": "The divergence is 0.41 nats."}, ["0.41"]),
    "an interval's end": ({"near": "It is 73 [1.4, 450] nats."}, ["73 1.4 450"]),
    "an interval of the row below": ({"near": "The mean moves by 0.33 [0.3, 1.4]."}, ["0.33 0.3 1.4"]),
    "another cell of the section": ({"far": "The divergence is 0.42 nats."}, ["0.42"]),
    "a cell that comes later": ({"near": "It takes 76,800 steps of the environment there."}, []),
    "a cell that comes later, in a recording": ({"near": "It takes 76,800 repetitions."}, ["76,800"]),
    "a whole number": ({"near": "In 14 of 16 runs it is above 1 nat."}, ["14"]),
    "a whole number among others": ({"near": "After 2 passes it is above 1 nat in 4 cases."}, ["4"]),
    "a number in a word": ({"near": "In four of the 16 runs it is above 1 nat."}, ["four"]),
    "an unchecked cell": ({"far": "The return is -1234.5."}, ["-1234.5"]),
    "a whole number of an unchecked cell": ({"far": "There were 88 repetitions."}, ["88"]),
    "no sign": ({"near": "The mean return is 338."}, ["338"]),
    "the wrong sign": ({"near": "The difference is -0.42."}, ["-0.42"]),
    "a percentage in place of a number": ({"far": "It has 62 states."}, ["62"]),
    "a percentage": ({"far": "It is so in 61 % of the states."}, ["61 %"]),
    "a takeaway": ({"takeaway": "- The divergence is 0.4231 nats."}, ["0.4231"]),
    "a takeaway of an unchecked cell": ({"takeaway": "- The return is -1234.5."}, ["-1234.5"]),
    "thousands": ({"far": "After 78,600 steps it is done."}, ["78,600"]),
    "too coarse": ({"near": "The return is -1,400."}, ["-1,400"]),
    "a range's end": ({"near": "It lies between 0.2 and 0.38."}, ["0.38"]),
    "a setting in place of a result": ({"far": "It is so in **7** cases, and fell in **40** of them."}, ["40"]),
    "in bold": ({"near": "It ends at **-336**."}, ["-336"]),
    "an instructor's note": ({"note": "The divergence is 0.43 nats."}, ["0.43"]),
    "of the stored output alone": (
        {"far": "It fell in 7 of 16 runs.", "shares": SHARES.replace("7 of 16", "6 of 16")},
        ["7"],
    ),
}
TAKEN = {
    "as it stands": {"near": "The divergence is 0.42 nats, and 73 [1.4, 400] after 20 passes."},
    "fewer digits": {"near": "The divergence is 0.4 nats, the mean moves by 1.3."},
    "about": {"near": "The return is about -1,400, and the divergence about 70 nats."},
    "a size": {"near": "It ends 338 points below the optimum."},
    "thousands": {"far": "After 76,800 steps it fell in **7** of 16 runs."},
    "a percentage": {"far": "It is so in 62 % of the states, and in 90 % of the samples."},
    "a word": {"near": "It is so in three of 16 runs.", "far": "The return fell in seven of the sixteen."},
    "settings in the source": {"near": "With a clip of 0.3, and 40 repetitions."},
    "settings of what comes next": {"near": "Now for 7 repetitions."},
    "settings of the package": {"near": "The 16 runs take 2 passes over 200 steps, after 250 of their 3,000 episodes."},
    "formulas, code, labels": {"near": "With $A = 5.5$, `clip=0.9`, exercise 2.1, [04](04_x.ipynb), A2C, 2017."},
    "questions and suppositions": {"near": "Is it 5, 6.5 or 77 %? If it were 66, it would be lost."},
    "a list": {"near": "Two things:\n\n1. one;\n2. another;\n17. the last."},
    "definitions": {"near": "The ratio is 1, its logarithm 0, and the reward -1."},
    "a takeaway": {"takeaway": "- The divergence is 0.42 nats, and in 62 % of the states it is less."},
    "a guess in a note": {"note": "Most of the class will say 55."},
    "a date": {"near": "As was found in 2017 (arXiv 1707.06347)."},
}  # fmt: skip


@pytest.mark.parametrize(("texts", "numbers"), REFUSED.values(), ids=REFUSED)
def test_refused(texts, numbers):
    assert planted(**texts) == numbers


@pytest.mark.parametrize("texts", TAKEN.values(), ids=TAKEN)
def test_taken(texts):
    assert planted(**texts) == []


def held_and_escaped(path):
    """Of every number that the prose claims, with its last digit put up by one: is it refused then? A list of bools."""
    every = notebook_checks.sections(copy.deepcopy(read(path)))
    answers = []
    for heading, cells in every:
        nearby = every if heading in numbers_in_prose.QUOTES_ALL else [(heading, cells)]
        before = [number for _, _, number in numbers_in_prose.disagreements(nearby)]
        for cell in cells if heading != "References" else []:
            text = notebook_checks.source(cell)
            whole = heading not in numbers_in_prose.NO_CLAIMS and cell["metadata"]["slideshow"]["slide_type"] != "notes"
            found = numbers_in_prose.claims(text, whole) if cell["cell_type"] == "markdown" else []
            for number in {one.text for together in found for one in together if one.text[-1].isdigit()} - set(before):
                changed = number[:-1] + str((int(number[-1]) + 1) % 10)
                cell["source"] = [re.sub(rf"(?<![\w.]){re.escape(number)}(?!\w|\.\d)", changed, text)]
                answers.append(len(numbers_in_prose.disagreements(nearby)) > len(before))
            cell["source"] = [text]
    return answers


def test_a_wrong_last_digit_seldom_escapes():
    """It does where the neighbour of the number stands in the same output."""
    answers = [answer for path in (*NOTEBOOKS, *SOLUTIONS) for answer in held_and_escaped(path)]
    assert len(answers) > 100
    assert sum(answers) > 0.8 * len(answers)
