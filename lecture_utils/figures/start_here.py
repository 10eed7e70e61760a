"""Figures of notebook 00: returns of policies, Gaussian densities, and what a loss promises beside what comes."""

import numpy as np
from torch.distributions import Normal

from lecture_utils.figures.style import LINE_STYLES, PALETTE, fixed_settings, new_figure
from lecture_utils.pendulum import MAX_TORQUE

COLORS = [PALETTE[name] for name in ("blue", "orange", "green", "purple", "black")]
MARKERS = "osD^v"
LABEL_HEIGHTS = (0.7, 0.35, 1.05, 1.4, 1.75)  # at least so high, so that labels keep apart


@fixed_settings()
def returns_by_policy(returns):
    """One dot an episode, one row a policy, the mean as a bar with its value. returns: dict of name -> (n,) returns."""
    figure, ax = new_figure(width=7.2, height=0.9 + 0.75 * len(returns))
    jitter = np.random.default_rng(0)
    for row, values in enumerate(returns.values()):
        color, marker = COLORS[row % len(COLORS)], MARKERS[row % len(MARKERS)]
        heights = row + jitter.uniform(-0.2, 0.2, len(values))
        ax.plot(values, heights, marker, color=color, markersize=4, alpha=0.45, linestyle="none")
        mean = np.mean(values)
        ax.plot([mean, mean], [row - 0.3, row + 0.3], color=PALETTE["black"], linewidth=3, linestyle="-")
        ax.annotate(f"mean {mean:.0f}", (mean, row - 0.32), ha="center", va="bottom", fontsize=10)
    ax.set_yticks(range(len(returns)), list(returns))
    ax.set(xlabel="return of an episode (sum of 200 rewards)", ylim=(len(returns) - 0.5, -0.75))
    return figure


@fixed_settings()
def gaussian_policies(policies, action):
    """Densities over the torque of several (mean, std), with log pi of one action marked on each."""
    figure, ax = new_figure(width=7.2, height=3.2)
    torque = np.linspace(-3.5, 3.5, 701)
    for i, (mean, std) in enumerate(policies):
        policy = Normal(mean, std)
        label = rf"$\mu$ = {mean:g}, $\sigma$ = {std:g}"
        density = np.exp(-0.5 * ((torque - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        ax.plot(torque, density, color=COLORS[i], linestyle=LINE_STYLES[i], label=label)
        log_prob = float(policy.log_prob(policy.mean.new_tensor(action)))
        ax.plot(action, np.exp(log_prob), MARKERS[i], color=COLORS[i], markersize=8)
        height = np.exp(log_prob)
        ax.annotate(
            rf"log $\pi$ = {log_prob:.2f}",
            xy=(action, height),
            xytext=(2.3, max(height, LABEL_HEIGHTS[i])),
            va="center",
            arrowprops={"arrowstyle": "-", "color": COLORS[i], "linewidth": 1, "shrinkB": 4},
        )
    ax.axvspan(-MAX_TORQUE, MAX_TORQUE, color=PALETTE["grey"], alpha=0.12, linewidth=0, zorder=0)
    ax.set(xlabel="action: torque (N m); grey: what the motor can do", ylabel="density (per N m)")
    ax.legend(loc="upper left", fontsize=9)
    return figure


@fixed_settings()
def promise_and_return(steps, objective, change):
    """After so many gradient steps on one batch: the objective's gain (left) and the change of the return (right).

    steps (K,) counts; objective (K, R) gains on the batch; change (K, R) changes of the true return.
    """
    figure, (left, right) = new_figure(1, 2, width=8.2, height=3.2)
    left.plot(steps, np.median(objective, axis=1), "o-", color=PALETTE["blue"])
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    left.set(ylabel="gain of the objective on the batch\n(median run, log scale)")
    right.plot(steps, change, color=PALETTE["grey"], linewidth=0.8, alpha=0.7, linestyle="-")
    right.plot(steps, np.mean(change, axis=1), "s--", color=PALETTE["orange"], linewidth=2.5)
    right.axhline(0, color=PALETTE["black"], linewidth=1, linestyle="-")
    right.set(ylabel="change of the true return\n(thin: one run; dashed: mean)")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xticks(steps, [f"{k}" for k in steps])
        ax.minorticks_off()
        ax.set_xlabel("gradient steps on the same batch")
    return figure
