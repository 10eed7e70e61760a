"""After a class: judge every exercise of every notebook, and tabulate the verdicts.

A student's code runs in processes of its own (hand_in), where the system has it in a sandbox, and only computes: the
inputs are drawn here, and the answers to them are judged here. What a notebook prints, stores or defines as a checker
counts for nothing. Of a notebook those cells run that an exercise needs, so that no other cell keeps it from being
judged.
"""

import argparse
import ast
import concurrent.futures
import csv
import json
import os
import pathlib
import queue
import re
import subprocess
import symtable
import sys
import tempfile
import threading
import time

import pandas as pd
import psutil
from IPython.core.inputtransformer2 import TransformerManager

from lecture_utils import exercises
from lecture_utils.exercises import sandbox as sandboxes
from lecture_utils.exercises.hand_in import LONGEST, Line, decode, encode
from lecture_utils.exercises.verdict import EXERCISES, RIGHT, WRONG

NOT_CHECKED = "not checked"  # the checker is not called, or not reached
LARGEST = 500 * 2**20  # bytes of a notebook's file
MEGABYTES, PROCESSES = 4096, 64  # what a notebook's code may take
START = 300  # seconds within which a process must be ready


class Stopped(Exception):
    """Why an exercise came to no verdict, in words."""


def find_notebooks(places):
    """(student, path) of all notebooks in folders and files: the student is the first folder below, or the name."""
    found = []
    for place in map(pathlib.Path, places):
        if not place.is_dir():
            found.append((_text(place.stem), place))
            continue
        for path in sorted(place.rglob("*.ipynb"), key=os.fsencode):
            below = path.relative_to(place).parts
            if ".ipynb_checkpoints" not in below and not path.is_dir():
                found.append((_text(below[0] if len(below) > 1 else path.stem), path))
    return found


def summarize(notebooks, time_limit=60, jobs=2, sandbox=None):
    """One row for each notebook: DataFrame with student, notebook, points, of, a column an exercise, and remarks.

    notebooks: pairs of student and path. time_limit: seconds for each exercise. jobs: how many run at a time.
    sandbox: a Sandbox, or None for the best one here. An exercise: "right", "wrong: <mistake>" (or "wrong"),
    "not attempted", "not checked"; "" where the notebook does not ask for it.
    """
    sandbox = sandboxes.find() if sandbox is None else sandbox
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda item: _row(*item, time_limit, sandbox), notebooks))
    columns = [number for number in EXERCISES if any(number in row for row in rows)]
    return pd.DataFrame(rows, columns=["student", "notebook", "points", "of", *columns, "remarks"]).fillna("")


def as_text(table):
    """The table in short words, then for each exercise the mistakes that were recognised, the most frequent first."""
    numbers = [column for column in table if column in EXERCISES]
    short = table.copy()
    short[numbers] = short[numbers].map(lambda cell: cell.split(":")[0])
    short["remarks"] = short["remarks"].str.slice(0, 60)
    short["notebook"] = short.notebook.map(os.path.basename)
    columns = [[name, *short[name].astype(str)] for name in short]
    widths = [max(map(len, column)) for column in columns]
    rows = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns, strict=True)]
    lines = [*rows, ""]
    for number in numbers:
        asked = table[table[number] != ""]
        lines.append(f"{number} {EXERCISES[number][0]}: right in {(asked[number] == RIGHT).sum()} of {len(asked)}")
        mistakes = asked[asked[number].str.startswith(f"{WRONG}:")].groupby(number).student.agg(list)
        for mistake, who in sorted(mistakes.items(), key=lambda item: -len(item[1])):
            lines.append(f"    {len(who)} x {mistake.removeprefix(WRONG + ': ')} ({', '.join(who)})")
    return "\n".join(lines)


def read_cells(path):
    """The sources of a notebook's code cells. Stopped, with the reason, for whatever is none."""
    try:
        if not path.is_file():
            raise Stopped("does not open: no such file")
        if path.stat().st_size > LARGEST:
            raise Stopped(f"does not open: larger than {LARGEST // 2**20} MB")
        cells = json.loads(path.read_bytes().decode("utf-8-sig"))["cells"]
        code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        return [source if isinstance(source, str) else "".join(source) for source in code]
    except (OSError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise Stopped(f"does not open: not a notebook ({type(error).__name__})") from None


def needed(cells, checker):
    """Indices of the cells that the last call of a checker needs, itself the last; [] without a call.

    Cells that bind a name which it reads, or change it, and again what these read.
    """
    programs = [_Cell(source) for source in cells]
    calling = [i for i, program in enumerate(programs) if checker in program.mentions]
    if not calling:
        return []
    late = set()  # what functions look up when they are called, so that changes after their definition count, too
    while True:
        chosen, wanted = [calling[-1]], programs[calling[-1]].reads | late
        for i in reversed(range(calling[-1])):
            program = programs[i]
            if program.star or wanted & (program.binds | program.changes):
                chosen.append(i)
                wanted = (wanted - program.settles) | program.reads
        found = set().union(*(programs[i].late for i in chosen))
        if found <= late:
            return chosen[::-1]
        late |= found


class _Cell:
    """What a cell's code reads, binds and changes, as names; nothing where it does not parse."""

    def __init__(self, source):
        self.reads, self.binds, self.changes, self.settles, self.mentions = (set() for _ in range(5))
        self.late, self.star = set(), False
        try:
            source = TransformerManager().transform_cell(source)
            tree, table = ast.parse(source), symtable.symtable(source, "cell", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        names = table.get_symbols()
        self.binds = {x.get_name() for x in names if x.is_assigned() or x.is_imported() or x.is_namespace()}
        self.late = _globals_of(table.get_children())
        self.reads = {x.get_name() for x in names if x.is_referenced()} | self.late
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                self.star = True
            if isinstance(node, ast.Call):
                self.mentions.add(getattr(node.func, "attr", getattr(node.func, "id", "")))
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                targets = [node.value.func] if isinstance(node.value.func, ast.Attribute) else []
            self.changes |= {_base(target) for target in targets if isinstance(target, ast.Attribute | ast.Subscript)}
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.settles.add(node.name)
            self.settles |= {target.id for target in targets if isinstance(target, ast.Name)}


def _globals_of(tables):
    """Names that functions, at any depth, take from the notebook."""
    names = set()
    for table in tables:
        names |= {x.get_name() for x in table.get_symbols() if x.is_global()} | _globals_of(table.get_children())
    return names


def _base(node):
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _row(student, path, time_limit, sandbox):
    row = {"student": student, "notebook": _text(path), "points": 0, "of": 0}
    try:
        cells = read_cells(path)
    except Stopped as reason:
        return {**row, "remarks": str(reason)}
    verdicts, remarks = {}, {}
    with _Process(sandbox, time_limit) as process:
        for number in _asked(cells, path):
            verdicts[number], remarks[number] = _judge(process, cells, number)
    told = "; ".join(f"{number} {remark}" for number, remark in remarks.items() if remark)
    points = sum(verdict == RIGHT for verdict in verdicts.values())
    return {**row, "points": points, "of": len(verdicts), **verdicts, "remarks": told}


def _judge(process, cells, number):
    """(verdict, remark) of one exercise: from the cells that it needs, or else from all before it."""
    checker = EXERCISES[number][1]
    few = needed(cells, checker)
    if not few:
        return NOT_CHECKED, ""
    raised = []
    for chosen in (few, range(few[-1] + 1)):
        try:
            verdict, found = process.judge(checker, [cells[i] for i in chosen])
        except Stopped as reason:
            return NOT_CHECKED, str(reason)
        if verdict is not None:
            return _text(f"{verdict.status}: {verdict.mistake}" if verdict.mistake else verdict.status), ""
        raised = raised or found  # of the cells that it needs; the first error is the cause of those after it
        if not raised:
            break
    return NOT_CHECKED, f"raised {_word(raised[0])}" if raised else "the checker is not reached"


class _Process:
    """The process of a notebook, begun when needed and again when it has ended."""

    def __init__(self, sandbox, time_limit):
        self.sandbox, self.time_limit = sandbox, time_limit
        self.running = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def judge(self, checker, cells):
        """(Verdict or None, names of errors). Stopped where time, memory or processes run out, or it ends."""
        if self.running is None:
            self.start()
        self.deadline = time.monotonic() + self.time_limit
        verdict, message, raised = None, {}, []
        try:
            self.send({"checker": checker, "cells": cells})
            while "finished" not in (message := self.receive()):
                if "over" in message:  # the process of this exercise ended in mid-cell
                    raise Stopped("the process ended itself")
                answers = [decode(x, lambda empty: _Remote(self, empty)) for x in message["arguments"]]
                try:
                    verdict = getattr(exercises, checker)(*answers)
                except TypeError:  # arguments that no checker takes; its own text would show a student's
                    verdict = None
                self.send({"end": True})
            raised = [str(name) for name in message["finished"]][:5]
            if "over" not in self.receive() or self.processes() > self.at_start:
                self.stop()
        except Stopped:
            self.stop()
            raise
        except Exception:  # whatever a student's process may write instead of an answer
            self.stop()
            if self.why:
                raise Stopped(self.why) from None
            if "finished" not in message:
                raise Stopped("the process ended itself, or wrote what is no answer") from None
        return verdict, raised

    def start(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = self.sandbox.command([sys.executable, "-m", "lecture_utils.exercises.hand_in"], self.folder.name)
        self.running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            cwd=sandboxes.ROOT, env=self.sandbox.environment(self.folder.name),
        )  # fmt: skip
        self.why, self.lines = "", queue.Queue(maxsize=4)
        self.line = Line(None, self.running.stdin)
        threading.Thread(target=_listen, args=(self.running.stdout, self.lines), daemon=True).start()
        self.deadline = time.monotonic() + START
        try:
            self.send(
                {"megabytes": MEGABYTES, "seconds": int(20 * self.time_limit) + START, "processes": _all_tasks() + 300}
            )
            self.receive()
        except (EOFError, OSError, ValueError):
            self.stop()
            raise Stopped("its process does not start") from None
        self.at_start = self.processes()
        threading.Thread(target=_watch, args=(self, self.running), daemon=True).start()

    def stop(self):
        if self.running is None:
            return
        _kill(self.running)
        self.running = None
        self.folder.cleanup()

    def processes(self):
        return len(_tree(self.running))

    def send(self, message):
        self.line.send(message)

    def receive(self):
        try:
            line = self.lines.get(timeout=max(0.0, self.deadline - time.monotonic()))
        except queue.Empty:
            raise Stopped(self.why or f"timed out after {self.time_limit:g} s") from None
        if not line:
            raise Stopped(self.why) if self.why else EOFError
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("not a message")
        return message


class _Remote:
    """A student's function, as the checkers see it: outcomes come from the student's process."""

    def __init__(self, process, empty):
        self.process, self.empty = process, empty

    def __call__(self, *arguments):
        raise TypeError("this function runs elsewhere: outcome asks it")

    def outcome(self, case):
        self.process.send({"case": encode(case)})
        return decode(self.process.receive()["outcome"])


def _listen(stream, lines):
    """Lines into the queue until the stream ends or one is too long; then an empty one."""
    while (line := stream.readline(LONGEST)).endswith(b"\n"):
        lines.put(line)
    lines.put(b"")


def _watch(process, running):
    """Ends what takes more than it may, until it has ended."""
    while running.poll() is None:
        tree = _tree(running)
        memory = sum(_memory(one) for one in tree)
        if len(tree) > PROCESSES:
            process.why = f"more than {PROCESSES} processes"
        elif memory > MEGABYTES * 2**20:
            process.why = f"more than {MEGABYTES} MB of memory"
        elif time.monotonic() > process.deadline + 10:  # nobody reads what is written to it
            process.why = f"timed out after {process.time_limit:g} s"
        if process.why:
            _kill(running)
            return
        time.sleep(0.3)


def _tree(running):
    try:
        return psutil.Process(running.pid).children(recursive=True)
    except psutil.Error:
        return []


def _memory(one):
    try:
        return one.memory_info().rss
    except psutil.Error:
        return 0


def _all_tasks():
    """Threads of all processes of this user, which is what the system's bound on processes counts."""
    own = psutil.Process().username()
    return sum(p.info["num_threads"] or 1 for p in psutil.process_iter(["username", "num_threads"])
               if p.info["username"] == own)  # fmt: skip


def _kill(running):
    """The process and all that it began; in a sandbox its end takes the others with it."""
    for one in [*_tree(running), running]:
        try:
            one.kill()
        except (psutil.Error, OSError):
            continue
    running.wait()


def _asked(cells, path):
    """The exercises whose checkers are named in the cells, and all others that were handed out with one of them.

    Without any: those that were handed out in the notebook whose number the file's name has.
    """
    named = _named("\n".join(cells))
    by_name = re.search(r"0(\d)", path.name)
    digits = {number[0] for number in named} or ({by_name.group(1)} if by_name else set())
    handed_out = {number for digit in digits for number in _handed_out(digit) if number[0] == digit}
    return [number for number in EXERCISES if number in named | handed_out]


def _named(text):
    return {number for number, (_, checker) in EXERCISES.items() if re.search(rf"\b{checker}\b", text)}


def _handed_out(digit):
    """The exercises of this project's own notebook with this number."""
    own = (sandboxes.ROOT / "notebooks").glob(f"0{digit}_*.ipynb")
    return {number for path in own for number in _named(path.read_text(encoding="utf-8"))}


def _text(name):
    """A name of a file as text that any file and terminal takes: no control characters, no lone bytes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _word(name):
    return re.sub(r"\W", "", name)[:60] or "an error"


def write_csv(table, path):
    """The table, moved into place when whole. What a spreadsheet would take for a formula begins with a quote."""
    safe = table.map(lambda cell: f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@") and cell else cell)
    temporary = pathlib.Path(f"{path}.tmp")
    safe.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8", quoting=csv.QUOTE_MINIMAL)
    os.replace(temporary, path)


def main(arguments=None):
    """The command line; returns the exit status: 0 all judged, 1 some not, 2 nothing to judge."""
    parser = argparse.ArgumentParser(
        prog="python -m lecture_utils.exercises",
        description="Judge the exercises of students' notebooks: FOLDER/student/notebook.ipynb, or single notebooks.",
        epilog="Exit status: 0 every notebook was judged, 1 some were not (see remarks), 2 there was nothing to judge.",
    )
    parser.add_argument("places", nargs="+", metavar="FOLDER_OR_NOTEBOOK")
    parser.add_argument("--csv", metavar="PATH", default="grades.csv", help="where the table goes (grades.csv)")
    parser.add_argument("--time-limit", type=float, default=60, metavar="SECONDS", help="for one exercise (60)")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks that run at a time (2)")
    chosen = parser.parse_args(arguments)
    if not 0 < chosen.time_limit < 1e6 or chosen.jobs < 1:
        parser.error(f"--time-limit must be above 0 and --jobs at least 1, got {chosen.time_limit:g} and {chosen.jobs}")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a terminal that does not know a letter must not end this
    notebooks = find_notebooks(chosen.places)
    if not notebooks:
        print(f"There is no notebook in {', '.join(map(_text, chosen.places))}: nothing was judged.")
        return 2
    sandbox = sandboxes.find()
    print(_protection(sandbox), file=sys.stderr, flush=True)
    began = time.monotonic()
    table = summarize(notebooks, chosen.time_limit, chosen.jobs, sandbox)
    write_csv(table, chosen.csv)
    print(as_text(table))
    unjudged, points, of = int((table.remarks != "").sum()), int(table.points.sum()), int(table.of.sum())
    took = f"{len(table)} notebooks in {time.monotonic() - began:.0f} s: {len(table) - unjudged} judged"
    print(f"\n{took}, {unjudged} with remarks; {points} points of {of}. The table is in {_text(chosen.csv)}")
    return 1 if unjudged else 0


def _protection(sandbox):
    if sandbox.name:
        return f"Students' code runs in a sandbox ({sandbox.name}): without network, without your files."
    return (
        "WARNING: no sandbox works here (tried: bubblewrap, namespaces of Linux). Students' code runs with your rights:"
        "\nit can read and change your files and use the network. Stop now (Ctrl+C) if you do not trust it."
    )
