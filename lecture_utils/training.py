"""Episodes to learn from and to be judged by, and the training loop with its log."""

import dataclasses
import warnings

import gymnasium
import numpy as np
import pandas as pd
import torch
from torch.distributions import Normal
from tqdm.auto import tqdm

from lecture_utils import checks, fast
from lecture_utils.pendulum import EPISODE_STEPS, START_HIGH, PendulumVectorEnv, fixed_starts

EVALUATION_SEED = (0, 1)  # of the action noise; fixed_starts has its own
LOSSES = ("loss_act", "loss_v", "loss_ent", "clip_fraction", "approx_kl")
LOG_COLUMNS = ("run", "episode", "reward", *LOSSES, "explained_variance", "kl_after")


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What R runs saw in E episodes of T steps each. ValueError for shapes that disagree and numbers not finite.

    log_prob is that of `action` under the policy that collected it; terminated: ended by itself, not cut by the clock.
    """

    observation: np.ndarray  # (R, E, T, O)
    action: np.ndarray  # (R, E, T, A), the action that is scored
    log_prob: np.ndarray  # (R, E, T)
    reward: np.ndarray  # (R, E, T)
    next_observation: np.ndarray  # (R, E, T, O)
    terminated: np.ndarray  # (R, E, T)

    def __post_init__(self):
        checks.rollout_arrays(vars(self))

    @property
    def returns(self):
        """(R, E) sums of rewards, undiscounted."""
        return self.reward.sum(-1)


def run_episode(env, agent, max_steps=10_000):
    """One episode of one run in a plain Gymnasium environment, as a Rollout with R = E = 1.

    env: with Box spaces, its actions bounded as the agent's, such as gymnasium.make("Pendulum-v1"); stepped until it
    terminates, is truncated or has taken max_steps. TypeError for other spaces and a vector environment, ValueError
    where env and agent do not fit each other.
    """
    checks.agent(agent)
    max_steps = checks.whole("max_steps", max_steps, 1)
    if isinstance(env, gymnasium.vector.VectorEnv):
        raise TypeError(f"env must be one environment, got a vector environment of {env.num_envs}: {env!r:.80}")
    if agent.runs != 1:
        raise ValueError(f"agent must hold one run, got one of {agent.runs}; agent.select([k]) takes run k out")
    checks.spaces(agent, env.observation_space, env.action_space)
    policy, space, steps = fast.on_arrays(agent.actor), env.action_space, []
    observation, ended = np.ravel(env.reset()[0]), False
    while not ended and len(steps) < max_steps:
        mean, std = policy(np.asarray(observation, dtype=np.float32).reshape(1, 1, -1))
        action, log_prob = scored_action(agent, mean, std, mean + std * agent.noise(1, agent.action_dim))
        applied = np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)
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
    checks.agent(agent)
    if starts is None:
        count = checks.whole("episodes", agent.hyperparameters.episodes_per_update if episodes is None else episodes, 1)
        uniform = [torch.rand(count, 2, generator=g, dtype=torch.float64).numpy() for g in agent.generators]
        starts = (2 * np.stack(uniform) - 1) * START_HIGH
    else:
        starts = checks.starts(starts)
        starts = np.broadcast_to(starts, (agent.runs, *starts.shape))
    noise = agent.noise(EPISODE_STEPS, starts.shape[1], agent.action_dim)
    return _roll_out(agent, starts, noise)


@fast.torch_threads(1)
def evaluate(agent, episodes=100, deterministic=False, starts=None):
    """Returns (R, episodes) of Pendulum-v1 from `fixed_starts(episodes)`, or from `starts` (episodes, 2).

    The noise of the sampled actions is the same at every call and for every run, and an episode's own: the first ten of
    a hundred are those of ten. The agent's generators are left alone: evaluating changes nothing in the training.
    """
    checks.agent(agent)
    starts = fixed_starts(checks.whole("episodes", episodes, 1)) if starts is None else checks.starts(starts)
    shape = len(starts), EPISODE_STEPS, agent.action_dim
    noise = np.random.default_rng(EVALUATION_SEED).standard_normal(shape, dtype=np.float32).swapaxes(0, 1)
    noise = np.zeros_like(noise) if deterministic else noise
    starts, noise = (np.broadcast_to(x, (agent.runs, *x.shape)) for x in (starts, noise))
    returns = np.zeros(starts.shape[:2])
    for *_, reward in _steps(agent, starts, noise):
        returns += reward
    if not np.isfinite(returns).all():
        raise checks.NotFinite("reward", returns)
    return returns


@fast.torch_threads(1)
def _roll_out(agent, starts, noise):
    """Pendulum-v1 from starts (R, E, 2) with action noise (R, T, E, A): a Rollout."""
    runs, steps, episodes, action_dim = noise.shape
    observations = np.empty((steps + 1, runs, episodes, agent.obs_dim), dtype=np.float32)
    rewards = np.empty((steps, runs, episodes))
    means, stds, actions = np.empty((3, steps, runs, episodes, action_dim), dtype=np.float32)
    for t, step in enumerate(_steps(agent, starts, noise)):
        observations[t], means[t], stds[t], actions[t], observations[t + 1], rewards[t] = step
    observations, rewards, means, stds, actions = (  # (T, R, E, ...) -> (R, E, T, ...)
        np.moveaxis(x, 0, 2) for x in (observations, rewards, means, stds, actions)
    )
    actions, log_probs = scored_action(agent, means, stds, actions)
    terminated = np.zeros(rewards.shape, dtype=bool)  # a pendulum's episode is cut by the clock, it never ends
    return Rollout(observations[:, :, :-1], actions, log_probs, rewards, observations[:, :, 1:], terminated)


def _steps(agent, starts, noise):
    """Step all pendulums T times; yields observation, mean, std, action, next observation, reward, each (R, E, ...)."""
    runs, steps, episodes, action_dim = noise.shape
    envs = PendulumVectorEnv(runs * episodes)
    checks.spaces(agent, envs.single_observation_space, envs.single_action_space)
    policy = fast.on_arrays(agent.actor)
    observation = envs.reset(options={"state": starts.reshape(-1, 2)})[0].reshape(runs, episodes, -1)
    for t in range(steps):
        mean, std = (x.astype(np.float32, copy=False) for x in policy(observation))
        action = mean + std * noise[:, t]
        next_observation, reward, *_ = envs.step(action.reshape(-1, action_dim))  # which clips it to the motor's limits
        next_observation = next_observation.reshape(runs, episodes, -1)
        yield observation, mean, std, action, next_observation, reward.reshape(runs, episodes)
        observation = next_observation


def scored_action(agent, mean, std, action):
    """The action that is scored, cut to the limits or as it was drawn, and its log-probability, as arrays."""
    if agent.hyperparameters.score_action == "clipped":
        action = action.clip(-agent.action_limit, agent.action_limit)
    policy = Normal(torch.as_tensor(mean), torch.as_tensor(std), validate_args=False)
    return action, policy.log_prob(torch.as_tensor(action)).sum(-1).numpy()


class TrainingDiverged(RuntimeError):
    """A run's numbers stopped being finite. `run` is its index, `episode` where, `log` the DataFrame so far."""

    def __init__(self, run, seed, episode, what, log):
        super().__init__(
            f"run {run} (seed {seed}) diverged in episode {episode}: {what} is not finite. The other runs' weights are "
            "untouched. Try a smaller actor_lr or critic_lr, a max_grad_norm, or agent.select() to go on without it."
        )
        self.run, self.episode, self.log = run, episode, log


def train(agent, episodes=3000, progress=True):
    """Train every run for `episodes` more episodes; returns the log, a tidy DataFrame.

    One row a run and episode: run, episode, reward (the undiscounted return) and what agent.update tells. On a
    KeyboardInterrupt the log so far is returned, and calling train again goes on. Raises TrainingDiverged where numbers
    stop being finite, ValueError for episodes that do not fill the last update; warns where anneal_updates end before.
    """
    checks.agent(agent)
    h, episodes = agent.hyperparameters, checks.plain(episodes)
    if not isinstance(episodes, int) or isinstance(episodes, bool) or episodes < 1 or episodes % h.episodes_per_update:
        raise ValueError(f"episodes must be a multiple of episodes_per_update, {h.episodes_per_update}, and above 0, "
                         f"got {episodes!r}")  # fmt: skip
    if 0 < h.anneal_updates < agent.updates + episodes // h.episodes_per_update:
        warnings.warn(
            f"the step sizes are 0 from episode {h.anneal_updates * h.episodes_per_update} on (anneal_updates="
            f"{h.anneal_updates}): nothing is learned after it. A recipe.replace(anneal_updates=...) lasts longer",
            stacklevel=2,
        )
    log, first = [], agent.episodes
    with fast.training(agent), tqdm(total=episodes, disable=not progress, desc="episodes") as bar:
        try:
            for _ in range(episodes // h.episodes_per_update):
                rollout = collect_episodes(agent)
                update = agent.update(rollout)
                log.append({"reward": rollout.returns, **update})
                for name in LOSSES:  # the other two may be undefined, or overflow, in a healthy run
                    if not np.isfinite(update[name]).all():
                        raise checks.NotFinite(name, update[name])
                agent.episodes = first + len(log) * h.episodes_per_update
                bar.update(h.episodes_per_update)
        except KeyboardInterrupt:
            bar.set_postfix_str("interrupted")
        except checks.NotFinite as error:
            run = error.runs[0]
            log_so_far = _frame(log, first)
            raise TrainingDiverged(run, agent.seeds[run], agent.episodes, error.name, log_so_far) from None
        finally:
            # Counted from the log, because an interrupt can come between any two lines.
            agent.episodes = first + len(log) * h.episodes_per_update
    return _frame(log, first)


def _frame(log, first):
    """A dict an update, of (R, E) rewards and (R,) numbers, to the tidy log that begins with the episode `first`."""
    if not log:
        return pd.DataFrame({name: np.empty(0, int if name in ("run", "episode") else float) for name in LOG_COLUMNS})
    rewards = np.stack([entry["reward"] for entry in log], axis=1)  # (R, updates, E)
    _, updates, per_update = rewards.shape
    run, episode = np.divmod(np.arange(rewards.size), updates * per_update)
    columns = {"run": run, "episode": first + episode, "reward": rewards.ravel()}
    for name in [*LOG_COLUMNS[3:], *(x for x in log[0] if x not in LOG_COLUMNS)]:  # beside each of an update's episodes
        columns[name] = np.repeat(np.stack([entry[name] for entry in log], axis=1).ravel(), per_update)
    return pd.DataFrame(columns)
