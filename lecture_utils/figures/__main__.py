"""The figures in figures/, drawn from data/: `python -m lecture_utils.figures`, part of `make data`."""

import os

from lecture_utils import fixed_starts
from lecture_utils.experiments.optimal import optimal_returns
from lecture_utils.experiments.recordings import ROOT, load_log
from lecture_utils.figures.a2c_vs_ppo import training_curves
from lecture_utils.figures.ppo_training import learning_curves
from lecture_utils.figures.style import STYLE, fixed_settings

FIGURES = {
    "ppo_training": lambda: learning_curves(load_log("ppo"), window=100),
    "a2c_vs_ppo": lambda: training_curves(
        {"A2C": load_log("a2c"), "PPO": load_log("ppo")}, optimal_returns(fixed_starts(100)).mean()
    ),
}


def save_figures(folder=ROOT / "figures"):
    """Write every figure as SVG, each under a temporary name first; the same data give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        temporary = folder / f"{name}.svg.tmp"
        with fixed_settings(STYLE):  # for what is drawn on the axes too, unlike in a notebook
            draw().savefig(temporary, format="svg", metadata={"Date": None})
        os.replace(temporary, folder / f"{name}.svg")


if __name__ == "__main__":
    save_figures()
