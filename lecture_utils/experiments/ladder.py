"""The experiments of notebook 05: the ladder, its top without each detail, and the bugs; and the tables of them.

`python -m lecture_utils.experiments.ladder` (that is `make data-details`) records them in data/details, one file a
setting; it takes about half an hour on two cores, can be stopped, and then goes on where it was.
"""

import functools
import math

import numpy as np
import pandas as pd

from lecture_utils import TUNED, TUNED_EPISODES, Hyperparameters, fixed_starts
from lecture_utils.experiments.data_files import DATA, ROOT, write_checksums
from lecture_utils.experiments.museum import BUGS
from lecture_utils.experiments.optimal import optimal_returns
from lecture_utils.experiments.statistics import interval, iqm, two_digits
from lecture_utils.experiments.sweep import Setting, load_recorded, sweep
from lecture_utils.pendulum import EPISODE_STEPS

FOLDER = DATA / "details"
SEEDS = range(16)
STARTS = 100  # fixed starts that a score is the mean of

# Rungs in order: each takes these fields from TUNED, on top of those before it.
DETAILS = {
    "sampled action scored": ("score_action",),
    "a standard deviation that starts at 2 N m": ("initial_std",),
    "one standard deviation for all states": ("std_head",),
    "minibatches shuffled": ("shuffle",),
    "advantages normalised": ("normalize_advantages",),
    "many episodes an update, large minibatches": ("episodes_per_update", "minibatch_size"),
    "more passes": ("passes",),
    "larger steps": ("actor_lr", "critic_lr"),
    "rewards scaled": ("reward_scale",),
    "a longer view": ("gamma", "gae_lambda"),
    "tanh networks, a quarter as wide": ("hidden", "activation"),
    "orthogonal start": ("initialization",),
    "linear mean": ("mean_head",),
    "no entropy bonus": ("entropy_coef",),
    "steps that shrink to zero": ("anneal_updates",),
    "gradients clipped": ("max_grad_norm",),
    "early stop on KL": ("target_kl",),
}
# The standard deviation's form and its width before training, apart. STARTS_AT: N m; the lecture's networks start their
# |z| at about the first of these, differently in every state.
FORMS = {"abs": "|z|", "softplus": "softplus(z)", "free": "free of the state"}
STARTS_AT = (0.1, 0.5, 2.0)
FORM_RECIPES = {"lecture, drawn action": Hyperparameters(score_action="sampled"), "TUNED": TUNED}
CLOSE = 50.0  # points of regret; how long a run takes to get below is what the tables call samples and seconds
SYMPTOMS = {
    "loss_v": "critic loss",
    "explained_variance": "explained variance",
    "loss_ent": "entropy",
    "clip_fraction": "clip fraction",
    "approx_kl": "approx. KL",
}


def fields_of(recipe, names):
    """Some fields of a recipe, as a dict."""
    return {name: getattr(recipe, name) for name in names}


def _ladder():
    rungs = {"the lecture's recipe": Hyperparameters()}
    for name, fields in DETAILS.items():
        below = list(rungs.values())[-1]
        rungs[name] = below.replace(**fields_of(TUNED, fields))
    return rungs


def _without(fields):
    """TUNED with the lecture's values of `fields`; steps that shrink do so to the end of the training, as in TUNED."""
    recipe = TUNED.replace(**fields_of(Hyperparameters(initial_std=STARTS_AT[0]), fields))
    updates = TUNED_EPISODES // recipe.episodes_per_update
    return recipe.replace(anneal_updates=updates) if recipe.anneal_updates else recipe


LADDER = _ladder()  # name -> Hyperparameters; the last is TUNED
LEAVE_ONE_OUT = {"nothing": TUNED} | {name: _without(fields) for name, fields in DETAILS.items()}
# A bug shows where its line matters: the sign of the entropy only where there is an entropy bonus.
BUG_RECIPES = {bug.__name__: TUNED for bug in BUGS} | {"EntropySign": TUNED.replace(entropy_coef=0.01)}


def settings():
    """Name -> Setting: "ladder_00", ... by rung, "without_00", ... by detail left out, "bug_" with its name.

    And "std_0_free_0.1", ...: of the standard deviation which recipe, which form, and its start in N m.
    """
    length = {"episodes": TUNED_EPISODES, "block": TUNED.episodes_per_update, "scored_on": STARTS}
    length["scored_every"] = length["block"]
    ladder = {f"ladder_{k:02}": Setting(hyperparameters=h, **length) for k, h in enumerate(LADDER.values())}
    without = {f"without_{k:02}": Setting(hyperparameters=h, **length) for k, h in enumerate(LEAVE_ONE_OUT.values())}
    bugs = {f"bug_{bug.__name__}": Setting(bug, BUG_RECIPES[bug.__name__], **length) for bug in BUGS}
    bugs["bug_none_with_entropy"] = Setting(hyperparameters=BUG_RECIPES["EntropySign"], **length)
    forms = {
        f"std_{k}_{form}_{start:g}": Setting(hyperparameters=h.replace(std_head=form, initial_std=start), **length)
        for k, h in enumerate(FORM_RECIPES.values())
        for form in FORMS
        for start in STARTS_AT
    }
    return ladder | without | bugs | forms


def load_details(folder=FOLDER):
    """Everything recorded, as sweep.load_sweep returns it: `setting`, then the columns of sweep.run_setting.

    Raises FileNotFoundError or ValueError for a file that is missing, changed or of another recipe.
    """
    return load_recorded(settings(), folder, seeds=SEEDS, command="make data-details")


def main():
    workspace = ROOT / "build" / "details"
    sweep(settings(), FOLDER, seeds=SEEDS, workspace=workspace)
    write_checksums(names=[f"details/{name}.csv" for name in settings()])


def regrets(log, setting):
    """(R, S) regret of each run at each of its S scores: the optimum minus the mean return of the mean action.

    Over the fixed starts that the runs were scored on. A run that diverged keeps its last score.
    """
    scores = log[log.setting == setting].pivot_table(index="run", columns="episode", values="score_mean")
    return _optimum() - scores.dropna(axis=1, how="all").ffill(axis=1).to_numpy()


@functools.cache  # a table asks for it once a row
def _optimum():
    return optimal_returns(fixed_starts(STARTS)).mean()


def effort(log, setting):
    """(R, 2) samples, and seconds of one core, that each run took until its regret was below CLOSE; inf if never."""
    here = log[(log.setting == setting) & log.score_mean.notna()]
    seconds = here.pivot_table(index="run", columns="episode", values="seconds").ffill(axis=1).to_numpy()
    close = regrets(log, setting) < CLOSE
    first = np.where(close.any(axis=1), close.argmax(axis=1), -1)
    ends = np.sort(here.episode.unique()) + TUNED.episodes_per_update
    taken = np.stack([ends[first] * EPISODE_STEPS, seconds[np.arange(len(first)), first] / len(first)], axis=1)
    return np.where(first[:, None] < 0, np.inf, taken)


def row(log, setting):
    """One row of the ladder: the regret at the end, and what a run took to get below CLOSE."""
    final, taken = regrets(log, setting)[:, -1], effort(log, setting)
    low, high = interval(final, statistic=iqm)
    samples, seconds = np.median(taken, axis=0)
    reached = np.isfinite(samples)
    return {
        "regret": round(iqm(final)),
        "95 % interval": f"{round(low)} to {round(high)}",
        "worst run": round(final.max()),
        "ever below 50": int(np.isfinite(taken[:, 0]).sum()),
        "end below 50": int((final < CLOSE).sum()),
        "samples to 50": f"{samples:,.0f}" if reached else "never",
        "seconds to 50": f"{seconds:.1f}" if reached else "never",
    }


def ladder_table(log):
    """A row a rung, from the lecture's recipe to TUNED; each adds one detail to the rung above it."""
    return _table({name: f"ladder_{k:02}" for k, name in enumerate(LADDER)}, log)


def leave_one_out_table(log):
    """A row a detail: TUNED with the lecture's value of that detail alone; TUNED itself first."""
    names = [f"without: {name}" for name in LEAVE_ONE_OUT]
    names[0] = "all of TUNED"
    return _table({name: f"without_{k:02}" for k, name in enumerate(names)}, log)


def leave_one_out_costs(log):
    """A row a detail: what TUNED loses without it ("points" of regret), and the 95 % interval ("from", "to")."""

    def more(runs, others, axis=0):
        return iqm(runs, axis) - iqm(others, axis)

    full, rows = regrets(log, "without_00")[:, -1], {}
    for k, name in list(enumerate(LEAVE_ONE_OUT))[1:]:
        runs = regrets(log, f"without_{k:02}")[:, -1]
        low, high = interval((runs, full), statistic=more)
        rows[f"without: {name}"] = {"points": more(runs, full), "from": low, "to": high}
    return pd.DataFrame(rows).T


def form_table(log):
    """The regret by form and start of the standard deviation: rows recipe and form, columns the start in N m.

    Each cell: the interquartile mean of the runs, and in brackets its 95 % interval.
    """
    rows = {}
    for k, recipe in enumerate(FORM_RECIPES):
        for form, name in FORMS.items():
            cells = {}
            for start in STARTS_AT:
                final = regrets(log, f"std_{k}_{form}_{start:g}")[:, -1]
                low, high = interval(final, statistic=iqm)
                cells[f"starts at {start:g} N m"] = f"{iqm(final):,.0f} [{low:,.0f}, {high:,.0f}]"
            rows[recipe, name] = cells
    return pd.DataFrame(rows).T.rename_axis(["recipe", "form"])


def healthy(bug):
    """The name of the setting that differs from the bug's by the bug alone."""
    return "without_00" if BUG_RECIPES[bug.__name__] == TUNED else "bug_none_with_entropy"


def symptoms(log, setting):
    """(R,) rows: what the diagnostics say of each run, means over the second quarter of the training."""
    here = log[log.setting == setting]
    episodes = here.episode.max() + TUNED.episodes_per_update
    window = here[(here.episode >= episodes / 4) & (here.episode < episodes / 2)]
    return window.groupby("run")[list(SYMPTOMS)].mean()


def museum_table(log):
    """A row a bug: the middle run's diagnostics, and what the bug costs in return.

    A star marks a number outside the range of the sixteen healthy runs: the symptom. The cost is the difference of the
    interquartile means of the return with and without the bug, with its 95 % interval.
    """
    rows = {"healthy": _exhibit(log, "without_00", "without_00")}
    rows |= {bug.__name__: _exhibit(log, f"bug_{bug.__name__}", healthy(bug)) for bug in BUGS}
    return pd.DataFrame(rows).T


def _exhibit(log, setting, without):
    sick, well = symptoms(log, setting), symptoms(log, without)
    cells = {}
    for column, name in SYMPTOMS.items():
        middle = sick[column].median()
        star = "" if well[column].min() <= middle <= well[column].max() else " *"
        cells[name] = two_digits(middle) + star
    if setting == without:
        return cells | {"cost": 0, "95 % interval": ""}
    final, other = regrets(log, setting)[:, -1], regrets(log, without)[:, -1]
    low, high = interval((final, other), statistic=lambda x, y, axis=0: iqm(x, axis) - iqm(y, axis))
    return cells | {"cost": round(iqm(final) - iqm(other)), "95 % interval": f"{round(low)} to {round(high)}"}


def gradient_steps(setting):
    """Of a run, if no early stop shortens an update."""
    h = setting.hyperparameters
    minibatches = math.ceil(h.episodes_per_update * EPISODE_STEPS / h.minibatch_size)
    return setting.episodes // h.episodes_per_update * h.passes * minibatches


def _table(names, log):
    recipes = settings()
    rows = {
        label: {"gradient steps, at most": f"{gradient_steps(recipes[name]):,}"} | row(log, name)
        for label, name in names.items()
    }
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    main()
