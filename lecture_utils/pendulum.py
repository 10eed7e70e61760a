"""Pendulum-v1 for many episodes at once, equal to Gymnasium's own step by step; registered as lecture/Pendulum-v1."""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, utils

from lecture_utils.checks import real_array, whole

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
    `np_random` and `np_random_seed` are tuples as in SyncVectorEnv, so that environment i starts where Pendulum-v1 does
    with seed s + i; CartPoleVectorEnv's one generator could not. `np_random` takes num_envs generators, or one for all.
    Raises ValueError for whole numbers below 1 and for any `render_mode` but None: there are no pictures.
    Source: gymnasium/envs/classic_control/pendulum.py; the arithmetic keeps its order and its number formats.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs=16, max_episode_steps=EPISODE_STEPS, render_mode=None):
        if render_mode is not None:
            raise ValueError(f"render_mode must be None, got {render_mode!r:.80}")
        self.num_envs = whole("num_envs", num_envs, 1)
        self.max_episode_steps = whole("max_episode_steps", max_episode_steps, 1)
        bound = np.array([1.0, 1.0, MAX_SPEED], dtype=np.float32)
        spaces = gymnasium.spaces.Box(-bound, bound), gymnasium.spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,))
        self.single_observation_space, self.single_action_space = spaces
        self.observation_space, self.action_space = (utils.batch_space(space, self.num_envs) for space in spaces)
        self._sources = [gymnasium.Env() for _ in range(self.num_envs)]  # each for its generator and seed alone
        self._state, self._elapsed = None, 0  # one clock for all: they start, are cut and start again together

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

    np_random = property(lambda self: tuple(source.np_random for source in self._sources))
    np_random_seed = property(lambda self: tuple(source.np_random_seed for source in self._sources))

    @np_random.setter
    def np_random(self, value):
        value = list(value) if np.iterable(value) else [value] * self.num_envs
        if len(value) != self.num_envs or not all(isinstance(one, np.random.Generator) for one in value):
            raise ValueError(f"np_random must be a NumPy Generator or {self.num_envs} of them, got {value!r:.80}")
        for source, one in zip(self._sources, value, strict=True):
            source.np_random = one  # which makes its seed -1, for not known

    def reset(self, *, seed=None, options=None):
        """Start `num_envs` new episodes; returns (observations, {}).

        seed: None, a whole number s (environment i is seeded s + i) or num_envs of them or Nones.
        options: None or {"state": (num_envs, 2) array of theta, theta_dot} to start where you say.
        """
        if set(options or ()) - {"state"}:
            raise ValueError(f"options takes the key 'state' only, got {sorted(options)}")
        if seed is not None:
            seeds = list(seed) if np.iterable(seed) else [whole("seed", seed, 0) + i for i in range(self.num_envs)]
            if len(seeds) != self.num_envs:
                raise ValueError(f"seed must be None, a whole number or {self.num_envs} of them, got {seed!r:.80}")
            for source, one in zip(self._sources, seeds, strict=True):
                source.reset(seed=one if one is None else whole("seed", one, 0))
        if options:
            self.state = options["state"]
        else:  # as `uniform` does it, which takes ten times as long with arrays for bounds
            starts = np.empty((self.num_envs, 2))
            for generator, start in zip(self.np_random, starts, strict=True):
                generator.random(out=start)
            self.state = -START_HIGH + 2 * START_HIGH * starts
        self._elapsed = 0
        return self._observe(), {}

    def step(self, actions):
        """Apply the torques. Returns observations, then rewards, terminations and truncations (num_envs,), and {}."""
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        actions = np.asarray(actions)
        if actions.dtype.kind not in "biuf":
            raise TypeError(f"actions must be real numbers, got an array of {actions.dtype}")
        if actions.shape != (self.num_envs, 1):
            raise ValueError(f"actions must have shape ({self.num_envs}, 1), got {actions.shape}")
        ended = np.zeros((2, self.num_envs), dtype=bool)
        if self._elapsed >= self.max_episode_steps:
            return self.reset()[0], np.zeros(self.num_envs), *ended, {}
        self._elapsed += 1
        ended[1] = self._elapsed == self.max_episode_steps
        theta, theta_dot = self._state
        torque = np.maximum(np.minimum(actions[:, 0], MAX_TORQUE), -MAX_TORQUE)
        cost = wrap_angle(theta) ** 2 + 0.1 * theta_dot**2 + 0.001 * torque**2
        theta_dot = theta_dot + (15.0 * np.sin(theta) + 3.0 * torque) * TIME_STEP
        theta_dot = np.maximum(np.minimum(theta_dot, MAX_SPEED), -MAX_SPEED)
        self._state = np.array([theta + theta_dot * TIME_STEP, theta_dot])
        return self._observe(), np.negative(cost, out=cost), *ended, {}

    def _observe(self):
        observations, (theta, theta_dot) = np.empty((self.num_envs, 3), dtype=np.float32), self._state
        observations[:, 0], observations[:, 1], observations[:, 2] = np.cos(theta), np.sin(theta), theta_dot
        return observations


def wrap_angle(theta):
    """The same angle in [-pi, pi), in rad."""
    return (theta + np.pi) % (2 * np.pi) - np.pi


def fixed_starts(n):
    """(n, 2) float64 starts (theta in rad, theta_dot in rad/s) as Pendulum-v1 draws them; a larger n adds to them."""
    return np.random.default_rng(0).uniform(-START_HIGH, START_HIGH, (whole("n", n, 1), 2))


gymnasium.register(
    "lecture/Pendulum-v1", "gymnasium.envs.classic_control:PendulumEnv", max_episode_steps=EPISODE_STEPS,
    vector_entry_point="lecture_utils.pendulum:PendulumVectorEnv")  # fmt: skip
