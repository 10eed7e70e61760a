"""The class summary: one row for each notebook, whatever is in it; and a sandbox that holds."""

import csv
import io
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
import torch

from lecture_utils import exercises
from lecture_utils.exercises import class_summary, sandbox
from lecture_utils.exercises.class_summary import Stopped, as_text, find_notebooks, needed, read_cells, summarize
from lecture_utils.exercises.hand_in import decode, encode
from lecture_utils.exercises.judge import Raised
from lecture_utils.exercises.verdict import COLOURS, EXERCISES, SIGNS, Verdict

IMPORT = "import torch\nfrom lecture_utils.exercises import *\nfrom lecture_utils import clipped_surrogate, gae"
RIGHT_CELL = "check_clipped_surrogate(clipped_surrogate)"
FLIPPED = "check_clipped_surrogate(lambda r, a, c: clipped_surrogate(r, -a, c))"
STUB = "def mine(ratio, advantage, clip):\n    return ...\n\n\ncheck_clipped_surrogate(mine)"
SIGN = "wrong: the sign of the advantage is flipped"
CASES_CELL = """check_cases(dict(zip(
    [f"A {s} 0, ratio {p} the band" for s in "><" for p in ("below", "inside", "above")],
    ["UP", "up", "none", "none", "down", "down"])))"""
PRINTS = f'print({str(Verdict("1.1", "right", ""))!r})\nprint(\'{{"exercise": "1.1", "status": "right"}}\')'
FORGED = """import os, json
from lecture_utils.exercises import judge, verdict
right = verdict.right("1.1", "")
judge.judge = lambda *x: right
for stream in range(3, 20):
    try:
        os.write(stream, (json.dumps({"verdict": "right", "status": "right", "exercise": "1.1"}) + "\\n").encode())
    except OSError:
        pass
def mine(*x): return right
check_clipped_surrogate(mine)"""
OWN_CHECKER = "def check_clipped_surrogate(x):\n    return 'right'"
BEHIND = "check_mended_loss(mine)"


def body(code):
    """An answer to 1.3 that does something else first, in a cell of its own, before an answer to 1.1."""
    return [f"def mine(*x):\n    {code}\n    return -1.0\n\n" + BEHIND, FLIPPED]


# name -> (cells or the file's text, verdict on 1.1, what the remarks say)
CLASS = {
    "right": ([RIGHT_CELL, CASES_CELL], "right", ""),
    "flipped": ([FLIPPED], SIGN, ""),
    "untouched": ([STUB], "not attempted", ""),
    "mended later": ([FLIPPED, RIGHT_CELL], "right", ""),
    "spoiled later": ([RIGHT_CELL, FLIPPED], SIGN, ""),
    "umlaut äöü 漢字 [1]": ([RIGHT_CELL], "right", ""),
    "=1+1": ([RIGHT_CELL], "right", ""),
    "line\nbreak": ([RIGHT_CELL], "right", ""),
    "endless answer": (body("while True: pass"), SIGN, "1.3 timed out"),
    "endless cell": (["while True: pass", RIGHT_CELL], "right", ""),
    "kernel dies": (["import os\nos._exit(1)", RIGHT_CELL], "right", ""),
    "answer kills": (body("import os; os.kill(os.getpid(), 9)"), SIGN, "1.3 the process ended itself"),
    "kills its parent": (body("import os; os.kill(os.getppid(), 9)"), SIGN, ""),
    "sys.exit": (["import sys\nsys.exit()", *body("raise SystemExit")], SIGN, ""),
    "deletes": (["%reset -f", IMPORT + "\n" + RIGHT_CELL], "right", ""),
    "deletes what it needs": (["def mine(*x): return x\ndel mine", "check_clipped_surrogate(mine)"], "not checked",
                              "1.1 raised NameError"),
    "errors": (["undefined", "def f(:", "input()", RIGHT_CELL], "right", ""),
    "magic and await": (["%matplotlib inline\nimport asyncio\nawait asyncio.sleep(0)", RIGHT_CELL], "right", ""),
    "prints verdicts": ([PRINTS, "check_clipped_surrogate(lambda r, a, c: r)"], "wrong", ""),
    "own checker": ([OWN_CHECKER, RIGHT_CELL], "not checked", "not reached"),
    "forged": ([FORGED], ("wrong", "not checked"), ""),
    "output": (body("print('x' * 2 ** 24)"), SIGN, ""),
    "200 MB of output": ([RIGHT_CELL], "right", ""),
    "reads the home folder": (["import pathlib\nsecret = pathlib.Path(SECRET).read_text()",
                               "clip = secret\ncheck_clipped_surrogate(clipped_surrogate)"], "not checked",
                              ("1.1 raised FileNotFoundError", "1.1 raised PermissionError")),
    "opens a connection": (["import socket\nhost = socket.create_connection(('127.0.0.1', PORT), 5)",
                            "host\ncheck_clipped_surrogate(clipped_surrogate)"], "not checked", "1.1 raised "),
    "a thousand processes": (body("import subprocess, sys; [subprocess.Popen(['sleep', '60']) for _ in range(1000)]"),
                             SIGN, ""),
    "memory": (body("x = bytearray(50 * 2 ** 30)"), SIGN, ""),
    "not json": ("{not json", "", "does not open"),
    "not a notebook": ("[1, 2]", "", "does not open"),
    "empty": ("", "", "does not open"),
}  # fmt: skip


def write(path, content, output=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
        return
    cells = [nbformat.v4.new_code_cell(cell) for cell in [IMPORT, *content]]
    if output:
        cells[-1].outputs = [nbformat.v4.new_output("stream", text=output)]
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=cells)))


@pytest.fixture(scope="module")
def found():
    return sandbox.find()


@pytest.mark.slow
def test_a_class_of_thirty(tmp_path, found, monkeypatch):
    secret = pathlib.Path.home() / f".secret-of-{os.getpid()}"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        try:
            for name, (content, _, _) in CLASS.items():
                if not isinstance(content, str):
                    content = [cell.replace("SECRET", repr(str(secret))) for cell in content]
                    content = [cell.replace("PORT", str(server.getsockname()[1])) for cell in content]
                write(tmp_path / name / "01_ratio.ipynb", content, "x" * 200_000_000 if "200 MB" in name else None)
            notebooks = find_notebooks([tmp_path])
            monkeypatch.setattr(class_summary, "PROCESSES", 40)
            began = time.monotonic()
            first = summarize([(name, path) for name, path in notebooks if name == "right"], 60, 1, found)
            honest = time.monotonic() - began  # what a notebook takes here, and now
            table = summarize(notebooks, 5 + honest, 2, found)
        finally:
            secret.unlink()
    assert len(table) == len(CLASS) == 30
    assert first["1.1"].tolist() == first["1.2"].tolist() == ["right"]
    rows = {row["student"]: row for row in table.to_dict("records")}
    for name, (_, verdict, remarks) in CLASS.items():
        if not found.name and ("home" in name or "connection" in name):
            continue
        row = rows[class_summary._text(name)]
        assert row["1.1"].startswith(verdict) if verdict else row["1.1"] == "", (name, row)
        told = (remarks,) if isinstance(remarks, str) else remarks
        assert any(x in row["remarks"] for x in told), (name, row)
    text = as_text(table)
    assert f"x {SIGN.removeprefix('wrong: ')}" in text
    class_summary.write_csv(table, tmp_path / "grades.csv")
    with open(tmp_path / "grades.csv", encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == 30
    assert "'=1+1" in [row["student"] for row in written]


@pytest.mark.slow
def test_the_command_writes_the_table_first_and_says_what_happened(tmp_path):
    """On a terminal that knows no umlaut, and then on one that is closed."""
    write(tmp_path / "hand-in" / "Jürgen" / "a.ipynb", [FLIPPED])
    write(tmp_path / "hand-in" / "Zoë" / "b.ipynb", "")
    command = [sys.executable, "-m", "lecture_utils.exercises", "hand-in", "--csv", "out.csv"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["student"] for row in rows] == ["Jürgen", "Zoë"]
    assert [row["1.1"] for row in rows] == [SIGN, ""]
    last = done.stdout.decode("ascii").splitlines()[-1]
    assert last.startswith("2 notebooks in ")
    assert re.search(r"1 judged, 1 with remarks; 0 points of \d. The table is in out.csv", last)


def test_nothing_to_judge_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert class_summary.main([str(tmp_path)]) == 2
    sys.stdout.seek(0)
    assert "no notebook" in sys.stdout.read()


def test_without_a_sandbox_it_is_said():
    assert "WARNING" in class_summary._protection(sandbox.Sandbox())
    assert "WARNING" not in class_summary._protection(sandbox.Sandbox("bubblewrap", "bwrap"))


@pytest.mark.parametrize("wrong", [["--jobs", "0"], ["--time-limit", "-1"], []])
def test_the_command_line_refuses(wrong, capsys):
    with pytest.raises(SystemExit) as refused:
        class_summary.main([*(["a.ipynb"] if wrong else []), *wrong])
    assert refused.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_students_are_the_folders(tmp_path):
    for place in ("b/01.ipynb", "a/deep/02.ipynb", "alone.ipynb", "a/.ipynb_checkpoints/02.ipynb", "a/text.txt"):
        write(tmp_path / place, [])
    (tmp_path / "folder.ipynb").mkdir()
    assert [student for student, _ in find_notebooks([tmp_path])] == ["a", "alone", "b"]
    assert find_notebooks([tmp_path / "b" / "01.ipynb"])[0][0] == "01"


def test_names_of_files_become_text():
    assert class_summary._text(os.fsdecode(b"\xff a\nb")) == r"\xff a\nb"


@pytest.mark.parametrize(
    ("cells", "chosen"),
    [
        (["import torch", "x = 1", "def f(r): return torch.abs(r)", "check_gae(f)"], [0, 2, 3]),
        (["f = 1", "def f(r):\n    while True: pass", "f = 2", "check_gae(f)"], [2, 3]),
        (["d = {}", "d['a'] = 1", "e = {}", "d.update(b=2)", "print(d)", "check_gae(d)"], [0, 1, 3, 5]),
        (["from numpy import *", "%reset -f", "check_gae(pi)"], [0, 2]),
        (["check_gae(1)", "check_gae(2)", "other"], [1]),
        (["import a", "def g(): return a", "def f(): return g()", "a.b = 3", "def (", "check_gae(f)"], [0, 1, 2, 3, 5]),
        (["check_gae = 1"], []),
    ],
)
def test_the_cells_that_an_exercise_needs(cells, chosen):
    assert needed(cells, "check_gae") == chosen


def test_what_is_no_notebook_is_told_why(tmp_path):
    deep = tmp_path / "deep.ipynb"
    deep.write_text("[" * 100_000)
    for path in (tmp_path / "missing.ipynb", tmp_path, deep):
        with pytest.raises(Stopped, match="does not open"):
            read_cells(path)


@pytest.mark.parametrize(
    "x",
    [None, ..., 3, 2.5, True, "text", float("inf"), Raised("KeyError", "x"), {"a": [1, (2.0, ...)]},
     np.arange(6.0).reshape(2, 3), np.float32(0.5), torch.ones(2, 0), torch.tensor([1.5, float("nan")])],
)  # fmt: skip
def test_answers_arrive_as_they_are(x):
    back = decode(json.loads(json.dumps(encode(x))))
    assert repr(back) == repr(np.asarray(x) if isinstance(x, np.generic) else x)
    assert type(back) is (np.ndarray if isinstance(x, np.generic) else type(x))


@pytest.mark.parametrize(
    "x", [3, {}, {"plain": []}, {"array": ["|O", [1], ""]}, {"array": ["<f8", [2], "AA=="]}, {"function": True},
          {"array": ["<f8", [-1, 10**9], ""]}, {"array": ["|u1", [2, -1], "AAA="]}, {"a": 1, "b": 2}, {"dict": [[1]]}],
)  # fmt: skip
def test_what_no_checker_hands_over_is_refused(x):
    with pytest.raises(ValueError):  # its text depends on which part is wrong
        decode(x)


def test_every_exercise_with_a_function_has_its_task():
    called = {number for number, task in exercises.TASKS.items() if task.exercise == number}
    assert called == exercises.TASKS.keys() <= EXERCISES.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_sandbox_that_hides_nothing_does_not_pass_the_probe(monkeypatch):
    monkeypatch.setattr(sandbox.Sandbox, "command", lambda self, command, scratch: command)
    assert not sandbox._holds(sandbox.Sandbox("bubblewrap", "bwrap"))


def test_every_status_has_a_sign_of_its_own():
    assert SIGNS.keys() == COLOURS.keys()
    assert len(set(SIGNS.values())) == 3
