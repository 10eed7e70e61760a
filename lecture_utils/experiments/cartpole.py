"""The comparison of notebook 04 repeated on CartPole-v1: do its verdicts hold where the action is a choice?

A2C, the unclipped ratio and PPO, sixteen runs each, by passes over the same data; all else is the recipe with which PPO
solves the task. `python -m lecture_utils.experiments.cartpole` (part of `make data-cartpole`) records it in
data/cartpole, one file a number of passes; it can be stopped, and goes on with the files that are missing.
"""

import math

import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, TUNED, evaluate, train
from lecture_utils.experiments.data_files import DATA, ROOT, checked, kept, read_table, write_checksums, write_table
from lecture_utils.experiments.fair_experiment import ALGORITHMS, FAR, SEEDS, ThreeAlgorithms
from lecture_utils.experiments.ledger import RARELY, SELDOM, Measure
from lecture_utils.experiments.statistics import interval, iqm

TASK = "CartPole-v1"
SOLVED = 475.0  # mean return over 100 episodes, which Gymnasium gives as the task's threshold; 500 is the most
# In November 2026 sixteen runs took 19 s of processor time, on one core. Mean of 100 episodes with sampled actions:
# 500 for all seeds from 0 to 15; 500 for fourteen of the seeds from 100 to 115, 480 and 281 for the other two.
CARTPOLE = TUNED.replace(
    gamma=0.98, minibatch_size=256, initial_std=0.0, episodes_per_update=32, rollout_steps=32, reward_scale=0.1,
    normalize_advantages="minibatch", anneal_updates=30, target_kl=math.inf,
)  # fmt: skip
PER_UPDATE = CARTPOLE.episodes_per_update * CARTPOLE.rollout_steps  # steps of a run
CARTPOLE_STEPS = CARTPOLE.anneal_updates * PER_UPDATE  # 30,720 a run
FOLDER = DATA / "cartpole"
PASSES = (1, 2, 5, 10)
EARLY = CARTPOLE.anneal_updates // 3  # updates
MARGIN = 40.0  # steps: a twelfth of what lies between an untrained policy and 500, as in 04's ledger
SEVERAL = 1.25  # times as many steps until an episode ends: what "comparable" excludes
LOGGED = ("clip_fraction", "approx_kl", "kl_after", "loss_ent", "explained_variance")
COLUMNS = ("run", "update", "ended", *LOGGED, "score")


class Recorded(PPO):
    """The three algorithms side by side, which keep a row a run and update. ended: episodes that did, in a rollout."""

    actor_loss, third = ThreeAlgorithms.actor_loss, ThreeAlgorithms.third

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rows = []

    def update(self, rollout):
        log = super().update(rollout)
        ended = (rollout.terminated | rollout.truncated).sum((1, 2))
        row = {"run": np.arange(self.runs), "update": self.updates - 1, "ended": ended}
        self.rows.append(pd.DataFrame(row | {name: log[name] for name in LOGGED}))
        return log


def record(passes, recipe=CARTPOLE, seeds=SEEDS, episodes=100):
    """Train all with so many passes: a DataFrame of COLUMNS, the first third of the runs A2C, the last third PPO.

    score: the mean return of the sampled policy after training, over `episodes` episodes, at the last update only.
    """
    agent = Recorded.for_env(TASK, recipe.replace(passes=passes), seeds=[*seeds] * len(ALGORITHMS))
    steps = recipe.anneal_updates * recipe.episodes_per_update * recipe.rollout_steps
    train(agent, steps=steps, env=TASK)
    rows = pd.concat(agent.rows, ignore_index=True).assign(score=np.nan)
    rows.loc[rows["update"] == rows["update"].max(), "score"] = evaluate(agent, episodes, env=TASK).mean(-1)
    return rows


def _file(passes):
    return f"cartpole/passes_{passes}.csv"


def load_cartpole(folder=FOLDER):
    """The experiment as one DataFrame: algorithm, passes, run (0 to 15), then as `record` gives it.

    Raises FileNotFoundError or ValueError for a file that is missing or changed.
    """
    command, logs = "make data-cartpole", []
    for passes in PASSES:
        log = read_table(checked(_file(passes), folder.parent, command), COLUMNS, command)
        log.insert(0, "algorithm", log.run.floordiv(len(SEEDS)).map(dict(enumerate(ALGORITHMS))))
        log.insert(1, "passes", passes)
        logs.append(log.assign(run=log.run % len(SEEDS)))
    return pd.concat(logs, ignore_index=True)


def by_run(log):
    """One row an algorithm, number of passes and run.

    early: steps until an episode ends, over the first EARLY updates: all steps over the number of ends, at least one.
    outside: the clip fraction over the same updates. far: the share of all updates whose KL is above FAR nats. score:
    the mean return after training.
    """
    keys = ["algorithm", "passes", "run"]
    early = log[log["update"] < EARLY].groupby(keys)
    table = {
        "early": EARLY * PER_UPDATE / early.ended.sum().clip(lower=1),
        "outside": early.clip_fraction.mean(),
        "far": log.assign(far=log.kl_after > FAR).groupby(keys).far.mean(),
        "score": log.dropna(subset="score").set_index(keys).score,
    }
    return pd.DataFrame(table).reset_index()


def _cells(runs, column):
    """(algorithm, passes) -> (16,) numbers of the runs."""
    return {key: rows[column].to_numpy() for key, rows in runs.groupby(["algorithm", "passes"])}


def _measured(where, statistic, samples, claimed, digits=0):
    bounds = interval(tuple(samples), statistic=statistic)
    return Measure(where, float(statistic(*samples, axis=0)), bounds, claimed, digits)


def _one(x, axis=0):
    return iqm(x, axis)


def _difference(x, y, axis=0):
    return iqm(x, axis) - iqm(y, axis)


def _quotient(x, y, axis=0):
    return iqm(x, axis) / iqm(y, axis)


def transfer(log):
    """The ledger's claims on this task: dict claim -> list of Measure, one a number of passes (or a pair of them).

    As in 04, a verdict asks whether the 95 % interval of the runs lies in the claim's range.
    """
    runs = by_run(log)
    early, score, far, outside = (_cells(runs, name) for name in ("early", "score", "far", "outside"))
    both = {count: (("PPO", count), ("A2C", count)) for count in PASSES}

    def against(measure, cells, claimed, digits=0):
        return [
            _measured(f"{count}", measure, [cells[mine], cells[other]], claimed, digits)
            for count, (mine, other) in both.items()
        ]

    def ten_for_five(measure, cells, algorithm, claimed, digits=0):
        return [_measured("10 for 5", measure, [cells[algorithm, 10], cells[algorithm, 5]], claimed, digits)]

    return {
        "early learning is comparable": against(_quotient, early, (1 / SEVERAL, SEVERAL), 2),
        "the clip rarely activates early": [
            _measured(f"{count}", _one, [outside["PPO", count]], (0, RARELY), 3) for count in PASSES
        ],
        "PPO reaches a higher end": against(_difference, score, (0, math.inf)),
        "ten passes destabilise A2C": ten_for_five(_difference, score, "A2C", (-math.inf, -MARGIN)),
        "for PPO ten passes are safe": ten_for_five(_difference, score, "PPO", (-MARGIN, math.inf)),
        "and helpful": ten_for_five(_quotient, early, "PPO", (1, math.inf), 2),
        "PPO's policy does not blow up": [
            _measured(f"{count}", _one, [far["PPO", count]], (0, SELDOM), 3) for count in PASSES
        ],
    }


NUMBERS = {
    "early learning is comparable": f"PPO over A2C, early steps to an end; {1 / SEVERAL:g} to {SEVERAL:g}",
    "the clip rarely activates early": f"share outside the band; below {RARELY:g}",
    "PPO reaches a higher end": "PPO minus A2C, final score; above 0",
    "ten passes destabilise A2C": f"A2C's final score; below -{MARGIN:.0f}",
    "for PPO ten passes are safe": f"PPO's final score; above -{MARGIN:.0f}",
    "and helpful": "PPO, early steps to an end, over; above 1",
    "PPO's policy does not blow up": f"updates beyond {FAR:g} nat; below {SELDOM:g}",
}


def short(claims):
    """The verdicts of `transfer` alone: a DataFrame, one row a claim, a column a number of passes (or a pair)."""
    rows = {claim: {x.where: x.verdict for x in measures} for claim, measures in claims.items()}
    return pd.DataFrame(rows).T.fillna("")[[*map(str, PASSES), "10 for 5"]].rename_axis("passes", axis=1)


def verdicts(claims):
    """What `transfer` found as a DataFrame: one row a claim and number of passes."""
    rows = [
        {"claim": claim, "number; the claim's range": NUMBERS[claim], "passes": x.where, "measured": str(x),
         "verdict": x.verdict}
        for claim, measures in claims.items()
        for x in measures
    ]  # fmt: skip
    return pd.DataFrame(rows)


def solved(log):
    """How many of the sixteen runs reach SOLVED: a DataFrame, one row an algorithm, a column a number of passes."""
    runs = by_run(log)
    table = runs.assign(solved=runs.score >= SOLVED).pivot_table("solved", "algorithm", "passes", "sum")
    return table.loc[list(ALGORITHMS)].astype(int).rename_axis(None)


def beyond(log):
    """Share of the updates that move the policy by more than FAR nats, interquartile means: as `solved` gives it."""
    table = by_run(log).pivot_table("far", "algorithm", "passes", lambda x: iqm(x.to_numpy()))
    return table.loc[list(ALGORITHMS)].rename_axis(None)


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for passes in PASSES:
        write_table(kept(ROOT / "build" / _file(passes), record, passes), DATA / _file(passes), float_format="%.4g")
    write_checksums(names=[_file(passes) for passes in PASSES])


if __name__ == "__main__":
    main()
