"""Figures of ratios between two policies: over actions, over gradient steps, and under reuse of one batch."""

import numpy as np

from lecture_utils.plots import LINE_STYLES, PALETTE, new_figure

SERIES = dict(zip(("blue", "orange", "green"), LINE_STYLES, strict=False))
MARKERS = "osD"
GROUPS = (  # label, face colour, hatch
    ("inside the band", "#dddddd", ""),
    ("outside, keeps its gradient", PALETTE["sky"], "///"),
    ("outside, no gradient", PALETTE["black"], ""),
)


def two_policies(action, old_density, density, ratio, clip):
    """Densities of two policies over the action (left) and their ratio (right, log scale), all (N,) arrays."""
    figure, (left, right) = new_figure(1, 2, width=8.0, height=3.0)
    for values, label, color in ((old_density, "old policy", "blue"), (density, "new policy", "orange")):
        left.plot(action, values, label=label, color=PALETTE[color], linestyle=SERIES[color])
    left.legend(fontsize=9)
    left.set(xlabel="action (torque in N m)", ylabel="density", ylim=(0, 1.35 * old_density.max()))
    right.plot(action, ratio, color=PALETTE["black"], linestyle="-")
    right.axhspan(1 - clip, 1 + clip, color=PALETTE["grey"], alpha=0.3, linewidth=0)
    right.set(xlabel="action (torque in N m)", ylabel="ratio r (log scale)", yscale="log")
    _plain_ticks(right.yaxis, (0.2, 0.5, 0.8, 1.2, 2, 4))
    return figure


def variance_over_distance(distance, exact, sampled):
    """Variance of the reweighted sample over the distance of two policies: exact (D,), sampled (D, repeats)."""
    figure, ax = new_figure(width=6.5, height=3.4)
    ax.plot(distance, exact, color=PALETTE["blue"], label="exact, by quadrature")
    for i, repeat in enumerate(np.transpose(sampled)):
        label = "estimated from 1,000 samples, ten times" if i == 0 else None
        ax.plot(distance, repeat, "o", color=PALETTE["orange"], fillstyle="none", linestyle="none", label=label)
    ax.set(xlabel="distance between the means, in standard deviations", ylabel="variance of r f (log scale)")
    ax.set_yscale("log")
    ax.legend(fontsize=9)
    return figure


def climbs(paths, clip):
    """The ratio of one sample over gradient steps. paths: {label: (steps,) array}."""
    figure, ax = new_figure(width=6.5, height=3.2)
    for (color, style), (label, ratio) in zip(SERIES.items(), paths.items(), strict=False):
        ax.plot(ratio, color=PALETTE[color], linestyle=style, label=label)
    ax.axhspan(1 - clip, 1 + clip, color=PALETTE["grey"], alpha=0.2, linewidth=0)
    ax.set(xlabel="gradient step", ylabel="ratio r (log scale)", yscale="log")
    _plain_ticks(ax.yaxis, (0.8, 1, 1.2, 2, 4, 8))
    ax.legend(fontsize=9)
    return figure


def over_passes(tables, column, label):
    """Medians across runs with their intervals over passes.

    tables: {name: DataFrame with passes, column, column + " low" and column + " high"}. label: of the vertical axis.
    """
    figure, ax = new_figure(width=6.5, height=3.5)
    styles = zip(SERIES.items(), MARKERS, strict=True)
    for i, (((color, style), marker), (name, table)) in enumerate(zip(styles, tables.items(), strict=False)):
        middle, low, high = (table[column + end] for end in ("", " low", " high"))
        ax.errorbar(
            table.passes * 1.06**i, middle, [middle - low, high - middle], color=PALETTE[color], linestyle=style,
            marker=marker, capsize=4, label=name,
        )  # fmt: skip
    ax.set(xlabel="passes over the same batch", ylabel=label, xscale="log", yscale="log")
    _plain_ticks(ax.xaxis, table.passes)
    ax.legend(fontsize=9)
    return figure


def ratio_histograms(ratios, no_gradient, clip):
    """Histograms of the ratio, one row for each number of passes. ratios, no_gradient: {passes: (N,) array}."""
    figure, axes = new_figure(len(ratios), 1, width=7.5, height=1.25 * len(ratios) + 1.0, sharex=True)
    low, high = 1 - clip, 1 + clip  # both are edges of bins, so no bar is half inside
    pieces = np.geomspace(low / 2.5, low, 23), np.geomspace(low, high, 11)[1:], np.geomspace(high, 2.5 * high, 23)[1:]
    edges = np.concatenate(pieces)
    for ax, (passes, ratio) in zip(axes, ratios.items(), strict=True):
        outside = np.abs(ratio - 1) > clip
        stopped = no_gradient[passes]
        parts = [np.clip(ratio[part], edges[0], edges[-1]) for part in (~outside, outside & ~stopped, stopped)]
        _, _, bars = ax.hist(parts, edges, stacked=True, color=[color for _, color, _ in GROUPS], linewidth=0.3,
                             weights=[np.full(len(part), 100 / len(ratio)) for part in parts])  # fmt: skip
        for group, (label, _, hatch) in zip(bars, GROUPS, strict=True):
            group.set_label(label)
            for bar in group:
                bar.set(hatch=hatch, edgecolor="#444444")
        ax.axvspan(low, high, color=PALETTE["grey"], alpha=0.15, linewidth=0, zorder=0)
        ax.set(xscale="log")
        name = f"{passes} pass" + ("es" if passes > 1 else "")
        ax.text(0.01, 0.9, name, transform=ax.transAxes, va="top", weight="bold")
        ax.text(0.99, 0.9, f"outside {outside.mean():.0%}\nno gradient {stopped.mean():.0%}", transform=ax.transAxes,
                ha="right", va="top", fontsize=9)  # fmt: skip
    _plain_ticks(axes[-1].xaxis, (edges[0], 0.5, low, 1, high, 2, edges[-1]))
    labels = [tick.get_text() for tick in axes[-1].get_xticklabels()]
    axes[-1].set_xticklabels([f"≤ {labels[0]}", *labels[1:-1], f"≥ {labels[-1]}"])
    axes[-1].set_xlabel("ratio r (log scale)")
    figure.supylabel("share of the samples (%)", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _plain_ticks(axis, ticks):
    """Ticks of a log scale as plain numbers."""
    axis.set_ticks(list(ticks), [f"{tick:.3g}" for tick in ticks])
    axis.set_ticks([], minor=True)
