"""The picture of PPO's loop that opens every notebook, with the boxes lit that the notebook is about."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lecture_utils.figures.style import PALETTE, fixed_settings, new_figure

LOOP = (
    "PPO's loop. The policy collects a batch, every action in it is judged by its advantage, the old policy's "
    "log-probabilities are frozen, several passes of gradient steps learn from the batch, and the new policy collects "
    "the next one. Yellow: what this notebook is about."
)
BOXES = {
    "collect": "The policy acts.\nKeep states, actions\nand rewards.",
    "judge": "How good was each\naction? Its\nadvantage $A_t$ says.",
    "freeze": "How likely was each?\nKeep the old policy's\n$\\log\\,\\pi_{old}(a_t\\,|\\,s_t)$.",
    "learn": "Ratio, clip, gradient\nsteps through the\nwhole batch.",
}
REPEAT = "repeat: the new policy collects a new batch"
PASSES = "several passes"
WIDTH, HEIGHT, GAP = 2.2, 1.55, 0.5  # of a box, and between two
LIT, UNLIT = "#FFE08A", "white"


@fixed_settings()
def loop(*lit):
    """The loop in four boxes and its way back. lit: names among "collect", "judge", "freeze", "learn" and "repeat".

    Raises ValueError for another name.
    """
    if unknown := [name for name in lit if name not in (*BOXES, "repeat")]:
        raise ValueError(f"lit must be names among {[*BOXES, 'repeat']}, got {unknown}")
    figure, ax = new_figure(width=8.6, height=2.7)
    lefts = {name: i * (WIDTH + GAP) for i, name in enumerate(BOXES)}
    for number, (name, text) in enumerate(BOXES.items(), start=1):
        left, chosen = lefts[name], name in lit
        ax.add_patch(
            FancyBboxPatch(
                (left, 0), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12", gid=name,
                facecolor=LIT if chosen else UNLIT, edgecolor=PALETTE["black"], linewidth=2.5 if chosen else 1,
            )
        )  # fmt: skip
        ax.text(left + WIDTH / 2, HEIGHT - 0.28, f"{number}  {name.capitalize()}", ha="center", va="center",
                fontsize=13, fontweight="bold")  # fmt: skip
        ax.text(left + WIDTH / 2, 0.55, text, ha="center", va="center", fontsize=10.5, linespacing=1.25)
    for left in [*lefts.values()][1:]:
        _arrow(ax, (left - GAP, HEIGHT / 2), (left, HEIGHT / 2))
    middle = {name: left + WIDTH / 2 for name, left in lefts.items()}
    _arrow(ax, (middle["learn"] + 0.55, HEIGHT), (middle["learn"] - 0.55, HEIGHT), bend=0.9)
    ax.text(middle["learn"], HEIGHT + 0.62, PASSES, ha="center", va="bottom", fontsize=11)
    back = {"linewidth": 2.5 if "repeat" in lit else 1.5}
    ax.plot([middle["learn"], middle["learn"], middle["collect"]], [0, -0.45, -0.45], "-", color="black", **back)
    _arrow(ax, (middle["collect"], -0.45), (middle["collect"], 0), **back)
    ax.text((middle["collect"] + middle["learn"]) / 2, -0.5, REPEAT, ha="center", va="top", fontsize=11,
            backgroundcolor=LIT if "repeat" in lit else UNLIT)  # fmt: skip
    ax.set(xlim=(-0.1, lefts["learn"] + WIDTH + 0.1), ylim=(-1.0, HEIGHT + 1.0))
    ax.axis("off")
    return figure


def _arrow(ax, start, end, bend=0.0, linewidth=1.5):
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=16, color="black", linewidth=linewidth, shrinkA=0, shrinkB=0,
            connectionstyle=f"arc3,rad={bend}",
        )
    )  # fmt: skip
