"""Arguments good and bad, for the functions that anybody may call, and what is asked of each call."""

import math
import warnings

import numpy as np
import torch
from hypothesis import strategies as st

TRIED = {}  # function -> number of inputs tried in this process


class Bad:
    """What is drawn for an argument that must be refused."""

    def __init__(self, value):
        self.value = value


JUNK = st.sampled_from(
    [None, "0.5", b"1", 1j, [], [0.5, "x"], {}, object(), len, np.array([0.5, 0.5]), np.array("a"), {1, 2}, math.nan]
).map(Bad)


def number(low, high, *, open_low=False, open_high=False, infinite=False):
    """Real numbers of many types: those in the range as they are, those outside and junk as Bad."""
    takes = lambda x: (low < x if open_low else low <= x) and (x < high if open_high else x <= high)  # noqa: E731
    inside = st.floats(low, min(high, 1e6), exclude_min=open_low, exclude_max=open_high, allow_subnormal=False)
    ends = st.sampled_from([low, high, 0, 1, -1, 2, np.float64(0.5), math.inf, -math.inf, math.nan, -1e-9, 1 + 1e-9])
    anything = st.floats() | ends
    return inside | anything.map(lambda x: x if takes(x) and (infinite or math.isfinite(x)) else Bad(x)) | JUNK


def whole(low, high):
    """Whole numbers, Python's and NumPy's, the same way; none above `high` are drawn."""
    good = st.integers(low, high)
    other = st.sampled_from([True, 1.0, 2.5, math.inf, low - 1, -(10**30), np.float64(2)]).map(Bad)
    return good | good.map(np.int64) | other | JUNK


NO_NUMBERS = ("complex", "text", "objects", "ragged", "none")
GOOD_KINDS = ("float64",) * 9 + ("float32", "int64", "bool", "list", "reversed")
BAD_SHAPES = ("empty", "other shape", "one axis less")
BAD_KINDS = ("nan", "inf", *NO_NUMBERS, *BAD_SHAPES)


@st.composite
def array(draw, shape, *, bad=0.1, tensor=False, finite=True, bad_kinds=BAD_KINDS, scales=(1e-3, 1.0, 30.0, 1e6)):
    """(value, reference): an array or nested list of this shape, and it in float64; the value is Bad in one of ten."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=shape) * draw(st.sampled_from(scales))
    if draw(st.floats(0, 1)) < bad:
        value = _spoil(x, draw(st.sampled_from(bad_kinds)), rng)
        refused = finite or not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != float
        value = torch.as_tensor(value) if tensor and getattr(value, "dtype", None) in (float, complex) else value
        return (Bad(value), None) if refused else (value, np.asarray(value))
    kind = draw(st.sampled_from([k for k in GOOD_KINDS if not tensor or k in ("float64", "float32")]))
    if kind == "list":
        return x.tolist(), x
    if kind == "reversed":
        return x[..., ::-1], x[..., ::-1]
    x = (x > 0) if kind == "bool" else x.astype(kind)
    return (torch.as_tensor(x) if tensor else x), x.astype(np.float64)


def _spoil(x, kind, rng):
    x = np.atleast_1d(x).copy() if kind in ("nan", "inf") else x
    if kind in ("nan", "inf"):
        x.flat[rng.integers(x.size)] = {"nan": np.nan, "inf": rng.choice([np.inf, -np.inf])}[kind]
        return x
    return {
        "complex": x + 1j, "text": x.astype(str), "objects": np.full(x.shape, None), "ragged": [[1.0], [1.0, 2.0]],
        "none": None, "empty": np.zeros((*x.shape[:-1], 0)), "other shape": np.zeros((*x.shape, 2)),
        "one axis less": x[0] if x.ndim else "x",
    }[kind]  # fmt: skip


def plain(drawn):
    """The value that a function gets."""
    return drawn.value if isinstance(drawn, Bad) else drawn


def check(name, call, arguments, expected=None, rtol=1e-9, atol=0.0, refused=False):
    """Call with these arguments: bad ones must end in ValueError or TypeError that names one of them, good ones in
    what `expected` says: None (nothing is compared), an array, or a function that asserts.

    refused: the arguments do not go together, though each is good by itself; any of their names will do.
    """
    TRIED[name] = TRIED.get(name, 0) + 1
    wrong = [argument for argument, drawn in arguments.items() if isinstance(drawn, Bad)]
    named = wrong or (list(arguments) if refused else [])
    result, refusal = None, None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            result = call(**{argument: plain(drawn) for argument, drawn in arguments.items()})
        except (ValueError, TypeError) as error:
            refusal = str(error)
    if refusal is not None:
        assert named, f"{name} refuses what it should take: {refusal}"
        # Shapes that disagree are told together.
        assert any(argument in refusal for argument in (*named, "shape")), f"{name} does not name {named}: {refusal}"
        return
    assert not named, f"{name} takes {[(n, plain(arguments[n])) for n in named]} and answers {result!r:.200}"
    if callable(expected):
        assert expected(result) in (None, True), f"{name} answers {result!r:.300}"
    elif expected is not None:
        got = result.detach().numpy() if isinstance(result, torch.Tensor) else np.asarray(result)
        assert got.shape == np.shape(expected), f"{name}: shape {got.shape} for {np.shape(expected)}"
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=0) if np.ndim(expected) else 0
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol + rtol * scale, equal_nan=True)
