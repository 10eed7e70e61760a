"""The instructor's summary: one row for each notebook, whatever is in it."""

import pathlib
import subprocess
import sys
import time

import nbformat
import pandas as pd
import pytest

from lecture_utils.exercises.class_summary import as_text, summarize
from lecture_utils.exercises.verdict import COLOURS, SIGNS, Verdict

IMPORT = "import torch\nfrom lecture_utils.exercises import *\nfrom lecture_utils import clipped_surrogate, gae"
RIGHT_CELL = "check_clipped_surrogate(clipped_surrogate)"
FLIPPED = "check_clipped_surrogate(lambda r, a, c: clipped_surrogate(r, -a, c))"
STUB = "def mine(ratio, advantage, clip):\n    return ...\n\n\ncheck_clipped_surrogate(mine)"
SIGN = "wrong: the sign of the advantage is flipped"
PRINTS = f'print({str(Verdict("1.1", "right", ""))!r})\nprint(\'{{"exercise": "1.1", "status": "right"}}\')'
GAE_CELL = "check_gae(gae)\ncheck_mended_gae(gae)"

# It sleeps: a loop that works all the time would slow the others down.
ENDLESS = "def mine(*x):\n    import time\n    while True: time.sleep(1)\n\ncheck_mended_loss(mine)"

OWN_CHECKER = "def check_clipped_surrogate(x):\n    return 'right'"

# name -> (cells or the file's text, what `run` begins with, what column 1.1 says)
CLASS = {
    "right": ([RIGHT_CELL], "finished", "right"),
    "flipped": ([FLIPPED], "finished", SIGN),
    "untouched": ([STUB], "finished", "not attempted"),
    "mended_later": ([FLIPPED, RIGHT_CELL], "finished", "right"),
    "spoiled_later": ([RIGHT_CELL, FLIPPED], "finished", SIGN),
    "endless_answer": ([RIGHT_CELL, ENDLESS, FLIPPED], "timed out", "right"),
    "deletes_its_variables": (["%reset -f", RIGHT_CELL], "finished; raised NameError", "not checked"),
    "not_json": ("{not json", "does not open", ""),
    "not_a_notebook": ("[1, 2]", "does not open", ""),
    "empty_file": ("", "does not open", ""),
    "missing": (None, "does not open: no such file", ""),
    "kernel_dies": ([FLIPPED, "import os\nos._exit(1)", RIGHT_CELL], "kernel died", SIGN),
    "errors": (["undefined", "def f(:", "input()", RIGHT_CELL],
               "finished; raised NameError, SyntaxError, StdinNotImplementedError", "right"),
    "pretends": ([PRINTS, OWN_CHECKER, RIGHT_CELL], "finished", "not checked"),
    "other_notebook": ([GAE_CELL], "finished", ""),
}  # fmt: skip


def write(path, content):
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        cells = [nbformat.v4.new_code_cell(cell) for cell in [IMPORT, *content]]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.mark.slow
def test_a_class(tmp_path):
    paths = {name: tmp_path / f"{name}.ipynb" for name in CLASS}
    for name, (content, _, _) in CLASS.items():
        write(paths[name], content)
    before = {path: path.read_bytes() for path in paths.values() if path.exists()}
    began = time.monotonic()
    summarize([paths["right"]])
    honest = time.monotonic() - began  # what a notebook of this class takes here, and now
    table = summarize(paths.values(), time_limit=10 + 3 * honest, jobs=3)
    assert table.notebook.tolist() == [str(path) for path in paths.values()]
    for (name, (_, run, verdict)), row in zip(CLASS.items(), table.to_dict("records"), strict=True):
        assert row["run"].startswith(run), (name, row)
        assert row["1.1"] == verdict, (name, row)
    assert (
        table.set_index(table.notebook.map(lambda path: pathlib.Path(path).stem))["1.3"]["endless_answer"]
        == "not checked"
    )
    assert table.iloc[-1]["2.1"] == table.iloc[-1]["2.2"] == "right"
    assert before == {path: path.read_bytes() for path in before}
    text = as_text(table)
    assert "1.1 clipped surrogate: right in 4 of 10" in text
    assert f"3 x {SIGN.removeprefix('wrong: ')}" in text


@pytest.mark.slow
def test_the_command_line_writes_text_and_csv(tmp_path):
    write(tmp_path / "a.ipynb", [FLIPPED])
    command = [sys.executable, "-m", "lecture_utils.exercises", "a.ipynb", "b.ipynb", "--csv", "out.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert table.columns.tolist() == ["notebook", "run", "1.1", "1.2", "1.3"]
    assert table["1.1"].tolist() == [SIGN, ""]
    assert table.run.tolist() == ["finished", "does not open: no such file"]
    assert "a.ipynb   wrong" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("wrong", [["--jobs", "0"], ["--time-limit", "-1"], []])
def test_the_command_line_refuses(wrong):
    command = [sys.executable, "-m", "lecture_utils.exercises", *(["a.ipynb"] if wrong else []), *wrong]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_every_status_has_a_sign_of_its_own():
    assert SIGNS.keys() == COLOURS.keys()
    assert len(set(SIGNS.values())) == 3
