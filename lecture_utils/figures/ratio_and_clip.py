"""Figures of notebook 01: ratios between two policies, and the clipped objective over the ratio."""

import numpy as np
import torch

from lecture_utils import clipped_surrogate, surrogate
from lecture_utils.figures.style import LINE_STYLES, PALETTE, fixed_settings, new_figure

SERIES = dict(zip(("blue", "orange", "green"), LINE_STYLES, strict=False))
MARKERS = "osD"
RATIO_LABEL = "ratio r"
LINES = {  # label: colour, line style, width
    "r A": {"color": PALETTE["blue"], "linestyle": "--", "linewidth": 1.6},
    "clip(r) A": {"color": PALETTE["orange"], "linestyle": "-.", "linewidth": 1.6},
    "min": {"color": PALETTE["black"], "linestyle": "-", "linewidth": 3.2, "alpha": 0.55},
}


@fixed_settings()
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


@fixed_settings()
def return_and_surrogate(theta, returns, surrogates, old):
    """The return and the surrogate over the policy's parameter, (N,) arrays; old: where the batch was collected."""
    figure, ax = new_figure(width=6.5, height=3.6)
    ax.plot(theta, returns, color=PALETTE["blue"], linestyle="-", label="return J (all episodes of the new policy)")
    ax.plot(theta, surrogates, color=PALETTE["orange"], linestyle="--", label="return of the old policy + surrogate")
    ax.plot(old, np.interp(old, theta, returns), "o", color=PALETTE["black"], markersize=9, label="old policy")
    ax.set(xlabel="probability of a push, θ", ylabel="sum of rewards of an episode")
    ax.legend(fontsize=10, loc="upper left")
    ax.set_ylim(top=1.45 * np.max(surrogates))
    return figure


@fixed_settings()
def steps_on_objective(ratios, advantage, clip):
    """The clipped objective over the ratio with the ratios of one sample, (steps,), as numbered dots."""
    figure, ax = new_figure(width=6.5, height=3.6)
    draw_objective(ax, advantage, clip)
    objective = clipped_surrogate(torch.as_tensor(ratios), torch.as_tensor(float(advantage)), clip)
    for step, (ratio, value) in enumerate(zip(ratios, objective.tolist(), strict=True)):
        ax.plot(ratio, value, "o", color=PALETTE["black"], markersize=9, zorder=5)
        ax.annotate(str(step), (ratio, value), xytext=(-4, 11), textcoords="offset points", fontsize=12, weight="bold")
    ax.set(xlabel=RATIO_LABEL, ylabel="objective", xlim=(0.7, 1.6), ylim=(0.65, 1.65))
    ax.legend(fontsize=10, loc="upper left")
    return figure


@fixed_settings()
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


@fixed_settings()
def over_passes(tables, columns):
    """Medians across runs with their intervals over passes over one batch, a panel each of `columns`.

    tables: {label: DataFrame with passes and, for each column, name, name + " low" and name + " high"}.
    columns: {name: (title, whether the axis is logarithmic)}.
    """
    figure, axes = new_figure(1, len(columns), width=10.5, height=3.9, squeeze=False)
    for ax, (column, (title, logarithmic)) in zip(axes[0], columns.items(), strict=True):
        styles = zip(SERIES.items(), MARKERS, strict=True)
        for i, (((color, style), marker), (label, table)) in enumerate(zip(styles, tables.items(), strict=False)):
            middle, low, high = (table[column + end] for end in ("", " low", " high"))
            ax.errorbar(
                table.passes * 1.07**i, middle, [middle - low, high - middle], color=PALETTE[color], linestyle=style,
                marker=marker, capsize=3, label=label,
            )  # fmt: skip
        ax.set(xlabel="passes over the batch", title=title, xscale="log", yscale="log" if logarithmic else "linear")
        _plain_ticks(ax.xaxis, table.passes)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(tables), fontsize=11)
    return figure


def _plain_ticks(axis, ticks):
    """Ticks of a log scale as plain numbers."""
    axis.set_ticks(list(ticks), [f"{tick:.3g}" for tick in ticks])
    axis.set_ticks([], minor=True)


@fixed_settings()
def six_cases(clip):
    """What the slider panel shows, for A = +1 and -1 (rows) by r below, inside and above the band (columns)."""
    figure, axes = new_figure(2, 3, width=9.0, height=5.2, sharex=True, sharey="row")
    for row, advantage in zip(axes, (1.0, -1.0), strict=True):
        for ax, ratio in zip(row, ((1 - clip) / 2, 1.0, 1 + (1 + clip) / 2), strict=True):
            draw_objective(ax, advantage, clip)
            mark_ratio(ax, advantage, clip, ratio)
        row[0].set_ylabel("objective")
    for ax in axes[1]:
        ax.set_xlabel(RATIO_LABEL)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@fixed_settings()
def one_case(advantage, clip, ratio):
    """Objective with its branches (left) and gradient (right) with the place of one ratio marked."""
    figure, (left, right) = new_figure(1, 2, width=8.0, height=3.2, sharex=True)
    draw_objective(left, advantage, clip)
    gradient = mark_ratio(left, advantage, clip, ratio)
    draw_gradient(right, advantage, clip)
    right.plot(ratio, gradient, "o", color=PALETTE["black"], markersize=9)
    right.set_title("its gradient")
    left.set_ylabel("objective")
    right.set_ylabel("d objective / dr")
    for ax in (left, right):
        ax.set_xlabel(RATIO_LABEL)
        ax.legend(fontsize=8, loc="best")
    return figure


@fixed_settings()
def draw_objective(ax, advantage, clip):
    """Both branches and their min over r, with the band shaded."""
    ratio, branches, _ = _over_ratios(advantage, clip)
    for label, values in branches.items():
        ax.plot(ratio, values, label=label, **LINES[label])
    _shade_band(ax, clip)


@fixed_settings()
def draw_gradient(ax, advantage, clip):
    """The gradient of the min and that of the clip alone over r, with the band shaded."""
    ratio, _, gradients = _over_ratios(advantage, clip)
    ax.plot(ratio, gradients["min"], label="with the min", **LINES["min"])
    ax.plot(ratio, gradients["clip(r) A"], label="clip alone", **LINES["clip(r) A"])
    _shade_band(ax, clip)
    reach = 1.3 * max(abs(advantage), 0.5)
    ax.set_ylim(-reach, reach)


@fixed_settings()
def mark_ratio(ax, advantage, clip, ratio):
    """A dot at one ratio, an arrow where the gradient pushes it, both in the title; returns the gradient."""
    ratio, objective, gradient = _at(advantage, clip, ratio)
    ax.plot(ratio, objective, "o", color=PALETTE["black"], markersize=9, zorder=5)
    if gradient:
        ax.annotate(
            "", xytext=(ratio, objective), xy=(ratio + 0.45 * np.sign(gradient), objective),
            arrowprops={"arrowstyle": "-|>", "linewidth": 2, "color": PALETTE["black"]}, zorder=6,
        )  # fmt: skip
    slope = f"gradient {_signed(gradient)}" if gradient else "no gradient"
    ax.set_title(f"A = {_signed(advantage)}, r = {ratio:.2f}: {slope}")
    return gradient


def _over_ratios(advantage, clip):
    r = torch.linspace(0.0, 2.5, 1001, dtype=torch.float64, requires_grad=True)
    a = torch.full_like(r, advantage)
    branches = {
        "r A": surrogate(r, a),
        "clip(r) A": surrogate(r.clamp(1 - clip, 1 + clip), a),
        "min": clipped_surrogate(r, a, clip),
    }
    gradients = {label: torch.autograd.grad(x.sum(), r, retain_graph=True)[0].numpy() for label, x in branches.items()}
    return r.detach().numpy(), {label: x.detach().numpy() for label, x in branches.items()}, gradients


def _at(advantage, clip, ratio):
    r = torch.tensor(float(ratio), dtype=torch.float64, requires_grad=True)
    objective = clipped_surrogate(r, torch.tensor(float(advantage), dtype=torch.float64), clip)
    (gradient,) = torch.autograd.grad(objective, r)
    return r.item(), objective.item(), gradient.item()


def _shade_band(ax, clip):
    ax.axvspan(1 - clip, 1 + clip, color=PALETTE["grey"], alpha=0.18, linewidth=0)


def _signed(number):
    return f"{number:+.3g}".replace("-", "\N{MINUS SIGN}")
