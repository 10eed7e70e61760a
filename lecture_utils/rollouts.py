"""Episodes: collecting them to learn from, and evaluating on them."""

import contextlib
import dataclasses

import gymnasium
import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils.advantages import NotFinite
from lecture_utils.pendulum import EPISODE_STEPS, START_HIGH, PendulumVectorEnv, fixed_starts, real_array


@contextlib.contextmanager
def torch_threads(limit):
    """At most `limit` torch threads inside, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, limit))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What R runs saw in E episodes of T steps each, as arrays.

    log_prob is that of `action` under the policy that collected it; `terminated` is true where an episode ended by
    itself, not where the clock cut it. Raises ValueError for shapes that disagree and numbers that are not finite.
    """

    observation: np.ndarray  # (R, E, T, O)
    action: np.ndarray  # (R, E, T, A), the action that is scored
    log_prob: np.ndarray  # (R, E, T)
    reward: np.ndarray  # (R, E, T)
    next_observation: np.ndarray  # (R, E, T, O)
    terminated: np.ndarray  # (R, E, T)

    def __post_init__(self):
        shape = np.shape(self.reward)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            axes = 4 if field.name.endswith(("observation", "action")) else 3
            if np.shape(value)[:3] != shape or np.ndim(value) != axes or 0 in np.shape(value):
                shapes = {f.name: np.shape(getattr(self, f.name)) for f in dataclasses.fields(self)}
                raise ValueError(f"the fields of a rollout begin with the same axes (R, E, T), got {shapes}")
            if np.asarray(value).dtype.kind not in "biuf":
                raise TypeError(f"{field.name} must be an array of real numbers, got {np.asarray(value).dtype}")
            if not np.isfinite(value).all():
                raise NotFinite(field.name, value)

    @property
    def returns(self):
        """(R, E) sums of rewards, undiscounted."""
        return self.reward.sum(-1)


def run_episode(env, agent, max_steps=10_000):
    """One episode of one run in a plain Gymnasium environment, as a Rollout with R = E = 1.

    env: anything with Box spaces, gymnasium.make("Pendulum-v1") for one; stepped until it terminates, is truncated
    or has taken max_steps. Raises TypeError for other spaces, ValueError where env and agent do not fit each other.
    """
    check_agent(agent)
    _check_count("max_steps", max_steps)
    if agent.runs != 1:
        raise ValueError(f"agent must hold one run, got one of {agent.runs}; agent.select([k]) takes run k out")
    _check_spaces(agent, env.observation_space, env.action_space)
    low, high, dtype = env.action_space.low, env.action_space.high, env.action_space.dtype
    policy = agent.actor.on_arrays()
    steps = []
    observation, ended = np.ravel(env.reset()[0]), False
    while not ended and len(steps) < max_steps:
        mean, std = policy(np.asarray(observation, dtype=np.float32).reshape(1, 1, -1))
        action, log_prob = _score(agent, mean, std, mean + std * agent.noise(1, agent.action_dim))
        applied = np.clip(action.reshape(low.shape), low, high).astype(dtype)
        next_observation, reward, terminated, truncated, _ = env.step(applied)
        next_observation = np.ravel(next_observation)
        steps.append((observation, action[0, 0], log_prob[0, 0], float(reward), next_observation, terminated))
        observation, ended = next_observation, terminated or truncated
    return Rollout(*(np.array(column)[None, None] for column in zip(*steps, strict=True)))


def collect_episodes(agent, episodes=None, starts=None):
    """`episodes` episodes of Pendulum-v1 for each of the agent's runs, as a Rollout (R, E, 200, .).

    episodes: E, by default the agent's episodes_per_update. starts: (E, 2) theta and theta_dot for every run, or None
    to draw them. What is drawn, starts and action noise, comes from each run's own generator.
    """
    check_agent(agent)
    if starts is None:
        episodes = agent.hyperparameters.episodes_per_update if episodes is None else episodes
        _check_count("episodes", episodes)
        uniform = torch.stack([torch.rand(episodes, 2, generator=g, dtype=torch.float64) for g in agent.generators])
        starts = (2 * uniform.numpy() - 1) * START_HIGH
    else:
        starts = real_array("starts", starts, np.float64)
        starts = np.broadcast_to(starts, (agent.runs, *starts.shape))
    noise = agent.noise(EPISODE_STEPS, starts.shape[1], agent.action_dim)
    return _roll_out(agent, starts, noise)


@torch_threads(1)
def evaluate(agent, episodes=100, deterministic=False, starts=None):
    """Returns (R, episodes) of Pendulum-v1 from `fixed_starts(episodes)`, or from `starts` (episodes, 2).

    The noise of the sampled actions is the same at every call and for every run, and the agent's own generators are
    left alone: evaluating changes nothing in the training, and two agents meet the same episodes.
    """
    check_agent(agent)
    _check_count("episodes", episodes)
    starts = fixed_starts(episodes) if starts is None else real_array("starts", starts, np.float64)
    if starts.ndim != 2 or starts.shape[1] != 2 or not len(starts):
        raise ValueError(f"starts must be (episodes, 2): theta in rad, theta_dot in rad/s; got shape {starts.shape}")
    shape = (EPISODE_STEPS, len(starts), agent.action_dim)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).numpy()
    noise = np.zeros_like(noise) if deterministic else noise
    starts, noise = (np.broadcast_to(x, (agent.runs, *x.shape)) for x in (starts, noise))
    returns = np.zeros(starts.shape[:2])
    for *_, reward in _steps(agent, starts, noise):
        returns += reward
    if not np.isfinite(returns).all():
        raise NotFinite("reward", returns)
    return returns


@torch_threads(1)
def _roll_out(agent, starts, noise):
    """Pendulum-v1 from starts (R, E, 2) with action noise (R, T, E, A): a Rollout."""
    runs, steps, episodes, action_dim = noise.shape
    observations = np.empty((steps + 1, runs, episodes, agent.obs_dim), dtype=np.float32)
    rewards = np.empty((steps, runs, episodes))
    means, stds, actions = np.empty((3, steps, runs, episodes, action_dim), dtype=np.float32)
    for t, step in enumerate(_steps(agent, starts, noise)):
        observations[t], means[t], stds[t], actions[t], observations[t + 1], rewards[t] = step
    observations, rewards, means, stds, actions = (
        np.moveaxis(x, 0, 2) for x in (observations, rewards, means, stds, actions)
    )
    actions, log_probs = _score(agent, means, stds, actions)
    terminated = np.zeros(rewards.shape, dtype=bool)
    return Rollout(observations[:, :, :-1], actions, log_probs, rewards, observations[:, :, 1:], terminated)


def _steps(agent, starts, noise):
    """Step all pendulums T times; yields observation, mean, std, action, next observation, reward, each (R, E, ...)."""
    runs, steps, episodes, action_dim = noise.shape
    envs = PendulumVectorEnv(runs * episodes)
    _check_spaces(agent, envs.single_observation_space, envs.single_action_space)
    policy = agent.actor.on_arrays()
    observation = envs.reset(options={"state": starts.reshape(-1, 2)})[0].reshape(runs, episodes, -1)
    for t in range(steps):
        mean, std = (x.astype(np.float32, copy=False) for x in policy(observation))
        action = mean + std * noise[:, t]
        next_observation, reward, *_ = envs.step(action.reshape(-1, action_dim))
        next_observation = next_observation.reshape(runs, episodes, -1)
        yield observation, mean, std, action, next_observation, reward.reshape(runs, episodes)
        observation = next_observation


def _score(agent, mean, std, action):
    """The action that is scored and its log-probability, as arrays."""
    if agent.hyperparameters.score_action == "clipped":
        action = action.clip(-agent.action_limit, agent.action_limit)
    policy = Normal(torch.as_tensor(mean), torch.as_tensor(std), validate_args=False)
    return action, policy.log_prob(torch.as_tensor(action)).sum(-1).numpy()


def check_agent(agent):
    """Raises TypeError unless `agent` is one of this package's."""
    if not hasattr(agent, "hyperparameters") or not hasattr(agent, "actor"):
        raise TypeError(f"agent must be an A2C or a PPO, got {agent!r:.80}")


def _check_count(name, value):
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r:.80}")


def _check_spaces(agent, observation_space, action_space):
    spaces = {"observation": (observation_space, agent.obs_dim), "action": (action_space, agent.action_dim)}
    for name, (space, dim) in spaces.items():
        if not isinstance(space, gymnasium.spaces.Box):
            raise TypeError(f"the {name} space of env must be a Box, got {space!r}")
        if int(np.prod(space.shape)) != dim:
            raise ValueError(f"the agent takes {dim} {name} dimension(s), but env's {name} space is {space!r}")
