import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT / "lecture_utils" / "figures" / "environment_check.py"
spec = importlib.util.spec_from_file_location("environment_check", FILE)
environment_check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(environment_check)
check_environment, check_package = environment_check.check_environment, environment_check.check_package
report = environment_check.report


def test_every_dependency_of_pyproject_has_one_line():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [dependency.split(">=")[0].split("[")[0] for dependency in dependencies]
    checks = check_environment()
    assert [check.package for check in checks] == ["Python", *names]
    assert {check.verdict for check in checks} == {"ok"}
    assert report(checks).splitlines()[-1] == "All is here."


@pytest.mark.parametrize(
    ("requirement", "verdict"),
    [("numpy>=2.0", "ok"), ("numpy>=999", "too old"), ("no-such-package>=1.0", "missing"), ("numpy[extra]>=2.0", "ok")],
)
def test_verdict(requirement, verdict):
    check = check_package(requirement)
    assert check.verdict == verdict
    assert bool(check.fix) == (verdict != "ok")
    assert not check.fix or requirement in check.fix


def test_the_line_of_a_package_that_is_too_old_tells_version_and_fix():
    text = report([check_package("numpy>=999")])
    assert importlib.metadata.version("numpy") in text
    assert 'python -m pip install -c constraints.txt "numpy>=999"' in text
    assert text.splitlines()[-1].startswith("1 to mend")


def test_found_versions_are_not_printed_where_all_is_well():
    assert importlib.metadata.version("torch") not in report([check_package("torch>=2.4")])


def test_an_old_python_is_told(monkeypatch):
    monkeypatch.setattr(environment_check.platform, "python_version", lambda: "3.8.1")
    assert check_environment()[0] == ("Python", ">=3.11", "3.8.1", "too old", "conda env create -f environment.yml")


def test_a_project_that_is_not_installed_is_one_line_with_its_fix():
    (check,) = check_environment("no-such-project")
    assert (check.verdict, check.fix) == ("missing", "python -m pip install -c constraints.txt -e .")


def test_it_runs_where_no_package_can_be_imported():
    """As `%run` starts it: with torch, NumPy and pandas blocked, and from another folder."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'pandas', 'packaging'], None)); "
    code = f"{blocked}import runpy; runpy.run_path({str(FILE)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT / "notebooks"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == report(check_environment()) + "\n"
