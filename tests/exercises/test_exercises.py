"""Checkers of code: the solution passes, wrong answers are rejected, the typical ones by name."""

import itertools
import os

import numpy as np
import pytest
import torch
from right_forms import RIGHT_FORMS
from wrong_forms import WRONG_FORMS

from lecture_utils import clipped_surrogate, exercises, gae
from lecture_utils.exercises import TASKS
from lecture_utils.exercises.gae import NEXT_VALUE
from lecture_utils.exercises.judge import CHANGED, CONSTANT, NO_GRADIENT, NOTHING, judge
from lecture_utils.exercises.verdict import EXERCISES, NOT_ATTEMPTED, RIGHT, WRONG, right

CHECKERS = {getattr(exercises, EXERCISES[number][1]): task for number, task in TASKS.items()}
DRAWS = int(os.environ.get("LECTURE_DRAWS", 2))  # of each form; before a checker is changed, 20 find what 2 let pass
RETURNS_ARRAYS = [checker for checker in CHECKERS if checker is not exercises.check_update]


def changed(task, change):
    """The right function with each of its results changed."""

    def answer(*args, **kwargs):
        result = task.reference(*args, **kwargs)
        return tuple(change(x) for x in result) if isinstance(result, tuple) else change(result)

    return answer


def other_format(x):
    return x.to(torch.int64) if isinstance(x, torch.Tensor) else np.asarray(x).astype(int)


def another_axis(x):
    return x[..., None] if isinstance(x, torch.Tensor) else np.asarray(x)[..., None]


def not_a_number(x):
    return x * float("nan")


def zero(x):
    return 0 * x


def remembering(task):
    """A table of remembered outputs, of the inputs of one draw; for others it gives the nearest one by shape."""
    cases = task.cases(np.random.default_rng(0))
    results = itertools.cycle(task.reference(*_ordered(task, case)[0], **_ordered(task, case)[1]) for case in cases)
    return lambda *args, **kwargs: next(results)


def _ordered(task, case):
    keywords = {"gamma", "gae_lambda"}
    return [x for k, x in case.items() if k not in keywords], {k: x for k, x in case.items() if k in keywords}


def raising(*args, **kwargs):
    raise ZeroDivisionError("oh")


def nothing(*args, **kwargs):
    args = len(args)


def wrong_answers(checker):
    """name -> wrong answer that any task must refuse; those that a task names are in test_typical_mistakes_by_name."""
    task = CHECKERS[checker]
    answers = {"raising": raising, "nothing": nothing, "a number": 3.0}
    if checker in RETURNS_ARRAYS:
        changes = (other_format, another_axis, not_a_number, zero)
        answers |= {change.__name__: changed(task, change) for change in changes}
        answers["remembered"] = remembering(task)
    return answers


def accepted(check, checker):
    """The wrong answers that `check` does not call wrong, as their names."""
    return [name for name, answer in wrong_answers(checker).items() if check(answer).status != WRONG]


def named(verdict, words):
    """Whether a verdict is "wrong", with these words in the mistake's name; without words, with no name."""
    return verdict.status == WRONG and (words in verdict.mistake if words else not verdict.mistake)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
class TestEveryExercise:
    def test_solution_passes(self, checker):
        for _ in range(5):
            verdict = checker(CHECKERS[checker].reference)
            assert verdict.status == RIGHT, verdict

    def test_wrong_answers_are_rejected(self, checker):
        assert len(wrong_answers(checker)) >= 3
        assert accepted(checker, checker) == []

    def test_a_checker_that_returns_true_is_noticed(self, checker):
        always = lambda answer: right(CHECKERS[checker].exercise, "")  # noqa: E731
        assert accepted(always, checker) == list(wrong_answers(checker))

    def test_typical_mistakes_by_name(self, checker):
        task = CHECKERS[checker]
        assert len(task.mistakes) >= 3
        for name, answers in task.mistakes.items():
            for answer in answers if isinstance(answers, list) else [answers]:
                verdict = checker(answer)
                assert (verdict.status, verdict.mistake) == (WRONG, name), verdict
                assert name in verdict.message
                assert "expected" in verdict.example or "raised" in verdict.example

    @pytest.mark.slow
    def test_right_forms_pass_whatever_is_drawn(self, checker):
        forms = RIGHT_FORMS[CHECKERS[checker].exercise]
        assert len(forms) >= 5
        refused = {name: verdict for name, answer in forms.items() for _ in range(DRAWS)
                   if (verdict := checker(answer)).status != RIGHT}  # fmt: skip
        assert refused == {}

    @pytest.mark.slow
    def test_wrong_forms_are_named_whatever_is_drawn(self, checker):
        forms = WRONG_FORMS[CHECKERS[checker].exercise]
        assert len(forms) >= 15
        otherwise = [(words, verdict) for words, answer in forms for _ in range(DRAWS)
                     if not named(verdict := checker(answer), words)]  # fmt: skip
        assert otherwise == []

    def test_untouched_stub(self, checker):
        def stub(*args, **kwargs):
            return ...

        def empty(*args, **kwargs):
            """What it should do."""

        def refusing(*args, **kwargs):
            raise NotImplementedError

        verdicts = [checker(x) for x in (stub, empty, refusing, ..., None)]
        assert {verdict.status for verdict in verdicts} == {NOT_ATTEMPTED}
        assert len({repr(verdict) for verdict in verdicts}) == 1

    def test_inputs_are_drawn_anew(self, checker):
        seen = []

        def spy(*args, **kwargs):
            seen.append([np.asarray(x).tolist() for x in args if isinstance(x, (torch.Tensor, np.ndarray, float))])
            return ...

        def spy_on_policy(policy, *args):
            seen.append(policy.weight.tolist())
            return ...

        for _ in range(2):
            checker(spy_on_policy if checker is exercises.check_update else spy)
        half = len(seen) // 2  # a rounded number can be drawn twice, a whole call's numbers cannot
        assert seen[:half] != seen[half:]

    def test_printing_and_warning_are_no_mistakes(self, checker, capsys):
        def chatty(*args, **kwargs):
            print("here")
            return CHECKERS[checker].reference(*args, **kwargs)

        assert checker(chatty).status == RIGHT
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("checker", "answer", "name"),
    [
        (exercises.check_clipped_surrogate, lambda r, a, c: torch.where(a > 0, clipped_surrogate(r, a, c), r * a),
         "right for positive advantages only"),
        (exercises.check_clipped_surrogate, lambda r, a, c: torch.where((r - 1).abs() < c, r * a, 0.1 * r),
         "right inside the band only"),
        (exercises.check_clipped_surrogate, lambda r, a, c: torch.ones_like(r), CONSTANT),
        (exercises.check_clipped_surrogate, lambda r, a, c: clipped_surrogate(r, a, c).detach(), NO_GRADIENT),
        (exercises.check_clipped_surrogate, lambda r, a, c: clipped_surrogate(r.mul_(2), a, c), CHANGED),
        (exercises.check_clipped_surrogate, lambda r, a, c: clipped_surrogate(r, a, c).numpy(), "not a tensor"),
        (exercises.check_clipped_surrogate, lambda r, a, c: clipped_surrogate(r, a, c).long(),
         "wrong number format: whole numbers"),
        (exercises.check_clipped_surrogate, nothing, NOTHING),
        (exercises.check_clipped_surrogate, raising, "it raises ZeroDivisionError"),
        (exercises.check_clipped_surrogate, lambda r, a, c: r / 0, "not finite"),
        (exercises.check_gae, lambda r, v, n, e, *, gamma, gae_lambda: gae(r, n, n, e, gamma=gamma,
                                                                          gae_lambda=gae_lambda), NEXT_VALUE),
        (exercises.check_gae, lambda *x, **k: gae(*x, **k).astype(int), "wrong number format: whole numbers"),
        (exercises.check_gae, lambda *x, **k: gae(*x, **k).tolist(), "not an array"),
    ],
)  # fmt: skip
def test_mistakes_of_any_code_by_name(checker, answer, name):
    assert checker(answer).mistake == name


def test_the_given_code_is_no_attempt():
    for task in TASKS.values():
        if task.given:
            assert judge(task, task.given).status == NOT_ATTEMPTED


def test_next_values_are_the_values_of_the_next_step_within_an_episode():
    for case in TASKS["2.1"].cases(np.random.default_rng()):
        goes_on = case["terminated"][..., :-1] == 0
        assert (case["next_values"][..., :-1] == case["values"][..., 1:])[goes_on].all()


def test_edges_no_advantage_wide_and_narrow_bands_are_among_the_inputs():
    cases = TASKS["1.1"].cases(np.random.default_rng())
    edges = [case for case in cases for edge in (1 - case["clip"], 1 + case["clip"]) if (case["ratio"] == edge).any()]
    assert len({float(sign) for case in edges for sign in case["advantage"].sign()}) == 2
    assert any((case["advantage"] == 0).all() for case in cases)
    assert min(case["clip"] for case in cases) < 0.1
    assert max(case["clip"] for case in cases) > 0.5
    assert max(case["ratio"].max() for case in cases) > 5


def test_smallest_failing_example_is_small_and_exact():
    verdict = exercises.check_clipped_surrogate(lambda r, a, c: clipped_surrogate(r, -a, c))
    inputs, result = verdict.example.splitlines()
    ratio, advantage, clip = (float(x.split(" = ")[1].strip("[]")) for x in inputs.split(", "))
    expected = min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
    assert float(result.split("[")[1].split("]")[0]) == pytest.approx(expected, abs=1e-4)


def test_every_exercise_has_its_checker():
    assert {checker for _, checker in EXERCISES.values()} == {x for x in exercises.__all__ if x.startswith("check_")}
    assert {EXERCISES[task.exercise][1] for task in CHECKERS.values()} == {x.__name__ for x in CHECKERS}


def test_a_verdict_is_shown_with_words_and_safe_html():
    verdict = exercises.check_clipped_surrogate("<b>")
    assert "wrong" in repr(verdict)
    assert "<b>&" not in verdict._repr_html_().replace("<b>✗", "")
    assert "&lt;b&gt;" in verdict._repr_html_()
