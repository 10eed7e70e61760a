"""Pendulum-v1 for many episodes at once, equal to Gymnasium's own step by step."""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from lecture_utils.checks import real_array

MAX_SPEED = 8.0  # rad/s
MAX_TORQUE = 2.0  # N m
TIME_STEP = 0.05  # s
EPISODE_STEPS = 200
START_HIGH = np.array([np.pi, 1.0])  # resets are uniform over +-(theta in rad, theta_dot in rad/s)


class PendulumVectorEnv(VectorEnv):
    """`num_envs` independent pendulums, stepped together.

    The pendulum has g = 10 m/s^2, mass 1 kg and length 1 m. Observations are (num_envs, 3) float32: cos theta,
    sin theta, theta_dot in rad/s; theta = 0 is upright. Actions are (num_envs, 1): torques in N m, clipped to +-2.
    The reward of a step is -(theta^2 + 0.1 theta_dot^2 + 0.001 torque^2), theta wrapped to [-pi, pi). Episodes never
    terminate; they are truncated after `max_episode_steps`, and the step after that resets (Gymnasium's NEXT_STEP).

    Source: gymnasium/envs/classic_control/pendulum.py; the arithmetic keeps its order and its number formats.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs=16, max_episode_steps=EPISODE_STEPS):
        for name, value in {"num_envs": num_envs, "max_episode_steps": max_episode_steps}.items():
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        self.num_envs = int(num_envs)
        self.max_episode_steps = int(max_episode_steps)
        bound = np.array([1.0, 1.0, MAX_SPEED], dtype=np.float32)
        self.single_observation_space = gymnasium.spaces.Box(-bound, bound, dtype=np.float32)
        self.single_action_space = gymnasium.spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,), dtype=np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._generators = [None] * self.num_envs
        self._state = None
        self._elapsed = 0  # one clock for all: they start, are cut and start again together

    @property
    def state(self):
        """(num_envs, 2) float64: theta in rad (not wrapped), theta_dot in rad/s. Setting it leaves the clock alone."""
        return None if self._state is None else self._state.T

    @state.setter
    def state(self, value):
        value = real_array("state", value, np.float64)
        if value.shape != (self.num_envs, 2) or not np.isfinite(value).all():
            raise ValueError(f"state must be ({self.num_envs}, 2) finite numbers, got shape {value.shape}: {value!r}")
        self._state = value.T.copy()

    def reset(self, *, seed=None, options=None):
        """Start `num_envs` new episodes; returns (observations, {}).

        seed: None, one int s (environment i is seeded s + i) or a list of num_envs ints or Nones.
        options: None or {"state": (num_envs, 2) array of theta, theta_dot} to start where you say.
        """
        options = options or {}
        if set(options) - {"state"}:
            raise ValueError(f"options takes the key 'state' only, got {sorted(options)}")
        self._seed(seed)
        self.state = options["state"] if "state" in options else self._draw_starts()
        self._elapsed = 0
        return self._observe(), {}

    def step(self, actions):
        """Apply one torque to each pendulum.

        actions: (num_envs, 1), clipped to the torque limit. Returns observations (num_envs, 3), rewards (num_envs,),
        terminations (num_envs,), truncations (num_envs,) and an empty dict.
        """
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        actions = np.asarray(actions)
        if actions.dtype.kind not in "biuf":
            raise TypeError(f"actions must be real numbers, got an array of {actions.dtype}")
        if actions.shape != (self.num_envs, 1):
            raise ValueError(f"actions must have shape ({self.num_envs}, 1), got {actions.shape}")
        self._elapsed += 1
        if self._elapsed > self.max_episode_steps:
            self.state, self._elapsed = self._draw_starts(), 0
            rewards = np.zeros(self.num_envs)
        else:
            rewards = self._swing(actions[:, 0])
        ended = np.zeros((2, self.num_envs), dtype=bool)
        ended[1] = self._elapsed == self.max_episode_steps
        return self._observe(), rewards, *ended, {}

    def _swing(self, torque):
        """Move all pendulums by one time step; returns the rewards."""
        theta, theta_dot = self._state
        torque = np.maximum(np.minimum(torque, MAX_TORQUE), -MAX_TORQUE)
        cost = wrap_angle(theta) ** 2 + 0.1 * theta_dot**2 + 0.001 * torque**2
        theta_dot = theta_dot + (15.0 * np.sin(theta) + 3.0 * torque) * TIME_STEP
        self._state = np.empty((2, self.num_envs))
        np.maximum(np.minimum(theta_dot, MAX_SPEED), -MAX_SPEED, out=self._state[1])
        np.add(theta, self._state[1] * TIME_STEP, out=self._state[0])
        return np.negative(cost, out=cost)

    def _observe(self):
        observation = np.empty((self.num_envs, 3), dtype=np.float32)
        theta, theta_dot = self._state
        np.cos(theta, out=observation[:, 0])
        np.sin(theta, out=observation[:, 1])
        observation[:, 2] = theta_dot
        return observation

    def _seed(self, seed):
        if isinstance(seed, (int, np.integer)):
            seed = [int(seed) + i for i in range(self.num_envs)]
        seed = [None] * self.num_envs if seed is None else list(seed)
        if len(seed) != self.num_envs:
            raise ValueError(f"seed must be None, an int or {self.num_envs} of them, got a list of {len(seed)}")
        for i, one in enumerate(seed):
            if one is not None:
                self._generators[i] = np.random.default_rng(one)

    def _draw_starts(self):
        starts = np.empty((self.num_envs, 2))
        for i, start in enumerate(starts):
            if self._generators[i] is None:
                self._generators[i] = np.random.default_rng()
            self._generators[i].random(out=start)
        # As `uniform` does it, which takes ten times as long with arrays for bounds.
        return -START_HIGH + 2 * START_HIGH * starts


def wrap_angle(theta):
    """The same angle in [-pi, pi), in rad."""
    return (theta + np.pi) % (2 * np.pi) - np.pi


def fixed_starts(n):
    """(n, 2) float64 starts (theta in rad, theta_dot in rad/s), the same for everybody.

    Drawn as Pendulum-v1 draws its resets. fixed_starts(100) are the first 100 rows of fixed_starts(300).
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1, got {n!r}")
    return np.random.default_rng(0).uniform(-START_HIGH, START_HIGH, (int(n), 2))


gymnasium.register(
    id="lecture/Pendulum-v1",
    entry_point="gymnasium.envs.classic_control:PendulumEnv",
    vector_entry_point="lecture_utils.pendulum:PendulumVectorEnv",
    max_episode_steps=EPISODE_STEPS,
)
