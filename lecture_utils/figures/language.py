"""Figures of notebook 07: what PPO, GRPO and leave-one-out make of a language model that can be enumerated."""

import numpy as np

from lecture_utils.figures.style import LINE_STYLES, PALETTE, fixed_settings, new_figure

COLOURS = ("blue", "orange", "green", "purple", "yellow", "black")
MARKERS = ("o", "s", "^", "D", "v", "P")


@fixed_settings()
def paths(logs, frontier, marks=None):
    """Expected reward over KL(pi || ref): the optimum as a line, and every run as a path from the reference on.

    logs: dict of a method's name -> DataFrame of run, update, kl (nats) and reward, a path a run; it may be empty.
    frontier: (kl, reward), two arrays, of the best policies. marks: dict of text -> (kl, reward), points to name.
    """
    figure, axes = new_figure(width=7.8, height=4.4)
    kl, reward = (np.asarray(x) for x in frontier)
    axes.plot(kl, reward, color=PALETTE["black"], linestyle="-", linewidth=2.5, label="the optimum", zorder=5)
    looks = zip(logs.items(), COLOURS, LINE_STYLES, MARKERS, strict=False)
    for (name, log), colour, linestyle, marker in looks:
        for _, run in log.groupby("run"):
            axes.plot(run["kl"], run["reward"], color=PALETTE[colour], linestyle=linestyle, linewidth=0.8, alpha=0.6)
        ends = log[log["update"] == log["update"].max()]
        axes.plot(ends["kl"], ends["reward"], color=PALETTE[colour], linestyle="none", marker=marker, markersize=6,
                  label=f"{name}: {log['run'].nunique()} runs, their ends marked", zorder=6)  # fmt: skip
    for text, (x, y) in (marks or {}).items():
        axes.plot([x], [y], color=PALETTE["black"], marker="o", markersize=7, linestyle="none", zorder=7)
        axes.annotate(text, (x, y), xytext=(9, -5), textcoords="offset points", va="top", fontsize=11)
    right = max([kl.max(), *(log["kl"].max() for log in logs.values())])
    axes.set(xlabel="KL divergence to the reference (nats a text)", ylabel="expected reward")
    axes.set(xlim=(-0.03 * right, 1.06 * right), ylim=(axes.get_ylim()[0] - 0.05, 1.03))  # room for a mark's name
    axes.legend(loc="lower right", fontsize=10.5)
    return figure


@fixed_settings()
def over_probability(curves, marks, label):
    """A quantity over the probability that a completion is right; the prompts' own probabilities as ticks below.

    curves: dict of name -> (probability, value), two arrays. marks: probabilities. label: of the vertical axis.
    """
    figure, axes = new_figure(width=7.2, height=3.6)
    for (name, (x, y)), colour, linestyle in zip(curves.items(), COLOURS, LINE_STYLES, strict=False):
        axes.plot(x, y, color=PALETTE[colour], linestyle=linestyle, label=name)
    bottom = axes.get_ylim()[0] if min(np.min(y) for _, y in curves.values()) < 0 else 0.0
    axes.plot(marks, np.full(len(marks), bottom), color=PALETTE["black"], linestyle="none", marker="|", markersize=16,
              markeredgewidth=1.5, label="our ten prompts", clip_on=False)  # fmt: skip
    axes.set(xlabel="probability that a completion of the prompt is right", ylabel=label, xlim=(0, 1))
    axes.set_ylim(bottom=bottom)
    axes.legend(fontsize=10.5)
    return figure


@fixed_settings()
def over_updates(table, settings, columns, limits=None):
    """One panel a column, over the updates: every run thin, the mean of a setting's runs thick.

    table: DataFrame of setting, run, update and the columns. settings: those to show, of at most six. columns: dict of
    column -> label of the vertical axis. limits: of all vertical axes, where given.
    """
    figure, grid = new_figure(1, len(columns), width=8.4, height=3.7, squeeze=False)
    for axes, (column, label) in zip(grid[0], columns.items(), strict=True):
        for setting, colour, linestyle in zip(settings, COLOURS, LINE_STYLES, strict=False):
            rows = table[table["setting"] == setting].dropna(subset=[column])
            curves = rows.pivot(index="update", columns="run", values=column)
            axes.plot(curves.index, curves, color=PALETTE[colour], linestyle="-", linewidth=0.5, alpha=0.35)
            axes.plot(curves.index, curves.mean(axis=1), color=PALETTE[colour], linestyle=linestyle, label=setting)
        axes.set(xlabel="update (32 texts each)", ylabel=label, ylim=limits)
    grid[0, 0].legend(fontsize=10.5)
    return figure
