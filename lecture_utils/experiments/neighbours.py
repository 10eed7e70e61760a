"""The neighbours of TUNED: one field changed at a time, sixteen fresh seeds each. Is it at its best along every axis?

`python -m lecture_utils.experiments.neighbours` (part of `make data-details`) records them in data/neighbours, one file
a recipe; it can be stopped, and then goes on where it was.
"""

import pandas as pd

from lecture_utils import TUNED, TUNED_EPISODES
from lecture_utils.experiments.data_files import DATA, ROOT, write_checksums
from lecture_utils.experiments.ladder import STARTS, regrets
from lecture_utils.experiments.statistics import interval, iqm
from lecture_utils.experiments.sweep import Setting, load_recorded, sweep

FOLDER = DATA / "neighbours"
SEEDS = range(16, 32)  # none of those that TUNED was chosen with
# field: (smaller, larger)
FIELDS = {
    "actor_lr": (2.5e-3, 1e-2),
    "critic_lr": (2.5e-3, 1e-2),
    "gamma": (0.95, 0.99),
    "gae_lambda": (0.9, 0.98),
    "clip": (0.1, 0.4),
    "passes": (5, 20),
    "minibatch_size": (200, 800),
    "episodes_per_update": (8, 32),
    "initial_std": (1.0, 4.0),
    "reward_scale": (0.1, 0.4),
    "hidden": ((16, 16), (64, 64)),
    "max_grad_norm": (0.25, 1.0),
    "target_kl": (0.015, 0.06),
}


def recipes():
    """Name -> recipe: "TUNED", and "actor_lr_0", "actor_lr_1", ... for the smaller and the larger value of a field."""
    found = {"TUNED": TUNED}
    for field, values in FIELDS.items():
        for k, value in enumerate(values):
            recipe = TUNED.replace(**{field: value})
            # The steps shrink to zero at the end of the training, as TUNED's do.
            found[f"{field}_{k}"] = recipe.replace(anneal_updates=TUNED_EPISODES // recipe.episodes_per_update)
    return found


def settings():
    """Name -> Setting, a block being an update of TUNED's or of the recipe's, whichever is longer."""
    length = {"episodes": TUNED_EPISODES, "scored_on": STARTS}
    found = {}
    for name, recipe in recipes().items():
        block = max(TUNED.episodes_per_update, recipe.episodes_per_update)
        found[name] = Setting(hyperparameters=recipe, block=block, scored_every=TUNED_EPISODES, **length)
    return found


def load_neighbours(folder=FOLDER):
    """What was recorded, as sweep.load_sweep returns it. FileNotFoundError or ValueError name a file that is wrong."""
    return load_recorded(settings(), folder, seeds=SEEDS, command="make data-details")


def compared(log):
    """A row a neighbour: field, side ("smaller", "larger"), value, regret, and how much more that is than TUNED's.

    regret: the interquartile mean of sixteen runs at the end. low, high: the 95 % interval of the difference from TUNED
    with the same seeds; verdict: "worse" or "better" where the interval lies on one side of 0, otherwise "undecided".
    """
    final = {name: regrets(log, name)[:, -1] for name in settings()}
    rows = []
    for field, values in FIELDS.items():
        for k, (side, value) in enumerate(zip(("smaller", "larger"), values, strict=True)):
            own = final[f"{field}_{k}"]
            low, high = interval((own, final["TUNED"]), statistic=_difference)
            verdict = "worse" if low > 0 else "better" if high < 0 else "undecided"
            rows.append((field, side, value, iqm(own), low, high, verdict))
    return pd.DataFrame(rows, columns=["field", "side", "value", "regret", "low", "high", "verdict"])


def neighbours_table(rows):
    """What `compared` returned, as a table: a row a field, TUNED's value in the middle, verdicts in words."""
    table = {}
    for row in rows.itertuples():
        field = table.setdefault(row.field, {"smaller": "", "regret there": "", "TUNED has": getattr(TUNED, row.field)})
        names = ("smaller", "regret there") if row.side == "smaller" else ("larger", "and there")
        more = f"{row.low:+.1f} to {row.high:+.1f}"
        field |= {names[0]: row.value, names[1]: f"{row.regret:.0f} ({more}, {row.verdict})"}
    return pd.DataFrame(table).T


def _difference(x, y, axis=0):
    return iqm(x, axis) - iqm(y, axis)


def runs_recorded():
    """How many runs stand behind the table."""
    return len(settings()) * len(SEEDS)


def main():
    sweep(settings(), FOLDER, seeds=SEEDS, workspace=ROOT / "build" / "neighbours")
    write_checksums(names=[f"neighbours/{name}.csv" for name in settings()])


if __name__ == "__main__":
    main()
