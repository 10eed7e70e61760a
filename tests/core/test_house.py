"""Imports point one way: the core uses no room, language the core, experiments both, figures and exercises all."""

import ast
import pathlib

HOUSE = pathlib.Path(__file__).parents[2] / "lecture_utils"
ROOMS = {"language", "experiments", "figures", "exercises"}
SHOWING = {"IPython", "ipywidgets", "matplotlib"}
MAY_USE = {"core": set(), "language": {"language"}, "experiments": {"language", "experiments"}}
MAY_USE |= {room: MAY_USE["experiments"] | {room} for room in ("figures", "exercises")}
WITHOUT_PICTURES = {"core", "language"}


def imported(source):
    """Dotted names of all that is imported, wherever in the file."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return names | {f"{'.' * node.level}{node.module}.{alias.name}" for node in froms for alias in node.names}


def wrong_arrows(room, source):
    parts = [name.split(".") for name in imported(source)]
    wrong = {p[1] for p in parts if p[0] == "lecture_utils" and p[1:2] and p[1] in ROOMS - MAY_USE[room]}
    wrong |= {p[0] for p in parts if room in WITHOUT_PICTURES and p[0] in SHOWING}
    return wrong | {"a relative import" for p in parts if p[0] == ""}


def test_imports_point_one_way():
    files = sorted(HOUSE.rglob("*.py"))
    rooms = {path: path.relative_to(HOUSE).parts[0] if path.parent != HOUSE else "core" for path in files}
    assert set(rooms.values()) == set(MAY_USE)
    found = {str(path): wrong_arrows(room, path.read_text(encoding="utf-8")) for path, room in rooms.items()}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_an_arrow_that_points_the_wrong_way_is_noticed():
    assert wrong_arrows("core", "def f():\n    from lecture_utils import experiments") == {"experiments"}
    assert wrong_arrows("core", "import matplotlib.pyplot as plt\nimport numpy") == {"matplotlib"}
    assert wrong_arrows("core", "from lecture_utils.language import task") == {"language"}
    assert wrong_arrows("language", "from lecture_utils.experiments import sweep") == {"experiments"}
    assert wrong_arrows("language", "from lecture_utils.language import task\nimport matplotlib") == {"matplotlib"}
    assert (
        wrong_arrows("experiments", "from lecture_utils.language import task\nfrom lecture_utils import ppo") == set()
    )
    assert wrong_arrows("experiments", "from lecture_utils.figures.style import png") == {"figures"}
    assert wrong_arrows("figures", "import lecture_utils.exercises.gae, lecture_utils.experiments.sweep") == {
        "exercises"
    }
    assert wrong_arrows("exercises", "from lecture_utils import PPO, figures") == {"figures"}
    assert wrong_arrows("exercises", "from . import judge") == {"a relative import"}
