"""Judging a student's function: the same inputs for it, for the reference, and for the typical mistakes.

Also whether two results agree, in what they differ, and how numbers are shown to a student.
"""

import contextlib
import copy
import dataclasses
import dis
import io
import warnings

import numpy as np
import torch

from lecture_utils.exercises.verdict import not_attempted, right, wrong

CONSTANT = "the same numbers whatever the inputs"
NOTHING = "nothing is returned"
CHANGED = "the inputs are changed"
RELATIVE, ABSOLUTE = 1e-4, 1e-6  # inputs have two decimals: real mistakes are far larger


@dataclasses.dataclass(frozen=True)
class Task:
    """An exercise that asks for a function.

    reference: the right function. cases: generator -> list of dicts of inputs, from small to large, drawn anew.
    call: (function, inputs) -> dict of what is compared. mistakes: name -> wrong function. partly: name -> test of
    the inputs; answers right where it holds and wrong elsewhere carry that name. learned: what a right answer shows.
    given: the function to be mended, where there is one; its answers count as not attempted.
    """

    exercise: str
    reference: object
    cases: object
    call: object
    mistakes: dict
    learned: str
    partly: dict = dataclasses.field(default_factory=dict)
    given: object = None


def judge(task, answer):
    """The Verdict on a student's function; inputs are drawn anew at each call."""
    if answer is ... or answer is None:
        return not_attempted(task.exercise)
    if not callable(answer):
        return wrong(task.exercise, f"A function is asked for, this is {answer!r:.60}.", "not a function")
    cases = task.cases(np.random.default_rng())
    got = [_outcome(task, answer, case) for case in cases]
    if isinstance(got[0], NotImplementedError) or _is_stub(answer, got[0]):
        return not_attempted(task.exercise)
    expected = [_outcome(task, task.reference, case) for case in cases]
    if task.given and _alike(_outcomes(task, task.given, cases), got):
        return not_attempted(task.exercise, "This still answers as the code that was given. Find the line and mend it.")
    problems = [_problem(e, g) for e, g in zip(expected, got, strict=True)]
    if not any(problems):
        return right(task.exercise, task.learned)
    first = next(i for i, problem in enumerate(problems) if problem)
    mistake = _recognised(task, cases, expected, got, problems) or problems[first][0]
    message = f"Recognised: {mistake}." if mistake else "No mistake that is known here; the example may tell."
    return wrong(task.exercise, message, mistake, f"{inputs_text(cases[first])}\n{problems[first][1]}")


def plain(*keywords):
    """A call that compares what the function returns; the named inputs are given as keywords, the others in order."""

    def call(function, inputs):
        return {"result": function(*_split(inputs, keywords)[0], **_split(inputs, keywords)[1])}

    return call


def with_gradient(*names):
    """As `plain`, and compares the gradient of the summed result with respect to these inputs, too."""

    def call(function, inputs):
        outputs = plain()(function, inputs)
        tracked = {k: x.clone().requires_grad_() if k in names else x for k, x in inputs.items()}
        try:
            result = function(*tracked.values())
        except RuntimeError:  # torch, of a change in place or of .numpy(): no gradient comes through
            return outputs
        if isinstance(result, torch.Tensor) and result.requires_grad:
            gradients = torch.autograd.grad(result.sum(), [tracked[name] for name in names], allow_unused=True)
            for name, x in zip(names, gradients, strict=True):
                outputs[f"gradient with respect to {name}"] = torch.zeros_like(tracked[name]) if x is None else x
        return outputs

    return call


def _split(inputs, keywords):
    return [x for k, x in inputs.items() if k not in keywords], {k: x for k, x in inputs.items() if k in keywords}


def _outcomes(task, function, cases):
    return [_outcome(task, function, case) for case in cases]


def _outcome(task, function, case):
    """What the call returns, or the error that it raises; a changed input is an error here."""
    inputs = copy.deepcopy(case)
    quiet = contextlib.redirect_stdout(io.StringIO())
    try:
        with quiet, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs = task.call(function, inputs)
    except (Exception, SystemExit) as error:
        return error
    changed = [name for name in case if not near(case[name], inputs[name])]
    return RuntimeError(f"{CHANGED}: {', '.join(changed)}") if changed else outputs


def _is_stub(answer, outcome):
    """Whether the answer is the cell as given: it returns the dots, or has no body."""
    if isinstance(outcome, dict) and outcome.get("result") is ...:
        return True
    if not hasattr(answer, "__code__"):
        return False
    empty = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP"}
    only_a_text = all(x is None or isinstance(x, str) for x in answer.__code__.co_consts)
    return only_a_text and {step.opname for step in dis.get_instructions(answer)} <= empty


def _problem(expected, got):
    """None, or (name of the mistake or "", a line on what was expected and what came)."""
    if isinstance(got, Exception | SystemExit):
        if CHANGED in str(got):
            return CHANGED, f"{got}: work on a copy"
        return f"it raises {type(got).__name__}", f"raised: {type(got).__name__}: {got}"
    for name, x in expected.items():
        if name not in got:
            return "no gradient flows through the result", f"expected a {name} of {number_text(x)}, got none"
        if got[name] is None:
            return NOTHING, "expected a result, got None: is the `return` missing?"
        if found := difference(x, got[name]):
            mistake, why = found
            label = "" if name == "result" else f"{name}: "
            return mistake, f"{label}expected {number_text(x)}, got {number_text(got[name])}{why}"
    return None


def _recognised(task, cases, expected, got, problems):
    """The name of the mistake that explains all answers, or ""."""
    for name, function in task.mistakes.items():
        if _alike(_outcomes(task, function, cases), got):
            return name
    if any(problem and problem[0] for problem in problems):
        return ""  # of a wrong kind: shape, number format, not finite
    numbers = [np.ravel(np.asarray(x["result"])) for x in got if "result" in x]
    if numbers and np.ptp(np.concatenate(numbers)) == 0:
        return CONSTANT
    for name, holds in task.partly.items():
        inside = [bool(np.all(np.asarray(holds(case)))) for case in cases]
        if all(problem is None for problem, within in zip(problems, inside, strict=True) if within) and any(inside):
            return name
    return ""


def _alike(theirs, ours):
    """Whether two lists of outcomes agree, number formats and the texts of errors aside."""
    pairs = list(zip(theirs, ours, strict=True))
    agree = all(
        type(a) is type(b) and (not isinstance(a, dict) or (a.keys() == b.keys() and all(near(a[k], b[k]) for k in a)))
        for a, b in pairs
    )
    return agree and any(isinstance(a, dict) for a in theirs)


def near(a, b):
    """Whether two results have one shape and the same numbers, whatever their number formats."""
    try:
        a, b = (_array(x) for x in (a, b))
        return a.shape == b.shape and bool(np.allclose(a, b, RELATIVE, ABSOLUTE, equal_nan=True))
    except (TypeError, ValueError, RuntimeError):
        return False


def difference(expected, got):
    """None where `got` is `expected`; otherwise the mistake's name ("" for wrong numbers) and a remark."""
    if isinstance(expected, torch.Tensor) and not isinstance(got, torch.Tensor):
        return "not a tensor", f" ({type(got).__name__}, asked is a torch.Tensor)"
    if isinstance(expected, np.ndarray) and not isinstance(got, np.ndarray):
        return "not an array", f" ({type(got).__name__}, asked is a NumPy array)"
    try:
        e, g = _array(expected), _array(got)
    except (TypeError, ValueError, RuntimeError):
        return "not a number", f" ({type(got).__name__})"
    if e.shape != g.shape:
        return f"wrong shape{_shape_remark(e, g)}", f" (shape {g.shape}, asked is {e.shape})"
    if not np.issubdtype(g.dtype, np.number):
        return "not a number", f" ({g.dtype})"
    if isinstance(expected, torch.Tensor | np.ndarray) and expected.dtype != got.dtype:
        whole = ": whole numbers" if np.issubdtype(g.dtype, np.integer) else ""
        return f"wrong number format{whole}", f" ({got.dtype}, asked is {expected.dtype})"
    if not np.isfinite(g).all():
        return "not finite", ""
    return None if near(e, g) else ("", _place(e, g))


def inputs_text(inputs):
    return ", ".join(f"{name} = {number_text(x)}" for name, x in inputs.items())


def number_text(x):
    """A number or a small array as text, to four digits; whatever else it is, in at most sixty characters."""
    try:
        return np.array2string(_array(x), precision=4, separator=", ", threshold=12, suppress_small=True)
    except (TypeError, ValueError, RuntimeError):
        return f"{x!r:.60}"


def _array(x):
    x = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    if x.dtype == object or x.dtype.kind in "US":
        raise TypeError("not numbers")
    return x


def _shape_remark(expected, got):
    if got.ndim == 0 and expected.size > 1 and np.allclose(got, expected.mean(), RELATIVE, ABSOLUTE):
        return ": the mean is taken, and one number a sample is asked"
    if got.size == expected.size:
        return ": an axis too many or too few"
    if got.ndim > expected.ndim and got.size > expected.size:
        return ": every number met every other (broadcasting)"
    return ""


def _place(expected, got):
    """Where the first difference is, in arrays of several numbers."""
    if expected.size < 2:
        return ""
    at = np.argwhere(~np.isclose(got, expected, RELATIVE, ABSOLUTE))[0]
    return f" (first at index {', '.join(map(str, at))})"
