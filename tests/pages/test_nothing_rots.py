"""A test of the tests: what rots without a sound is planted, one thing at a time, and `make test` turns red."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import test_project
import test_saved_figures
from notebook_checks import CHECKS, code_cells, source, text_outputs

from lecture_utils.figures import __main__ as figures

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOK = "notebooks/02_gae.ipynb"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """What the checks look at, to be spoiled; test_project and the figures' test take it for the repository."""
    for name in ("notebooks", "figures"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "data").mkdir()
    files = ("environment.yml", "pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md", "data/README.md")
    for name in (*files, "LICENSE"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.setattr(test_project, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    return tmp_path


def conventions(root):
    notebook = json.loads((root / NOTEBOOK).read_text(encoding="utf-8"))
    assert [problem for check in CHECKS for problem in check(notebook, root / "notebooks")] == []


def edited(change):
    """A plant that changes the notebook, as a dict."""

    def plant(root):
        notebook = json.loads((root / NOTEBOOK).read_text(encoding="utf-8"))
        change(notebook)
        (root / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")

    return plant


def in_file(name, old, new):
    def plant(root):
        text = (root / name).read_text(encoding="utf-8")
        assert len(re.findall(old, text)) >= 1, f"{old} is not in {name}"
        (root / name).write_text(re.sub(old, new, text, count=1), encoding="utf-8")

    return plant


def change_output(notebook):
    """A number that the prose quotes, in the output that it quotes."""
    for cell in code_cells(notebook):
        if "5.19" in text_outputs(cell):
            cell["outputs"] = json.loads(json.dumps(cell["outputs"]).replace("5.19", "5.29"))


def empty_caption(notebook):
    cell = next(cell for cell in code_cells(notebook) if any("image/png" in o.get("data", {}) for o in cell["outputs"]))
    for output in cell["outputs"]:
        output.get("metadata", {}).get("image/png", {})["alt"] = ""


def print_path(notebook):
    code_cells(notebook)[2]["outputs"].append({"output_type": "stream", "name": "stdout", "text": ["/home/me/ppo/x"]})


PLANTS = {
    "a wrong number in an output": (edited(change_output), conventions),
    "an unexecuted cell": (edited(lambda nb: code_cells(nb)[4].update(execution_count=None, outputs=[])), conventions),
    "a skipped cell": (edited(lambda nb: code_cells(nb)[4]["metadata"].update(tags=["nbval-skip"])), conventions),
    "a broken internal link": (in_file(NOTEBOOK, r"\(01_ratio_and_clip\.ipynb\)", "(01_ratio.ipynb)"), conventions),
    "a figure without alternative text": (edited(empty_caption), conventions),
    "a private path in an output": (edited(print_path), conventions),
    "a stale figure": (
        in_file("figures/a2c_vs_ppo.svg", r"M (\d+)\.(\d)", r"M \1.9\2"),
        lambda root: test_saved_figures.test_saved_figures_are_those_of_the_data(root / "drawn"),
    ),
    "a version that disagrees": (
        in_file("environment.yml", r"- scipy>=[\d.]+", "- scipy>=1.0"),
        lambda root: test_project.test_environment_agrees_with_pyproject(),
    ),
    "a picture in the README without a text": (
        in_file("README.md", r"!\[[^\]]+\]", "![]"),
        lambda root: test_project.test_readme_names_only_what_exists(),
    ),
}


def test_what_is_not_planted_is_green(copied):
    conventions(copied)
    test_project.test_environment_agrees_with_pyproject()
    test_project.test_readme_names_only_what_exists()
    test_saved_figures.test_saved_figures_are_those_of_the_data(copied / "drawn")


@pytest.mark.parametrize("what", PLANTS)
def test_what_is_planted_turns_a_check_red(what, copied):
    plant, check = PLANTS[what]
    plant(copied)
    with pytest.raises(AssertionError):
        check(copied)


@pytest.mark.slow
def test_a_stored_number_that_no_prose_quotes_is_compared_with_a_fresh_one(tmp_path):
    """By nbval, as `make test` calls it: strictly, and on every notebook."""
    assert re.search(r"^\t\S+ -m pytest .*--nbval notebooks$", (ROOT / "Makefile").read_text(), flags=re.M)
    for name, number in {"right": "1.5", "wrong": "1.6"}.items():
        cell = nbformat.v4.new_code_cell("print(3 * 0.5)", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"{number}\n")]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), tmp_path / f"{name}.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-c",
        ROOT / "pyproject.toml",
        "-p",
        "no:cacheprovider",
        "-rA",
    ]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True, cwd=tmp_path)
    assert re.search(r"PASSED .*right\.ipynb", done.stdout), done.stdout
    assert re.search(r"FAILED .*wrong\.ipynb", done.stdout), done.stdout
    assert done.returncode == 1


def test_the_plants_are_in_the_notebook():
    cells = code_cells(json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8")))
    assert any("5.19" in text_outputs(cell) and "effective horizon" in source(cell) for cell in cells)
