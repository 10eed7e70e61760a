"""What all figures share: the palette, the style sheet, and how one is begun and becomes a picture."""

import base64
import io
from contextlib import contextmanager

import matplotlib.pyplot as plt
import matplotlib.style
from matplotlib.figure import Figure

# Okabe and Ito 2008, told apart by colour-blind readers; each comes with a line style of its own for greyscale.
PALETTE = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "yellow": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#767676",
}
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))

STYLE = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "axes.prop_cycle": plt.cycler(
        color=[PALETTE[name] for name in ("blue", "orange", "green", "purple", "yellow", "black")],
        linestyle=LINE_STYLES,
    ),
    "svg.hashsalt": "ppo-lecture",
    "svg.fonttype": "none",
}


_fixed = False  # the settings are one for the whole process, and so is this


@contextmanager
def fixed_settings(*styles):
    """Matplotlib's defaults and `styles` on top in place of what the user has set, which is back afterwards.

    It decorates all that draws and saves: artists ask for the settings when they are made, and once more when they are
    saved. Inside another one nothing changes, so that who draws a figure decides for all who help.
    """
    global _fixed
    if _fixed:
        yield
        return
    _fixed = True
    try:
        with matplotlib.style.context(["default", *styles]):
            yield
    finally:
        _fixed = False


@fixed_settings()
def new_figure(rows=1, columns=1, width=7.0, height=3.0, **subplots):
    """A figure in the series' style, in inches, and its axes; the keywords are those of Figure.subplots."""
    with plt.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, **subplots)
    return figure, axes


@fixed_settings()
def png(figure):
    """The figure as a PNG in base64 text."""
    picture = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(picture, format="png", dpi=STYLE["figure.dpi"])
    return base64.b64encode(picture.getvalue()).decode()
