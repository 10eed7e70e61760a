"""What all figures share: the palette, the style sheet, and how one is begun and becomes a picture."""

import base64
import io

import matplotlib.pyplot as plt
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


def new_figure(rows=1, columns=1, width=7.0, height=3.0, **subplots):
    """A figure in the series' style, in inches, and its axes; the keywords are those of Figure.subplots."""
    with plt.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, **subplots)
    return figure, axes


def png(figure):
    """The figure as a PNG in base64 text."""
    picture = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(picture, format="png", dpi=STYLE["figure.dpi"])
    return base64.b64encode(picture.getvalue()).decode()
