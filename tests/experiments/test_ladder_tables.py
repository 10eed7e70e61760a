"""The tables of notebook 05, from made-up logs whose answers are known, and from the recorded ones another way."""

import numpy as np
import pandas as pd
import pytest

from lecture_utils import fixed_starts
from lecture_utils.experiments.ladder import (
    BUG_RECIPES,
    FORM_RECIPES,
    FORMS,
    LADDER,
    LEAVE_ONE_OUT,
    STARTS_AT,
    SYMPTOMS,
    effort,
    form_table,
    gradient_steps,
    healthy,
    ladder_table,
    leave_one_out_costs,
    leave_one_out_table,
    load_details,
    museum_table,
    regrets,
    row,
    settings,
)
from lecture_utils.experiments.museum import BUGS
from lecture_utils.experiments.optimal import optimal_returns

OPTIMUM = optimal_returns(fixed_starts(100)).mean()


def made_up(regret, setting="x"):
    """A log of (R, S) regrets after blocks of 16 episodes, a second of one core a block and run."""
    runs, scores = np.shape(regret)
    rows = [
        {
            "setting": setting,
            "run": k,
            "episode": 16 * s,
            "score_mean": OPTIMUM - regret[k][s],
            "seconds": runs * (s + 1),
        }
        | dict.fromkeys(SYMPTOMS, k + s)
        for k in range(runs)
        for s in range(scores)
    ]
    return pd.DataFrame(rows)


def test_regret_and_effort_of_known_runs():
    log = made_up([[900, 40, 60], [900, 800, 49.9], [900, 800, 51]])
    np.testing.assert_allclose(regrets(log, "x")[:, -1], [60, 49.9, 51])
    np.testing.assert_allclose(effort(log, "x"), [[6400, 2], [9600, 3], [np.inf, np.inf]])
    told = row(log, "x")
    assert (told["worst run"], told["ever below 50"], told["end below 50"]) == (60, 2, 1)
    assert (told["samples to 50"], told["seconds to 50"]) == ("9,600", "3.0")


def test_a_run_that_diverged_keeps_its_last_score():
    log = made_up([[900, 800, 700], [900, 800, 700]])
    np.testing.assert_allclose(regrets(log[(log.run == 0) | (log.episode < 32)], "x")[:, -1], [700, 800])


@pytest.fixture(scope="module")
def recorded():
    return load_details()


def test_the_tables_say_what_the_files_hold(recorded):
    for table, prefix, names in [(ladder_table, "ladder", LADDER), (leave_one_out_table, "without", LEAVE_ONE_OUT)]:
        rows = table(recorded)
        assert len(rows) == len(names)
        for k in range(len(names)):
            last = recorded[(recorded.setting == f"{prefix}_{k:02}") & (recorded.episode == recorded.episode.max())]
            final = np.sort(OPTIMUM - last.score_mean.to_numpy())
            assert len(final) == 16
            assert rows["regret"].iloc[k] == round(final[4:12].mean())
            assert rows["worst run"].iloc[k] == round(final[-1])


def test_a_cost_is_the_difference_of_two_regrets_and_lies_in_its_interval(recorded):
    costs, table = leave_one_out_costs(recorded), leave_one_out_table(recorded)
    assert costs.index.tolist() == table.index[1:].tolist()
    np.testing.assert_allclose(costs.points, (table.regret.iloc[1:] - table.regret.iloc[0]).astype(float), atol=1.01)
    assert ((costs["from"] < costs.points) & (costs.points < costs.to)).all()


def test_another_number_in_one_file_changes_its_row(recorded):
    changed = recorded.copy()
    changed.loc[changed.setting == "ladder_03", "score_mean"] -= 500
    differs = (ladder_table(changed) != ladder_table(recorded)).any(axis=1)
    assert differs.to_numpy().nonzero()[0].tolist() == [3]


def test_a_star_is_a_number_outside_the_healthy_range(recorded):
    table = museum_table(recorded)
    assert list(table.index) == ["healthy", *(bug.__name__ for bug in BUGS)]
    for bug in BUGS:
        window = recorded[(recorded.episode >= 96) & (recorded.episode < 192)]
        sick, well = (window[window.setting == name] for name in (f"bug_{bug.__name__}", healthy(bug)))
        for column, name in SYMPTOMS.items():
            middle = sick.groupby("run")[column].mean().median()
            range_ = well.groupby("run")[column].mean()
            assert table.loc[bug.__name__, name].endswith("*") == (not range_.min() <= middle <= range_.max())


def test_a_bug_is_compared_with_its_own_recipe():
    assert {bug.__name__: healthy(bug) for bug in BUGS if healthy(bug) != "without_00"} == {
        "EntropySign": "bug_none_with_entropy"
    }
    assert BUG_RECIPES["EntropySign"].entropy_coef > 0


def test_a_cell_of_the_forms_is_its_own_setting():
    """Regrets 10, 20, ... in the order of the settings; every one in its cell."""
    names = [f"std_{k}_{form}_{start:g}" for k in range(len(FORM_RECIPES)) for form in FORMS for start in STARTS_AT]
    log = pd.concat([made_up([[900, 10 * (k + 1)]] * 4, name) for k, name in enumerate(names)])
    cells = [cell for _, row in form_table(log).iterrows() for cell in row]
    assert cells == [f"{10 * k} [{10 * k}, {10 * k}]" for k in range(1, 19)]
    assert form_table(log).index.tolist() == [(recipe, form) for recipe in FORM_RECIPES for form in FORMS.values()]


def test_the_forms_table_says_what_the_files_hold(recorded):
    last = recorded[recorded.episode == recorded.episode.max()]
    final = np.sort(OPTIMUM - last[last.setting == "std_1_free_2"].score_mean.to_numpy())
    assert (
        form_table(recorded).loc[("TUNED", FORMS["free"]), "starts at 2 N m"].startswith(f"{final[4:12].mean():.0f} [")
    )


def test_gradient_steps_are_counted_with_the_short_minibatch():
    recipes = settings()
    assert gradient_steps(recipes["ladder_00"]) == 384 * 2 * 7  # 200 samples in minibatches of 32: seven
    assert gradient_steps(recipes["without_00"]) == 24 * 10 * 8
    assert gradient_steps(recipes["ladder_06"]) == 24 * 2 * 8
