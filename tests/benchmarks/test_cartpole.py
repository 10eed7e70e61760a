"""CartPole beside Stable-Baselines3, and what processes of their own bring to environments that are slow."""

import time

import gymnasium
import numpy as np
import pytest
from record import in_turn, medians, print_table, record

from lecture_utils import PPO, evaluate, train
from lecture_utils.experiments.cartpole import CARTPOLE, CARTPOLE_STEPS, SOLVED

SEEDS = 3  # of Stable-Baselines3, one after the other; here all sixteen at once
ZOO_STEPS = 100_000


def linear(initial):
    return lambda left: initial * left


def zoo(seed):
    """PPO for CartPole-v1 as RL Zoo's hyperparams/ppo.yml has it."""
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env

    return stable_baselines3.PPO(
        "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=seed), n_steps=32, batch_size=256, gae_lambda=0.8,
        gamma=0.98, n_epochs=20, ent_coef=0.0, learning_rate=linear(0.001), clip_range=linear(0.2), seed=seed,
        device="cpu")  # fmt: skip


def test_cartpole_beside_stable_baselines3(capsys):
    from stable_baselines3.common.evaluation import evaluate_policy

    began = time.perf_counter()
    agent = PPO.for_env("CartPole-v1", CARTPOLE, seeds=range(16))
    train(agent, steps=CARTPOLE_STEPS, env="CartPole-v1", progress=False)
    ours = time.perf_counter() - began
    scores, seconds = [], []
    for seed in range(SEEDS):
        began = time.perf_counter()
        model = zoo(seed).learn(ZOO_STEPS)
        seconds.append(time.perf_counter() - began)
        env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1"))
        scores.append(evaluate_policy(model, env, n_eval_episodes=100, deterministic=False)[0])
    solved = (evaluate(agent, 100, env="CartPole-v1").mean(-1) >= SOLVED).sum()
    rows = {
        "here, 16 runs at once": {
            "steps of a run": CARTPOLE_STEPS,
            "seconds of a run": ours / 16,
            "reach 475": solved / 16,
        },
        f"Stable-Baselines3, {SEEDS} runs": {
            "steps of a run": ZOO_STEPS,
            "seconds of a run": float(np.mean(seconds)),
            "reach 475": float(np.mean(np.array(scores) >= SOLVED)),
        },
    }
    with capsys.disabled():
        print_table("CartPole-v1 (RL Zoo's values for Stable-Baselines3), sampled actions", rows)
    record("cartpole", rows)
    assert solved == 16
    assert ours / 16 < np.mean(seconds)


class Slow(gymnasium.Wrapper):
    """Steps that take as long as those of a small simulator."""

    def __init__(self, env, seconds):
        super().__init__(env)
        self.seconds = seconds

    def step(self, action):
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
        return self.env.step(action)


def environment(seconds):
    return lambda: Slow(gymnasium.make("CartPole-v1"), seconds)


def stepping(envs, calls=100):
    envs.reset(seed=0)
    action = np.zeros(envs.num_envs, dtype=int)

    def step():
        for _ in range(calls):
            envs.step(action)

    return step


def test_what_processes_of_their_own_bring(capsys):
    """Steps a second of sixteen CartPoles, by the time that a step takes beyond CartPole's own."""
    rows = {"SyncVectorEnv": {}, "AsyncVectorEnv": {}, "CartPoleVectorEnv": {}}
    for seconds in (0.0, 0.0001, 0.001):
        made = [environment(seconds)] * 16
        contestants = {"SyncVectorEnv": gymnasium.vector.SyncVectorEnv(made)}
        contestants["AsyncVectorEnv"] = gymnasium.vector.AsyncVectorEnv(made)
        if not seconds:
            contestants["CartPoleVectorEnv"] = gymnasium.make_vec("CartPole-v1", num_envs=16)
        found = medians(in_turn({name: stepping(envs) for name, envs in contestants.items()}, 3, time.perf_counter))
        for name in rows:
            rows[name][f"{1000 * seconds:g} ms"] = 1600 / found[name] if name in found else None
        for envs in contestants.values():
            envs.close()
    with capsys.disabled():
        print_table("environment steps a second, sixteen CartPoles, by what a step takes beyond CartPole's own", rows)
    record("processes", rows)
    assert rows["AsyncVectorEnv"]["1 ms"] > rows["SyncVectorEnv"]["1 ms"]
