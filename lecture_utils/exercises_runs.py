"""Recorded trainings with a planted fault, for exercises 3.3 and 5.3: what do the diagnostics tell?

All train from the same weights and on the same random numbers, so that the fault alone differs. `python -m
lecture_utils.exercises_runs` records them (data/faulty_runs.csv).
"""

import numpy as np
import pandas as pd
import torch

from lecture_utils import museum
from lecture_utils.agents import PPO
from lecture_utils.data_files import DATA, checked, read_table, write_checksums, write_table
from lecture_utils.exercises_choices import judge_choices
from lecture_utils.hyperparameters import Hyperparameters
from lecture_utils.training import LOG_COLUMNS, train

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


def sick_runs(folder=DATA):
    """The diagnostics of healthy runs and of three sick kinds, A, B and C: a DataFrame of text, medians over runs."""
    return _side_by_side({"healthy": "healthy", **SICK}, folder)


def check_diagnosis(answers):
    """Exercise 3.3: {"A": diagnosis, "B": ..., "C": ...}, one of those in SICK."""
    signs = {
        "A": "the explained variance is near 0: this critic is hardly better than a constant",
        "B": "the policy moves further in an update than in any other column: see approx_kl and clip_fraction",
        "C": "the entropy is far below that of the healthy run",
    }
    return judge_choices(
        "3.3", answers, {name: {fault} for name, fault in SICK.items()}, tuple(SICK.values()),
        "The return only says that a run is sick; explained variance, KL and entropy say where.",
        measured={name: f"the sign: {sign}" for name, sign in signs.items()},
        mistakes=[("the learning rate and the standard deviation are exchanged: look at the entropy",
                   {"A": {SICK["A"]}, "B": {SICK["C"]}, "C": {SICK["B"]}}),
                  ("the critic is blamed for what the actor does: look at the explained variance",
                   {"A": {SICK["B"], SICK["C"]}, "B": {SICK["A"]}, "C": {SICK["B"], SICK["C"]}})],
    )  # fmt: skip


def plant_bug(number):
    """The diagnostics of healthy runs and of runs with a bug that the number decides: a DataFrame of text.

    number: any whole number; whoever chose it does not know the bug either. Answer with check_bug(number, bug).
    """
    return _side_by_side({"healthy": "healthy", "with the bug": _bug(number)})


def check_bug(number, answer):
    """Exercise 5.3: the bug that plant_bug(number) planted, one of BUGS."""
    bug, question = _bug(number), f"bug number {number}"
    signs = {
        BUGS[0]: "the return falls while the diagnostics look healthy: the update works, in the wrong direction",
        BUGS[1]: "the policy moves further in an update than the healthy one: nothing brakes it after the first step",
        BUGS[2]: "the policy hardly moves at all: approx_kl and clip_fraction are far below the healthy ones",
        BUGS[3]: "the explained variance is near 0: the critic knows the mean return and nothing about the state",
    }
    answers = answer if answer is ... or answer is None else {question: answer}
    return judge_choices(
        "5.3", answers, {question: {bug}}, BUGS,
        "A bug is found by what it leaves unchanged, too: compare every row with the healthy run.",
        measured={question: f"the sign: {signs[bug]}"},
        mistakes=[(f"a bug of another kind than {answer!r:.80}", {question: set(BUGS) - {bug}})],
    )  # fmt: skip


def _bug(number):
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"number must be a whole number, got {number!r}")
    return BUGS[np.random.default_rng(abs(number) + 5).integers(len(BUGS))]


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


def _side_by_side(faults, folder=DATA):
    rows = read_table(checked(FILE, folder), COLUMNS).set_index("fault").drop(columns="run")
    return pd.DataFrame({name: rows.loc[fault].median() for name, fault in faults.items()}).map(_two_digits)


def _two_digits(x):
    x = 0.0 if abs(x) < 1e-6 else x  # rounding errors of zero
    return np.format_float_positional(x, precision=2, unique=False, fractional=False, trim="-")


if __name__ == "__main__":
    torch.set_num_threads(1)
    record()
