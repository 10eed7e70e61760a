"""The claims ledger of notebook 07: what one reads about PPO, GRPO and their parts, and what the brackets say.

The rule is that of notebook 04 (ledger.py): a claim becomes one number and the range in which the claim has it. A
number of sixteen runs has a 95 % interval, that of a mean over runs; one that is computed by listing every text has
none, and stands for its own bounds. Numbers of two settings are subtracted run by run, seed by seed.
"""

import dataclasses
import math

import pandas as pd
import torch

from lecture_utils.experiments.brackets import at_update, difference, estimator_gradient, load_language, std_weight
from lecture_utils.experiments.data_files import DATA
from lecture_utils.experiments.ledger import Measure
from lecture_utils.experiments.statistics import interval
from lecture_utils.language import task
from lecture_utils.language.learners import Recipe
from lecture_utils.language.policy import completion_log_probs, for_runs, reference

BETA = Recipe().beta  # the price of a nat in "methods"
LITTLE = 0.01  # a hundredth of a reward, of a right text


@dataclasses.dataclass(frozen=True)
class Claim:
    """says: the sentence, in our words. source: whose it is. number: what is measured. threshold: its range and why."""

    says: str
    source: str
    number: str
    threshold: str
    own: Measure

    @property
    def verdict(self):
        return self.own.verdict


def moved_policy(size=0.1, seed=0):
    """A policy some way from the reference, in double precision, and the reference: two policies of one run.

    Every weight of the reference is moved by a normal number of this size, so that no direction of KL is near 0.
    """
    policy, generator = for_runs(reference(), 1).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in policy.parameters():
            weight += size * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return policy.requires_grad_(), for_runs(reference(), 1).double()


def estimator_table(level="text"):
    """The mean gradient of k1, k2, k3 as losses at `moved_policy`, by listing all texts: DataFrame, a row an estimator.

    Columns: "size", in units of the size of KL(pi || ref)'s gradient, and the cosines with the gradients of KL(pi ||
    ref) and KL(ref || pi) (NaN for k1, which has none). level: as `brackets.estimator_gradient` takes it.
    """
    policy, ref = moved_policy()
    ours, theirs = completion_log_probs(policy), completion_log_probs(ref).detach()
    exact = {"KL(pi || ref)": task.kl(ours, theirs), "KL(ref || pi)": task.kl(theirs, ours)}
    exact = {name: task.gradient(x, policy.parameters())[0] for name, x in exact.items()}
    rows = {}
    for kind in ("k1", "k2", "k3"):
        found, unit = estimator_gradient(kind, policy, ref, level)[0], exact["KL(pi || ref)"].norm()
        size = (found.norm() / unit).item()
        cosines = {name: (found @ x / found.norm() / x.norm()).item() for name, x in exact.items()}
        rows[kind] = {"size": size} | (cosines if size > 1e-6 else dict.fromkeys(cosines, math.nan))
    return pd.DataFrame(rows).T


def with_objective(table, beta=BETA):
    """The table with a column objective: reward - beta KL(pi || ref)."""
    return table.assign(objective=table["reward"] - beta * table["kl"])


def _difference(where, table, column, setting, base, claimed, digits=3):
    mean, low, high = difference(table, column, setting, base)
    return Measure(where, float(mean), (float(low), float(high)), claimed, digits)


def _exact(where, value, claimed, digits=2):
    return Measure(where, float(value), (float(value), float(value)), claimed, digits)


def ledger(folder=DATA):
    """The claims, a list of Claim. folder: where language/*.csv lie."""
    methods, imperfect = with_objective(load_language("methods", folder)), load_language("imperfect", folder)
    above, below = (0, math.inf), (-math.inf, 0)
    right = (completion_log_probs(reference())[0].exp() * task.reward_table()).sum(-1)
    weights, estimators = std_weight(right.numpy(), Recipe().group), estimator_table()
    no_loss = f"at least -{LITTLE}, a hundredth of a right text"
    pays = "above 0.95, nearly the same direction"

    def against_ppo(name):
        return _difference(name, methods, "objective", name, "PPO", (-LITTLE, math.inf))

    def change(table, setting, column, claimed):
        mean, *bounds = _growth(table, setting, column)
        return Measure(setting, mean, tuple(bounds), claimed, 2)

    return [
        Claim(
            "No critic is needed: the mean of the other texts does its work", "Back to Basics",
            f"leave-one-out minus PPO, reward - {BETA} KL at the end", no_loss, against_ppo("RLOO"),
        ),
        Claim(
            "No critic is needed: GRPO does as well as PPO", "DeepSeekMath",
            f"GRPO minus PPO, reward - {BETA} KL at the end", no_loss, against_ppo("GRPO"),
        ),
        Claim(
            "Dividing by the group's std gives easy and hard prompts more weight", "R1-Zero-Like Training",
            "weight of the heaviest of our prompts over that of the lightest, groups of 8, at the reference, listed",
            "above 1.1, a tenth more", _exact("groups of 8", weights.max() / weights.min(), (1.1, math.inf)),
        ),
        Claim(
            "Groups all alike, which teach nothing, become more in training", "DAPO",
            "share of such groups, last 20 updates minus first 20, GRPO", "above 0",
            change(methods, "GRPO", "alike", above),
        ),
        Claim(
            "k1 in the loss pays for KL(pi || ref)", "many programs",
            "size of its mean gradient over that of KL(pi || ref), listed", "above 0.95, nearly the same size",
            _exact("listed", estimators.loc["k1", "size"], (0.95, math.inf)),
        ),
        Claim(
            "k3 in the loss pays for KL(pi || ref)", "DeepSeekMath",
            "cosine of its mean gradient with that of KL(pi || ref), listed", pays,
            _exact("listed", estimators.loc["k3", "KL(pi || ref)"], (0.95, math.inf)),
        ),
        Claim(
            "Without a price, an imperfect reward is exploited", "Reward Model Overoptimization",
            "change of the share of right texts over the training, beta 0", "below 0",
            change(imperfect, "beta 0", "true_reward", below),
        ),
        Claim(
            "A price of the KL divergence prevents it", "Ziegler and others",
            "the same at beta 0.1", "above 0", change(imperfect, "beta 0.1", "true_reward", above),
        ),
    ]  # fmt: skip


def _growth(table, setting, column):
    """By how much a column grew between its first row and its last, run by run: (mean, low, high)."""
    runs = table[table["setting"] == setting].dropna(subset=[column]).pivot_table(column, "run", "update")
    change = (runs.iloc[:, -1] - runs.iloc[:, 0]).to_numpy()
    return float(change.mean()), *map(float, interval(change))


def table(claims):
    """A row a claim, in words: what is said, the number with its interval, the range, the verdict."""
    rows = [
        {"what one reads": x.says, "measured": _number(x.own), "true if": x.threshold.split(",")[0],
         "verdict": x.verdict}
        for x in claims
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _number(measure):
    low, high = measure.bounds
    return f"{measure.value:.{measure.digits}f}, exact" if low == high else str(measure)


def summary(table, settings=None, columns=None, worst=None, digits=2):
    """A row a setting, at the end of training: of each column the mean of the runs with its interval, as text.

    settings: those to show, all where None. columns: dict of column -> title. worst: the column of which the lowest run
    is shown, too.
    """
    rows = at_update(table, [*columns]).set_index("setting").loc[settings or table["setting"].unique()]
    found = {}
    for column, title in columns.items():
        numbers = rows[[column, f"{column} low", f"{column} high"]].to_numpy() + 0.0
        found[title] = ["{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*x, d=digits) for x in numbers]
        if column == worst:
            found["worst run"] = [f"{x:.{digits}f}" for x in rows[f"{column} min"]]
    return pd.DataFrame(found, index=rows.index)
