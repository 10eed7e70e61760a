"""Judging answers that are chosen, not computed: a dictionary from questions to answers."""

from lecture_utils.exercises.verdict import not_attempted, right, wrong


def judge_choices(exercise, answers, accepted, options, learned, *, measured, mistakes=()):
    """The Verdict on a dictionary of answers.

    accepted: question -> set of right answers. options: what any answer must be one of. measured: question -> what
    the checker measured, shown beside the first wrong answer. mistakes: pairs of a name and the answers that it leads
    to (question -> set).
    """
    if answers is ... or answers is None:
        return not_attempted(exercise)
    if not isinstance(answers, dict):
        return wrong(exercise, f"A dictionary is asked for, this is {answers!r:.60}.", "not a dictionary")
    if missing := [question for question in accepted if question not in answers]:
        return wrong(exercise, f"The dictionary lost the entry {missing[0]!r}.", "an entry is missing")
    given = {question: answers[question] for question in accepted}
    still_open = [question for question, answer in given.items() if answer is ...]
    if len(still_open) == len(given):
        return not_attempted(exercise)
    if still_open:
        return wrong(exercise, f"Still to answer: {'; '.join(map(str, still_open))}.", "not all are answered")
    for question, answer in given.items():
        if not any(_same(answer, option) for option in options):
            takes = ", ".join(map(repr, options))
            return wrong(exercise, f"{question}: {answer!r:.40} is none of {takes}.", "not one of the choices")
    missed = [question for question, answer in given.items() if not _among(answer, accepted[question])]
    if not missed:
        return right(exercise, learned)
    name = next((name for name, led_to in mistakes if _explains(led_to, given)), "")
    message = f"Recognised: {name}." if name else f"{len(given) - len(missed)} of {len(given)} are right."
    expected = " or ".join(sorted(map(repr, accepted[missed[0]])))
    example = f"{missed[0]}: expected {expected}, got {given[missed[0]]!r}\n{measured[missed[0]]}"
    return wrong(exercise, message, name, example)


def _same(answer, option):
    return (
        type(answer) in (int, float, str, bool)
        and isinstance(answer, bool) == isinstance(option, bool)
        and answer == option
    )


def _among(answer, accepted):
    return any(_same(answer, option) for option in accepted)


def _explains(led_to, given):
    return all(_among(given[question], answers) for question, answers in led_to.items())
