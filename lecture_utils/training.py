"""Episodes to learn from and to be judged by, and the training loop with its log."""

import dataclasses
import warnings

import gymnasium
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from lecture_utils import checks, fast
from lecture_utils.environments import EnvironmentFailed, Environments, vectorized
from lecture_utils.pendulum import EPISODE_STEPS, START_HIGH, PendulumVectorEnv, fixed_starts

EVALUATION_SEED = (0, 1)  # of the action noise; fixed_starts has its own
LOSSES = ("loss_act", "loss_v", "loss_ent", "clip_fraction", "approx_kl")
LOG_COLUMNS = ("run", "episode", "reward", *LOSSES, "explained_variance", "kl_after")


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What R runs saw in E episodes of T steps each. ValueError for shapes that disagree and numbers not finite.

    log_prob is that of `action` under the policy that collected it; terminated: the episode ended by itself there;
    truncated: the clock cut it there, and the next step is of another episode (None: nowhere before the last step).
    """

    observation: np.ndarray  # (R, E, T, O)
    action: np.ndarray  # (R, E, T, A), the action that is scored
    log_prob: np.ndarray  # (R, E, T)
    reward: np.ndarray  # (R, E, T)
    next_observation: np.ndarray  # (R, E, T, O)
    terminated: np.ndarray  # (R, E, T)
    truncated: np.ndarray = None  # (R, E, T)

    def __post_init__(self):
        if self.truncated is None:
            object.__setattr__(self, "truncated", np.zeros(np.shape(self.terminated), dtype=bool))
        checks.rollout_arrays(vars(self))

    @property
    def returns(self):
        """(R, E) sums of rewards, undiscounted: returns, where each row is one episode."""
        return self.reward.sum(-1)


def run_episode(env, agent, max_steps=10_000):
    """One episode of one run in a plain Gymnasium environment, as a Rollout with R = E = 1.

    env: such as gymnasium.make("Pendulum-v1"); stepped until it terminates, is truncated or has taken max_steps.
    TypeError for other spaces and a vector environment, ValueError where env and agent do not fit each other.
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
        parameters = policy(np.asarray(observation, dtype=np.float32).reshape(1, 1, -1))
        action = agent.actor.choose(agent.noise(1, agent.action_dim), *parameters)
        action, log_prob = scored_action(agent, action, *parameters)
        applied = agent.applied(action).reshape(space.shape).astype(space.dtype)
        seen, reward, terminated, truncated, _ = env.step(applied)
        steps.append((observation, action[0, 0], log_prob[0, 0], float(reward), np.ravel(seen), terminated))
        observation, ended = np.ravel(seen), terminated or truncated
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
        starts = np.stack([checks.starts(starts)] * agent.runs)
    noise = agent.noise(EPISODE_STEPS, starts.shape[1], agent.action_dim)
    return _roll_out(agent, starts, noise)


@fast.torch_threads(1)
def collect_steps(agent, environments):
    """The next T = rollout_steps steps of each of the R x E environments, as a Rollout (R, E, T, .).

    Episodes end inside. A call that only resets (Gymnasium's NEXT_STEP mode) is no step: then a run goes on until each
    of its environments has given T, and what the others give beyond T is not kept.
    """
    steps, taken = agent.hyperparameters.rollout_steps, np.zeros((agent.runs, environments.count), dtype=int)
    noise = agent.noise(2 * steps, environments.count, agent.action_dim)  # a step and a reset in turn is the worst case
    policy, calls = fast.on_arrays(agent.actor), []
    while (taken < steps).any():
        observation = environments.observation
        parameters = policy(observation)
        action = agent.actor.choose(noise[:, len(calls)], *parameters)
        *step, counts = environments.step(action, taken < steps)
        calls.append((counts, observation, action, *step, *parameters))
        taken += counts
    counts, *columns = (np.stack(column, axis=2) for column in zip(*calls, strict=True))  # each (R, E, calls, ...)
    kept = np.argsort(~counts, axis=-1, kind="stable")[..., :steps]  # (R, E, T), the calls that were the first T steps
    observation, action, last, reward, terminated, truncated, *parameters = (
        np.take_along_axis(x, kept.reshape(*kept.shape, *[1] * (x.ndim - 3)), axis=2) for x in columns
    )
    action, log_prob = scored_action(agent, action, *parameters)
    environments.ended_by.append(len(environments.finished))
    return Rollout(observation, action, log_prob, reward, last, terminated, truncated)


@fast.torch_threads(1)
def evaluate(agent, episodes=100, deterministic=False, starts=None, *, env=None, max_steps=10_000):
    """Returns (R, episodes) of Pendulum-v1 from `fixed_starts(episodes)`, or from `starts` (episodes, 2); or of env.

    The noise of the sampled actions is the same at every call and for every run, and an episode's own: the first ten of
    a hundred are those of ten. The agent's generators are left alone: evaluating changes nothing in the training.
    env: another task, as for `train`, with the same starts for every run; a ValueError where one outlasts max_steps.
    """
    checks.agent(agent)
    if env is not None:
        return _evaluate_task(agent, episodes, deterministic, env, max_steps)
    starts = fixed_starts(checks.whole("episodes", episodes, 1)) if starts is None else checks.starts(starts)
    shape = len(starts), EPISODE_STEPS, agent.action_dim
    noise = np.random.default_rng(EVALUATION_SEED).standard_normal(shape, dtype=np.float32).swapaxes(0, 1)
    noise = np.zeros_like(noise) if deterministic else noise
    starts, noise = (np.broadcast_to(x, (agent.runs, *x.shape)) for x in (starts, noise))
    returns = sum(reward for *_, reward in _steps(agent, starts, noise))
    if not np.isfinite(returns).all():
        raise checks.NotFinite("reward", returns)
    return returns


def _evaluate_task(agent, episodes, deterministic, env, max_steps):
    """As `evaluate`; each environment plays the same number of episodes, or short ones would come to count more."""
    episodes, max_steps = checks.whole("episodes", episodes, 1), checks.whole("max_steps", max_steps, 1)
    count = 100 if vectorized(env) else min(episodes, 20)  # environments that share a generator: always as many
    environments = Environments(agent, env, count, [0] * agent.runs)
    count, policy, calls = environments.count, fast.on_arrays(agent.actor), 0
    rounds, played = -(-episodes // count), np.zeros((agent.runs, count), dtype=int)
    returns = np.zeros((agent.runs, rounds, count))
    try:
        while (played < rounds).any():
            generator = np.random.default_rng((*EVALUATION_SEED, calls))  # an environment's noise, whatever the count
            noise = generator.standard_normal((count, agent.action_dim), dtype=np.float32)
            noise = None if deterministic else np.stack([noise] * agent.runs)
            action = agent.actor.choose(noise, *policy(environments.observation))
            environments.step(action, played < rounds)
            while environments.finished:
                run, place, reward, _ = environments.finished.pop()
                if played[run, place] < rounds:
                    returns[run, played[run, place], place] = reward
                    played[run, place] += 1
            calls += 1
            if environments.lengths.max() >= max_steps:
                raise ValueError(f"episodes of env must end within max_steps, {max_steps}; "
                                 "gymnasium.wrappers.TimeLimit cuts them")  # fmt: skip
    finally:
        environments.close()
    return returns.reshape(agent.runs, -1)[:, :episodes]


@fast.torch_threads(1)
def _roll_out(agent, starts, noise):
    """Pendulum-v1 from starts (R, E, 2) with action noise (R, T, E, A): a Rollout."""
    steps = zip(*_steps(agent, starts, noise), strict=True)
    observation, *policy, action, last, reward = (np.moveaxis(np.stack(x), 0, 2) for x in steps)  # (R, E, T, ...)
    action, log_prob = scored_action(agent, action, *policy)
    terminated = np.zeros(reward.shape, dtype=bool)  # a pendulum's episode is cut by the clock, it never ends
    return Rollout(observation, action, log_prob, reward, last, terminated)


def _steps(agent, starts, noise):
    """Step all pendulums T times; yields observation, mean, std, action, next observation, reward, each (R, E, ...)."""
    runs, steps, episodes, action_dim = noise.shape
    envs = PendulumVectorEnv(runs * episodes)
    checks.spaces(agent, envs.single_observation_space, envs.single_action_space, "(no env= is given) Pendulum-v1's")
    policy = fast.on_arrays(agent.actor)
    observation = envs.reset(options={"state": starts.reshape(-1, 2)})[0].reshape(runs, episodes, -1)
    for t in range(steps):
        mean, std = (x.astype(np.float32, copy=False) for x in policy(observation))
        action = mean + std * noise[:, t]
        next_observation, reward, *_ = envs.step(action.reshape(-1, action_dim))  # which clips it to the motor's limits
        next_observation = next_observation.reshape(runs, episodes, -1)
        yield observation, mean, std, action, next_observation, reward.reshape(runs, episodes)
        observation = next_observation


def scored_action(agent, action, *parameters):
    """The action that is scored, cut to the limits or as drawn, and its log-probability, as arrays; parameters, too."""
    if agent.hyperparameters.score_action == "clipped" and not agent.choices:
        action = action.clip(-agent.action_limit, agent.action_limit)
    policy = agent.actor.distribution(*map(torch.as_tensor, parameters))
    return action, policy.log_prob(torch.as_tensor(action)).sum(-1).numpy()


class TrainingDiverged(RuntimeError):
    """A run's numbers stopped being finite. `run` is its index, `episode` where (or step), `log` the frame so far."""

    def __init__(self, run, seed, episode, what, log, unit="episode"):
        super().__init__(f"run {run} (seed {seed}) diverged in {unit} {episode}: {what} is not finite. The other runs' "
                         "weights are untouched. Try a smaller actor_lr or critic_lr, a max_grad_norm, or "
                         "agent.select() to go on without it.")  # fmt: skip
        self.run, self.episode, self.log = run, episode, log


def train(agent, episodes=3000, progress=True, *, steps=None, env=None):
    """Train every run for `episodes` more episodes; returns the log, a tidy DataFrame.

    One row a run and episode: run, episode, reward (the undiscounted return) and what agent.update tells. On a
    KeyboardInterrupt the log so far is returned, and calling train again goes on. Raises TrainingDiverged where numbers
    stop being finite, ValueError for episodes that do not fill the last update; warns where anneal_updates end before.

    env: another task, an id such as "CartPole-v1", a function that makes one environment (or, called once a run, a
    vector environment), or one vector environment of R x E. Each run trains for `steps` more steps, an update every
    E x T: episodes_per_update environments, rollout_steps each. Episodes begin anew at each call. A row is an episode
    that ended, with the diagnostics of the update that learned from it, `step`, the run's steps by then, and `length`,
    its own. Where env fails, EnvironmentFailed has the log so far, NaN where no update followed. Warns where no episode
    ended.
    """
    checks.agent(agent)
    h = agent.hyperparameters
    both = steps is not None if env is None else not isinstance(episodes, int) or episodes != 3000
    if both:
        raise ValueError(f"train takes episodes of the pendulum, or steps and env, got {episodes=}, {steps=}, {env=}")
    unit, length, total = ("episode", 1, episodes) if env is None else ("step", h.rollout_steps, steps)
    per_update, total = h.episodes_per_update * length, checks.plain(total)
    if not isinstance(total, int) or isinstance(total, bool) or total < 1 or total % per_update:
        of = "episodes_per_update" if env is None else "episodes_per_update x rollout_steps"
        raise ValueError(f"{unit}s must be a multiple of {of}, {per_update}, and above 0, got {total!r}")
    if 0 < h.anneal_updates < agent.updates + total // per_update:
        warnings.warn(f"the step sizes are 0 from {unit} {h.anneal_updates * per_update} on (anneal_updates="
                      f"{h.anneal_updates}): nothing is learned after it. A recipe.replace(anneal_updates=...) lasts "
                      "longer", stacklevel=2)  # fmt: skip
    seeds = [] if env is None else [int(torch.randint(2**31, (), generator=g)) for g in agent.generators]
    task = None if env is None else Environments(agent, env, h.episodes_per_update, seeds, exactly=True)
    log, first = [], agent.episodes  # which, on a task, counts rollouts of one environment

    def so_far():
        return _frame(log, first) if task is None else _task_frame(task, log, first * length)

    with fast.training(agent), tqdm(total=total, disable=not progress, desc=f"{unit}s") as bar:
        try:
            for _ in range(total // per_update):
                rollout = collect_episodes(agent) if task is None else collect_steps(agent, task)
                update = agent.update(rollout)
                log.append({"reward": rollout.returns, **update})
                for name in LOSSES:  # the other two may be undefined, or overflow, in a healthy run
                    if not np.isfinite(update[name]).all():
                        raise checks.NotFinite(name, update[name])
                agent.episodes = first + len(log) * h.episodes_per_update
                bar.update(per_update)
        except KeyboardInterrupt:
            bar.set_postfix_str("interrupted")
        except EnvironmentFailed as error:
            error.log = so_far()
            raise
        except checks.NotFinite as error:
            run = error.runs[0]
            raise TrainingDiverged(run, agent.seeds[run], agent.episodes * length, error.name, so_far(), unit) from None
        finally:
            # Counted from the log, because an interrupt can come between any two lines.
            agent.episodes = first + len(log) * h.episodes_per_update
            if task is not None:
                task.close()
    if task is not None and not task.finished:
        warnings.warn("no episode of env ended, so the log has no returns: train for more steps, or wrap env in "
                      "gymnasium.wrappers.TimeLimit", stacklevel=2)  # fmt: skip
    return so_far()


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


def _task_frame(task, log, first):
    """The tidy log of the episodes of a task that ended; log: a dict an update, of (R,) numbers."""
    h, rows = task.agent.hyperparameters, pd.DataFrame(task.finished, columns=["run", "place", "reward", "length"])
    rows = rows.astype({"run": int, "reward": float, "length": int})
    # The update that learned from an episode's end, (rows,): len(log) where none did.
    update = np.searchsorted(task.ended_by[: len(log)], np.arange(len(rows)), side="right")
    columns = {"run": rows.run, "episode": rows.groupby("run").cumcount(), "reward": rows.reward}
    for name in [*LOG_COLUMNS[3:], *(x for x in (log or [{}])[0] if x not in LOG_COLUMNS)]:
        columns[name] = np.array([*(entry[name] for entry in log), np.full(task.agent.runs, np.nan)])[update, rows.run]
    columns |= {"step": first + (update + 1) * h.episodes_per_update * h.rollout_steps, "length": rows.length}
    return pd.DataFrame(columns).sort_values("run", kind="stable", ignore_index=True)
