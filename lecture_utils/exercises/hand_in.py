"""The side of a student in grading: cells run here, and the checkers hand their answers over to whoever grades.

`python -m lecture_utils.exercises.hand_in` reads and writes lines of JSON. Nothing that it writes is a verdict: the
other side asks an answer for its results on inputs that it draws itself, and judges them.
"""

import base64
import json
import math
import os
import sys

import numpy as np
import torch

from lecture_utils.exercises.judge import Raised, is_empty

KINDS = "biuf"  # of numbers that are handed over
LONGEST = 2**24  # characters of a line


def encode(x):
    """A result, a choice or a case as what JSON can hold; whatever else it is, as its first characters."""
    if x is None or isinstance(x, bool | int | float | str):
        return {"plain": x[:1000] if isinstance(x, str) else x}
    if x is ...:
        return {"dots": True}
    if isinstance(x, Raised):
        return {"raised": [x.name[:100], x.text[:1000]]}
    if isinstance(x, dict):
        return {"dict": [[encode(key), encode(value)] for key, value in x.items()]}
    if isinstance(x, list | tuple):
        return {type(x).__name__ if type(x) in (list, tuple) else "tuple": [encode(item) for item in x]}
    if isinstance(x, torch.Tensor | np.ndarray | np.generic):
        numbers = np.asarray(x.detach().cpu().float() if getattr(x, "dtype", None) == torch.bfloat16 else
                             x.detach().cpu() if isinstance(x, torch.Tensor) else x)  # fmt: skip
        if numbers.dtype.kind in KINDS:
            text = base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
            kind = "tensor" if isinstance(x, torch.Tensor) else "array"
            return {kind: [numbers.dtype.str, list(numbers.shape), text]}
    if hasattr(x, "to_dict"):  # a Series
        return encode(dict(x.to_dict()))
    if callable(x):
        return {"function": is_empty(x)}
    return {"other": f"{x!r:.100}"}


def decode(x, function=None):
    """What was encoded; a function becomes `function(is_empty)`. ValueError for what encode would not have made."""
    try:
        ((kind, value),) = x.items()
        if kind == "plain" and (value is None or isinstance(value, bool | int | float | str)):
            return value
        if kind == "dots":
            return ...
        if kind == "raised":
            return Raised(str(value[0]), str(value[1]))
        if kind == "dict":
            return {decode(name): decode(item, function) for name, item in value}
        if kind in ("list", "tuple"):
            return (list if kind == "list" else tuple)(decode(item, function) for item in value)
        if kind in ("tensor", "array"):
            dtype = np.dtype(value[0])
            if dtype.kind not in KINDS:
                raise ValueError(f"no numbers: {dtype}")
            if min(value[1], default=0) < 0 or math.prod(max(n, 1) for n in value[1]) > LONGEST:
                raise ValueError(f"no shape: {value[1]!r:.40}")
            numbers = np.frombuffer(base64.b64decode(value[2]), dtype).reshape(value[1]).copy()
            return torch.as_tensor(numbers) if kind == "tensor" else numbers
        if kind == "function" and function:
            return function(bool(value))
        if kind == "other":
            return _Other(str(value))
    except (AttributeError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"not what a checker hands over ({error})") from None
    raise ValueError(f"not what a checker hands over: {kind!r:.40}")


class _Other:
    """Something that is neither numbers nor text; it is shown, and right nowhere."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


class Line:
    """Messages over two streams of bytes, a line of JSON each."""

    def __init__(self, read, write):
        self.read, self.write = read, write

    def send(self, message):
        self.write.write(json.dumps(message).encode() + b"\n")
        self.write.flush()

    def receive(self):
        line = self.read.readline(LONGEST)
        if not line:
            raise EOFError
        return json.loads(line)


def run_cells(line, checker, cells):
    """Run the cells; what the checker of that name is called with is handed over. The last message tells errors."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    from lecture_utils import exercises
    from lecture_utils.exercises import verdict

    def hand_over(name, arguments):
        if name != checker:
            return verdict.not_attempted(_number(name), "Not judged in this run.")
        line.send({"arguments": [encode(x) for x in arguments]})
        function = next((x for x in arguments if callable(x)), None)
        while "case" in (message := line.receive()):
            task = exercises.TASKS[_number(name)]
            line.send({"outcome": encode(task.outcome(function, decode(message["case"])))})
        return verdict.not_attempted(_number(name), "Handed over.")

    def _number(name):
        return next(number for number, (_, other) in verdict.EXERCISES.items() if other == name)

    verdict.hand_over = hand_over
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    raised = []
    for cell in cells:
        result = shell.run_cell(cell)
        error = result.error_before_exec or result.error_in_exec
        raised += [type(error).__name__[:60]] if error else []
    line.send({"finished": raised})


def bound(megabytes, seconds, processes):
    """Bounds on this process and those that it starts, where the system has them."""
    try:
        import resource
    except ImportError:
        return
    bounds = {"RLIMIT_DATA": megabytes * 2**20, "RLIMIT_CPU": seconds, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 2**28,
              "RLIMIT_NPROC": processes}  # fmt: skip
    for name, value in bounds.items():
        if (which := getattr(resource, name, None)) is None:
            continue
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(which, (value, value))
        except (OSError, ValueError):  # macOS takes some of them only
            continue


def main():
    """Run what is asked for, one exercise after another, each in a process of its own where the system can fork."""
    line = Line(os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    bound(**line.receive())
    line.send({"ready": True})
    while True:
        try:
            asked = line.receive()
        except EOFError:
            return
        if not hasattr(os, "fork"):
            run_cells(line, asked["checker"], asked["cells"])
            return
        child = os.fork()
        if not child:
            try:
                run_cells(line, asked["checker"], asked["cells"])
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        line.send({"over": True})


if __name__ == "__main__":
    sys.exit(main())
