"""The true advantage of a state and action on Pendulum-v1, by simulation, and the errors of GAE measured against it.

Both are measured over continuations of an episode from one state. `python -m
lecture_utils.experiments.true_advantages` measures them at states that the sixteen recorded PPO runs visit, after 250
and after 3,000 episodes, and writes data/true_advantages.npz. It takes about four minutes; a few states at a time
fit into a notebook. `split_error` says what the errors are made of, run by run.
"""

import itertools
import os
import pathlib

import numpy as np
import pandas as pd
import torch

from lecture_utils import PendulumVectorEnv, checks, fast, gae
from lecture_utils.experiments import recordings
from lecture_utils.experiments.data_files import DATA, checked, read_arrays, write_checksums
from lecture_utils.training import collect_episodes

FILE = "true_advantages.npz"
CONTINUATIONS = 512
RUNS = tuple(range(16))
AGES = {"early": "ppo_early", "late": "ppo"}  # the recorded agents after 250 and after 3,000 episodes
STEPS = (0, 10, 20, 40, 80, 160)  # of an episode: most of them while the pendulum still swings up
EPISODES = 2  # a run and age
OF_A_STATE = ("age", "run", "theta", "theta_dot", "action", "q", "v", "q_error", "v_error", "advantage_error")
OF_AN_ESTIMATE = ("mean", "variance", "offset", "bias_error", "rest_error")
HORIZON = 150  # steps of a continuation: with gamma = 0.95 what is left out weighs less than 5e-4 of a value
LAMBDAS = (0.0, 0.3, 0.6, 0.85, 0.95, 1.0)


def true_advantages(agent, states, actions, *, continuations=1000, horizon=HORIZON, seed=0):
    """Q(s, a), V(s) and their difference under the agent's sampled policy, with the agent's gamma.

    agent: of one run. states: (N, 2) theta in rad, theta_dot in rad/s; actions: (N, 1) torques in N m. Each value is
    the mean over `continuations` episodes of `horizon` steps, set to the state. Returns a DataFrame with a row a state:
    q, v, advantage (discounted rewards) and q_error, v_error, advantage_error (standard errors).
    Raises ValueError for an agent of several runs and for shapes or numbers that do not fit.
    """
    measured = measure(agent, {}, states, actions, continuations=continuations, horizon=horizon, seed=seed)
    return _truth(measured)


def visited(agent, episodes=EPISODES, steps=STEPS):
    """States (N, 2) that an agent of one run visits at these steps of its next episodes, and its actions (N, 1)."""
    rollout = collect_episodes(agent, episodes)
    cos, sin, theta_dot = np.moveaxis(rollout.observation[0][:, list(steps)].astype(np.float64), -1, 0)
    states = np.stack([np.arctan2(sin, cos), theta_dot], axis=-1)
    return states.reshape(-1, 2), rollout.action[0][:, list(steps)].reshape(-1, 1)


def record(folder=DATA, runs=RUNS, continuations=CONTINUATIONS):
    """Measure every run at both ages, with its own policy and critic at states that it visits, and write the file."""
    torch.set_num_threads(1)
    parts = []
    for (age, name), run in itertools.product(AGES.items(), runs):
        agent = recordings.load_agent(name, folder=folder).select([run])
        states, actions = visited(agent)
        part = measure(agent, {"own": agent.critic}, states, actions, continuations=continuations, seed=run)
        part |= {name: part[name][0] for name in OF_AN_ESTIMATE}  # the one critic: (1, L, N) -> (L, N)
        parts.append({"age": np.full(len(states), age), "run": np.full(len(states), run), "theta": states[:, 0],
                      "theta_dot": states[:, 1], "action": actions[:, 0], **part})  # fmt: skip
    arrays = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}
    path = pathlib.Path(folder) / FILE
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, lambdas=np.array(LAMBDAS), **arrays)
    os.replace(temporary, path)


def load_true_advantages(folder=DATA):
    """What `record` wrote, as two DataFrames.

    truth: one row a state: age of the agent ("early" or "late"), run, theta, theta_dot, action, q, v, advantage and the
    standard errors.
    estimates: one row a lambda and state: lambda, state, age, run, advantage (the true one), mean, variance, offset,
    bias_error, rest_error; see `measure`.
    Raises FileNotFoundError or ValueError that say what is wrong with the file.
    """
    dimensions = {"lambdas": 1} | dict.fromkeys(OF_A_STATE, 1) | dict.fromkeys(OF_AN_ESTIMATE, 2)
    arrays = read_arrays(checked(FILE, folder), dimensions)
    truth = _truth(arrays)
    index = pd.MultiIndex.from_product([arrays["lambdas"], range(len(truth))], names=["lambda", "state"])
    estimates = pd.DataFrame({name: arrays[name].ravel() for name in OF_AN_ESTIMATE}, index=index).reset_index()
    for place, name in enumerate(("age", "run", "advantage"), start=2):
        estimates.insert(place, name, truth[name].to_numpy()[estimates.state])
    return truth, estimates


def split_error(estimates):
    """What is wrong with one estimate of a run, in four parts: a row an age, lambda and run.

    estimates: as `load_true_advantages` returns them. truth: root mean square of the true advantages of the run, to
    compare with; constant: size of the offset's mean over the states of the run,
    which normalised advantages take away; varying: root mean square of what is left of the offset at each state;
    scatter: that of the standard deviation of one estimate; rest: that of the bias without the offset, by which one
    action is favoured over another. All in discounted rewards.
    """
    keys = ["age", "lambda", "run"]
    constant = estimates.groupby(keys)["offset"].transform("mean")
    squares = estimates[keys].assign(
        truth=estimates["advantage"] ** 2,
        constant=constant**2,
        varying=(estimates["offset"] - constant) ** 2,
        scatter=estimates["variance"],
        rest=(estimates["mean"] - estimates["advantage"] - estimates["offset"]) ** 2,
    )
    return np.sqrt(squares.groupby(keys, sort=False).mean()).reset_index()


def by_action(agent, state, torques, *, lambdas=(0.0, 0.85, 1.0), continuations=400, horizon=HORIZON, seed=0):
    """The true advantage of several actions of one state, and what GAE with the agent's own critic makes of it.

    agent: of one run. state: theta in rad and theta_dot in rad/s; torques: (N,) in N m. Returns a DataFrame with a row
    a lambda and torque: lambda, torque, advantage (the true one), estimate (the mean of GAE's estimates) and scatter
    (their standard deviation), in discounted rewards.
    Raises ValueError for an agent of several runs and for shapes or numbers that do not fit.
    """
    torques = np.asarray(torques, dtype=np.float64)
    states = np.tile(np.asarray(state, dtype=np.float64), (len(torques), 1))
    measured = measure(agent, {"own": agent.critic}, states, torques[:, None], lambdas=lambdas,
                       continuations=continuations, horizon=horizon, seed=seed)  # fmt: skip
    index = pd.MultiIndex.from_product([lambdas, torques], names=["lambda", "torque"])
    columns = {
        "advantage": np.tile(measured["q"] - measured["v"].mean(), len(lambdas)),  # all torques leave the same state
        "estimate": measured["mean"][0].ravel(),
        "scatter": np.sqrt(measured["variance"][0]).ravel(),
    }
    return pd.DataFrame(columns, index=index).reset_index()


def _truth(arrays):
    frame = pd.DataFrame({name: arrays[name] for name in OF_A_STATE if name in arrays})
    return frame.assign(advantage=frame.q - frame.v)


def measure(agent, critics, states, actions, *, lambdas=LAMBDAS, continuations=1000, horizon=HORIZON, seed=0):
    """The truth at each state, and the distribution of GAE around it for every critic and lambda.

    critics: {name: MLP of one run}. K critics, L lambdas, N states; the other arguments as for `true_advantages`.
    Every continuation that begins with (s, a) gives one GAE estimate of A(s, a). Returns a dict of arrays:
    q, v, q_error, v_error, advantage_error (N,); mean, variance (K, L, N) of the estimates; offset (K, L, N), the mean
    estimate when the policy draws the action at s, which would be 0 without error; bias_error and rest_error (K, L, N),
    the standard errors of the bias, mean - (q - v), and of the bias without the offset. Truth and estimates come from
    the same continuations, and those of q and v share their action noise, so most of the noise cancels.
    """
    states, actions = _checked(agent, states, actions, continuations, horizon)
    gamma = agent.hyperparameters.gamma
    discount = gamma ** np.arange(horizon)
    rows = []
    for i, (state, action) in enumerate(zip(states, actions, strict=True)):
        rng = np.random.default_rng([seed, i])
        taken = np.full((continuations, 1), action)
        observations, rewards = _continue(agent, state, taken, continuations, horizon, rng)
        returns = rewards @ discount  # (2, C): first with this action, then with the policy's
        estimates = np.array(
            [_first_advantages(critic, observations, rewards, gamma, lambdas) for critic in critics.values()]
        ).reshape(len(critics), len(lambdas), 2, continuations)
        # The estimate less the return of its own continuation: what the critic adds, without the noise of the return.
        added = estimates - returns
        rows.append(
            {
                "q": returns[0].mean(),
                "v": returns[1].mean(),
                "q_error": _standard_error(returns[0]),
                "v_error": _standard_error(returns[1]),
                "advantage_error": _standard_error(returns[0] - returns[1]),
                "mean": estimates[:, :, 0].mean(-1),
                "variance": estimates[:, :, 0].var(-1, ddof=1),
                "offset": estimates[:, :, 1].mean(-1),
                "bias_error": _standard_error(added[:, :, 0] + returns[1]),
                "rest_error": _standard_error(added[:, :, 0] - added[:, :, 1]),
            }
        )
    return {name: np.stack([row[name] for row in rows], axis=-1) for name in rows[0]}


def _continue(agent, state, first_action, continuations, horizon, rng):
    """Observations (H + 1, 2 C, O) and rewards (2, C, H) from `state`; the first half begins with `first_action`."""
    envs = PendulumVectorEnv(2 * continuations, max_episode_steps=horizon + 1)
    policy = fast.on_arrays(agent.actor)
    observations = np.empty((horizon + 1, 2 * continuations, agent.obs_dim), dtype=np.float32)
    rewards = np.empty((horizon, 2 * continuations))
    observations[0], _ = envs.reset(options={"state": np.tile(state, (2 * continuations, 1))})
    for t in range(horizon):
        mean, std = (x[0] for x in policy(observations[t][None]))
        noise = rng.standard_normal((continuations, 1), dtype=np.float32)
        action = mean + std * np.concatenate([noise, noise])
        if t == 0:
            action[:continuations] = first_action
        observations[t + 1], rewards[t], *_ = envs.step(action)
    return observations, rewards.T.reshape(2, continuations, horizon)


def _first_advantages(critic, observations, rewards, gamma, lambdas):
    """GAE at the first step of every continuation, (L, 2, C); the cut at the horizon is bootstrapped."""
    value = fast.on_arrays(critic)
    # Step by step: the layers' outputs of all steps at once would not fit into the cache, and take five times as long.
    values = np.stack([value(x[None])[0, :, 0] for x in observations], axis=-1).astype(np.float64)
    values = values.reshape(*rewards.shape[:-1], -1)
    going_on = np.zeros(rewards.shape, dtype=bool)
    inputs = rewards, values[..., :-1], values[..., 1:], going_on
    return [gae(*inputs, gamma=gamma, gae_lambda=gae_lambda)[..., 0] for gae_lambda in lambdas]


def _standard_error(x):
    return x.std(-1, ddof=1) / np.sqrt(x.shape[-1])


def _checked(agent, states, actions, continuations, horizon):
    if agent.runs != 1:
        raise ValueError(f"agent must hold one run (agent.select([k]) takes one), got {agent.runs}")
    states, actions = np.asarray(states, dtype=np.float64), np.asarray(actions, dtype=np.float64)
    if states.ndim != 2 or states.shape[1] != 2 or not len(states) or actions.shape != (len(states), 1):
        raise ValueError(f"states must be (N, 2) and actions (N, 1), N >= 1, got {states.shape} and {actions.shape}")
    for name, x in {"states": states, "actions": actions}.items():
        if not np.isfinite(x).all():
            raise ValueError(f"{name} must be finite, got {x!r}")
    checks.whole("continuations", continuations, 2)
    checks.whole("horizon", horizon, 1)
    return states, actions


if __name__ == "__main__":
    record()
    write_checksums(names=["true_advantages.npz"])
