"""A verdict of notebook 07's ledger needs two intervals, and each row measures what its sentence says."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from lecture_utils.experiments import language_ledger
from lecture_utils.experiments.data_files import DATA
from lecture_utils.experiments.language_ledger import TwoIntervals, at_equal_kl, change, ledger, since, table, told
from lecture_utils.experiments.ledger import Measure
from lecture_utils.experiments.statistics import interval

COLLAPSED = np.array([-0.02] * 13 + [0.4, 0.7, 0.75])  # most runs a little lower, three much higher


@pytest.fixture(scope="module")
def claims():
    return ledger()


def ends(experiment, setting, column, update=200):
    """(16,) numbers of the runs after so many updates, by plain pandas."""
    rows = pd.read_csv(DATA / "language" / f"{experiment}.csv")
    return rows[(rows["setting"] == setting) & (rows["update"] == update)].sort_values("run")[column].to_numpy()


@pytest.mark.parametrize(
    ("bounds", "student", "verdict"),
    [
        ((0.1, 0.3), (0.05, 0.3), "supported"),
        ((0.1, 0.3), (-0.05, 0.4), "undecided"),
        ((-0.1, 0.3), (0.05, 0.4), "undecided"),
        ((-0.3, -0.1), (-0.4, -0.05), "contradicted"),
        ((-0.3, -0.1), (-0.4, 0.05), "undecided"),
        ((-0.1, 0.1), (-0.2, 0.2), "undecided"),
        ((-0.3, -0.1), (0.1, 0.3), "undecided"),
    ],
)
def test_a_verdict_is_what_both_intervals_say(bounds, student, verdict):
    assert TwoIntervals("", 0.0, bounds, (0, math.inf), 2, student=student).verdict == verdict


def test_every_row_of_runs_has_two_intervals_and_follows_the_rule(claims):
    of_runs = [x.own for x in claims if x.own.bounds[0] != x.own.bounds[1]]
    assert len(of_runs) == 16
    for measure in of_runs:
        assert isinstance(measure, TwoIntervals)
        assert measure.student[0] < measure.value < measure.student[1]
        middle = (measure.student[0] + measure.student[1]) / 2
        assert middle == pytest.approx(measure.value, abs=1e-9), "Student's interval lies evenly about the mean"
        parts = {Measure("", 0.0, x, measure.claimed).verdict for x in (measure.bounds, measure.student)}
        assert measure.verdict == (parts.pop() if len(parts) == 1 else "undecided")


def test_students_interval_by_hand():
    x, runs = COLLAPSED, len(COLLAPSED)
    half = scipy.stats.t.ppf(0.975, runs - 1) * x.std(ddof=1) / math.sqrt(runs)
    assert language_ledger.student(x) == pytest.approx((x.mean() - half, x.mean() + half))


def test_the_second_interval_is_shown_where_it_matters_and_only_there():
    low, _ = interval(COLLAPSED)
    assert low > 0 > language_ledger.student(COLLAPSED)[0], "the two disagree about 0"
    assert "; t [-0.0" in told(COLLAPSED)
    assert "t [" not in told(COLLAPSED + 1)
    assert told(np.zeros(16), 2) == "0.00 [0.00, 0.00]"


def test_rows_that_hang_on_the_interval_are_undecided_and_show_both(claims):
    shown = table(claims)
    both = shown[shown["measured"].str.contains("; t [", regex=False)]
    assert both["verdict"].tolist() == ["undecided", "undecided"]
    assert both["what one reads"].str.contains("Leave-one-out|clip raises the reward").all()


def test_holding_and_gaining_are_two_claims(claims):
    """KL(pi || ref) says whether the clip holds a policy, the reward whether that pays."""
    for words, column, verdicts in (
        ("The clip holds", "kl", ["supported", "supported"]),
        ("The clip raises", "reward", ["undecided", "contradicted"]),
    ):
        rows = [x for x in claims if x.says.startswith(words)]
        assert [x.verdict for x in rows] == verdicts
        for row, passes in zip(rows, (8, 4), strict=True):
            with_clip, without = (ends("passes", f"{passes} passes, {x}", column) for x in ("clipped", "unclipped"))
            assert row.own.value == pytest.approx((with_clip - without).mean(), abs=1e-4)


def test_one_measure_says_that_the_meaning_is_lost_and_that_a_price_prevents_it(claims):
    """All from end to start; what came after update 20 is told beside, and is another number."""
    rows = [x for x in claims if "imperfect" in x.says or "prevents" in x.says]
    assert [x.verdict for x in rows] == ["supported"] * 3
    for row, name in zip(rows, ("beta 0", "beta 0.03", "beta 0.1"), strict=True):
        whole = ends("imperfect", name, "true_reward") - ends("imperfect", name, "true_reward", 0)
        assert row.own.value == pytest.approx(whole.mean(), abs=1e-4)
    recorded = language_ledger.load_language("imperfect")
    later = ends("imperfect", "beta 0.03", "true_reward") - ends("imperfect", "beta 0.03", "true_reward", 20)
    np.testing.assert_allclose(since(recorded, "beta 0.03", 20), later, atol=1e-9)
    assert later.max() < 0


@pytest.mark.parametrize(("name", "update"), [("beta 0.1", 200), ("beta 0.1", 20), ("beta 0.03", 200)])
def test_the_run_without_a_price_is_met_at_equal_distance(name, update):
    found = at_equal_kl(name, update)
    rows = pd.read_csv(DATA / "language" / "stopping.csv")
    goals, rights = (ends("imperfect", name, x, update) for x in ("kl", "true_reward"))
    for run, (goal, right) in enumerate(zip(goals, rights, strict=True)):
        free = rows[(rows["setting"] == "beta 0") & (rows["run"] == run)].sort_values("update")
        kl, share, when = (free[x].tolist() for x in ("kl", "true_reward", "update"))
        k = next(i for i, x in enumerate(kl) if x >= goal)
        part = (goal - kl[k - 1]) / (kl[k] - kl[k - 1])
        assert found["ahead"][run] == pytest.approx(right - share[k - 1] - part * (share[k] - share[k - 1]))
        assert found["update"][run] == pytest.approx(when[k - 1] + part * (when[k] - when[k - 1]))


def test_the_order_of_two_changes_decides_what_each_of_them_does():
    recorded = language_ledger.with_objective(language_ledger.load_language("methods")).rename(
        columns={"objective": "J"}
    )
    divided, plain = (f"GRPO {x} std, KL in the reward" for x in ("with", "without"))
    first = [change(recorded, "J", *x) for x in ((divided, plain), ("GRPO", divided))]
    other = [change(recorded, "J", *x) for x in (("GRPO without std", plain), ("GRPO", "GRPO without std"))]
    assert [x.split()[0] for x in first] == ["-0.008", "-0.001"]
    assert [x.split()[0] for x in other] == ["-0.021", "0.012"]
