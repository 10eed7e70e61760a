"""The files around the notebooks agree with each other."""

import importlib
import json
import pathlib
import re
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[2]
ENGINEERS = ROOT / "notebooks" / "for_engineers.md"
CONDA_NAMES = {
    "gymnasium-classic_control": "gymnasium",
    "matplotlib-base": "matplotlib",
    "pytorch": "torch",
    "dask-core": "dask",
}


def declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [r for group in project["optional-dependencies"].values() for r in group]
    requirements = [Requirement(r) for r in project["dependencies"] + extras]
    return {r.name: str(r.specifier) for r in requirements} | {"python": project["requires-python"]}


def in_environment(text):
    """Package -> range, of conda's and of pip's lines."""
    lines = re.findall(r"^\s*- ([\w.-]+)((?:[<>=!~]=?[\w.,<>=!~]+)?)$", text, flags=re.M)
    return {CONDA_NAMES.get(name, name): spec for name, spec in lines if name not in {"conda-forge", "pip"}}


def pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_environment_agrees_with_pyproject():
    assert in_environment((ROOT / "environment.yml").read_text()) == declared()


def test_a_disagreeing_environment_is_noticed():
    text = (ROOT / "environment.yml").read_text()
    assert in_environment(text.replace("numpy>=2.0", "numpy>=1.0")) != declared()
    assert in_environment(text.replace("  - scipy>=1.13\n", "")) != declared()


def test_constraints_pin_every_dependency_within_its_range():
    versions = {name.lower().replace("_", "-"): version for name, version in pinned().items()}
    assert versions["torch"] == "2.13.0"
    for name, specifier in declared().items():
        if name != "python":
            assert Requirement(f"{name}{specifier}").specifier.contains(versions[name.lower().replace("_", "-")]), name


def tracked():
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return listed.splitlines()


def test_top_level_holds_what_the_layout_names():
    names = {"notebooks", "lecture_utils", "data", "figures", "tests", "environment.yml", "README.md", "pyproject.toml"}
    names |= {"constraints.txt", "Makefile", "LICENSE", "CITATION.cff"}
    names |= {"CHANGELOG.md", "CONTRIBUTING.md"}
    assert {path.split("/")[0] for path in tracked() if not path.startswith(".")} <= names


def test_readme_names_only_what_exists():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.M))
    assert {"lecture", "test"} <= set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, flags=re.M)) <= targets
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert "://" in target or (ROOT / target).exists(), target
    assert not re.search(r"!\[\s*\]", readme), "an image without alternative text"
    listed = set(re.findall(r"notebooks/(\w+)\.ipynb", readme))
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def texts():
    """Path -> text of the READMEs, of the pages that are no notebooks, and of the notebooks' Markdown."""
    pages = (ROOT / "README.md", ROOT / "data" / "README.md", *(ROOT / "notebooks").glob("*.md"))
    found = {path: path.read_text(encoding="utf-8") for path in pages}
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return found


def named(text):
    """The dotted names of the package in a text, those of its imports too, and the paths of code."""
    names = set(re.findall(r"\blecture_utils(?:\.[A-Za-z_]\w*)+", text))
    for module, several, one_line in re.findall(r"\bfrom (lecture_utils[\w.]*) import (?:\(([^)]*)\)|([\w, ]*))", text):
        names |= {f"{module}.{name.split()[0]}" for name in (several or one_line).split(",") if name.strip()}
    return names, set(re.findall(r"\b(?:lecture_utils|tests)/[\w/]*(?:\.py)?", text))


def exists(name):
    """Whether a dotted name is a module, or something in one."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        return bool(module) and exists(module) and hasattr(importlib.import_module(module), last)
    return True


def unknown(text):
    names, paths = named(text)
    return {name for name in names if not exists(name)} | {path for path in paths if not (ROOT / path).exists()}


def test_texts_name_only_what_the_package_has():
    assert {str(path): unknown(text) for path, text in texts().items() if unknown(text)} == {}
    assert len(named(ENGINEERS.read_text(encoding="utf-8"))[0]) >= 6


def test_the_engineers_part_names_the_whole_core():
    text = ENGINEERS.read_text(encoding="utf-8")
    core = {path.name for path in (ROOT / "lecture_utils").glob("*.py")} - {"__init__.py"}
    assert core == set(re.findall(r"`(\w+\.py)`", text))


def test_a_name_that_the_package_has_not_is_noticed():
    assert unknown("`lecture_utils.recordings.load_log`") == {"lecture_utils.recordings.load_log"}
    assert unknown("`lecture_utils.training.trian`") == {"lecture_utils.training.trian"}
    assert unknown("from lecture_utils import PPO, SAC") == {"lecture_utils.SAC"}
    assert unknown("from lecture_utils.figures import (\n    gae,\n    gea as g,\n)") == {"lecture_utils.figures.gea"}
    assert unknown("`lecture_utils/optimal.py`, tests/core/test_home.py") == {
        "lecture_utils/optimal.py",
        "tests/core/test_home.py",
    }


def test_nothing_private_in_the_repository():
    for path in tracked():
        file = ROOT / path
        if file.suffix in {".py", ".md", ".toml", ".yml", ".txt", ".ipynb", ".svg", ".csv"} and "test" not in path:
            assert not re.search(r"/(?:work|tmp|home|root)/\w", file.read_text(encoding="utf-8")), path


def test_ci_runs_the_commands_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    assert "make lecture" in script
    assert "make test" in script
    assert re.search(r'make test\n(.*\n)*test -z "\$\(git status --porcelain\)"', script), "a clean checkout afterwards"


def test_text_has_no_carriage_returns_in_any_checkout(tmp_path):
    """Not even where git is told to write them: bash would stop at the first one, and checksums would not hold."""
    tracked()  # skips where there is no git
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--shared", "-c", "core.autocrlf=true", ROOT, clone], check=True)
    files = {path: path.read_bytes() for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts}
    text = {path for path, content in files.items() if b"\0" not in content}
    assert {clone / ".ci" / "run", clone / "README.md"} < text
    assert {path.suffix for path in set(files) - text} <= {".npz", ".png", ".pt", ".woff2"}
    assert [path for path in text if b"\r" in files[path]] == []
    subprocess.run(["git", "add", "--renormalize", "."], cwd=clone, check=True)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert changed.stdout == ""
    if shutil.which("bash"):
        subprocess.run(["bash", "-n", ".ci/run"], cwd=clone, check=True)


def test_the_files_around_the_project_are_well_formed():
    """Read as YAML, with what GitHub needs in them; the version is that of the package."""
    yaml = pytest.importorskip("yaml")
    read = {path: yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) for path in tracked() if "ISSUE" in path}
    assert [form["name"] for form in read.values()] == ["I am stuck at cell ..."]
    assert all({"type", "attributes"} <= set(field) for form in read.values() for field in form["body"])
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["version"] == project["version"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    pages = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8"))
    assert pages["jobs"]["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}
