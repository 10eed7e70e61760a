"""Every file of data/ in turn missing, empty, cut, changed or of an older version: the error says what mends it."""

import ast
import json
import os
import re
import shutil

import notebook_checks
import numpy as np
import pytest
import torch

from lecture_utils.exercises import sick_runs
from lecture_utils.experiments.acrobot import load_acrobot
from lecture_utils.experiments.brackets import load_language
from lecture_utils.experiments.cartpole import load_cartpole
from lecture_utils.experiments.data_files import CHECKSUMS, DATA, write_checksums
from lecture_utils.experiments.fair_experiment import load_passes
from lecture_utils.experiments.gradient_angle import load_gradient_angle
from lecture_utils.experiments.ladder import load_details
from lecture_utils.experiments.many_runs import load_many_runs
from lecture_utils.experiments.mountain_car import load_mountain_car
from lecture_utils.experiments.neighbours import load_neighbours
from lecture_utils.experiments.one_batch import load_one_batch
from lecture_utils.experiments.optimal import load_optimal
from lecture_utils.experiments.probes import load_probes
from lecture_utils.experiments.recordings import load_agent, load_log
from lecture_utils.experiments.std_zero import load_std_zero
from lecture_utils.experiments.time_to_solve import load_time_to_solve
from lecture_utils.experiments.true_advantages import load_true_advantages

# A file's name -> what a notebook reads it with, and the command that records it again.
LOADERS = {
    r"(ppo|a2c)\.csv": (lambda match, folder: load_log(match[1], folder), "make data"),
    r"((?:ppo|a2c)(?:_early)?)\.pt": (lambda match, folder: load_agent(match[1], folder=folder), "make data"),
    r"optimal\.npz": (lambda match, folder: load_optimal(folder), "make data"),
    r"true_advantages\.npz": (lambda match, folder: load_true_advantages(folder), "make data"),
    r"gradient_angle\.npz": (lambda match, folder: load_gradient_angle(folder), "make data"),
    r"one_batch\.csv": (lambda match, folder: load_one_batch(folder), "make data"),
    r"faulty_runs\.csv": (lambda match, folder: sick_runs(folder), "make data"),
    r"passes/.*\.csv": (lambda match, folder: load_passes(folder / "passes"), "make data-passes"),
    r"details/.*\.csv": (lambda match, folder: load_details(folder / "details"), "make data-details"),
    r"neighbours/.*\.csv": (lambda match, folder: load_neighbours(folder / "neighbours"), "make data-details"),
    r"cartpole/.*\.csv": (lambda match, folder: load_cartpole(folder / "cartpole"), "make data-cartpole"),
    r"acrobot\.csv": (lambda match, folder: load_acrobot(folder), "make data-cartpole"),
    r"mountain_car/.*\.csv": (lambda match, folder: load_mountain_car(folder / "mountain_car"), "make data-cartpole"),
    r"probes\.csv": (lambda match, folder: load_probes(folder), "make data-details"),
    r"std_zero\.csv": (lambda match, folder: load_std_zero(folder), "make data"),
    r"many_runs\.npz": (lambda match, folder: load_many_runs(folder), "make data-many"),
    r"language/(\w+)\.csv": (lambda match, folder: load_language(match[1], folder), "make data-language"),
    r"time_to_solve\.csv": (lambda match, folder: load_time_to_solve(folder), "make data-details"),
}
EVERY = sorted(path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.suffix in {".csv", ".npz", ".pt"})
# What a file holds is spoiled for one of each experiment: one loop reads them all.
FILES = [name for name in EVERY if "/" not in name]
for experiment in sorted({os.path.dirname(name) for name in EVERY} - {""}):
    FILES += [name for name in EVERY if os.path.dirname(name) == experiment][-1:]


def loader(name, folder):
    """A function of no arguments that reads this file of `folder`, and the command that makes the file."""
    found = [(re.fullmatch(pattern, name), *how) for pattern, how in LOADERS.items() if re.fullmatch(pattern, name)]
    assert len(found) == 1, f"{name}: say above how a notebook reads it"
    match, load, command = found[0]
    return lambda: load(match, folder), command


def expect(load, command, path, says):
    """One error of Python's own two kinds that names the file, what is wrong and what mends it, and nothing else."""
    with pytest.raises((FileNotFoundError, ValueError), match=says) as caught:
        load()
    error, text = caught.value, str(caught.value)
    assert type(error) in (FileNotFoundError, ValueError)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert str(path) in text
    assert f"`{command}`" in text
    return text


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return shutil.copytree(DATA, tmp_path_factory.mktemp("copy") / "data")


@pytest.fixture(params=FILES)
def file(request, whole):
    """A file's path in a copy of data/, what reads it and what makes it; whatever the test does to it is undone."""
    path = whole / request.param
    before, sums = path.read_bytes(), (whole / CHECKSUMS).read_text()
    yield path, *loader(request.param, whole)
    path.write_bytes(before)
    (whole / CHECKSUMS).write_text(sums, newline="\n")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_number(path):
    """The last digit of a table, one bit in the middle of anything else."""
    data = bytearray(path.read_bytes())
    if path.suffix == ".csv":
        at = max(data.rfind(b"%d" % digit) for digit in range(10))
        data[at] = ord("0") + (data[at] - ord("0") + 1) % 10
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged or was changed"),
    "cut": (cut, "is damaged or was changed"),
    "one number changed": (change_a_number, "is damaged or was changed: its checksum is not the one in SHA256SUMS"),
}


@pytest.mark.parametrize("file", EVERY, indirect=True)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_what_mends_it(file, damage):
    path, load, command = file
    spoil, says = DAMAGES[damage]
    before = path.read_bytes()
    spoil(path)
    assert not path.exists() or path.read_bytes() != before
    text = expect(load, command, path, says)
    assert f"`git checkout -- data/{name_of(path)} data/{CHECKSUMS}`" in text


def name_of(path):
    return path.relative_to(next(parent for parent in path.parents if parent.name == "data")).as_posix()


def test_the_copy_itself_is_read(file):
    file[1]()


def older_table(path):
    """A column by an older name; the first line of a sweep's file is its recipe."""
    path.write_text(re.sub(r"^(\w+,.*,\w+)$", r"\1_1", path.read_text(), count=1, flags=re.M))


def older_arrays(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    name = next(x for x in ("value_grid", "offset", "cosine", "ppo") if x in arrays)
    arrays[f"{name}_1"] = arrays.pop(name)
    np.savez(path, **arrays)


def older_agent(path):
    state = torch.load(path, weights_only=True)
    state["hyperparameters"]["learning_rate"] = state["hyperparameters"].pop("actor_lr")
    torch.save(state, path)


OLDER = {".csv": older_table, ".npz": older_arrays, ".pt": older_agent}


def sum_again(path):
    name = name_of(path)
    write_checksums(path.parents[name.count("/")], [name])


def test_a_file_of_an_older_version_is_named(file):
    path, load, command = file
    before = path.read_bytes()
    OLDER[path.suffix](path)
    assert path.read_bytes() != before
    sum_again(path)
    expect(load, command, path, "rows of columns .*_1'\\]|value_grid|offset|cosine|ppo is|actor_lr|learning_rate")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00" * 100, b"\x80\x02K\x01."], ids=["empty", "binary", "pickle"])
def test_what_is_no_such_file_is_named_even_with_its_checksum(file, content):
    path, load, command = file
    path.write_bytes(content)
    sum_again(path)
    expect(load, command, path, "is not a|does not hold|damaged or not|does not begin")


class Bomb:
    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("file", [name for name in FILES if not name.endswith(".csv")], indirect=True)
def test_pickled_code_is_refused_and_not_run(file, tmp_path):
    path, load, command = file
    bomb = Bomb()
    bomb.path = tmp_path / "ran"
    if path.suffix == ".pt":
        torch.save({**torch.load(path, weights_only=True), "extra": bomb}, path)
        torch.load(path, weights_only=False)
    else:
        np.savez(path, **dict.fromkeys(np.load(path).files, np.array([bomb], dtype=object)))
        stored = np.load(path, allow_pickle=True)
        stored[stored.files[0]]
    assert bomb.path.exists(), "the bomb itself works"
    bomb.path.unlink()
    sum_again(path)
    expect(load, command, path, "damaged or not a checkpoint|pickled|allow_pickle")
    assert not bomb.path.exists()


def test_an_experiment_of_another_recipe_is_named(whole):
    path = whole / "passes" / "abs_2_cut.csv"
    before, sums = path.read_text(), (whole / CHECKSUMS).read_text()
    path.write_text(before.replace('"clip": 0.2', '"clip": 0.3', 1))
    sum_again(path)
    expect(lambda: load_passes(whole / "passes"), "make data-passes", path, "made from another recipe")
    path.write_text(before)
    (whole / CHECKSUMS).write_text(sums, newline="\n")


SUMS = {
    "missing": (None, "SHA256SUMS is missing"),
    "empty": (b"", "SHA256SUMS is damaged or was changed: it has no checksum of"),
    "binary": (b"\xff\xfe\x00" * 100, "SHA256SUMS is damaged or was changed: it has no checksum of"),
    "another sum": (b"0" * 64 + b"  ppo.csv\n", "its checksum is not the one in SHA256SUMS"),
}


@pytest.mark.parametrize("damage", SUMS)
def test_damaged_checksums_are_named(whole, damage):
    path = whole / CHECKSUMS
    before = path.read_bytes()
    content, says = SUMS[damage]
    path.unlink() if content is None else path.write_bytes(content)
    expect(lambda: load_log("ppo", whole), "make data", CHECKSUMS, says)
    path.write_bytes(before)


def test_every_file_has_a_checksum():
    assert [line.split()[1] for line in (DATA / CHECKSUMS).read_text().splitlines()] == EVERY
    for name in EVERY:
        loader(name, DATA)  # and something that reads it


@pytest.mark.parametrize("path", notebook_checks.NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_read_files_with_these_functions_alone(path):
    """What checks nothing stands in no notebook."""
    code = [notebook_checks.source(cell) for cell in notebook_checks.code_cells(json.loads(path.read_text()))]
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for text in code
        for node in ast.walk(ast.parse(re.sub(r"^%.*$", "", text, flags=re.M)))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not names & {"read_csv", "read_table", "open", "read_text", "loadtxt", "genfromtxt", "fromfile", "memmap"}
    assert "load" not in names, "numpy.load or torch.load"
