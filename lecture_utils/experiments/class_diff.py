"""What a class adds to the one that it inherits from: a diff in which every call of super() is written out."""

import ast
import difflib
import inspect
import textwrap


def class_diff(base, derived):
    """The changed lines of every method of `base` that `derived` overrides, as a unified diff without context.

    Both sides are printed from their syntax trees, so comments, docstrings and line breaks do not count. A call
    super().method(...) stands for the lines of that method, and `name = super().method(...)` for its lines with
    `name = ...; return name` at the end, on both sides. A method that `base` lacks is all new.
    """
    lines = []
    for old, new in _pairs(base, derived):
        for change in _changes(old, new):
            lines += [f"@@ {new[0]}", *change]
    return "\n".join(lines)


def additions(base, derived):
    """What `derived` adds, each addition a list of its changed lines, in the order of the source.

    One changed place is one addition; but a place that only calls something, and neither assigns nor returns, keeps
    up what an addition before it made (the copy of the weights belongs to the network that they are copied into).
    """
    found = []
    for old, new in _pairs(base, derived):
        for change in _changes(old, new):
            added = textwrap.dedent("\n".join(line[1:] for line in change if line.startswith("+")))
            calls_only = bool(added) and all(isinstance(node, ast.Expr) for node in _statements(added))
            if calls_only and found:
                found[-1] += change
            else:
                found.append(change)
    return found


def _pairs(base, derived):
    old, new = _methods(base), _methods(derived)
    return [_written_out(old.get(name), method) for name, method in new.items()]


def _methods(cls):
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return {node.name: _without_docstring(node) for node in tree.body[0].body if isinstance(node, ast.FunctionDef)}


def _without_docstring(method):
    if ast.get_docstring(method) is not None:
        method.body = method.body[1:] or [ast.Pass()]
    return method


def _written_out(old, new):
    """The lines of a method before and after, what super() stands for put in its place."""
    if old is None:
        return [], _lines(new.args, new.name, new.body)
    before, after, args = old.body, [], new.args
    for statement in new.body:
        if not _calls_super(statement, new.name):
            after.append(statement)
            continue
        args = old.args
        if isinstance(statement, ast.Assign) and isinstance(before[-1], ast.Return):
            target = statement.targets[0]
            assign = ast.Assign(statement.targets, before[-1].value, lineno=0)
            before = [*before[:-1], assign, ast.Return(ast.Name(target.id))]
            after += before[:-1]
        else:
            after += before
    return _lines(old.args, old.name, before), _lines(args, new.name, after)


def _calls_super(statement, name):
    call = getattr(statement, "value", None)
    return isinstance(call, ast.Call) and ast.unparse(call.func) == f"super().{name}"


def _lines(args, name, body):
    return [f"def {name}({ast.unparse(args)}):"] + [
        f"    {line}" for statement in body for line in ast.unparse(ast.fix_missing_locations(statement)).splitlines()
    ]


def _changes(old, new):
    """The changed places of two lists of lines: each a list of lines that begin with - or +."""
    places, matcher = [], difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind != "equal":
            places.append([f"-{line}" for line in old[i:j]] + [f"+{line}" for line in new[k:m]])
    return places


def _statements(text):
    try:
        return ast.parse(text).body
    except SyntaxError:  # part of a statement
        return [None]
