"""Recorded trainings with a planted fault, for exercises 3.3 and 5.3: what do the diagnostics tell?

All train from the same weights and on the same random numbers, so that the fault alone differs. `python -m
lecture_utils.experiments.faulty_runs` records them (data/faulty_runs.csv).
"""

import pandas as pd
import torch

from lecture_utils import PPO, Hyperparameters, train
from lecture_utils.experiments import museum
from lecture_utils.experiments.data_files import DATA, checked, read_table, write_checksums, write_table
from lecture_utils.experiments.statistics import two_digits
from lecture_utils.training import LOG_COLUMNS

FILE = "faulty_runs.csv"
RUNS, EPISODES, LATE = 5, 100, 40  # runs, episodes of each, and how many of them, the last, are told of
COLUMNS = (*(name for name in LOG_COLUMNS if name not in ("episode", "loss_act")), "fault")
RECIPE = Hyperparameters(
    gamma=0.97, gae_lambda=0.95, entropy_coef=0.0, actor_lr=2e-3, critic_lr=3e-3, minibatch_size=128, passes=5,
    episodes_per_update=4, mean_head="linear", std_head="free", score_action="sampled", shuffle=True,
    normalize_advantages="rollout", reward_scale=0.2, hidden=(64, 64), activation="tanh", initialization="orthogonal",
)  # fmt: skip
SICK = {
    "A": "the critic learns too slowly",
    "B": "the actor's learning rate is far too high",
    "C": "the standard deviation has collapsed",
}
BUGS = (
    "the sign of the advantage is flipped",
    "the ratio is always 1: the old log-probabilities are not held fixed",
    "old log-probabilities with a gradient: the ratio's halves cancel",
    "values (B, 1) minus returns (B,): every value meets every return",
)


class _Flipped(PPO):
    def actor_loss(self, log_prob, batch):
        return super().actor_loss(log_prob, {**batch, "advantage": -batch["advantage"]})


class _Broadcast(PPO):
    def minibatches(self, batch):
        for minibatch in super().minibatches(batch):
            # What the mean of all B x B squares pulls every value to: the mean of the returns.
            returns = minibatch["returns"].mean(-1, keepdim=True).expand_as(minibatch["returns"])
            yield {**minibatch, "returns": returns}


def _slow_critic(agent):
    agent.critic_optimizer.lr = 1e-6


def _fast_actor(agent):
    agent.actor_optimizer.lr = 0.1


def _small_std(agent):
    with torch.no_grad():
        agent.actor.log_std.fill_(-4.0)


FAULTS = {
    "healthy": (PPO, None),
    SICK["A"]: (PPO, _slow_critic),
    SICK["B"]: (PPO, _fast_actor),
    SICK["C"]: (PPO, _small_std),
    BUGS[0]: (_Flipped, None),
    BUGS[1]: (museum.OldPolicyEveryStep, None),
    BUGS[2]: (museum.NotDetached, None),
    BUGS[3]: (_Broadcast, None),
}


def record(folder=DATA):
    """Train every kind and write one row a kind and run: the means over its last episodes."""
    rows = []
    for fault, (kind, change) in FAULTS.items():
        agent = kind(3, 1, RECIPE, seeds=range(RUNS))
        if change:
            change(agent)
        log = train(agent, episodes=EPISODES, progress=False)
        late = log[log.episode >= EPISODES - LATE].groupby("run", as_index=False).mean()
        rows.append(late.assign(fault=fault)[list(COLUMNS)])
    write_table(pd.concat(rows), folder / FILE, float_format="%.6g")
    write_checksums(folder, [FILE])


def side_by_side(faults, folder=DATA):
    """The diagnostics of some kinds beside each other: a DataFrame of text, medians over runs.

    faults: dict of column -> one of FAULTS.
    """
    rows = read_table(checked(FILE, folder), COLUMNS).set_index("fault").drop(columns="run")
    return pd.DataFrame({name: rows.loc[fault].median() for name, fault in faults.items()}).map(two_digits)


if __name__ == "__main__":
    torch.set_num_threads(1)
    record()
