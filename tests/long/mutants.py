"""Whether the tests see what they are for: faults planted in lecture_utils at random, one at a time (make mutants).

First every test runs once, and it is written down which lines it executes and how long it takes. Then each fault, a
"mutant", is written into a copy of the package, and the tests that execute its line run until one of them fails.
A mutant that no test notices has survived; `build/mutants/survivors.txt` lists them, to be judged by a person: some
change nothing that anybody could see.
"""

import argparse
import ast
import collections
import contextlib
import dataclasses
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "lecture_utils"
ROOMS = ("core", "experiments", "figures", "exercises", "language")  # the pages' tests see no line of the package
NOT_HERE = ("-p", "no:cacheprovider", "-p", "no:nbval", "-q", "-x", "--no-header")
LONGEST = 60  # seconds of tests for a mutant, the quickest tests first
LINKED = ("data", ".venv", "figures")  # in a copy of the repository; nothing there is changed
STRICT = ("core", "ledger")  # where hardly a fault may survive
SWAPPED = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "//"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"), ast.And: ("and", "or"), ast.Or: ("or", "and"),
}  # fmt: skip
PAIRS = [("min", "max"), ("mean", "sum"), ("any", "all"), ("minimum", "maximum"), ("argmin", "argmax"), ("exp", "log"),
         ("floor", "ceil"), ("std", "var"), ("cos", "sin")]  # fmt: skip
NAMES = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])} | {"no_grad": "enable_grad"}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """file: below the repository. start, stop: places in its text that `new` replaces. line: counted from 1.

    shown: the line before and after.
    """

    file: str
    line: int
    start: int
    stop: int
    new: str
    shown: tuple

    def text(self, source):
        return source[: self.start] + self.new + source[self.stop :]

    def __str__(self):
        return f"{self.file}:{self.line}\n  - {self.shown[0]}\n  + {self.shown[1]}"


def mutants(path, root=ROOT):
    """Every Mutant of one file below root: operators, constants, names, the order of arguments, statements left out."""
    source = path.read_text(encoding="utf-8")
    tree, found = ast.parse(source), []
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))

    def place(line, column):  # ast counts columns in bytes
        whole = source[begins[line - 1] : begins[line]]
        return begins[line - 1] + len(whole.encode()[:column].decode())

    def replace(node, new, start=None, stop=None):
        start = place(node.lineno, node.col_offset) if start is None else start
        stop = place(node.end_lineno, node.end_col_offset) if stop is None else stop
        line = source.count("\n", 0, start)
        changed = source[:start] + new + source[stop:]
        shown = tuple(text.splitlines()[line].strip() for text in (source, changed))
        found.append(Mutant(path.relative_to(root).as_posix(), line + 1, start, stop, new, shown))

    def operator(kind, left, right):
        old, new = SWAPPED.get(kind, (None, None))
        if old is not None:
            start, stop = place(left.end_lineno, left.end_col_offset), place(right.lineno, right.col_offset)
            if (at := source.find(old, start, stop)) >= 0:
                replace(left, new, at, at + len(old))

    def text(node):
        return ast.get_source_segment(source, node)

    for node in _walk(tree):
        if isinstance(node, ast.Compare):
            for op, left, right in zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False):
                operator(type(op), left, right)
        elif isinstance(node, ast.BinOp):
            operator(type(node.op), node.left, node.right)
        elif isinstance(node, ast.BoolOp):
            operator(type(node.op), *node.values[:2])
        elif isinstance(node, ast.AugAssign):
            operator(type(node.op), node.target, node.value)
        elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
            replace(node, f"({text(node.operand)})")
        elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
            value = node.value
            replace(node, str(not value if isinstance(value, bool) else value + 1 if isinstance(value, int) or
                              value in (0, 1) else value * 1.5))  # fmt: skip
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            end = place(node.end_lineno, node.end_col_offset)
            replace(node, NAMES[node.attr], end - len(node.attr), end)
        elif isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
            replace(node, NAMES[node.id])
        elif isinstance(node, ast.Call):
            if len(node.args) >= 2 and not any(isinstance(x, ast.Starred) for x in node.args[:2]):
                first, second = node.args[:2]
                replace(first, f"{text(second)}, {text(first)}", None, place(second.end_lineno, second.end_col_offset))
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("detach", "clone", "copy") and not node.args:
                replace(node, text(node.func.value))
        elif isinstance(node, (ast.AugAssign, ast.Expr)) and isinstance(getattr(node, "value", None), ast.Call):
            replace(node, "pass")
    return found


def _walk(node):
    """Every node but texts, annotations, what is raised, and what runs in a program of its own only."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.JoinedStr, ast.Raise)) or not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.If) and "__name__" in ast.dump(child.test):
                continue
            yield child
            yield from _walk(child)


def group(file):
    """The group of a file in the table: "core", "ledger", or its room."""
    parts = pathlib.PurePosixPath(file).parts
    return "core" if len(parts) == 2 else "ledger" if "ledger" in parts[-1] else parts[1]


def drawn(number, seed, root=ROOT):
    """`number` mutants at random: a third of them in the core and the ledgers, where hardly one may survive."""
    everything = [x for path in sorted((root / PACKAGE).rglob("*.py")) for x in mutants(path, root)]
    rng = random.Random(seed)
    strict = [x for x in everything if group(x.file) in STRICT]
    others = [x for x in everything if group(x.file) not in STRICT]
    return rng.sample(strict, min(number // 3, len(strict))) + rng.sample(
        others, min(number - number // 3, len(others))
    )


class Recorder:
    """A plugin of pytest: which lines of the package each test executes, and how long it takes."""

    def __init__(self, measured):
        self.measured, self.seconds, self.failed = measured, {}, set()

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_runtest_setup(self, item):
        self.measured.switch_context(item.nodeid)

    def pytest_runtest_teardown(self, item, nextitem):
        self.measured.switch_context("")


def measure(folder, rooms, out):
    """Run the tests of some rooms in `folder` and write to `out`: {"lines": file -> line -> tests, "seconds": ...}."""
    import coverage
    import pytest

    measured = coverage.Coverage(data_file=None, source=[str(folder / PACKAGE)], branch=False)
    recorder = Recorder(measured)
    measured.start()
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:nbval", *[f"tests/{room}" for room in rooms]], [recorder])
    measured.stop()
    data = measured.get_data()
    lines = {}
    for file in data.measured_files():
        name = pathlib.Path(file).relative_to(folder).as_posix()
        contexts = data.contexts_by_lineno(file).items()
        lines[name] = {line: [x for x in tests if x and x not in recorder.failed] for line, tests in contexts}
    out.write_text(json.dumps({"lines": lines, "seconds": recorder.seconds, "failed": sorted(recorder.failed)}))


def copy_of_the_repository(folder):
    """What git has of the repository, with links to what is large and never written."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
        if name and not name.startswith(LINKED) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def enter(folder):
    """Make this process one that stands in a copy of the repository."""
    os.chdir(folder)
    sys.path[:0] = [str(folder)]
    os.environ |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True


def tests_of(mutant, recorded):
    """The tests that execute its line, the quickest first; of a line that runs at import, those of its whole file."""
    lines = recorded["lines"].get(mutant.file, {})
    tests = lines.get(str(mutant.line)) or sorted({test for here in lines.values() for test in here})
    quickest = sorted(tests, key=lambda test: recorded["seconds"].get(test, 0.0))
    total, chosen = 0.0, []
    for test in quickest:
        total += recorded["seconds"].get(test, 0.0)
        if chosen and total > LONGEST:
            break
        chosen.append(test)
    return chosen, min(total, LONGEST)


def judge(mutant, folder, recorded):
    """ "killed", "killed by the clock" or "survived"; this process must stand in `folder`."""
    chosen, seconds = tests_of(mutant, recorded)
    if not chosen:
        return "survived"  # no test executes the line
    path = folder / mutant.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutant.text(source), encoding="utf-8")
    try:
        child = os.fork()
        if not child:
            os.setsid()
            with contextlib.suppress(BaseException), open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
                import pytest

                os._exit(int(pytest.main([*NOT_HERE, *chosen])))
            os._exit(1)
        end = time.monotonic() + 4 * seconds + 60
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "killed by the clock"
    finally:
        path.write_text(source, encoding="utf-8")


def work(folder, recorded, todo, results):
    """A worker: it loads the libraries once, and each mutant is judged by a copy of this process."""
    enter(folder)
    import gymnasium  # noqa: F401
    import hypothesis  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pandas  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch

    torch.set_num_threads(1)
    while (mutant := todo.get()) is not None:
        results.put((mutant, judge(mutant, folder, recorded)))


def report(verdicts, build):
    """Print the table by group and file, and write the survivors."""
    for title, key in (("group", group), ("file", str)):
        rows = collections.defaultdict(collections.Counter)
        for mutant, verdict in verdicts.items():
            rows[key(mutant.file)][verdict] += 1
        print(f"\n{title:50} mutants  killed  by the clock  survived  share killed")
        for name, row in sorted(rows.items()):
            count, survived = row.total(), row["survived"]
            print(f"{name:50} {count:7} {row['killed']:7} {row['killed by the clock']:13} {survived:9} "
                  f"{1 - survived / count:13.0%}")  # fmt: skip
    survivors = sorted(str(mutant) for mutant, verdict in verdicts.items() if verdict == "survived")
    (build / "survivors.txt").write_text("\n".join(survivors) + "\n", encoding="utf-8")
    print(f"\n{len(verdicts)} mutants, {len(survivors)} survived: {build / 'survivors.txt'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", metavar="FILE", help="judge the mutants of an earlier survivors.txt alone")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)  # folder, rooms, out
    parser.add_argument("--measured", action="store_true", help="take which test executes what from the last time")
    options = parser.parse_args()
    if options.measure:
        folder, rooms, out = options.measure
        enter(pathlib.Path(folder))
        measure(pathlib.Path(folder), rooms.split(","), pathlib.Path(out))
        return
    build = ROOT / "build" / "mutants"
    build.mkdir(parents=True, exist_ok=True)
    folders = [copy_of_the_repository(build / f"copy{k}") for k in range(options.jobs)]
    parts = [ROOMS[k::2] for k in range(2)]
    files = [build / f"measured{k}.json" for k in range(2)]
    if not options.measured:
        runs = [subprocess.Popen([sys.executable, __file__, "--measure", folder, ",".join(part), file])
                for folder, part, file in zip((folders * 2)[:2], parts, files, strict=True)]  # fmt: skip
        for run in runs:
            run.wait()
    recorded = {"lines": {}, "seconds": {}}
    for found in map(json.loads, (file.read_text() for file in files)):
        recorded["seconds"] |= found["seconds"]
        print("failed without a mutant, and left out:", found["failed"]) if found["failed"] else None
        for name, lines in found["lines"].items():
            for line, tests in lines.items():
                recorded["lines"].setdefault(name, {}).setdefault(line, []).extend(tests)
    chosen = drawn(options.number, options.seed, folders[0])  # what changes meanwhile in ROOT is not in the copies
    if options.again:
        wanted = pathlib.Path(options.again).read_text(encoding="utf-8")
        chosen = [mutant for mutant in chosen if str(mutant) in wanted]
    todo, results = multiprocessing.Queue(), multiprocessing.Queue()
    for mutant in [*chosen, *[None] * options.jobs]:
        todo.put(mutant)
    workers = [multiprocessing.Process(target=work, args=(folder, recorded, todo, results)) for folder in folders]
    for worker in workers:
        worker.start()
    verdicts = {}
    for k in range(len(chosen)):
        mutant, verdict = results.get()
        verdicts[mutant] = verdict
        if verdict == "survived":
            print(f"{k + 1} of {len(chosen)}: survived {mutant}", flush=True)
    for worker in workers:
        worker.join()
    report(verdicts, build)


if __name__ == "__main__":
    main()
