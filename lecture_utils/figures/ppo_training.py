"""Figures of notebook 03: training logs, and maps over the states of the pendulum."""

import numpy as np

from lecture_utils.figures.style import PALETTE, fixed_settings, new_figure
from lecture_utils.pendulum import MAX_SPEED, MAX_TORQUE

CELLS = (31, 25)  # nodes of theta and of theta_dot
TORQUE = (-MAX_TORQUE, MAX_TORQUE)  # limits for maps of torques, in N m


@fixed_settings()
def learning_curves(log, live=None, window=50, optimum=None):
    """Return over episodes: every run of `log` thin, their mean thick, the runs of `live` in colour on top.

    log, live: DataFrames with run, episode, reward (as train returns them). Each point is the mean of the `window`
    episodes before it. optimum: a mean return to draw as a line.
    """
    figure, axes = new_figure(width=7.2, height=3.4)
    curves = smoothed(log, window)
    axes.plot(curves.index, curves, color=PALETTE["grey"], linewidth=0.7, alpha=0.6, linestyle="-")
    axes.plot([], [], color=PALETTE["grey"], linewidth=1.2, linestyle="-", label=f"{curves.shape[1]} recorded runs")
    axes.plot(curves.index, curves.mean(axis=1), color=PALETTE["black"], linestyle="-", label="their mean")
    if live is not None:
        curves = smoothed(live, window)
        axes.plot(curves.index, curves, color=PALETTE["orange"], linewidth=1.6, linestyle="--")
        axes.plot([], [], color=PALETTE["orange"], linewidth=1.6, linestyle="--", label=f"{curves.shape[1]} live runs")
    if optimum is not None:
        axes.axhline(optimum, color=PALETTE["green"], linestyle=":", label="optimum")
    axes.set(xlabel="episode (200 steps each)", ylabel=f"return, mean of {window} episodes")
    axes.legend(loc="upper left")  # where no run is yet
    return figure


def smoothed(log, window):
    """Trailing means over `window` episodes: a DataFrame with episodes as rows and runs as columns."""
    table = log.pivot(index="episode", columns="run", values="reward")
    every = max(1, window // 10)  # more points than that are not seen, and make an SVG of a megabyte
    return table.rolling(window, min_periods=min(window, 10)).mean().iloc[::every]


@fixed_settings()
def scores(groups, labels, optimum=None):
    """One dot a run, one row a group, the mean of each group as a bar.

    groups: arrays (R,) of scores (mean returns). labels: a name for each. optimum: a mean return to draw as a line.
    """
    figure, axes = new_figure(width=7.2, height=0.8 + 0.6 * len(groups))
    markers, colors = "osD^v", ("blue", "orange", "green", "purple", "black")
    for row, (group, marker, color) in enumerate(zip(groups, markers, colors, strict=False)):
        axes.plot(group, np.full(len(group), row), marker, color=PALETTE[color], alpha=0.6, linestyle="none")
        axes.plot([np.mean(group)] * 2, [row - 0.3, row + 0.3], color=PALETTE["black"], linestyle="-")
    if optimum is not None:
        axes.axvline(optimum, color=PALETTE["black"], linestyle=":", linewidth=1.5)
        axes.annotate("optimum ", (optimum, 0.5), ha="right", va="center", fontsize=10)
        axes.set_xlim(right=optimum + 40)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="mean return of a run over 100 episodes", ylim=(len(groups) - 0.5, -0.5))
    return figure


DIAGNOSTICS = {
    "clip_fraction": "clip fraction",
    "kl_after": "KL (nats, log)",
    "loss_ent": "entropy (nats)",
    "explained_variance": "explained variance",
}


@fixed_settings()
def diagnostics(log, window=50):
    """Four panels over episodes, every run of `log` thin, their median thick: clip fraction, KL after the update,
    entropy, explained variance. In the panel of the KL the median of approx_kl too, dashed.

    log: a DataFrame as train returns it. Each point is the mean of `window` episodes; for KL and explained variance,
    which single episodes send far out, their median.
    """
    figure, grid = new_figure(2, 2, width=8.2, height=4.6, sharex=True)
    for axes, (name, label) in zip(grid.flat, DIAGNOSTICS.items(), strict=True):
        curves = _blocks(log, name, window)
        axes.plot(curves.index, curves, color=PALETTE["grey"], linewidth=0.7, alpha=0.6, linestyle="-")
        axes.plot(curves.index, curves.median(axis=1), color=PALETTE["black"], linestyle="-", label=name)
        axes.set_ylabel(label)
    along = _blocks(log, "approx_kl", window).median(axis=1)
    grid[0, 1].plot(along.index, along, color=PALETTE["orange"], linestyle="--", label="approx_kl")
    grid[0, 1].set_yscale("log")
    grid[0, 1].legend(loc="upper right", ncols=2)
    low, high = grid[0, 1].get_ylim()
    grid[0, 1].set_ylim(low, 5 * high)  # room for the legend
    grid[1, 1].set_ylim(min(0, curves.quantile(0.02).min()), 1.02)
    for axes in grid[1]:
        axes.set_xlabel("episode")
    return figure


def _blocks(log, name, window):
    """One number for each run and `window` episodes, its mean or its median: a DataFrame, runs as columns."""
    table = log.pivot(index="episode", columns="run", values=name)
    blocks = table.groupby(table.index // window * window)
    return blocks.mean() if name in ("clip_fraction", "loss_ent") else blocks.median()


def state_grid(cells=CELLS):
    """The states of a map, (n_theta * n_theta_dot, 2): theta in rad from -pi to pi, theta_dot in rad/s from -8 to 8."""
    theta, theta_dot = np.meshgrid(
        np.linspace(-np.pi, np.pi, cells[0]), np.linspace(-MAX_SPEED, MAX_SPEED, cells[1]), indexing="ij"
    )
    return np.stack([theta.ravel(), theta_dot.ravel()], axis=-1)


def observed(states):
    """States (N, 2) as the agent sees them: cos theta, sin theta, theta_dot, (N, 3) float32."""
    theta, theta_dot = np.asarray(states).T
    return np.stack([np.cos(theta), np.sin(theta), theta_dot], axis=-1).astype(np.float32)


@fixed_settings()
def state_maps(maps, units, limits, cells=CELLS):
    """Maps side by side, with one colour bar each.

    maps: dict of title -> (n_theta * n_theta_dot,) numbers at state_grid(cells). units: a label for each colour bar.
    limits: (low, high) for each; where low = -high the colours diverge from white.
    """
    figure, grid = new_figure(1, len(maps), width=3.0 * len(maps), height=2.75, sharey=True, squeeze=False)
    for axes, (title, values), unit, (low, high) in zip(grid[0], maps.items(), units, limits, strict=True):
        values = np.asarray(values, dtype=float).reshape(cells)
        picture = axes.imshow(
            values.T, origin="lower", aspect="auto", extent=(-np.pi, np.pi, -MAX_SPEED, MAX_SPEED), vmin=low, vmax=high,
            cmap="PuOr" if low == -high else "cividis", interpolation="nearest",
        )  # fmt: skip
        figure.colorbar(picture, ax=axes, label=unit, shrink=0.95)
        axes.set_title(title)
        axes.set_xlabel("angle (rad), 0 is upright")
        axes.set_xticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
        axes.grid(False)
    grid[0, 0].set_ylabel("speed (rad/s)")
    return figure
