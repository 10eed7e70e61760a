"""The true advantage of a state and action on Pendulum-v1, by simulation, and the errors of GAE measured against it.

Both are measured over continuations of an episode from one state. `python -m
lecture_utils.experiments.true_advantages` measures them at states that the sixteen recorded PPO runs visit, after 250
and after 3,000 episodes, and writes data/true_advantages.npz. It takes about four minutes; a few states at a time
fit into a notebook. `compare_lambdas` says which lambda errs less, with intervals over the runs.
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
from lecture_utils.experiments.statistics import interval
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
    """What is wrong with one estimate, in four parts: a row an age and lambda.

    estimates: as `load_true_advantages` returns them. constant: root mean square over runs of the offset's mean over
    the states of a run, which normalised advantages take away; varying: that of what is left of the offset at each
    state; scatter: that of the standard deviation of one estimate; rest: that of the bias without the offset, by which
    one action is favoured over another. All in discounted rewards.
    """
    parts = _parts(estimates).assign(scatter=np.sqrt(estimates["variance"]))
    groups = parts.groupby(["age", "lambda"], sort=False)
    return groups[["constant", "varying", "scatter", "rest"]].agg(lambda x: np.sqrt((x**2).mean())).reset_index()


def compare_lambdas(estimates, *, samples=1, reference=0.85):
    """How much estimates err for every lambda, against a reference, with intervals clustered by run.

    estimates: as `load_true_advantages` returns them, of one age. samples: N that are averaged. In an average over
    actions that the policy draws, the scatter shrinks and so does the offset, which moves every action alike; the rest
    of the bias, mean - advantage - offset, stays. So the square of a state's error is rest^2 + (varying^2 +
    variance) / N, without the part of the offset that is constant over a run.

    Returns a DataFrame with a row a lambda. error: the root of the mean square over all states, in discounted rewards;
    ratio: the error of a run over that of the same run with the reference lambda, geometric mean over runs; low, high:
    its 95 % interval (`statistics.interval` over whole runs: the states of a run share policy and critic, so they are
    no independent witnesses); verdict: "smaller", "larger", or "undecided" where 1 lies in the interval.
    Raises ValueError for fewer than two runs, several ages, samples below 1 and a reference that was not measured.
    """
    samples = checks.whole("samples", samples, 1)
    if len(ages := sorted(set(estimates["age"]))) != 1:
        raise ValueError(f"estimates must be those of one age, got {ages}")
    if reference not in set(estimates["lambda"]):
        raise ValueError(f"reference must be one of {sorted(set(estimates['lambda']))}, got {reference!r}")
    parts = _parts(estimates)
    squares = parts["rest"] ** 2 + (parts["varying"] ** 2 + parts["variance"]) / samples
    by_run = parts.assign(square=squares).pivot_table("square", "lambda", "run")  # the means over states, (L, R)
    ratios = np.log(by_run / by_run.loc[reference]) / 2
    low, high = interval(ratios.to_numpy(), axis=1)
    columns = {"error": np.sqrt(by_run.mean(axis=1)), "ratio": np.exp(ratios.mean(axis=1))}
    table = pd.DataFrame(columns | {"low": np.exp(low), "high": np.exp(high)})
    table["verdict"] = np.select([table.high < 1, table.low > 1], ["smaller", "larger"], "undecided")
    table.loc[reference, "verdict"] = "reference"
    return table


def _parts(estimates):
    """estimates with the rest of the bias and both parts of the offset: constant over a run, and varying."""
    rest = estimates["mean"] - estimates["advantage"] - estimates["offset"]
    constant = estimates.groupby(["age", "lambda", "run"])["offset"].transform("mean")
    return estimates.assign(rest=rest, constant=constant, varying=estimates["offset"] - constant)


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
