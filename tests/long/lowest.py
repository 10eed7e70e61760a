"""The lowest versions that pyproject.toml admits, as constraints for pip; torch stays the one of constraints.txt.

python tests/long/lowest.py > constraints-lowest.txt
"""

import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).parents[2]


def lowest(project, pinned):
    """Lines name==version; every requirement must say >=. project: the table of pyproject.toml; pinned: exact lines."""
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    lines = []
    for requirement in requirements:
        name, version = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\d.]+)", requirement).groups()
        lines.append(
            next((line for line in pinned if name == "torch" and line.startswith("torch==")), f"{name}=={version}")
        )
    return sorted(lines)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    print("\n".join(lowest(project, (ROOT / "constraints.txt").read_text().splitlines())))
