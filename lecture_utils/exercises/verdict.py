"""What a checker answers: not attempted yet, right or wrong; and which checker belongs to which exercise."""

import dataclasses
import functools
import html
import sys

# Of every exercise: number, short name, checker. The digit before the point is the number of its notebook.
EXERCISES = {
    "0.1": ("discounted returns", "check_returns"),
    "0.2": ("moves of a Gaussian", "check_moves"),
    "1.1": ("clipped surrogate", "check_clipped_surrogate"),
    "1.2": ("table of cases", "check_cases"),
    "1.3": ("mended loss", "check_mended_loss"),
    "1.4": ("enumerated surrogate", "check_enumerated_surrogate"),
    "2.1": ("GAE", "check_gae"),
    "2.2": ("mended GAE", "check_mended_gae"),
    "2.3": ("choice of lambda", "check_lambdas"),
    "3.1": ("loss of PPO", "check_ppo_loss"),
    "3.2": ("update of PPO", "check_update"),
    "3.3": ("sick runs", "check_diagnosis"),
    "4.1": ("interval", "check_interval"),
    "4.2": ("reading an interval", "check_reading"),
    "4.3": ("number of runs", "check_number_of_runs"),
    "4.4": ("three verdicts", "check_verdicts"),
    "5.1": ("scored action", "check_scored_action"),
    "5.2": ("normalised advantages", "check_normalize"),
    "5.3": ("planted bug", "check_bug"),
    "5.4": ("probes", "check_probes"),
    "6.1": ("log-probability of a choice", "check_choice"),
    "6.2": ("advantages across episodes", "check_across_episodes"),
    "7.1": ("group advantage", "check_group_advantage"),
    "7.2": ("two clips", "check_two_clips"),
    "7.3": ("estimators of KL", "check_estimators"),
}

NOT_ATTEMPTED, RIGHT, WRONG = "not attempted", "right", "wrong"
SIGNS = {NOT_ATTEMPTED: "○", RIGHT: "✓", WRONG: "✗"}
COLOURS = {NOT_ATTEMPTED: "#767676", RIGHT: "#009E73", WRONG: "#D55E00"}  # Okabe and Ito: never the only sign

hand_over = None  # set while a class is graded: (name of the checker, arguments) -> what the cell shows


def checker(function):
    """A function that answers with a Verdict; while a class is graded, its arguments are judged elsewhere."""

    @functools.wraps(function)
    def call(*arguments, **keywords):
        if hand_over is not None:
            return hand_over(function.__name__, [*arguments, *(keywords[k] for k in keywords if k != "show")])
        return function(*arguments, **keywords)

    return call


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The answer of a checker. Displayed as its text, in a notebook with a sign and a coloured edge.

    exercise: a key of EXERCISES. status: NOT_ATTEMPTED, RIGHT or WRONG. message: a sentence or two.
    mistake: the name of the mistake, "" where none was recognised. example: the smallest failing one, "" without.
    """

    exercise: str
    status: str
    message: str
    mistake: str = ""
    example: str = ""

    def _head(self):
        words = "not attempted yet" if self.status == NOT_ATTEMPTED else self.status
        return f"{SIGNS[self.status]} {self.exercise} {EXERCISES[self.exercise][0]}: {words}"

    def __repr__(self):
        text = "\n".join(part for part in (f"{self._head()}. {self.message}", self.example) if part)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a console of Windows may lack the signs
        return text.encode(encoding, "replace").decode(encoding)

    def _repr_html_(self):
        example = f"<pre style='margin: 0.4em 0 0'>{html.escape(self.example)}</pre>" if self.example else ""
        return (
            f"<div style='border-left: 6px solid {COLOURS[self.status]}; padding: 0.3em 0.8em'>"
            f"<b>{html.escape(self._head())}.</b> {html.escape(self.message)}{example}</div>"
        )


def not_attempted(exercise, message="Replace the dots above by your answer, then run this cell again."):
    return Verdict(exercise, NOT_ATTEMPTED, message)


def right(exercise, learned):
    return Verdict(exercise, RIGHT, learned)


def wrong(exercise, message, mistake="", example=""):
    return Verdict(exercise, WRONG, message, mistake, example)
