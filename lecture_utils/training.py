"""Collecting episodes, training and evaluating."""

import contextlib
import dataclasses

import gymnasium
import numpy as np
import pandas as pd
import torch
from torch.distributions import Normal
from tqdm.auto import tqdm

from lecture_utils.advantages import NotFinite
from lecture_utils.pendulum import EPISODE_STEPS, START_HIGH, PendulumVectorEnv, fixed_starts

SMALL_PRODUCT = 2**24  # multiplications in the product of one layer; from about here on a second thread helps

LOG_COLUMNS = (
    "run",
    "episode",
    "reward",
    "loss_act",
    "loss_v",
    "loss_ent",
    "clip_fraction",
    "approx_kl",
    "explained_variance",
)


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
            if np.shape(value)[:3] != shape or len(shape) != 3 or 0 in np.shape(value):
                shapes = {f.name: np.shape(getattr(self, f.name)) for f in dataclasses.fields(self)}
                raise ValueError(f"the fields of a rollout begin with the same axes (R, E, T), got {shapes}")
            if not np.isfinite(value).all():
                raise NotFinite(field.name, value)

    @property
    def returns(self):
        """(R, E) sums of rewards, undiscounted."""
        return self.reward.sum(-1)


class TrainingDiverged(RuntimeError):
    """A run's numbers stopped being finite. `run` is its index, `episode` where, `log` the DataFrame so far."""

    def __init__(self, run, seed, episode, what, log):
        super().__init__(
            f"run {run} (seed {seed}) diverged in episode {episode}: {what} is not finite. The other runs' weights are "
            "untouched. Try a smaller actor_lr or critic_lr, a max_grad_norm, or agent.select() to go on without it."
        )
        self.run, self.episode, self.log = run, episode, log


def run_episode(env, agent, max_steps=10_000):
    """One episode of one run in a plain Gymnasium environment, as a Rollout with R = E = 1.

    env: anything with Box spaces, gymnasium.make("Pendulum-v1") for one; stepped until it terminates, is truncated
    or has taken max_steps. Raises TypeError for other spaces, ValueError where env and agent do not fit each other.
    """
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
    if starts is None:
        episodes = agent.hyperparameters.episodes_per_update if episodes is None else episodes
        uniform = torch.stack([torch.rand(episodes, 2, generator=g, dtype=torch.float64) for g in agent.generators])
        starts = (2 * uniform.numpy() - 1) * START_HIGH
    else:
        starts = np.asarray(starts, dtype=np.float64)
        starts = np.broadcast_to(starts, (agent.runs, *starts.shape))
    noise = agent.noise(EPISODE_STEPS, starts.shape[1], agent.action_dim)
    return _roll_out(agent, starts, noise)


def evaluate(agent, episodes=100, deterministic=False, starts=None):
    """Returns (R, episodes) of Pendulum-v1 from `fixed_starts(episodes)`, or from `starts` (episodes, 2).

    The noise of the sampled actions is the same at every call and for every run, and the agent's own generators are
    left alone: evaluating changes nothing in the training, and two agents meet the same episodes.
    """
    starts = fixed_starts(episodes) if starts is None else np.asarray(starts, dtype=np.float64)
    if starts.ndim != 2 or starts.shape[1] != 2 or not len(starts):
        raise ValueError(f"starts must be (episodes, 2): theta in rad, theta_dot in rad/s; got shape {starts.shape}")
    shape = (EPISODE_STEPS, len(starts), agent.action_dim)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).numpy()
    noise = np.zeros_like(noise) if deterministic else noise
    starts, noise = (np.broadcast_to(x, (agent.runs, *x.shape)) for x in (starts, noise))
    return _roll_out(agent, starts, noise).returns


def train(agent, episodes=3000, progress=True):
    """Train every run for `episodes` more episodes; returns the log, a tidy DataFrame.

    One row a run and episode: run, episode, reward (the undiscounted return) and what agent.update tells. A
    KeyboardInterrupt ends the training early: the log so far is returned, and calling train again goes on. Raises
    TrainingDiverged where numbers stop being finite, ValueError for episodes that do not fill the last update.
    """
    per_update = agent.hyperparameters.episodes_per_update
    if (
        not isinstance(episodes, (int, np.integer))
        or isinstance(episodes, bool)
        or episodes < 1
        or episodes % per_update
    ):
        raise ValueError(
            f"episodes must be a multiple of episodes_per_update, {per_update}, and above 0, got {episodes!r}"
        )
    log, first = [], agent.episodes
    with (
        _threads(_threads_worth_having(agent)),
        tqdm(total=int(episodes), disable=not progress, desc="episodes") as bar,
    ):
        try:
            for _ in range(episodes // per_update):
                rollout = collect_episodes(agent)
                update = agent.update(rollout)
                log.append({"reward": rollout.returns, **update})
                for name, values in update.items():
                    if name != "explained_variance" and not np.isfinite(values).all():
                        raise NotFinite(name, values)
                agent.episodes = first + len(log) * per_update
                bar.update(per_update)
        except KeyboardInterrupt:
            bar.set_postfix_str("interrupted")
        except NotFinite as error:
            run = error.runs[0]
            log_so_far = _frame(log, first)
            raise TrainingDiverged(run, agent.seeds[run], agent.episodes, error.name, log_so_far) from None
        finally:
            # Counted from the log, because an interrupt can come between any two lines.
            agent.episodes = first + len(log) * per_update
    return _frame(log, first)


@contextlib.contextmanager
def _threads(limit):
    """At most `limit` torch threads inside, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, limit))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _threads_worth_having(agent):
    """One where the products of a layer are small: they lose more by sharing the work than they gain."""
    h = agent.hyperparameters
    return 1 if agent.runs * h.minibatch_size * max(h.hidden) ** 2 < SMALL_PRODUCT else torch.get_num_threads()


def _frame(log, first):
    """One dict an update, of (R, E) rewards and (R,) numbers, to the tidy log, ordered by run, then episode.

    first: the number of the first episode.
    """
    if not log:
        return pd.DataFrame(columns=LOG_COLUMNS)
    rewards = np.stack([entry["reward"] for entry in log], axis=1)
    runs, updates, per_update = rewards.shape
    columns = {
        "run": np.repeat(np.arange(runs), updates * per_update),
        "episode": np.tile(np.arange(first, first + updates * per_update), runs),
        "reward": rewards.ravel(),
    }
    for name in LOG_COLUMNS[3:]:
        columns[name] = np.repeat(np.stack([entry[name] for entry in log], axis=1).ravel(), per_update)
    return pd.DataFrame(columns)


def _roll_out(agent, starts, noise):
    """Pendulum-v1 from starts (R, E, 2) with action noise (R, T, E, A): a Rollout."""
    runs, steps, episodes, action_dim = noise.shape
    envs = PendulumVectorEnv(runs * episodes)
    _check_spaces(agent, envs.single_observation_space, envs.single_action_space)
    policy = agent.actor.on_arrays()
    observations = np.empty((steps + 1, runs, episodes, agent.obs_dim), dtype=np.float32)
    rewards = np.empty((steps, runs, episodes))
    means, stds, actions = np.empty((3, steps, runs, episodes, action_dim), dtype=np.float32)
    observations[0] = envs.reset(options={"state": starts.reshape(-1, 2)})[0].reshape(observations[0].shape)
    with _threads(1):
        for t in range(steps):
            means[t], stds[t] = policy(observations[t])
            actions[t] = means[t] + stds[t] * noise[:, t]
            observation, reward, *_ = envs.step(actions[t].reshape(-1, action_dim))
            observations[t + 1] = observation.reshape(observations[t].shape)
            rewards[t] = reward.reshape(runs, episodes)
    observations, rewards, means, stds, actions = (
        np.moveaxis(x, 0, 2) for x in (observations, rewards, means, stds, actions)
    )
    actions, log_probs = _score(agent, means, stds, actions)
    terminated = np.zeros(rewards.shape, dtype=bool)
    return Rollout(observations[:, :, :-1], actions, log_probs, rewards, observations[:, :, 1:], terminated)


def _score(agent, mean, std, action):
    """The action that is scored and its log-probability, as arrays."""
    if agent.hyperparameters.score_action == "clipped":
        action = action.clip(-agent.action_limit, agent.action_limit)
    policy = Normal(torch.as_tensor(mean), torch.as_tensor(std), validate_args=False)
    return action, policy.log_prob(torch.as_tensor(action)).sum(-1).numpy()


def _check_spaces(agent, observation_space, action_space):
    spaces = {"observation": (observation_space, agent.obs_dim), "action": (action_space, agent.action_dim)}
    for name, (space, dim) in spaces.items():
        if not isinstance(space, gymnasium.spaces.Box):
            raise TypeError(f"the {name} space of env must be a Box, got {space!r}")
        if int(np.prod(space.shape)) != dim:
            raise ValueError(f"the agent takes {dim} {name} dimension(s), but env's {name} space is {space!r}")
