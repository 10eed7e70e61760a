"""Whether two results agree, in what they differ, and how numbers are shown to a student."""

import numpy as np
import torch

RELATIVE, ABSOLUTE = 1e-4, 1e-6  # inputs have two decimals: real mistakes are far larger


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
