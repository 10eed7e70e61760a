"""Is everything here that the notebooks need? One line a package, with the fix where one is missing or too old.

Run it as a file, from a notebook or with python in a terminal. It imports nothing beyond the standard library before it
knows better: a check that needs what it checks for helps nobody. What is needed is read from the requirements that this
package was installed with (pyproject.toml), so it is written down once.
"""

import importlib.metadata
import pathlib
import platform
from typing import NamedTuple

PROJECT = "ppo-lecture"
# The tested versions lie beside a checkout; a wheel does not bring them.
TESTED = " -c constraints.txt" if (pathlib.Path(__file__).resolve().parents[2] / "constraints.txt").is_file() else ""
FIX = f'python -m pip install{TESTED} "{{}}"'


class Check(NamedTuple):
    package: str  # as pip knows it
    needed: str  # range of versions, such as ">=2.4"
    found: str | None  # version, None where the package is not installed
    verdict: str  # "ok", "missing" or "too old" (any version outside the range)
    fix: str  # command for the project's folder, "" where all is well


def check_package(requirement):
    """Compare one requirement, such as "torch>=2.4" (extras are allowed), with what is installed."""
    requirement = _requirement(requirement)
    try:
        found = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is None:
        verdict = "missing"
    else:
        verdict = "ok" if requirement.specifier.contains(found, prereleases=True) else "too old"
    fix = "" if verdict == "ok" else FIX.format(requirement)
    return Check(requirement.name, str(requirement.specifier), found, verdict, fix)


def check_environment(project=PROJECT):
    """A list of Checks: Python first, then every requirement of the installed `project`."""
    try:
        metadata = importlib.metadata.metadata(project)
    except importlib.metadata.PackageNotFoundError:
        fix = "python -m pip install -c constraints.txt -e ."
        return [Check(project, "", None, "missing", fix)]
    python = _requirement(f"Python{metadata['Requires-Python']}").specifier
    right = python.contains(platform.python_version(), prereleases=True)
    first = Check("Python", str(python), platform.python_version(), "ok" if right else "too old",
                  "" if right else "conda env create -f environment.yml")  # fmt: skip
    requirements = [_requirement(text) for text in importlib.metadata.requires(project) or []]
    # A requirement of an extra (tests, pages) has a marker that is false here.
    return [first] + [check_package(str(r)) for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})]


def report(checks):
    """The checks as text, one line each. Versions found are told only where they are wrong."""
    lines = []
    for package, needed, found, verdict, fix in checks:
        line = f"{package:<12} {needed:<8} {verdict}"
        if fix:
            line += (f" (found {found})" if found else "") + f"   fix: {fix}"
        lines.append(line)
    wrong = sum(check.verdict != "ok" for check in checks)
    lines.append(
        f"{wrong} to mend: run the fixes in the project's folder, then restart the kernel" if wrong else "All is here."
    )
    return "\n".join(lines)


def _requirement(text):
    try:
        from packaging.requirements import Requirement
    except ImportError:  # pip brings a copy
        from pip._vendor.packaging.requirements import Requirement
    return Requirement(text)


if __name__ == "__main__":
    print(report(check_environment()))
