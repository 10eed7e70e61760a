"""The figures of notebook 06: other tasks learned, a boat's ways, and the comparison of 04 on CartPole."""

import numpy as np

from lecture_utils.experiments.cartpole import EARLY, PASSES, SOLVED, by_run
from lecture_utils.experiments.statistics import iqm
from lecture_utils.figures.a2c_vs_ppo import LOOKS
from lecture_utils.figures.style import LINE_STYLES, PALETTE, fixed_settings, new_figure


@fixed_settings()
def returns_on_the_way(log, threshold=SOLVED):
    """Mean return of the episodes that ended during each update: every run thin, the mean of the runs thick.

    log: what train returned for a task.
    """
    figure, axes = new_figure(width=7.4, height=3.4)
    curves = log.groupby(["step", "run"]).reward.mean().unstack("run")
    axes.plot(curves.index, curves.to_numpy(), color=PALETTE["grey"], linewidth=0.8, alpha=0.6, linestyle="-")
    axes.plot(curves.index, curves.mean(axis=1), color=PALETTE["blue"], linewidth=2.5, linestyle="-")
    axes.axhline(threshold, color=PALETTE["black"], linestyle=":", linewidth=1.5)
    axes.set(xlabel="steps of a run", ylabel="return of the episodes\nthat ended", xlim=(0, curves.index.max()))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return figure


@fixed_settings()
def boat_ways(ways):
    """The boat's ways from above, as boat.ways gives them, a dot a second; an arrow shows the bow at first: east."""
    figure, axes = new_figure(width=5.6, height=5.0)
    for number, way in enumerate(ways):
        color = list(PALETTE.values())[number % 6]
        style = LINE_STYLES[number % len(LINE_STYLES)]
        axes.plot(way.real, way.imag, color=color, linestyle=style, linewidth=1.4, marker="o", markersize=3.2)
        axes.plot(way.real[0], way.imag[0], "o", color=color, markersize=11, fillstyle="none", markeredgewidth=1.8)
        axes.annotate("", (way.real[0] + 2.2, way.imag[0]), (way.real[0], way.imag[0]),
                      arrowprops={"arrowstyle": "-|>", "color": PALETTE["black"]})  # fmt: skip
    axes.plot(0, 0, "*", color=PALETTE["black"], markersize=16)
    axes.margins(0.16)
    axes.set(xlabel="metres east of the buoy", ylabel="metres north of the buoy", aspect="equal")
    return figure


@fixed_settings()
def arrivals(log, bins=12):
    """Share of the episodes that reach the flag, over the car's steps: every run thin, the mean of the runs thick."""
    figure, axes = new_figure(width=7.4, height=3.2)
    for (name, rows), color, style in zip(
        log.groupby("pushes", sort=False), ("orange", "blue"), LINE_STYLES, strict=False
    ):
        edges = np.linspace(0, log.step.max(), bins + 1)
        place = np.digitize(rows.step, edges, right=True)
        share = rows.groupby([place, "run"]).arrived.mean().unstack("run")
        at = edges[share.index]
        axes.plot(at, share.to_numpy(), color=PALETTE[color], linewidth=0.7, alpha=0.5, linestyle=style)
        axes.plot(at, share.mean(axis=1), color=PALETTE[color], linewidth=2.6, linestyle=style, label=name)
    axes.set(xlabel="steps of the car, a run", ylabel="share of episodes\nthat reach the flag", ylim=(-0.04, 1.04))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.legend(loc="outside lower center", ncols=2, fontsize=11, frameon=False)
    return figure


@fixed_settings()
def comparison(log):
    """By passes and algorithm: how fast the runs learn early (left), and where they end (right).

    log: cartpole.load_cartpole(). Every run a small mark, the interquartile mean a large one.
    """
    figure, (left, right) = new_figure(1, 2, width=8.6, height=3.9)
    runs = by_run(log)
    jitter = 0.14 * (np.random.default_rng(0).random(16) - 0.5)
    for k, (name, look) in enumerate(LOOKS.items()):
        for axes, column in ((left, "early"), (right, "score")):
            middles = []
            for x, count in enumerate(PASSES):
                values = runs[(runs.algorithm == name) & (runs.passes == count)][column].to_numpy()
                at = x + 0.24 * (k - 1)
                axes.plot(at + jitter[: len(values)], values, color=PALETTE["grey"], marker=look["marker"], alpha=0.5,
                          markersize=3.5, markerfacecolor=look["color"], markeredgewidth=0, linestyle="")  # fmt: skip
                middles.append((at, iqm(values)))
            axes.plot(*zip(*middles, strict=True), **look, markersize=9, linewidth=1.2,
                      label=name if axes is left else None)  # fmt: skip
    right.axhline(SOLVED, color=PALETTE["black"], linestyle=":", linewidth=1.5)
    left.set(yscale="log", ylabel=f"steps until an episode ends\n(first {EARLY} updates)")
    left.set_yticks([20, 50, 100, 200, 400], ["20", "50", "100", "200", "400"])
    left.minorticks_off()
    right.set(ylabel="mean return after training", ylim=(0, 520))
    for axes in (left, right):
        axes.set_xticks(range(len(PASSES)), [str(count) for count in PASSES])
        axes.set_xlabel("passes over each rollout")
    figure.legend(loc="outside lower center", ncols=3, fontsize=11, frameon=False)
    return figure
