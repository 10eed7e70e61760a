"""Maps over the states of the pendulum: what a policy does there, and what it earns from there."""

import numpy as np

from lecture_utils.pendulum import MAX_SPEED, MAX_TORQUE
from lecture_utils.plots import new_figure

CELLS = (31, 25)  # nodes of theta and of theta_dot
TORQUE = (-MAX_TORQUE, MAX_TORQUE)  # limits for maps of torques, in N m


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
        axes.set_xlabel(r"$\theta$ (rad), 0 is upright")
        axes.set_xticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
        axes.grid(False)
    grid[0, 0].set_ylabel(r"$\dot\theta$ (rad/s)")
    return figure
