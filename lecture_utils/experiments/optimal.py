"""The true optimum of Pendulum-v1, by value iteration, for the trained agents to be held against.

`python -m lecture_utils.experiments.optimal` makes data/optimal.npz again, in about 20 seconds on one core.

Source: Bellman 1957, backward induction; Sutton and Barto 2018, section 4.4. The rest is measured: see `solve`.
"""

import dataclasses
import os
import pathlib

import numpy as np

from lecture_utils import PendulumVectorEnv, checks, fixed_starts
from lecture_utils.experiments.data_files import DATA, checked, read_arrays, write_checksums
from lecture_utils.pendulum import EPISODE_STEPS, MAX_SPEED, MAX_TORQUE, TIME_STEP

FILE = "optimal.npz"
STORED = 2  # every second node of the solved grid is kept in each direction


@dataclasses.dataclass(frozen=True)
class Optimum:
    """The optimal value of the states of Pendulum-v1, and the policy that is greedy on it.

    With all 200 steps to go the value has stopped changing (the last 50 steps of `solve` move no node by 0.05), so
    it serves at every step: acting on the value of the steps that are left instead changes the mean return by < 0.01.
    """

    value_grid: np.ndarray  # (n_theta, n_theta_dot): theta from -pi up to, not including, pi; theta_dot from -8 to 8
    n_torque: int  # torques that are tried, equally spaced from -2 to 2 N m
    gamma: float = 1.0

    def value(self, theta, theta_dot):
        """Largest expected sum of rewards from these states, bilinear between the nodes of the grid.

        theta in rad (any turn), theta_dot in rad/s within +-8: arrays or numbers that broadcast to the shape returned.
        """
        theta, theta_dot = _states(theta, theta_dot)
        n_theta, n_theta_dot = self.value_grid.shape
        row, row_part = _split((theta + np.pi) * n_theta / (2 * np.pi) % n_theta)
        column, column_part = _split((theta_dot + MAX_SPEED) * (n_theta_dot - 1) / (2 * MAX_SPEED))
        last = n_theta_dot - 1
        low, high = (
            (1 - column_part) * self.value_grid[i % n_theta, column]
            + column_part * self.value_grid[i % n_theta, np.minimum(column + 1, last)]
            for i in (row, row + 1)
        )
        return (1 - row_part) * low + row_part * high

    def greedy_torque(self, theta, theta_dot):
        """Torque in N m with the largest reward plus value one step on; arguments and shape as for `value`."""
        theta, theta_dot = (x[..., None] for x in _states(theta, theta_dot))
        torque = np.linspace(-MAX_TORQUE, MAX_TORQUE, self.n_torque)
        next_theta_dot = theta_dot + (15.0 * np.sin(theta) + 3.0 * torque) * TIME_STEP
        next_theta_dot = next_theta_dot.clip(-MAX_SPEED, MAX_SPEED)
        next_theta = theta + next_theta_dot * TIME_STEP
        return torque[np.argmax(self.gamma * self.value(next_theta, next_theta_dot) - 0.001 * torque**2, axis=-1)]


def solve(n_theta=720, n_theta_dot=601, n_torque=21, steps=EPISODE_STEPS, gamma=1.0):
    """Value iteration: the optimum with `steps` to go, as an Optimum on an (n_theta, n_theta_dot) grid.

    The return is undiscounted, as agents are evaluated; gamma below 1 gives the discounted optimum.
    Measured, mean over fixed_starts(300), value and return of its greedy policy: -135.7 and -134.9 on a grid of
    180 x 151, -134.4 and -134.1 on 360 x 301, -133.9 and -133.7 on 720 x 601, with 21 torques; 41 change 0.01.
    Interpolating blurs the ridges where one more swing starts to pay, so the value lies below what its policy reaches.

    Raises ValueError for n_theta odd or below 8, n_theta_dot or n_torque even or below 3 (rest is then no node),
    steps below 1 and gamma outside [0, 1].
    """
    _check_grid(n_theta, n_theta_dot, n_torque)
    steps, gamma = checks.whole("steps", steps, 1), checks.hyperparameter("gamma", gamma)
    theta = np.linspace(-np.pi, np.pi, n_theta, endpoint=False)[:, None]
    theta_dot = np.linspace(-MAX_SPEED, MAX_SPEED, n_theta_dot)
    state_reward = -(theta**2 + 0.1 * theta_dot**2).astype(np.float32)

    # theta moves by the new theta_dot alone, so a step is two interpolations in one dimension: first along theta ...
    turn, turn_part = _split(theta_dot * TIME_STEP * n_theta / (2 * np.pi))
    rows = (np.arange(n_theta)[:, None] + turn) % n_theta
    here, there = (i * n_theta_dot + np.arange(n_theta_dot) for i in (rows, (rows + 1) % n_theta))
    # ... then along theta_dot, where a torque moves all states of one theta by the same distance. Edge columns that
    # are repeated are the speed limit.
    torque = np.linspace(-MAX_TORQUE, MAX_TORQUE, n_torque)
    kicks = (15.0 * np.sin(theta) + 3.0 * torque[:, None, None]) * TIME_STEP * (n_theta_dot - 1) / (2 * MAX_SPEED)
    kick, kick_part = _split(kicks)
    edge = int(np.abs(kick).max()) + 1
    width = n_theta_dot + 2 * edge
    landing = (np.arange(n_theta)[:, None] * width + edge + kick + np.arange(n_theta_dot)).astype(np.int32)

    value = np.zeros_like(state_reward)
    for _ in range(steps):
        turned = gamma * ((1 - turn_part) * value.take(here) + turn_part * value.take(there))
        turned = np.pad(turned, ((0, 0), (edge, edge)), mode="edge")
        slope = np.diff(turned, axis=1, append=turned[:, -1:])
        best = np.full_like(value, -np.inf)
        for k in range(n_torque):
            landed = turned.take(landing[k]) + kick_part[k] * slope.take(landing[k])
            np.maximum(best, landed - np.float32(0.001 * torque[k] ** 2), out=best)
        value = state_reward + best
    return Optimum(value, int(n_torque), gamma)


def optimal_returns(starts=None, optimum=None):
    """Returns (n,) of the greedy policy from `starts` (n, 2), by default fixed_starts(100), in PendulumVectorEnv.

    Undiscounted sums of 200 rewards; the same starts as `evaluate` takes. optimum: by default the stored one.
    """
    optimum = load_optimal() if optimum is None else optimum
    starts = fixed_starts(100) if starts is None else np.asarray(starts, dtype=np.float64)
    if starts.ndim != 2 or starts.shape[1] != 2 or not len(starts):
        raise ValueError(f"starts must be (n, 2): theta, theta_dot, got shape {starts.shape}")
    envs = PendulumVectorEnv(len(starts))
    envs.reset(options={"state": starts})
    returns = np.zeros(len(starts))
    for _ in range(EPISODE_STEPS):
        returns += envs.step(optimum.greedy_torque(*envs.state.T)[:, None])[1]
    return returns


def load_optimal(folder=DATA):
    """The stored Optimum of data/optimal.npz: 360 x 301 nodes of the one solved on 720 x 601.

    Raises FileNotFoundError or ValueError that say what is wrong with the file.
    """
    stored = read_arrays(checked(FILE, folder), {"value_grid": 2, "n_torque": 0})
    return Optimum(stored["value_grid"], int(stored["n_torque"]))


def save_optimal(optimum, folder=DATA):
    """Write `optimum`, undiscounted, to optimal.npz in `folder`; its checksum is recorded by `write_checksums`."""
    path = pathlib.Path(folder) / FILE
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, value_grid=optimum.value_grid.astype(np.float32), n_torque=optimum.n_torque)
    os.replace(temporary, path)


def thinned(optimum, every=STORED):
    """The same optimum with every `every`-th node of its grid."""
    return dataclasses.replace(optimum, value_grid=np.ascontiguousarray(optimum.value_grid[::every, ::every]))


def _split(position):
    """Whole part as integers, and the rest as float32."""
    whole = np.floor(position).astype(np.int64)
    return whole, (position - whole).astype(np.float32)


def _states(theta, theta_dot):
    theta, theta_dot = np.broadcast_arrays(np.asarray(theta, dtype=np.float64), np.asarray(theta_dot, dtype=np.float64))
    if not np.isfinite(theta).all():
        raise ValueError("theta must be finite angles in rad, got NaN or infinity")
    if not (np.abs(theta_dot) <= MAX_SPEED).all():
        raise ValueError(f"theta_dot must be within +-8 rad/s, got {theta_dot.min():g} to {theta_dot.max():g}")
    return theta, theta_dot


def _check_grid(n_theta, n_theta_dot, n_torque):
    limits = {"n_theta": (n_theta, 8, 0), "n_theta_dot": (n_theta_dot, 3, 1), "n_torque": (n_torque, 3, 1)}
    for name, (value, low, parity) in limits.items():
        if not isinstance(checks.plain(value), int) or value < low or value % 2 != parity:
            kind = ("even", "odd")[parity]
            raise ValueError(f"{name} must be an {kind} whole number of at least {low}, got {value!r}")


def main():
    """Make data/optimal.npz again and print how far it can be trusted."""
    starts = fixed_starts(300)
    fine = solve()
    stored = thinned(fine)
    save_optimal(stored)
    write_checksums(names=["optimal.npz"])
    for name, optimum in {"solved": fine, "half the nodes each way": solve(360, 301), "stored": stored}.items():
        value, returns = optimum.value(*starts.T).mean(), optimal_returns(starts, optimum).mean()
        print(f"{name}: value {value:.2f}, return of its greedy policy {returns:.2f} over 300 starts")


if __name__ == "__main__":
    main()
