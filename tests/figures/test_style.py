"""Every figure is the same, pixel for pixel, whatever the user has set in matplotlib."""

import functools
import importlib
import inspect
import pkgutil

import matplotlib.pyplot as plt
import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from test_a2c_vs_ppo_figures import made_up_ends, made_up_logs, made_up_runs, made_up_widths
from test_details_that_matter_figures import made_up_scores
from test_gae_figures import FIGURES, NEXT_VALUES, REWARDS, VALUES
from test_language_figures import FRONTIER, made_up_paths
from test_pendulum_figures import OBSERVATIONS

from lecture_utils import figures
from lecture_utils.experiments.cartpole import load_cartpole
from lecture_utils.experiments.ladder import load_details
from lecture_utils.experiments.mountain_car import load_mountain_car
from lecture_utils.figures import (
    __main__,
    a2c_vs_ppo,
    details_that_matter,
    language,
    loop,
    notebook,
    panels,
    pendulum,
    ppo_training,
    ratio_and_clip,
    start_here,
    your_own_task,
)
from lecture_utils.figures.style import fixed_settings, new_figure, png

SETTINGS = {
    "dark": matplotlib.style.library["dark_background"],
    "tex": {"text.usetex": True},
    "large": {  # and other settings that people have
        "font.size": 24,
        "font.family": "monospace",
        "mathtext.fontset": "cm",
        "figure.dpi": 60,
        "savefig.dpi": 300,
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "figure.constrained_layout.h_pad": 0.5,
        "path.sketch": (1, 100, 2),
        "lines.linewidth": 5,
        "lines.markeredgewidth": 4,
        "lines.antialiased": False,
        "patch.force_edgecolor": True,
        "hatch.linewidth": 4,
        "errorbar.capsize": 9,
        "image.origin": "lower",
        "axes.linewidth": 3,
        "axes.titlelocation": "right",
        "axes.axisbelow": False,
        "axes.unicode_minus": False,
        "xaxis.labellocation": "right",
        "yaxis.labellocation": "top",
        "xtick.direction": "in",
        "ytick.labelsize": 20,
        "legend.loc": "center",
        "legend.facecolor": "red",
        "svg.fonttype": "path",
    },
}

LOGS = made_up_logs()
ENDED = pd.DataFrame({"run": [0, 0, 1, 0], "step": [64, 64, 64, 128], "reward": [10.0, 20.0, 40.0, 30.0]})
LOG = LOGS["PPO"].assign(**dict.fromkeys([*ppo_training.DIAGNOSTICS, "approx_kl"], LOGS["PPO"].reward / -900))
details = functools.cache(load_details)
STEPS = np.arange(1.0, 41.0)
WAVE = np.exp(np.sin(STEPS))
OVER_PASSES = pd.DataFrame({"passes": [1, 2, 5], "KL": [1.0, 2.0, 3.0]}).assign(
    **{"KL low": [0.5, 1.0, 2.0], "KL high": [2.0, 3.0, 4.0]}
)


def on_axes(draw, *args):
    """The picture of what `draw` puts on given axes."""
    figure, axes = new_figure()
    draw(axes, *args)
    return png(figure)


def shown(monkeypatch):
    """What `show` displays of a figure."""
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(notebook, "display", lambda *args, **_: seen.append(args[0]))
        notebook.show(FIGURES["weights"](), "caption")
    return seen[0]["image/png"]


def moved(monkeypatch, draw_panel, *args, **options):
    """The pictures of a slider panel as it begins and after its first slider has been moved."""
    boxes, make_box = [], panels.ipywidgets.VBox
    with monkeypatch.context() as patch:
        patch.setattr(panels.ipywidgets, "VBox", lambda children: boxes.append(make_box(children)) or boxes[0])
        patch.setattr(panels, "display", lambda *args, **options: None)
        draw_panel(*args, **options)
    slider, *_, picture = boxes[0].children
    before = picture.value
    slider.value = slider.max
    assert picture.value != before
    return before, picture.value


def saved(monkeypatch, folder):
    """A figure as `python -m lecture_utils.figures` writes it."""
    with monkeypatch.context() as patch:
        patch.setattr(__main__, "FIGURES", {"one": lambda: ppo_training.learning_curves(LOG)})
        __main__.save_figures(folder)
    return (folder / "one.svg").read_bytes()


def own_panel():
    """A panel of a notebook's own, with a figure for each end of its slider."""
    ends = {0: FIGURES["weights"], 1: FIGURES["episode"]}
    panels.panel(lambda x: (ends[x](), "caption"), x=panels.slider(0, 0, 1, 1, "x"))


FIGURE = {  # a public function that returns a figure: a call of it with made-up data
    "a2c_vs_ppo.training_curves": lambda: a2c_vs_ppo.training_curves(LOGS, -140.0),
    "a2c_vs_ppo.one_seed": lambda: a2c_vs_ppo.one_seed(LOGS, {"A2C": 1, "PPO": 3}),
    "a2c_vs_ppo.by_passes": lambda: a2c_vs_ppo.by_passes(
        made_up_runs(), "reward", "head", {"abs": "title"}, label="return", log=True, reference=3.0
    ),
    "a2c_vs_ppo.many_ends": lambda: a2c_vs_ppo.many_ends(*made_up_ends()),
    "a2c_vs_ppo.widths": lambda: a2c_vs_ppo.widths({"two": made_up_widths()}),
    "details_that_matter.scores_on_the_way": lambda: details_that_matter.scores_on_the_way(
        made_up_scores(), (-180.0,), -140.0
    ),
    "details_that_matter.regret_by_recipe": lambda: details_that_matter.regret_by_recipe(
        details(), {"lecture": "ladder_00", "TUNED": "without_00"}
    ),
    **{f"gae.{name}": draw for name, draw in FIGURES.items()},
    "your_own_task.returns_on_the_way": lambda: your_own_task.returns_on_the_way(ENDED),
    "your_own_task.boat_ways": lambda: your_own_task.boat_ways([np.array([3 + 4j, 1 + 1j, 0j])]),
    "your_own_task.arrivals": lambda: your_own_task.arrivals(load_mountain_car()),
    "your_own_task.comparison": lambda: your_own_task.comparison(load_cartpole()),
    "language.paths": lambda: language.paths({"a": made_up_paths()}, FRONTIER, {"start": (0.0, 0.5)}),
    "language.over_probability": lambda: language.over_probability({"one": (STEPS / 41, WAVE)}, [0.5], "weight"),
    "language.over_updates": lambda: language.over_updates(made_up_paths(), ["a", "b"], {"kl": "KL (nats)"}),
    "pendulum.film_strip": lambda: pendulum.film_strip(OBSERVATIONS, -np.ones(60), np.ones(60), frames=3),
    "ppo_training.learning_curves": lambda: ppo_training.learning_curves(LOG, LOG[LOG.run == 0], optimum=-140.0),
    "ppo_training.scores": lambda: ppo_training.scores([WAVE, WAVE + 1], ["one", "two"], optimum=2.0),
    "ppo_training.diagnostics": lambda: ppo_training.diagnostics(LOG, window=20),
    "ppo_training.state_maps": lambda: ppo_training.state_maps(
        {"a": np.arange(15.0), "b": np.arange(15.0)}, ("N m", "reward"), ((-20, 20), (0, 20)), (5, 3)
    ),
    "ratio_and_clip.two_policies": lambda: ratio_and_clip.two_policies(STEPS, WAVE, WAVE[::-1], WAVE, clip=0.2),
    "ratio_and_clip.return_and_surrogate": lambda: ratio_and_clip.return_and_surrogate(
        STEPS, WAVE, WAVE + 1, old=float(STEPS[3])
    ),
    "ratio_and_clip.steps_on_objective": lambda: ratio_and_clip.steps_on_objective([1.0, 1.1, 1.3], 1.0, clip=0.2),
    "ratio_and_clip.climbs": lambda: ratio_and_clip.climbs({"one": WAVE, "two": 1 / WAVE}, clip=0.2),
    "ratio_and_clip.over_passes": lambda: ratio_and_clip.over_passes({"one": OVER_PASSES}, {"KL": ("KL (nats)", True)}),
    "ratio_and_clip.six_cases": lambda: ratio_and_clip.six_cases(0.2),
    "ratio_and_clip.one_case": lambda: ratio_and_clip.one_case(1.0, 0.2, 0.9),
    "loop.loop": lambda: loop.loop("collect"),
    "start_here.returns_by_policy": lambda: start_here.returns_by_policy({"one": WAVE, "two": WAVE + 1}),
    "start_here.gaussian_policies": lambda: start_here.gaussian_policies([(0.0, 1.0), (1.0, 0.1)], action=1.0),
    "start_here.promise_and_return": lambda: start_here.promise_and_return(
        STEPS[:3], np.stack([WAVE[:3], STEPS[:3]], axis=1), np.stack([WAVE[:3], -STEPS[:3]], axis=1)
    ),
    "style.new_figure": lambda: new_figure(1, 2)[0],
}
OTHER = {  # one that draws in another way: what it makes, from monkeypatch and a folder
    "__main__.save_figures": saved,
    "notebook.show": lambda patch, _: shown(patch),
    "panels.panel": lambda patch, _: moved(patch, own_panel),
    "panels.clip_panel": lambda patch, _: moved(patch, panels.clip_panel),
    "panels.lambda_panel": lambda patch, _: moved(patch, panels.lambda_panel, REWARDS, VALUES, NEXT_VALUES, gamma=0.95),
    "panels.seed_panel": lambda patch, _: moved(patch, panels.seed_panel, LOGS),
    "pendulum.animation": lambda *_: pendulum.animation(OBSERVATIONS[:8], -np.ones(8), titles="title"),
    "ratio_and_clip.draw_objective": lambda *_: on_axes(ratio_and_clip.draw_objective, 1.0, 0.2),
    "ratio_and_clip.draw_gradient": lambda *_: on_axes(ratio_and_clip.draw_gradient, 1.0, 0.2),
    "ratio_and_clip.mark_ratio": lambda *_: on_axes(ratio_and_clip.mark_ratio, 1.0, 0.2, 0.9),
    "style.png": lambda *_: png(FIGURES["weights"]()),
}
DRAWING_NOTHING = {
    "notebook.point_to_cells",
    "notebook.where_made",
    "panels.slider",
    "pendulum.angles",
    "pendulum.show_animation",
    "environment_check.check_environment",
    "environment_check.check_package",
    "environment_check.report",
    "ppo_training.observed",
    "ppo_training.smoothed",
    "ppo_training.state_grid",
    "style.fixed_settings",
    "tables.styled",
}
DRAWN = {name: lambda *_, draw=draw: png(draw()) for name, draw in FIGURE.items()} | OTHER


def public_functions():
    """module.function for all that the modules of the room define."""
    names = set()
    for module in (info.name for info in pkgutil.iter_modules(figures.__path__)):
        members = vars(importlib.import_module(f"lecture_utils.figures.{module}")).values()
        own = [x for x in members if inspect.isfunction(x) and x.__module__ == f"lecture_utils.figures.{module}"]
        names |= {f"{module}.{x.__name__}" for x in own if not x.__name__.startswith("_")}
    return names


def test_no_drawing_function_is_missing_here():
    assert public_functions() - DRAWING_NOTHING == set(DRAWN)
    assert public_functions() >= DRAWING_NOTHING


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_the_same_whatever_the_user_has_set(name, monkeypatch, tmp_path):
    with matplotlib.style.context("default"):
        expected = DRAWN[name](monkeypatch, tmp_path)
    differing = []
    for setting, values in SETTINGS.items():
        with matplotlib.style.context(["default", values]):
            differing += [setting] if DRAWN[name](monkeypatch, tmp_path) != expected else []
    assert differing == []


def test_the_users_settings_are_back_afterwards():
    with matplotlib.style.context({"font.size": 24}):
        before = dict(plt.rcParams)
        png(ratio_and_clip.one_case(1.0, 0.2, 0.9))
        with pytest.raises(ValueError, match="observations must have shape"):
            pendulum.film_strip(1.0)
        assert dict(plt.rcParams) == before


def test_who_draws_a_figure_decides_for_all_who_help():
    with fixed_settings({"font.size": 20}):
        with fixed_settings():
            assert plt.rcParams["font.size"] == 20
        assert plt.rcParams["font.size"] == 20
    with fixed_settings():
        assert plt.rcParams["font.size"] == 10
