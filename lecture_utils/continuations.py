"""Continuations of an episode from one state of Pendulum-v1: its true values, and the spread of GAE around them."""

import numpy as np

from lecture_utils.advantages import gae
from lecture_utils.pendulum import PendulumVectorEnv

HORIZON = 150  # steps of a continuation: with gamma = 0.95 what is left out weighs less than 5e-4 of a value
LAMBDAS = (0.0, 0.3, 0.6, 0.85, 0.95, 1.0)


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
    policy = agent.actor.on_arrays()
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
    value = critic.on_arrays()
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
    for name, value, least in (("continuations", continuations, 2), ("horizon", horizon, 1)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return states, actions
