"""How long until the task is solved: Stable-Baselines3's PPO with RL Zoo's values beside TUNED, on the same starts.

`python -m lecture_utils.experiments.time_to_solve` (part of `make data-details`) writes data/time_to_solve.csv: one row
an update, with the score and the seconds of one core so far. Needs stable-baselines3.
"""

import time

import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, TUNED, TUNED_EPISODES, PendulumVectorEnv, evaluate, fixed_starts, train
from lecture_utils.experiments.data_files import DATA, checked, read_table, write_checksums, write_table
from lecture_utils.pendulum import EPISODE_STEPS

FILE = "time_to_solve.csv"
COLUMNS = ("program", "seed", "samples", "seconds", "score")
SOLVED, STARTS = -160.0, 300  # mean return of the mean action over so many fixed starts
SEEDS = range(5)
# RL Zoo, hyperparams/ppo.yml, Pendulum-v1
ZOO = {
    "n_steps": 1024,
    "gae_lambda": 0.95,
    "gamma": 0.9,
    "n_epochs": 10,
    "ent_coef": 0.0,
    "learning_rate": 1e-3,
    "clip_range": 0.2,
    "use_sde": True,
    "sde_sample_freq": 4,
}
ZOO_ENVS, ZOO_STEPS = 4, 100_000


def zoo(seed):
    """Train Stable-Baselines3's PPO; yields after each update a function without arguments: the score, (1,)."""
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env("Pendulum-v1", ZOO_ENVS, seed)
    model = stable_baselines3.PPO("MlpPolicy", envs, seed=seed, device="cpu", **ZOO)
    while model.num_timesteps < ZOO_STEPS:
        model.learn(ZOO_ENVS * ZOO["n_steps"], log_interval=None, reset_num_timesteps=False)
        yield lambda: _zoo_score(model)


def tuned(seeds):
    """Train TUNED, one run a seed; yields after each update a function without arguments: the scores, (R,)."""
    agent = PPO(3, 1, TUNED, seeds=seeds)
    for _ in range(TUNED_EPISODES // TUNED.episodes_per_update):
        train(agent, TUNED.episodes_per_update, progress=False)
        yield lambda: evaluate(agent, STARTS, deterministic=True).mean(-1)


def _zoo_score(model):
    envs = PendulumVectorEnv(STARTS)
    observation, total = envs.reset(options={"state": fixed_starts(STARTS)})[0], 0.0
    for _ in range(EPISODE_STEPS):
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, *_ = envs.step(action)
        total += reward.mean()
    return np.array([total])


def watched(updates, samples):
    """Rows (samples, seconds, score), one an update and run; seconds: processor time of the training, per run.

    updates: zoo(...) or tuned(...). samples: steps of the environment that each run takes for an update.
    """
    rows, seconds, count = [], 0.0, 0
    while True:
        start = time.process_time()
        score = next(updates, None)
        seconds, count = seconds + time.process_time() - start, count + 1
        if score is None:
            return rows
        scores = score()
        rows.append([(count * samples, seconds / len(scores), x) for x in scores])


def record(seeds=SEEDS, together=range(16)):
    """The table, measured now: each program alone with each seed, then TUNED with all seeds of `together` at once."""
    torch.set_num_threads(1)
    samples = TUNED.episodes_per_update * EPISODE_STEPS
    programs = {"Stable-Baselines3, RL Zoo": lambda s: watched(zoo(s), ZOO_ENVS * ZOO["n_steps"])}
    programs["TUNED, alone"] = lambda s: watched(tuned([s]), samples)
    table = []
    for name, run in programs.items():
        for seed in seeds:
            table += [(name, seed, *row) for (row,) in run(seed)]
    for rows in watched(tuned(together), samples):
        table += [(f"TUNED, {len(together)} at once", seed, *row) for seed, row in zip(together, rows, strict=True)]
    return pd.DataFrame(table, columns=COLUMNS).sort_values(["program", "seed", "samples"], ignore_index=True)


def load_time_to_solve(folder=DATA):
    """The recorded table: program, seed, samples (so far), seconds (of one core, a run, so far), score."""
    return read_table(checked(FILE, folder, command="make data-details"), COLUMNS, command="make data-details")


def until_solved(table):
    """A row a program and seed: samples and seconds at its first score of at least SOLVED, infinite where none is."""
    first = table[table.score >= SOLVED].groupby(["program", "seed"])[["samples", "seconds"]].first().astype(float)
    return first.reindex(table.groupby(["program", "seed"]).first().index, fill_value=np.inf).reset_index()


def main():
    write_table(record(), DATA / FILE, float_format="%.6g")
    write_checksums(names=[FILE])


if __name__ == "__main__":
    main()
