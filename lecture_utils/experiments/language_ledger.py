"""The claims ledger of notebook 07: what one reads about PPO, GRPO and their parts, and what the brackets say.

The rule is that of notebook 04 (ledger.py): a claim becomes one number and the range in which the claim has it. But a
mean of sixteen runs has two 95 % intervals here, by the bootstrap and by Student's t, because the first is too short
where a few runs collapse; where they give two verdicts, the verdict is "undecided". A number that is computed by
listing every text has no interval, and stands for its own bounds. Numbers of two settings are subtracted run by run.
"""

import dataclasses
import math

import numpy as np
import pandas as pd
import scipy.stats

from lecture_utils.experiments.brackets import UPDATES, at_update, load_language, run_by_run, std_weight
from lecture_utils.experiments.data_files import DATA
from lecture_utils.experiments.ledger import Measure
from lecture_utils.experiments.statistics import interval
from lecture_utils.language import task
from lecture_utils.language.learners import Recipe
from lecture_utils.language.policy import completion_log_probs, reference

BETA = Recipe().beta  # the price of a nat in "methods"
STEP_SIZES = (3e-4, 1e-3, 3e-3)  # of which "methods" has the middle one
RIVALS = ("RLOO", "GRPO")
NAMES = {"RLOO": "leave-one-out"}  # of a setting, in the notebook
MOST_DIGITS = 6


@dataclasses.dataclass(frozen=True)
class TwoIntervals(Measure):
    """A mean over runs. bounds: by the bootstrap (BCa); student: by Student's t. A verdict is what both of them say."""

    student: tuple = dataclasses.field(kw_only=True)

    @property
    def verdict(self):
        found = {Measure(self.where, self.value, x, self.claimed).verdict for x in (self.bounds, self.student)}
        return found.pop() if len(found) == 1 else "undecided"


@dataclasses.dataclass(frozen=True)
class Claim:
    """says: the sentence, in our words. source: whose it is. number: what is measured, with its unit. threshold: the
    range in which the sentence is true."""

    says: str
    source: str
    number: str
    threshold: str
    own: Measure

    @property
    def verdict(self):
        return self.own.verdict


def in_words(value, low, high, digits=3):
    """Such as "0.003 [0.001, 0.005]": with more digits where an end of the interval, not 0 itself, would round to 0."""
    while digits < MOST_DIGITS and any(x and not round(x, digits) for x in (low, high)):
        digits += 1
    shown = (round(float(x), digits) + 0.0 for x in (value, low, high))  # no -0.0
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*shown, d=digits)


def student(runs):
    """The 95 % interval (low, high) of the mean of runs (R,) by Student's t."""
    return tuple(map(float, scipy.stats.ttest_1samp(runs, 0).confidence_interval()))


def told(runs, digits=3):
    """The mean of runs (R,) and its interval, `in_words`; and Student's, where only one of the two holds 0."""
    bounds = interval(runs)
    return in_words(np.mean(runs), *bounds, digits) + _if_they_disagree(bounds, student(runs), (0, math.inf), digits)


def _if_they_disagree(bounds, other, claimed, digits):
    if Measure("", 0, bounds, claimed).verdict == Measure("", 0, other, claimed).verdict:
        return ""
    return "; t " + in_words(0, *other, digits).split(" ", 1)[1]


def change(table, column, setting, base, digits=3, update=UPDATES):
    """By how much a setting is above another, run by run, as `told`."""
    return told(run_by_run(table, column, setting, base, update), digits)


def with_objective(table, beta=BETA):
    """The table with a column objective: reward - beta KL(pi || ref)."""
    return table.assign(objective=table["reward"] - beta * table["kl"])


def step_sizes(folder=DATA):
    """PPO, RLOO and GRPO at each of STEP_SIZES, with objective: settings "PPO, lr 0.001" and so on."""
    methods, others = (load_language(name, folder) for name in ("methods", "learning_rates"))
    methods = methods.assign(setting=methods["setting"] + f", lr {STEP_SIZES[1]:g}")
    table = with_objective(pd.concat([methods, others], ignore_index=True))
    return table[table["setting"].isin([f"{x}, lr {lr:g}" for x in ("PPO", *RIVALS) for lr in STEP_SIZES])]


def best_step_size(table, name):
    """Of `step_sizes`, the setting of a method that has the highest mean objective at the end."""
    ends = table[(table["update"] == UPDATES) & table["setting"].str.startswith(f"{name}, ")]
    return ends.groupby("setting")["objective"].mean().idxmax()


def lead_over_ppo(folder=DATA):
    """A row a step size, and one in which each method has its best: J of PPO, and that of RIVALS minus it, as text."""
    table, rows = step_sizes(folder), {}
    places = {f"{lr:g}": {x: f"{x}, lr {lr:g}" for x in ("PPO", *RIVALS)} for lr in STEP_SIZES}
    places["each at its best"] = {x: best_step_size(table, x) for x in ("PPO", *RIVALS)}
    for place, settings in places.items():
        ends = table[(table["update"] == UPDATES) & (table["setting"] == settings["PPO"])]
        rows[place] = {"J of PPO": f"{ends['objective'].mean():.3f}"}
        for name in RIVALS:
            lead = change(table, "objective", settings[name], settings["PPO"])
            rows[place][f"{NAMES.get(name, name)} minus PPO"] = lead
    return pd.DataFrame(rows).T.rename_axis("step size")


def gradient_summary(setting, folder=DATA):
    """Of gradients.csv: a row an estimator, for whole texts and token by token; the mean of the runs of size (in sizes
    of KL(pi || ref)'s gradient) and cosine (with it) after so many updates, as text.
    """
    table = load_language("gradients", folder)
    table = table[table["setting"] == setting]
    rows = {}
    for (level, kind), runs in table.groupby(["level", "estimator"]):
        means = runs.groupby("update")[["size", "cosine"]].mean()
        numbers = {f"{name}, update {n}": means.loc[n, name] for name in means for n in means.index}
        rows[f"{kind}, {'whole texts' if level == 'text' else 'token by token'}"] = {
            name: "none" if math.isnan(x) else f"{x:.2f}" for name, x in numbers.items()
        }
    return pd.DataFrame(rows).T


def since(table, setting, update, column="true_reward"):
    """What the runs of a setting have at the end, less what they had after an update: (R,)."""
    runs = table[table["setting"] == setting].pivot_table(column, "run", "update")
    return (runs[UPDATES] - runs[update]).to_numpy()


def at_equal_kl(setting="beta 0.1", update=UPDATES, folder=DATA):
    """A setting of "imperfect" after so many updates, against the run of equal seed without a price when that was as
    far from the reference, by a line between the two rows of "stopping" that lie about it.

    Returns a DataFrame, a row a run: ahead, by how much its share of right texts is larger; update, of the other run.
    """
    priced, often, found = load_language("imperfect", folder), load_language("stopping", folder), []
    priced = priced[(priced["setting"] == setting) & (priced["update"] == update)].sort_values("run")
    for run, kl, right in priced[["run", "kl", "true_reward"]].itertuples(index=False):
        free = often[(often["setting"] == "beta 0") & (often["run"] == run)].sort_values("update")
        after = int(np.argmax(free["kl"].to_numpy() >= kl))  # the first row that is as far away
        near = free.iloc[after - 1 : after + 1]
        theirs, when = (np.interp(kl, near["kl"], near[x]) for x in ("true_reward", "update"))
        found.append({"ahead": right - theirs, "update": when})
    return pd.DataFrame(found)


def _difference(table, column, setting, base, claimed, digits=3):
    return _runs(setting, run_by_run(table, column, setting, base), claimed, digits)


def _runs(where, runs, claimed, digits=2):
    if np.ptp(runs) < 1e-9:  # the same in all of them
        return _exact(where, runs[0], claimed, digits)
    bounds = tuple(map(float, interval(runs)))
    return TwoIntervals(where, float(np.mean(runs)), bounds, claimed, digits, student=student(runs))


def _exact(where, value, claimed, digits=2):
    return Measure(where, float(value), (float(value), float(value)), claimed, digits)


def ledger(folder=DATA):
    """The claims, a list of Claim. folder: where language/*.csv lie."""
    sizes, above, below = step_sizes(folder), (0, math.inf), (-math.inf, 0)
    names = ("methods", "passes", "clip_higher", "ratio", "imperfect", "gradients")
    methods, passes, bands, ratios, imperfect, gradients = (load_language(name, folder) for name in names)
    best = {name: best_step_size(sizes, name) for name in ("PPO", *RIVALS)}
    right = (completion_log_probs(reference())[0].exp() * task.reward_table()).sum(-1)
    weights = std_weight(right.numpy(), Recipe().group) / std_weight(0.5, Recipe().group)
    end = gradients[
        (gradients["setting"] == "GRPO") & (gradients["update"] == UPDATES) & (gradients["level"] == "text")
    ]
    apart = {kind: rows["apart"].to_numpy() for kind, rows in end.groupby("estimator")}
    alike = methods[methods["setting"] == "GRPO"].dropna(subset=["alike"]).pivot_table("alike", "run", "update")
    gradient = "size of its difference to KL's gradient, whose size is 1; whole texts, update 200"

    def same_gradient(kind, source):
        return Claim(
            f"As a loss, {kind} has the gradient of KL(pi || ref)", source, gradient, "at most 0.01",
            _runs("GRPO", apart[kind], (-math.inf, 0.01)),
        )  # fmt: skip

    return [
        Claim(
            "Leave-one-out is better than PPO", "our reading of Back to Basics",
            "its J minus PPO's, step size 0.0003", "above 0",
            _difference(sizes, "objective", "RLOO, lr 0.0003", "PPO, lr 0.0003", above),
        ),
        Claim(
            "Leave-one-out is better than PPO", "our reading of Back to Basics", "the same, step size 0.001", "above 0",
            _difference(sizes, "objective", "RLOO, lr 0.001", "PPO, lr 0.001", above),
        ),
        Claim(
            "Leave-one-out is better than PPO", "our reading of Back to Basics",
            "the same, each at its best of three: 0.003, the largest tried", "above 0",
            _difference(sizes, "objective", best["RLOO"], best["PPO"], above),
        ),
        Claim(
            "GRPO ends at least as high as PPO", "our sentence",
            "its J minus PPO's, each at its best of three step sizes (PPO's is the largest tried)", "at least 0",
            _difference(sizes, "objective", best["GRPO"], best["PPO"], above),
        ),
        Claim(
            "The group's std gives easy prompts more weight, and hard ones", "R1-Zero-Like Training",
            "weight of our easiest prompt or of our hardest, the smaller, over that of one right half of the time",
            "above 1",
            _exact("groups of 8", min(weights[right.argmax()], weights[right.argmin()]), (1, math.inf)),
        ),
        Claim(
            "Groups all alike become more in training", "DAPO", "their share, last 20 updates minus first 20",
            "above 0", _runs("GRPO", (alike.iloc[:, -1] - alike.iloc[:, 0]).to_numpy(), above),
        ),
        Claim(
            "The clip holds a policy that makes several passes", "our reading of PPO",
            "KL(pi || ref) at the end, 8 passes, clip minus no clip", "below 0",
            _difference(passes, "kl", "8 passes, clipped", "8 passes, unclipped", below, 2),
        ),
        Claim(
            "The clip holds a policy that makes several passes", "our reading of PPO", "the same at 4 passes",
            "below 0", _difference(passes, "kl", "4 passes, clipped", "4 passes, unclipped", below, 2),
        ),
        Claim(
            "The clip raises the reward of several passes", "our sentence",
            "reward at the end, 8 passes, clip minus no clip", "above 0",
            _difference(passes, "reward", "8 passes, clipped", "8 passes, unclipped", above),
        ),
        Claim(
            "The clip raises the reward of several passes", "our sentence", "the same at 4 passes",
            "above 0", _difference(passes, "reward", "4 passes, clipped", "4 passes, unclipped", above),
        ),
        Claim(
            "A band that is wider above keeps the entropy up", "our reading of DAPO",
            "nats at the end, 0.28 above minus 0.2", "above 0",
            _difference(bands, "entropy", "clip 0.2 and 0.28", "clip 0.2", above, 2),
        ),
        Claim(
            "One ratio for the text is better than one a token", "our reading of GSPO",
            "its reward minus the other's", "above 0",
            _difference(ratios, "reward", "sequence, clip 0.2", "token, clip 0.2", above),
        ),
        same_gradient("k1", "our sentence"), same_gradient("k2", "our sentence"),
        same_gradient("k3", "read into DeepSeekMath"),
        Claim(
            "Learning from an imperfect reward loses what was meant", "Reward Model Overoptimization",
            "share of right texts without a price, end minus start", "below 0",
            _runs("beta 0", since(imperfect, "beta 0", 0), below),
        ),
        Claim(
            "A price of the KL divergence prevents it", "our reading of Ziegler and others",
            "share of right texts at beta 0.03, end minus start", "at least 0",
            _runs("beta 0.03", since(imperfect, "beta 0.03", 0), above),
        ),
        Claim(
            "A price of the KL divergence prevents it", "our reading of Ziegler and others", "the same at beta 0.1",
            "at least 0", _runs("beta 0.1", since(imperfect, "beta 0.1", 0), above),
        ),
        Claim(
            "A price buys no more than stopping early", "Reward Model Overoptimization",
            "share of right texts, 200 updates at beta 0.1 minus about 12 without a price, as far away",
            "at most 0", _runs("imperfect", at_equal_kl(folder=folder)["ahead"].to_numpy(), below),
        ),
    ]  # fmt: skip


def table(claims):
    """A row a claim, in words: what is said and by whom, the number with interval and unit, the range, the verdict."""
    rows = [
        {"what one reads": f"{x.says} ({x.source})", "measured": f"{_number(x.own)}: {x.number}",
         "true if": x.threshold, "verdict": x.verdict}
        for x in claims
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _number(measure):
    low, high = measure.bounds
    if low == high:
        return f"{measure.value:.{measure.digits}f}, exact"
    other = _if_they_disagree(measure.bounds, measure.student, measure.claimed, measure.digits)
    return in_words(measure.value, low, high, measure.digits) + other


def summary(table, settings=None, columns=None, worst=None, digits=2):
    """A row a setting, at the end of training: of each column the mean of the runs with its interval, as text.

    settings: those to show, all where None. columns: dict of column -> title. worst: the column of which the lowest run
    is shown, too.
    """
    rows = at_update(table, [*columns]).set_index("setting").loc[settings or table["setting"].unique()]
    found = {}
    for column, title in columns.items():
        numbers = rows[[column, f"{column} low", f"{column} high"]].to_numpy()
        found[title] = [in_words(*x, digits) for x in numbers]
        if column == worst:
            found["worst run"] = [f"{x:.{digits}f}" for x in rows[f"{column} min"]]
    return pd.DataFrame(found, index=rows.index)
