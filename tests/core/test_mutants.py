"""The program behind make mutants: what it plants, and that it tells a fault that is seen from one that is not."""

import json
import multiprocessing
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "long"))
import mutants

SOURCE = '''"""Text of 1 < 2."""
import torch


def clipped(ratio, low: float = 0.5, high=2):
    """A text: 3 + 4."""
    if not ratio > low and high != 0:
        raise ValueError(1 + 1)
    with torch.no_grad():
        total = torch.min(ratio, -high) - ratio.sum(0)
    total += len([1, 2]) ** 2
    print(total)
    return total.detach()


if __name__ == "__main__":
    clipped(1, 2)
'''
PLANTED = {
    "low: float = 0.75", "high=3", "ratio >= low", "(ratio > low)", "low or high", "high == 0", "high != 1",
    "torch.enable_grad()", "torch.max(ratio, -high)", "torch.min(-high, ratio)", "torch.min(ratio, (high))",
    "-high) + ratio", "ratio.mean(0)", "ratio.sum(1)", "total -= len", "[2, 2]", "[1, 3]", ") * 2", "** 3",
    "    pass\n    return", "return total\n",
}  # fmt: skip


@pytest.fixture
def package(tmp_path):
    """A repository of one module, whose test sees one of two things."""
    (tmp_path / "lecture_utils").mkdir()
    (tmp_path / "lecture_utils" / "__init__.py").write_text(
        "def f(x):\n    y = x * 2\n    z = x - 1\n    return y, z\n"
    )
    (tmp_path / "tests" / "core").mkdir(parents=True)
    test = "from lecture_utils import f\n\ndef test_y():\n    assert f(3)[0] == 6\n"
    (tmp_path / "tests" / "core" / "test_f.py").write_text(test)
    return tmp_path


def test_each_kind_is_planted_and_nothing_else(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    found = [mutant.text(SOURCE) for mutant in mutants.mutants(tmp_path / "a.py", tmp_path)]
    for text in found:
        compile(text, "a.py", "exec")
    seen = {piece for piece in PLANTED for text in found if piece in text and piece not in SOURCE}
    assert seen == PLANTED
    assert len(found) == len(set(found)) == len(PLANTED)


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
def test_a_fault_that_a_test_sees_is_told_from_one_that_none_sees(package):
    out = package / "measured.json"
    fresh = multiprocessing.get_context("spawn")  # without the lecture_utils of this process
    done = fresh.Process(target=_measure, args=(package, out))
    done.start()
    done.join()
    measured = json.loads(out.read_text())
    assert measured["lines"]["lecture_utils/__init__.py"]["2"] == ["tests/core/test_f.py::test_y"]
    planted = mutants.mutants(package / "lecture_utils" / "__init__.py", package)
    todo, results = fresh.Queue(), fresh.Queue()
    for mutant in [*planted, None]:
        todo.put(mutant)
    worker = fresh.Process(target=mutants.work, args=(package, measured, todo, results))
    worker.start()
    found = dict(results.get(timeout=300) for _ in planted)
    verdicts = {mutant.new: verdict for mutant, verdict in found.items()}
    worker.join()
    assert verdicts == {"/": "killed", "3": "killed", "+": "survived", "2": "survived"}


def _measure(package, out):
    mutants.enter(package)
    mutants.measure(package, ["core"], out)
