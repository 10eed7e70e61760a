"""Checkers of judgements: the right choices pass, wrong ones are rejected, typical ones by name."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from lecture_utils import exercises
from lecture_utils.exercises.a2c_vs_ppo import NUMBERS_OF_RUNS, POWER, QUESTIONS, share_found
from lecture_utils.exercises.details_that_matter import PROBED, _bug
from lecture_utils.exercises.gae import _as_good_as_the_best
from lecture_utils.exercises.start_here import MOVES
from lecture_utils.exercises.verdict import NOT_ATTEMPTED, RIGHT, WRONG
from lecture_utils.experiments.faulty_runs import BUGS, FAULTS, RECIPE, SICK
from lecture_utils.training import collect_episodes

CASES = [f"A {sign} 0, ratio {place} the band" for sign in "><" for place in ("below", "inside", "above")]
TABLE = dict(zip(CASES, ["up", "up", "none", "none", "down", "down"], strict=True))
LAMBDAS = {
    "after 4 updates, 200 samples": 1.0,
    "after 4 updates, 3,200 samples": 1.0,
    "after 12 updates, 200 samples": 0.0,
    "after 12 updates, 3,200 samples": 0.85,
}
READING = dict(zip(QUESTIONS, [True, False, False, True], strict=True))
PROBES_THAT_FIND = dict(
    zip(
        PROBED,
        ["the action matters", "the state matters", "time matters", "everything matters", "none"],
        strict=True,
    )
)
RIGHT_ANSWERS = [
    (exercises.check_cases, TABLE),
    (exercises.check_lambdas, LAMBDAS),
    (exercises.check_reading, READING),
    (exercises.check_diagnosis, SICK),
    (exercises.check_moves, dict(zip(MOVES, ["up", "down", "down", "up"], strict=True))),
    (exercises.check_probes, PROBES_THAT_FIND),
]


@pytest.mark.parametrize(("checker", "answers"), RIGHT_ANSWERS, ids=lambda x: getattr(x, "__name__", ""))
class TestEveryJudgement:
    def test_right_answers_pass(self, checker, answers):
        assert checker(answers).status == RIGHT

    def test_not_attempted(self, checker, answers):
        assert checker(dict.fromkeys(answers, ...)).status == NOT_ATTEMPTED
        assert checker(...).status == NOT_ATTEMPTED

    def test_each_single_slip_is_rejected(self, checker, answers):
        for question, answer in itertools.product(answers, set(answers.values()) | {"perhaps", None, 7}):
            slipped = {**answers, question: answer}
            status = checker(slipped).status
            if answer in (None, 7, "perhaps"):
                assert status == WRONG
        others = {question: next(a for a in answers.values() if a != answers[question]) for question in answers}
        assert checker(others).status == WRONG

    def test_unfinished_and_lost_entries_are_told(self, checker, answers):
        first = next(iter(answers))
        assert first in checker({**answers, first: ...}).message
        assert first in checker({k: x for k, x in answers.items() if k != first}).message

    def test_what_is_wrong_is_told_and_what_is_right_on_demand_alone(self, checker, answers):
        question = next(iter(answers))
        slipped = {**answers, question: next(a for a in answers.values() if a != answers[question])}
        verdict = checker(slipped)
        if verdict.status == RIGHT:  # another lambda that is as good
            return
        assert f"Wrong: {question}." in verdict.message
        assert verdict.example == ""
        assert all(x not in verdict.message for x in list(answers)[1:])
        shown = checker(slipped, show=True)
        assert repr(answers[question]) in shown.example
        assert shown.status == WRONG
        assert all(x in checker(..., show=True).example for x in answers)

    def test_numpy_torch_and_upper_case_are_answers_as_any(self, checker, answers):
        def other(x):
            return [x.upper(), f" {x} "] if isinstance(x, str) else [np.array(x)[()], torch.tensor(x), np.asarray(x)]

        for i in range(2):
            assert checker({question: other(x)[i] for question, x in answers.items()}).status == RIGHT
        assert checker(pd.Series(answers)).status == RIGHT

    def test_something_else(self, checker, answers):
        assert checker(list(answers)).mistake == "not a dictionary"


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        (["none", "up", "none", "none", "down", "none"], "clip alone"),
        (["up", "up", "up", "down", "down", "down"], "without the clip"),
        (["down", "down", "none", "none", "up", "up"], "flipped"),
        (["none", "up", "up", "down", "down", "none"], "max for min"),
    ],
)
def test_mistakes_in_the_table_of_cases_by_name(answers, name):
    for _ in range(5):
        verdict = exercises.check_cases(dict(zip(CASES, answers, strict=True)))
        assert name in verdict.mistake
        assert verdict.example == ""
        told = exercises.check_cases(dict(zip(CASES, answers, strict=True)), show=True)
        assert "measured at ratio" in told.example


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ([1.0, 1.0, 1.0, 1.0], "whatever the scatter"),
        ([0.0, 0.0, 0.0, 0.0], "whatever the bias"),
        ([0.0, 0.85, 1.0, 1.0], "the two ages are exchanged"),
        ([1.0, 1.0, 0.85, 0.0], "the two sizes are exchanged"),
    ],
)
def test_mistakes_in_choosing_lambda_by_name(answers, name):
    assert name in exercises.check_lambdas(dict(zip(LAMBDAS, answers, strict=True))).mistake


def test_every_lambda_that_is_not_told_from_the_best_counts_as_right():
    """Made-up cosines: one lambda a hair behind the best in every run, one ahead in half of them."""
    wobble = np.linspace(-1, 1, 16) / 10
    rows = {0.0: 0.5 + 0 * wobble, 0.6: 0.49 + 0 * wobble, 0.85: 0.495 + wobble, 1.0: 0.3 + wobble}
    assert _as_good_as_the_best(pd.DataFrame(rows).T) == {0.0, 0.85}


@pytest.mark.parametrize("i", range(4))
def test_mistakes_in_reading_by_name(i):
    assert exercises.check_reading({**READING, QUESTIONS[i]: not READING[QUESTIONS[i]]}).mistake


def test_number_of_runs():
    assert exercises.check_number_of_runs(...).status == NOT_ATTEMPTED
    verdicts = {runs: exercises.check_number_of_runs(runs) for runs in (*NUMBERS_OF_RUNS, 3, "many", True)}
    assert [runs for runs, verdict in verdicts.items() if verdict.status == RIGHT] == [32]
    assert "too few" in verdicts[4].mistake
    assert "32" not in repr(verdicts[4])
    assert exercises.check_number_of_runs(np.int64(32)).status == RIGHT
    assert "32" in exercises.check_number_of_runs(..., show=True).example
    draws = [share_found(runs, 40_000, np.random.default_rng(seed)) for runs in (16, 32) for seed in range(5)]
    assert max(draws[:5]) < POWER - 0.005
    assert min(draws[5:]) > POWER + 0.005
    with pytest.raises(ValueError, match="one of"):
        share_found(3)


def test_exchanged_diagnoses_by_name():
    assert "entropy" in exercises.check_diagnosis({"A": SICK["A"], "B": SICK["C"], "C": SICK["B"]}).mistake


def test_the_signs_of_the_sick_runs_are_there():
    table = exercises.sick_runs().astype(float)
    assert table.loc["explained_variance", "A"] < 0.1 < table.loc["explained_variance", "healthy"]
    assert table.loc["approx_kl", "B"] > 3 * table.loc["approx_kl"].drop("B").max()
    assert table.loc["loss_ent", "C"] < table.loc["loss_ent", "healthy"] - 2


def test_the_signs_of_every_bug_are_there():
    numbers = {_bug(number): number for number in range(30)}
    assert set(numbers) == set(BUGS)
    tables = {bug: exercises.plant_bug(number).astype(float) for bug, number in numbers.items()}
    flipped, ratio_one, cancelled, broadcast = (tables[bug] for bug in BUGS)
    assert flipped.loc["reward", "with the bug"] < flipped.loc["reward", "healthy"] - 100
    assert ratio_one.loc["approx_kl", "with the bug"] == 0
    assert ratio_one.loc["kl_after", "with the bug"] > 3 * ratio_one.loc["kl_after", "healthy"]
    assert cancelled.loc["kl_after", "with the bug"] == 0
    assert broadcast.loc["explained_variance", "with the bug"] < 0.1 < broadcast.loc["explained_variance", "healthy"]


@pytest.mark.parametrize("fault", BUGS[:3])
def test_the_planted_fault_is_in_what_is_recorded(fault):
    """One update with the fault: the flipped sign and the cancelled ratio from the same batch as the healthy one."""
    after = {}
    for name in ("healthy", fault):
        agent = FAULTS[name][0](3, 1, RECIPE, seeds=(0,))
        agent.update(collect_episodes(agent))
        after[name] = agent.actor.log_std.item()
    start = 0.0
    assert after["healthy"] != start
    assert (after[fault] == start) == (fault == BUGS[2])
    assert after[fault] != after["healthy"]


def test_bug_is_judged():
    for number in range(6):
        statuses = {bug: exercises.check_bug(number, bug).status for bug in BUGS}
        assert [bug for bug, status in statuses.items() if status == RIGHT] == [_bug(number)]
        other = next(bug for bug in BUGS if bug != _bug(number))
        assert _bug(number) not in repr(exercises.check_bug(number, other))
        assert _bug(number) in exercises.check_bug(np.int64(number), other, show=True).example
    assert exercises.check_bug(1, ...).status == NOT_ATTEMPTED
    with pytest.raises(TypeError, match="whole number"):
        exercises.check_bug("one", ...)
