"""How long until the task is solved, recipe and program apart, on the same starts.

Stable-Baselines3's PPO with RL Zoo's recipe and with TUNED's, and this program with TUNED's, one run alone and sixteen.
`python -m lecture_utils.experiments.time_to_solve` (part of `make data-details`) writes data/time_to_solve.csv: one row
an update, with the score and the seconds of one core so far. Needs stable-baselines3.
"""

import time

import gymnasium
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from lecture_utils import PPO, TUNED, TUNED_EPISODES, PendulumVectorEnv, evaluate, fixed_starts, train
from lecture_utils.experiments.data_files import DATA, ROOT, checked, kept, read_table, write_checksums, write_table
from lecture_utils.pendulum import EPISODE_STEPS

FILE = "time_to_solve.csv"
COLUMNS = ("program", "seed", "samples", "seconds", "score")
SOLVED, STARTS = -160.0, 300  # mean return of the mean action over so many fixed starts
THRESHOLDS = (-200.0, -180.0, -170.0, SOLVED)
ZOO_NAME, THERE = "Stable-Baselines3, RL Zoo's recipe", "Stable-Baselines3, TUNED"
ALONE, TOGETHER = "here, TUNED, alone", "here, TUNED, 16 at once"
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
ZOO_PUBLISHES = "-172 +- 104 over episodes after 100,000 steps"  # RL Zoo, benchmark.md, PPO on Pendulum-v1


def zoo(seed):
    """Train Stable-Baselines3's PPO; yields after each update a function without arguments: the score, (1,)."""
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env("Pendulum-v1", ZOO_ENVS, seed)
    model = stable_baselines3.PPO("MlpPolicy", envs, seed=seed, device="cpu", **ZOO)
    while model.num_timesteps < ZOO_STEPS:
        model.learn(ZOO_ENVS * ZOO["n_steps"], log_interval=None, reset_num_timesteps=False)
        yield lambda: _score_there(model, 1.0)


def tuned_there(seed):
    """As zoo, but with TUNED's recipe, as far as the arguments of Stable-Baselines3 give it.

    Three things stay its own: advantages are normalised per minibatch, gradients are clipped for both networks
    together, and the early stop on KL comes before a step, not after a pass.
    """
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env

    def wrapped(env):
        scaled = gymnasium.wrappers.TransformReward(env, lambda reward: TUNED.reward_scale * reward)
        return gymnasium.wrappers.RescaleAction(scaled, np.float32(-1), np.float32(1))  # its std starts at 1, our 2 N m

    envs = make_vec_env("Pendulum-v1", TUNED.episodes_per_update, seed, wrapper_class=wrapped)
    model = stable_baselines3.PPO(
        "MlpPolicy", envs, seed=seed, device="cpu", n_steps=EPISODE_STEPS, batch_size=TUNED.minibatch_size,
        n_epochs=TUNED.passes, gamma=TUNED.gamma, gae_lambda=TUNED.gae_lambda, clip_range=TUNED.clip,
        ent_coef=TUNED.entropy_coef, max_grad_norm=TUNED.max_grad_norm, vf_coef=1.0,
        target_kl=TUNED.target_kl / 1.5,  # it stops above 1.5 times its argument
        policy_kwargs={"net_arch": list(TUNED.hidden), "optimizer_kwargs": {"eps": 1e-8}},
    )  # fmt: skip
    for update in range(TUNED.anneal_updates):
        model.lr_schedule = lambda left, size=TUNED.actor_lr * (1 - update / TUNED.anneal_updates): size
        model.learn(TUNED.episodes_per_update * EPISODE_STEPS, log_interval=None, reset_num_timesteps=False)
        yield lambda: _score_there(model, 2.0)


def tuned(seeds):
    """Train TUNED, one run a seed; yields after each update a function without arguments: the scores, (R,)."""
    agent = PPO(3, 1, TUNED, seeds=seeds)
    for _ in range(TUNED_EPISODES // TUNED.episodes_per_update):
        train(agent, TUNED.episodes_per_update, progress=False)
        yield lambda: evaluate(agent, STARTS, deterministic=True).mean(-1)


STEPS = TUNED.episodes_per_update * EPISODE_STEPS
# name: (generator of updates, environment steps that a run takes for one)
PROGRAMS = {
    ZOO_NAME: (zoo, ZOO_ENVS * ZOO["n_steps"]),
    THERE: (tuned_there, STEPS),
    ALONE: (lambda seed: tuned([seed]), STEPS),
    TOGETHER: (tuned, STEPS),
}


def _score_there(model, unit):
    """unit: N m of an action of 1."""
    envs = PendulumVectorEnv(STARTS)
    observation, total = envs.reset(options={"state": fixed_starts(STARTS)})[0], 0.0
    for _ in range(EPISODE_STEPS):
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, *_ = envs.step(unit * action)
        total += reward.mean()
    return np.array([total])


def watched(updates, samples):
    """Rows (samples, seconds, score), one an update and run; seconds: processor time of the training, per run.

    updates: zoo(...), tuned_there(...) or tuned(...). samples: steps of the environment that a run takes for an update.
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


def measure(program, seeds):
    """Train `program`, a key of PROGRAMS, once with these seeds; returns a DataFrame of COLUMNS."""
    import stable_baselines3  # noqa: F401  so that no run's seconds hold the import

    torch.set_num_threads(1)
    run, samples = PROGRAMS[program]
    rows = watched(run(*seeds) if len(seeds) == 1 else run(seeds), samples)
    table = [(program, seed, *row) for update in rows for seed, row in zip(seeds, update, strict=True)]
    return pd.DataFrame(table, columns=COLUMNS)


def load_time_to_solve(folder=DATA):
    """The recorded table: program, seed, samples (so far), seconds (of one core, a run, so far), score."""
    return read_table(checked(FILE, folder, command="make data-details"), COLUMNS, command="make data-details")


def until_solved(table, threshold=SOLVED, held=False):
    """A row a program and seed: samples and seconds at its first score of at least `threshold`; infinite if never.

    held: at the first score from which on no later one of the run is below.
    """
    runs = table.groupby(["program", "seed"])
    reached = table.score >= threshold
    if held:
        below_later = (~reached)[::-1].groupby([table.program, table.seed]).cummax()
        reached = ~below_later.sort_index()
    first = table[reached].groupby(["program", "seed"])[["samples", "seconds"]].first().astype(float)
    return first.reindex(runs.first().index, fill_value=np.inf).reset_index()


def main():
    runs = [(name, [seed]) for name in (ZOO_NAME, THERE, ALONE) for seed in SEEDS] + [(TOGETHER, [*range(16)])]
    parts = [ROOT / "build" / "time_to_solve" / f"{k}.csv" for k in range(len(runs))]
    shown = tqdm(list(zip(parts, runs, strict=True)), desc=FILE)  # one at a time: they are timed
    table = pd.concat([kept(path, measure, *run) for path, run in shown])
    write_table(table.sort_values(["program", "seed", "samples"]), DATA / FILE, float_format="%.6g")
    write_checksums(names=[FILE])
    for path in parts:
        path.unlink()


if __name__ == "__main__":
    main()
