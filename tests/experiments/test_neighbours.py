"""The neighbours of TUNED differ from it by one field, and their table says what each costs."""

import dataclasses

import numpy as np
import pandas as pd

from lecture_utils import TUNED, TUNED_EPISODES, fixed_starts
from lecture_utils.experiments.neighbours import (
    FIELDS,
    SEEDS,
    compared,
    load_neighbours,
    neighbours_table,
    recipes,
    settings,
)
from lecture_utils.experiments.optimal import optimal_returns

OPTIMUM = optimal_returns(fixed_starts(100)).mean()


def test_a_neighbour_differs_by_one_field_to_either_side():
    ours, found = dataclasses.asdict(TUNED), recipes()
    assert found.pop("TUNED") == TUNED
    for name, recipe in found.items():
        field, k = name.rsplit("_", 1)
        differs = {x for x, value in dataclasses.asdict(recipe).items() if value != ours[x]}
        assert differs - {"anneal_updates"} == {field}
        assert (getattr(recipe, field) > ours[field]) == (k == "1")
        assert recipe.anneal_updates * recipe.episodes_per_update == TUNED_EPISODES
    assert len(found) == 2 * len(FIELDS)


def test_the_seeds_are_none_of_those_elsewhere():
    assert set(SEEDS).isdisjoint(range(16))


def made_up(regret):
    """A log of one score a run, the same for all runs of a setting."""
    index = pd.MultiIndex.from_product([settings(), range(16)], names=["setting", "run"])
    rows = [{"episode": 368, "score_mean": OPTIMUM - regret[name]} for name, _ in index]
    return pd.DataFrame(rows, index=index).reset_index()


def test_every_neighbour_is_compared_with_tuned():
    regret = {name: 20.0 + k for k, name in enumerate(settings())} | {"clip_0": 15.0, "clip_1": 20.0}
    rows = compared(made_up(regret)).set_index(["field", "side"])
    for field, values in FIELDS.items():
        for k, side in enumerate(("smaller", "larger")):
            row, more = rows.loc[field, side], regret[f"{field}_{k}"] - 20
            assert row.value == values[k]
            np.testing.assert_allclose([row.regret, row.low, row.high], [20 + more, more, more], atol=1e-9)
            assert row.verdict == ("undecided" if abs(more) < 1e-6 else "worse" if more > 0 else "better")


def test_the_table_says_what_was_compared():
    table = neighbours_table(compared(made_up({name: 20.0 + k for k, name in enumerate(settings())})))
    assert table.index.tolist() == list(FIELDS)
    assert table.loc["actor_lr"].to_dict() == {
        "smaller": 2.5e-3, "regret there": "21 (+1.0 to +1.0, worse)", "TUNED has": 5e-3, "larger": 1e-2,
        "and there": "22 (+2.0 to +2.0, worse)",
    }  # fmt: skip


def test_the_rows_say_what_the_files_hold():
    log = load_neighbours()
    last = log[(log.setting == "passes_0") & log.score_mean.notna()].groupby("run").tail(1)
    final = np.sort(OPTIMUM - last.score_mean.to_numpy())
    assert len(final) == 16
    rows = compared(log).set_index(["field", "side"])
    np.testing.assert_allclose(rows.loc[("passes", "smaller"), "regret"], final[4:12].mean())
