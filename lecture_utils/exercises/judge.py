"""Judging a student's function: the same inputs for it, for the reference, and for the typical mistakes.

Also whether two results agree, in what they differ, and how numbers are shown to a student.
"""

import contextlib
import copy
import dataclasses
import dis
import functools
import io
import warnings

import numpy as np
import torch

from lecture_utils.exercises.verdict import not_attempted, right, wrong

CONSTANT = "the same numbers whatever the inputs"
NOTHING = "nothing is returned"
CHANGED = "the inputs are changed"
NO_GRADIENT = "no gradient flows through the result"
# Single precision and any order of the sums pass; inputs have two decimals, so that real mistakes are far larger.
RELATIVE, ABSOLUTE = 1e-4, 1e-5
SHOWN = 12  # numbers of an array, at most; of a longer one the ends
FEW = 3  # so many numbers at least must be right before an answer is called right for a part of the inputs


@dataclasses.dataclass(frozen=True)
class Task:
    """An exercise that asks for a function.

    reference: the right function. cases: generator -> list of dicts of inputs, from small to large, drawn anew.
    call: (function, inputs) -> dict of what is compared; what begins with "_" tells mistakes apart and is never wrong.
    mistakes: name -> wrong function, or a list of them. partly: name -> mask of the inputs; an answer that is right
    where it holds, and only there, has that name. learned: what a right answer shows. given: the function to be
    mended, where there is one; its answers count as not attempted. agrees: (inputs, key, result) -> truth values, where
    more than the reference's numbers are right. relative: the tolerance, as a share of the number.
    """

    exercise: str
    reference: object
    cases: object
    call: object
    mistakes: dict
    learned: str
    partly: dict = dataclasses.field(default_factory=dict)
    given: object = None
    agrees: object = None
    relative: float = RELATIVE

    def outcome(self, function, case, trusted=False):
        """What the call returns, or the Raised that became of it; a changed input is an error here.

        trusted: the function is the checker's own, and changes no input.
        """
        if hasattr(function, "outcome"):  # one that runs elsewhere: class_summary
            return function.outcome(case)
        inputs = dict(case) if trusted else copy.deepcopy(case)
        quiet = contextlib.redirect_stdout(io.StringIO())
        try:
            with quiet, warnings.catch_warnings(), np.errstate(all="ignore"), torch.enable_grad():
                warnings.simplefilter("ignore")
                outputs = self.call(function, inputs)
        except Refused as error:
            return Raised("", str(error))
        except (Exception, SystemExit) as error:
            return Raised(type(error).__name__, str(error))
        changed = [] if trusted else [name for name in case if not near(case[name], inputs[name])]
        return Raised("", f"{CHANGED}: {', '.join(changed)}") if changed else outputs


@dataclasses.dataclass(frozen=True)
class Raised:
    """An error in place of a result. name: of its class, "" where the text is what the checker found itself."""

    name: str
    text: str


class Refused(Exception):
    """Raised by a call for a result of which nothing can be compared; the text is the name of the mistake."""


class Word(int):
    """One of several words, compared by its place among them."""

    def __new__(cls, word, among):
        self = super().__new__(cls, among.index(word))
        self.word = word
        return self


def judge(task, answer):
    """The Verdict on a student's function; inputs are drawn anew at each call."""
    if answer is ... or answer is None:
        return not_attempted(task.exercise)
    if not callable(answer):
        return wrong(task.exercise, f"A function is asked for, this is {answer!r:.60}.", "not a function")
    cases = task.cases(np.random.default_rng())
    got = [task.outcome(answer, case) for case in cases]
    if _is_stub(answer, got[0]):
        return not_attempted(task.exercise)
    expected = [task.outcome(task.reference, case, trusted=True) for case in cases]
    if task.given and _answers_as(task, task.given, cases, got):
        return not_attempted(task.exercise, "This still answers as the code that was given. Find the line and mend it.")
    problems = [_problem(task, *triple) for triple in zip(cases, expected, got, strict=True)]
    if not any(problems):
        return right(task.exercise, task.learned)
    first = next(i for i, problem in enumerate(problems) if problem)
    mistake = _recognised(task, cases, expected, got, problems)
    message = f"Recognised: {mistake}." if mistake else "No mistake that is known here; the example may tell."
    return wrong(task.exercise, message, mistake, f"{inputs_text(cases[first])}\n{problems[first][1]()}")


def plain(*keywords):
    """A call that compares what the function returns; the named inputs are given as keywords, the others in order."""

    def call(function, inputs):
        in_order = [x for name, x in inputs.items() if name not in keywords]
        return {"result": function(*in_order, **{name: inputs[name] for name in keywords})}

    return call


def with_gradient(*names):
    """As `plain`, and compares the gradient of the summed result with respect to these inputs; None for no gradient."""

    def call(function, inputs):
        tracked = {k: x.clone().requires_grad_() if k in names else x for k, x in inputs.items()}
        try:
            result = function(*tracked.values())
        except RuntimeError:  # torch, of a change in place or of .numpy(): no gradient comes through
            result = function(*inputs.values())
        outputs = {"result": result}
        if isinstance(result, torch.Tensor):
            gradients = [None] * len(names)
            if result.requires_grad:
                gradients = torch.autograd.grad(result.sum(), [tracked[name] for name in names], allow_unused=True)
            outputs |= {f"gradient with respect to {name}": x for name, x in zip(names, gradients, strict=True)}
        return outputs

    return call


def is_empty(answer):
    """Whether a function has no body beyond a text, as in a cell that is handed out."""
    if not hasattr(answer, "__code__"):
        return False
    empty = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP"}
    steps = list(dis.get_instructions(answer))
    return {step.opname for step in steps} <= empty and all(
        step.argval is None for step in steps if "CONST" in step.opname
    )


def _is_stub(answer, outcome):
    """Whether the answer is the cell as given: it returns the dots, has no body, or says that it is not written."""
    if isinstance(outcome, Raised):
        return outcome.name == "NotImplementedError"
    return outcome.get("result") is ... or getattr(answer, "empty", False) or is_empty(answer)


def _problem(task, case, expected, got):
    """None, or (name of the mistake or "", function that returns a line on what was expected and what came)."""
    if isinstance(got, Raised):
        if not got.name:
            return got.text.split(":")[0], lambda: got.text
        return f"it raises {got.name}", lambda: f"raised: {got.name}: {got.text}"
    for name, x in expected.items():
        if name.startswith("_"):
            continue

        def line(came=None, remark="", name=name, x=x):
            label = "" if name == "result" else f"{name}: "
            return f"{label}expected {number_text(x)}, got {came or number_text(got[name])}{remark}"

        if got.get(name) is None:
            if name == "result":
                return NOTHING, lambda: "expected a result, got None: is the `return` missing?"
            if near(x, _zeros_like(x)):
                continue
            others = [got[other] for other in expected if other.startswith("gradient") and got.get(other) is not None]
            return (f"no {name}" if others else NO_GRADIENT), functools.partial(line, "none")
        if problem := wrong_kind(x, got[name]):
            return problem[0], functools.partial(line, remark=problem[1])
        good = _good(task, case, name, x, got[name])
        if not good.all():
            mistake = "" if np.isfinite(_array(got[name])).all() else "not finite"
            return mistake, functools.partial(line, remark=_place(good, x, got[name]))
    return None


def _good(task, case, name, expected, got):
    """Of every number of a result whether it is right."""
    e, g = _array(expected), _array(got)
    good = np.isclose(g, e, task.relative, ABSOLUTE * max(1.0, np.abs(e).max(initial=0)))
    return good | np.asarray(task.agrees(case, name, got)) if task.agrees else good


def _recognised(task, cases, expected, got, problems):
    """The name of the mistake that explains all answers, or that of the first problem, which may be ""."""
    named = next(problem[0] for problem in problems if problem)
    if named.startswith("not a"):  # tensor, array or number
        return named
    for name, functions in task.mistakes.items():
        for function in functions if isinstance(functions, list) else [functions]:
            if _answers_as(task, function, cases, got):
                return name
    whole = [problem[0].startswith("wrong number format") for problem in problems if problem]
    kinds = ("wrong shape", "not a", NOTHING, CHANGED)
    if all(whole) or any(problem and problem[0].startswith(kinds) for problem in problems):
        return named or next(problem[0] for problem in problems if problem and problem[0])
    if not any(isinstance(outcome, Raised) for outcome in got):
        numbers = np.concatenate([np.ravel(_array(outcome["result"])) for outcome in got])
        if np.ptp(numbers) == 0:
            return CONSTANT
    return next((name for name, holds in task.partly.items() if _right_where(task, holds, cases, expected, got)), named)


def _right_where(task, holds, cases, expected, got):
    """Whether an answer is right wherever the mask holds; that it is wrong somewhere else is known."""
    numbers = 0
    for case, e, g in zip(cases, expected, got, strict=True):
        good = _each_right(task, case, e, g)
        mask = np.asarray(holds(case))
        if mask.shape != good.shape:
            mask, good = mask.all(), good.all()
        if (mask & ~good).any():
            return False
        numbers += mask.sum()
    return numbers >= FEW


def _each_right(task, case, expected, got):
    """Of every number of the result whether all of it is right: value, gradient."""
    shape = _array(expected["result"]).shape
    each = np.ones(shape, dtype=bool)
    for name, x in expected.items():
        if name.startswith("_"):
            continue
        try:
            y = _zeros_like(x) if got.get(name) is None and name != "result" else got[name]
            good = _good(task, case, name, x, y)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):  # an error, nothing, another shape
            return np.zeros(shape, dtype=bool)
        more_axes = good.shape[: len(shape)] == shape
        each &= good.reshape(*shape, -1).all(-1) if more_axes else good.all()
    return each


def _answers_as(task, function, cases, got):
    """Whether a function gives these answers, number formats aside. It must give a result in one case at least."""
    results = 0
    for case, ours in reversed(list(zip(cases, got, strict=True))):  # the last has most numbers, and tells most apart
        theirs = task.outcome(function, case, trusted=True)
        if isinstance(theirs, Raised) or isinstance(ours, Raised):
            if theirs != ours:
                return False
            continue
        results += 1
        for name in theirs.keys() | ours.keys():
            alike = near if name == "result" else _same
            if not alike(theirs.get(name), ours.get(name), task.relative):
                return False
    return results > 0


def _same(a, b, relative):
    """As near; no gradient is a gradient of zeros."""
    if a is b:
        return True
    if isinstance(a if b is None else b, torch.Tensor) and (a is None or b is None):
        a, b = (torch.zeros_like(other) if x is None else x for x, other in ((a, b), (b, a)))
    return near(a, b, relative)


def near(a, b, relative=RELATIVE):
    """Whether two results have one shape and the same numbers, whatever their number formats."""
    try:
        a, b = (_array(x) + 0.0 for x in (a, b))
        if a.shape != b.shape:
            return False
        with np.errstate(all="ignore"):
            size = np.where(np.isfinite(b), np.abs(b), 0.0)
            close = np.abs(a - b) <= relative * size + ABSOLUTE * max(1.0, size.max(initial=0.0))
        return bool((close | (a == b) | ((a != a) & (b != b))).all())  # NaN is not itself
    except (TypeError, ValueError, RuntimeError):
        return type(a) is type(b) and a is b


def wrong_kind(expected, got):
    """None, or the mistake's name and a remark, where `got` is no such array as `expected`: its kind, shape, format."""
    if isinstance(expected, torch.Tensor) and not isinstance(got, torch.Tensor):
        return "not a tensor", f" ({type(got).__name__}, asked is a torch.Tensor)"
    arrays = np.ndarray | np.generic | torch.Tensor | float | int  # a number for an array has the wrong shape
    if isinstance(expected, np.ndarray) and not isinstance(got, arrays):
        return "not an array", f" ({type(got).__name__}, asked is a NumPy array)"
    try:
        e, g = _array(expected), _array(got)
    except (TypeError, ValueError, RuntimeError):
        return "not a number", f" ({type(got).__name__})"
    if e.shape != g.shape:
        return f"wrong shape{_shape_remark(e, g)}", f" (shape {g.shape}, asked is {e.shape})"
    if not np.issubdtype(g.dtype, np.number) or np.iscomplexobj(g):
        return "not a number", f" ({g.dtype})"
    if np.issubdtype(e.dtype, np.floating) and np.issubdtype(g.dtype, np.integer):
        return "wrong number format: whole numbers", f" ({g.dtype}, asked is {e.dtype})"
    return None


def inputs_text(inputs):
    return ", ".join(f"{name} = {number_text(x)}" for name, x in inputs.items())


def number_text(x):
    """A number or a small array as text, to four digits; whatever else it is, in at most sixty characters."""
    if isinstance(x, Word):
        return repr(x.word)
    try:
        return np.array2string(_array(x), precision=4, separator=", ", threshold=SHOWN, suppress_small=True)
    except (TypeError, ValueError, RuntimeError):
        return f"{x!r:.60}"


def _array(x):
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        x = (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    elif isinstance(x, tuple | list):
        x = [_array(item) for item in x]
    x = np.asarray(x)
    if x.dtype == object or x.dtype.kind in "US":
        raise TypeError("not numbers")
    return x


def _zeros_like(x):
    return np.zeros_like(_array(x))


def _shape_remark(expected, got):
    if got.ndim == 0 and expected.size > 1:
        return ": one number, and one for each sample is asked"
    if got.size == expected.size:
        return ": an axis too many or too few"
    if got.ndim > expected.ndim and got.size > expected.size:
        return ": every number met every other (broadcasting)"
    return ""


def _place(good, expected, got):
    """Where the first difference is, in arrays of several numbers, and what stands there where not all is shown."""
    if good.size == 1:
        return ""
    place = tuple(np.argwhere(~good)[0].tolist())
    hidden = good.size > SHOWN
    there = f": expected {_array(expected)[place]:.6g}, got {_array(got)[place]:.6g}" if hidden else ""
    return f" (first at index {', '.join(map(str, place))}{there})"
