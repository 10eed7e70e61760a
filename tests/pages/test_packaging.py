"""The package installed without its checkout: data/ comes along, the first cell installs it, notebooks run anywhere."""

import os
import pathlib
import shutil
import subprocess
import sys

import _repository
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]

# What 00 runs for its table of packages, from wherever the package is.
CHECK = """
import runpy
from importlib.util import find_spec

[package] = find_spec("lecture_utils").submodule_search_locations
check = f"{package}/figures/environment_check.py"
_ = runpy.run_path(check, run_name="__main__")
"""
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
print(next(o.text for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs if "All is" in str(o)))
"""
LOAD = """
from lecture_utils.experiments.data_files import CHECKSUMS, DATA, checked
from lecture_utils.experiments.recordings import load_log
names = [line.split()[1] for line in (DATA / CHECKSUMS).read_text().splitlines()]
print(len([checked(name) for name in names]), len(load_log("ppo")))
print(DATA)
"""
CELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance().run_cell(open(sys.argv[1], encoding="utf-8").read()).raise_error()
"""


def python_of(environment):
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(python, *arguments, cwd, fails=False, **variables):
    """What a program of another environment prints; it sees no checkout, and a home that nobody can write to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "JUPYTER"))}
    kept |= {"HOME": os.devnull + "/home", "JUPYTER_RUNTIME_DIR": str(cwd / "runtime"), "PYTHONUTF8": "1"}
    kept["IPYTHONDIR"] = str(cwd / "ipython")  # or IPython warns of the home
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=kept | variables, capture_output=True, text=True, encoding="utf-8"
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder whose path has spaces and umlauts."""
    folder = tmp_path_factory.mktemp("place") / "Übung für Montag"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def packages(place):
    """All that is installed here but the lecture's own package, as a folder of links."""
    folder = place / "packages"
    folder.mkdir()
    for site in {pathlib.Path(path) for path in sys.path if path.endswith("site-packages")}:
        for path in site.iterdir():
            own = path.name.startswith(("ppo_lecture", "lecture_utils", "__editable__", "_virtualenv", "_ppo_lecture"))
            if not own and path.suffix != ".pth" and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path, target_is_directory=path.is_dir())
    return folder


def new_environment(environment, packages):
    """Python of a new environment with every package but the lecture's own."""
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [site] = [path for path in environment.rglob("site-packages") if path.is_dir()]
    (site / "packages.pth").write_text(str(packages), encoding="utf-8")
    return python_of(environment)


@pytest.fixture
def bare(place, packages):
    return new_environment(place / "neue Umgebung", packages)


@pytest.fixture(scope="module")
def wheel(place):
    """The wheel of a checkout whose path has spaces, which building leaves as it was."""
    checkout = place / "der Checkout"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, checkout / name)
    before = sorted(checkout.rglob("*"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", place, checkout]
    subprocess.run(command, check=True)
    assert sorted(checkout.rglob("*")) == before
    [made] = place.glob("*.whl")
    shutil.rmtree(checkout)
    return made


@pytest.fixture(scope="module")
def installed(place, packages, wheel):
    python = new_environment(place / "Umgebung mit Paket", packages)
    run(python, "-m", "pip", "install", "-q", "--no-index", str(wheel), cwd=place)
    return python


@pytest.fixture
def elsewhere(place):
    folder = place / "anderswo"
    folder.mkdir(exist_ok=True)
    return folder


def test_an_installed_package_brings_its_data(installed, elsewhere):
    data = pathlib.Path(run(installed, "-c", LOAD, cwd=elsewhere).strip().splitlines()[-1])
    assert data.parts[-3:] == ("site-packages", "lecture_utils", "data")
    away = (data / "ppo.csv").rename(data / "ppo.away")
    missing = run(installed, "-c", LOAD, cwd=elsewhere, fails=True)
    away.rename(data / "ppo.csv")
    assert "--force-reinstall" in missing
    assert "git checkout" not in missing


@pytest.mark.slow
def test_a_notebook_runs_from_another_folder(installed, elsewhere):
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("%run _environment_check.py", CHECK)
    nbformat.write(notebook, elsewhere / "eine Kopie.ipynb")
    assert "All is here." in run(installed, "-c", RUN, "eine Kopie.ipynb", cwd=elsewhere)


def try_first_cell(python, repository, folder, **variables):
    (folder / "cell.py").write_text(_repository.first_cell(repository), encoding="utf-8")
    return run(python, "-c", CELL, "cell.py", cwd=folder, **variables)


def test_the_first_cell_does_nothing_where_the_package_is(installed, elsewhere):
    for repository in ("", "https://github.com/me/ppo-lecture"):
        assert try_first_cell(installed, repository, elsewhere) == ""


def test_the_first_cell_installs_the_package(bare, wheel, elsewhere):
    told = try_first_cell(bare, str(wheel), elsewhere, PIP_NO_INDEX="1")
    assert "Not installed" not in told
    assert "site-packages" in run(bare, "-c", LOAD, cwd=elsewhere)


@pytest.mark.parametrize("repository", ["https://127.0.0.1:9/ppo-lecture", "https://github.com/me/ppo-lecture", ""])
def test_without_a_network_the_first_cell_says_what_to_do(bare, elsewhere, repository):
    """Nothing answers at port 9, and a proxy there lets no address be reached."""
    told = try_first_cell(bare, repository, elsewhere, PIP_RETRIES="0", PIP_PROXY="http://127.0.0.1:9")
    last = told.strip().splitlines()[-1] if repository else told
    assert ("connect to the network" if repository else "run `pip install .`") in told
    assert last.count(". ") == 0
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "repository", ["", "https://github.com/some-university/ppo-lecture", "https://gitlab.com/me/x"]
)
def test_the_first_cell_is_short(repository):
    for notebook in ("01_ratio_and_clip", "05_details_that_matter"):
        cell = _repository.first_cell(repository, notebook)
        lines = [line for line in cell.splitlines() if line]
        assert len(lines) <= 6
        assert all(len(line) <= 76 for line in lines)
        assert ("stable-baselines3" in cell) == (notebook[:2] == "05")


def test_first_cells_are_put_behind_titles_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LECTURE_REPOSITORY", "https://github.com/me/ppo-lecture/")
    shutil.copy(ROOT / "notebooks" / "04_a2c_vs_ppo.ipynb", tmp_path)
    before = nbformat.read(tmp_path / "04_a2c_vs_ppo.ipynb", as_version=4)
    for _ in range(2):
        _repository.main(tmp_path)
    after = nbformat.read(tmp_path / "04_a2c_vs_ppo.ipynb", as_version=4)
    new = after.cells.pop(1)
    assert "me/ppo-lecture/archive" in new.source
    assert [cell.source for cell in after.cells] == [cell.source for cell in before.cells if cell.id != new.id]
    counts = [cell.execution_count for cell in after.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [new.execution_count, *counts] == list(range(1, len(counts) + 2))
    results = [(cell, o) for cell in after.cells for o in cell.get("outputs", []) if o.output_type == "execute_result"]
    assert results
    assert all(output.execution_count == cell.execution_count for cell, output in results)


def test_the_setting_is_read_from_pyproject(tmp_path, monkeypatch):
    monkeypatch.delenv("LECTURE_REPOSITORY", raising=False)
    assert _repository.address(tmp_path) == ""
    (tmp_path / "pyproject.toml").write_text('[tool.lecture]\nrepository = "https://github.com/a/b/"\n')
    assert _repository.address(tmp_path) == "https://github.com/a/b"
    monkeypatch.setenv("LECTURE_REPOSITORY", "https://github.com/c/d")
    assert _repository.address(tmp_path) == "https://github.com/c/d"
