"""The neighbours of TUNED differ from it by one field, and their table says what each costs."""

import dataclasses

import numpy as np
import pandas as pd

from lecture_utils import TUNED, TUNED_EPISODES, fixed_starts
from lecture_utils.experiments.neighbours import FIELDS, SEEDS, load_neighbours, neighbours_table, recipes, settings
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


def test_the_table_is_the_difference_of_each_neighbour():
    index = pd.MultiIndex.from_product([settings(), range(16)], names=["setting", "run"])
    regret = {name: 20.0 + k for k, name in enumerate(settings())}
    log = pd.DataFrame({"episode": 368, "score_mean": [OPTIMUM - regret[name] for name, _ in index]}, index=index)
    table = neighbours_table(log.reset_index())
    for field, row in table.iterrows():
        for k, side in enumerate(("smaller", "larger")):
            more = regret[f"{field}_{k}"] - regret["TUNED"]
            assert row[f"regret, {side}"] == round(regret[f"{field}_{k}"])
            assert row[f"more than TUNED, {side}"] == f"{more:.0f} to {more:.0f}"
            assert row[side] == FIELDS[field][k]


def test_the_table_says_what_the_files_hold():
    log = load_neighbours()
    last = log[(log.setting == "passes_0") & log.score_mean.notna()].groupby("run").tail(1)
    final = np.sort(OPTIMUM - last.score_mean.to_numpy())
    assert len(final) == 16
    assert neighbours_table(log).loc["passes", "regret, smaller"] == round(final[4:12].mean())
