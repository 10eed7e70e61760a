"""Judging answers that are chosen, not computed: a dictionary from questions to answers.

A verdict tells which answers are wrong. What is right, and how it was measured, is told where `show` asks for it.
"""

import collections.abc
import math

import pandas as pd
import torch

from lecture_utils import checks
from lecture_utils.exercises.verdict import NOT_ATTEMPTED, Verdict, not_attempted, right, wrong


def judge_choices(exercise, answers, accepted, options, learned, *, measured, mistakes=(), show=False):
    """The Verdict on a dictionary of answers, or on a Series.

    accepted: question -> set of right answers. options: what any answer must be one of. measured: question -> what
    the checker measured. mistakes: pairs of a name and the answers that it leads to (question -> set). show: whether
    the right answers are told, with what was measured, for every question that is not answered rightly.
    """
    if answers is ... or answers is None:
        return _untouched(exercise, accepted, measured, show)
    answers = answers.to_dict() if isinstance(answers, pd.Series) else answers
    if not isinstance(answers, collections.abc.Mapping):
        return wrong(exercise, f"A dictionary is asked for, this is {answers!r:.60}.", "not a dictionary")
    if missing := [question for question in accepted if question not in answers]:
        return wrong(exercise, f"The dictionary lost the entry {missing[0]!r}.", "an entry is missing")
    given = {question: _plain(answers[question]) for question in accepted}
    still_open = [question for question, answer in given.items() if answer is ... or answer is None]
    if len(still_open) == len(given):
        return _untouched(exercise, accepted, measured, show)
    if still_open:
        return wrong(exercise, f"Still to answer: {'; '.join(map(str, still_open))}.", "not all are answered")
    for question, answer in given.items():
        if not _among(answer, options):
            takes = ", ".join(map(repr, options))
            return wrong(exercise, f"{question}: {answer!r:.40} is none of {takes}.", "not one of the choices")
    missed = [question for question, answer in given.items() if not _among(answer, accepted[question])]
    if not missed:
        return right(exercise, learned)
    name = next((name for name, led_to in mistakes if _explains(led_to, given)), "")
    message = f"Recognised: {name}." if name else f"{len(given) - len(missed)} of {len(given)} are right."
    if len(given) > 1:
        message += f" Wrong: {'; '.join(map(str, missed))}."
    if not show:
        message += " Think again; add show=True to the call to be told."
    return wrong(exercise, message, name, _told(missed, accepted, measured) if show else "")


def _untouched(exercise, accepted, measured, show):
    if not show:
        return not_attempted(exercise)
    return Verdict(exercise, NOT_ATTEMPTED, "Shown before any answer:", example=_told(accepted, accepted, measured))


def _told(questions, accepted, measured):
    """The right answers, a line each, with what was measured below."""
    lines = []
    for question in questions:
        lines += [f"{question}: {' or '.join(sorted(map(repr, accepted[question])))}", f"    {measured[question]}"]
    return "\n".join(lines)


def _plain(answer):
    """NumPy's and torch's numbers and truth values as Python's; text without regard to case and outer spaces."""
    if isinstance(answer, torch.Tensor) and answer.ndim == 0:
        answer = answer.item()
    answer = checks.plain(answer)
    return answer.strip().casefold() if isinstance(answer, str) else answer


def _same(answer, option):
    """Whether both are one answer; 1 and 0 stand for True and False, but no truth value for a number."""
    option = _plain(option)
    if isinstance(option, str) or isinstance(answer, str):
        return isinstance(option, str) and isinstance(answer, str) and answer == option
    if type(answer) not in (int, float, bool) or (isinstance(answer, bool) and not isinstance(option, bool)):
        return False
    return math.isclose(answer, option, rel_tol=1e-6)  # a number may have come in single precision


def _among(answer, accepted):
    return any(_same(answer, option) for option in accepted)


def _explains(led_to, given):
    return all(_among(given[question], answers) for question, answers in led_to.items())
