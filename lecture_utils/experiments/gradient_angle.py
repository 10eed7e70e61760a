"""How well the policy gradient of a batch points where the true one does, by the batch's size and by lambda.

`python -m lecture_utils.experiments.gradient_angle` (part of `make data`) trains sixteen runs of `TUNED` for a few
updates, freezes them, and measures the cosine of the angle between the gradient that N samples give and a reference
from Monte Carlo returns of very many samples of the same policy. It writes data/gradient_angle.npz in about
four minutes.
"""

import os
import pathlib

import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, TUNED, PendulumVectorEnv, fast, train
from lecture_utils.experiments.data_files import DATA, checked, read_arrays, write_checksums
from lecture_utils.pendulum import EPISODE_STEPS, START_HIGH
from lecture_utils.ppo import standardize
from lecture_utils.training import collect_episodes

FILE = "gradient_angle.npz"
SEEDS, UPDATES = range(16), (4, 12)
SIZES = (16, 64, 200, 800, 3200)  # samples of a batch; the last is a whole rollout of sixteen episodes
LAMBDAS = (0.0, 0.6, 0.85, 0.95, 1.0)
ROLLOUTS = 64  # of sixteen episodes: each gives one batch of every size
HORIZON = 250  # steps after the last one that is scored: with gamma = 0.97 what is left out weighs less than 5e-4
EPISODES, ROUNDS = 256, 8  # of each half of the reference: side by side, and how often
ARRAYS = {"updates": 1, "lambdas": 1, "sizes": 1, "cosine": 5, "together": 4, "shuffled": 4, "halves": 2,
          "parameters": 0}  # fmt: skip


def gradient(agent, observation, action, weight):
    """The policy gradient of weighted samples, mean of weight times grad log pi(a|s), for each of the agent's runs.

    observation: (R, N, O); action: (R, N, A), as drawn and not cut; weight: (R, N), such as advantages. Returns (R, P)
    float64, P parameters of one run's policy. Source: equation 1 of arXiv 1506.02438.
    """
    observation, action, weight = (torch.as_tensor(x, dtype=torch.float32) for x in (observation, action, weight))
    log_prob = agent.policy(agent.actor, observation).log_prob(action).sum(-1)  # (R, N, A) -> (R, N)
    objective = (weight * log_prob).mean(-1).sum()  # a sum over runs: each keeps the gradient that it would have alone
    parts = torch.autograd.grad(objective, list(agent.actor.parameters()))
    return torch.cat([part.flatten(1) for part in parts], dim=-1).double().numpy()


def cosine(x, y):
    """Cosine of the angle between vectors on the last axis: (..., P) with (..., P) -> (...); NaN for a vector of 0."""
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.divide((x * y).sum(-1), lengths, out=np.full_like(lengths, np.nan), where=lengths > 0)


def reference(agent, rng, episodes=EPISODES, rounds=ROUNDS):
    """The policy gradient from Monte Carlo returns of `rounds` x `episodes` episodes of 200 steps a run: (R, P).

    The weight of a sample is its discounted return over at least HORIZON further steps, so that no critic stands in for
    the future; the critic's value, as a baseline, and each run's mean are taken off, which leaves the expectation alone
    but for a share of 1 in the number of samples. States are weighed alike at every step, as in an update.
    """
    h, total = agent.hyperparameters, 0.0
    for _ in range(rounds):
        observation, action, reward = _long_episodes(agent, episodes, rng)
        returns = np.empty_like(reward)
        following = np.zeros_like(reward[0])
        for t in reversed(range(len(reward))):
            returns[t] = following = h.reward_scale * reward[t] + h.gamma * following
        # (T, R, E, .) -> (R, T E, .): only the steps of an episode are scored, what lies beyond served the returns
        observation, action, returns = (
            np.moveaxis(x[:EPISODE_STEPS], 0, 1).reshape(agent.runs, EPISODE_STEPS * episodes, *x.shape[3:])
            for x in (observation, action, returns)
        )
        weight = returns - fast.on_arrays(agent.critic)(observation)[..., 0]
        total = total + gradient(agent, observation, action, weight - weight.mean(-1, keepdims=True)) / rounds
    return total


def _long_episodes(agent, episodes, rng):
    """Observations (T, R, E, O), drawn actions (T, R, E, A) and rewards (T, R, E), T = EPISODE_STEPS + HORIZON."""
    steps, shape = EPISODE_STEPS + HORIZON, (agent.runs, episodes)
    envs, policy = PendulumVectorEnv(agent.runs * episodes, max_episode_steps=steps + 1), fast.on_arrays(agent.actor)
    observations = np.empty((steps, *shape, agent.obs_dim), dtype=np.float32)
    actions = np.empty((steps, *shape, agent.action_dim), dtype=np.float32)
    rewards = np.empty((steps, *shape))
    starts = rng.uniform(-START_HIGH, START_HIGH, (agent.runs * episodes, 2))
    observation, _ = envs.reset(options={"state": starts})
    for t in range(steps):
        observations[t] = observation.reshape(observations[t].shape)
        mean, std = policy(observations[t])
        actions[t] = mean + std * rng.standard_normal(mean.shape, dtype=np.float32)
        observation, reward, *_ = envs.step(actions[t].reshape(-1, agent.action_dim))
        rewards[t] = reward.reshape(shape)
    return observations, actions, rewards


def angles(agent, true, rollouts=ROLLOUTS, seed=0):
    """Cosines between the gradients of batches and the true one, (R, P), for every lambda and size.

    The agent collects `rollouts` rollouts of its own size; a batch of n is n samples of one, drawn at random without
    replacement, as a shuffled minibatch is. Returns a dict of arrays: cosine (2, L, S, R), the means over rollouts with
    the advantages as they were estimated (0) and normalised over the rollout (1); together (2, L, R), the cosine of the
    mean gradient of all rollouts; shuffled (S, R, rollouts), where the normalised advantages of lambda = 0.95 were
    dealt to the samples at random, so that they say nothing about them.
    Raises ValueError for an agent that scores clipped actions: their log-probabilities do not make a policy gradient.
    """
    if agent.hyperparameters.score_action != "sampled":
        raise ValueError("agent must score the sampled action: the gradient of a clipped one's is not the policy's")
    h, rng = agent.hyperparameters, np.random.default_rng(seed)
    cosines = np.empty((rollouts, 2, len(LAMBDAS), len(SIZES), agent.runs))
    shuffled = np.empty((len(SIZES), agent.runs, rollouts))
    mean_gradient = np.zeros((2, len(LAMBDAS), *true.shape))
    for i in range(rollouts):
        rollout = collect_episodes(agent)
        n = rollout.reward[0].size
        orders = [rng.permutation(n)[:size] for size in SIZES]
        for k, gae_lambda in enumerate(LAMBDAS):
            agent.hyperparameters = h.replace(gae_lambda=gae_lambda, normalize_advantages="no")
            batch = agent.prepare(rollout)
            for normalized, weight in enumerate((batch["advantage"], standardize(batch["advantage"]))):
                for j, order in enumerate(orders):
                    found = gradient(agent, batch["observation"][:, order], batch["action"][:, order], weight[:, order])
                    cosines[i, normalized, k, j] = cosine(found, true)
                mean_gradient[normalized, k] += found / rollouts  # of the last size, the whole rollout
            if gae_lambda == 0.95:
                for j, order in enumerate(orders):
                    dealt = weight[:, rng.permutation(n)[: len(order)]]
                    found = gradient(agent, batch["observation"][:, order], batch["action"][:, order], dealt)
                    shuffled[j, :, i] = cosine(found, true)
    agent.hyperparameters = h
    return {"cosine": cosines.mean(0), "together": cosine(mean_gradient, true), "shuffled": shuffled}


def record(folder=DATA, seeds=SEEDS, updates=UPDATES, rollouts=ROLLOUTS, episodes=EPISODES, rounds=ROUNDS):
    """Train, freeze after each number of `updates`, measure, and write the file."""
    torch.set_num_threads(1)
    parts = []
    for count in updates:
        agent = PPO(3, 1, TUNED, seeds=seeds)
        train(agent, episodes=count * TUNED.episodes_per_update, progress=False)
        halves = [reference(agent, np.random.default_rng([count, k]), episodes, rounds) for k in range(2)]
        parts.append(angles(agent, sum(halves) / 2, rollouts, count) | {"halves": cosine(*halves)})
    arrays = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    path = pathlib.Path(folder) / FILE
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, updates=np.array(updates), lambdas=np.array(LAMBDAS), sizes=np.array(SIZES),
                            parameters=np.array(halves[0].shape[-1]), **arrays)  # fmt: skip
    os.replace(temporary, path)


def load_gradient_angle(folder=DATA):
    """What `record` wrote, as two DataFrames.

    cosines: one row an agent's age, way, lambda, batch size and run: updates, normalized (False or True), lambda,
    samples, run, cosine (the mean over batches; samples is inf for the mean gradient of all rollouts).
    references: one row an age and run: updates, run, halves (cosine between the two halves of the reference),
    to_truth (what that makes of the cosine between the whole reference and the truth), shuffled (standard deviation
    over batches of a whole rollout's cosine where the advantages were dealt at random), parameters (of the policy).
    Raises FileNotFoundError or ValueError that say what is wrong with the file.
    """
    arrays = read_arrays(checked(FILE, folder), ARRAYS)
    sizes = [*arrays["sizes"].astype(float), np.inf]
    cosines = np.concatenate([arrays["cosine"], arrays["together"][..., None, :]], axis=-2)
    runs = range(cosines.shape[-1])
    names = ["updates", "normalized", "lambda", "samples", "run"]
    index = pd.MultiIndex.from_product([arrays["updates"], [False, True], arrays["lambdas"], sizes, runs], names=names)
    table = pd.DataFrame({"cosine": cosines.ravel()}, index=index).reset_index()
    halves = arrays["halves"]
    references = pd.DataFrame(
        {"halves": halves.ravel(), "to_truth": to_truth(halves).ravel(),
         "shuffled": arrays["shuffled"][:, -1].std(-1, ddof=1).ravel(), "parameters": int(arrays["parameters"])},
        index=pd.MultiIndex.from_product([arrays["updates"], runs], names=["updates", "run"]),
    ).reset_index()  # fmt: skip
    return table, references


def to_truth(halves):
    """Cosine between the mean of two halves and the truth, where the halves have this cosine: sqrt(2 c / (1 + c)).

    Each half is the truth plus noise of its own, at right angles to all else, as noise of many dimensions nearly is:
    the formula of Spearman and Brown (1910) for a test of double length, and its square root for the truth.
    """
    halves = np.clip(halves, 0, 1)
    return np.sqrt(2 * halves / (1 + halves))


if __name__ == "__main__":
    record()
    write_checksums(names=[FILE])
