"""The files in data/: checksums, and reading tables and arrays so that an error names the file and what mends it."""

import hashlib
import os
import pathlib

import numpy as np
import pandas as pd

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
INSTALLED = PACKAGE / "data"  # a wheel brings data/ here; a checkout has it beside the package
DATA = INSTALLED if INSTALLED.is_dir() else ROOT / "data"
CHECKSUMS = "SHA256SUMS"


def checked(name, folder=DATA, command="make data"):
    """The path of a file in data/, after comparing its SHA-256 with the recorded one. command: what makes it again."""
    path, sums = pathlib.Path(folder) / name, pathlib.Path(folder) / CHECKSUMS
    mends = f"`git checkout -- data/{name} data/{CHECKSUMS}` brings both back, `{command}` makes them again"
    if path.is_relative_to(INSTALLED):  # there is no git and no Makefile beside an installed package
        mends = "install the package again with pip's option --force-reinstall, which brings its data/ along"
    for needed in (sums, path):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: {mends}")
    recorded = _recorded_sums(sums)
    if name not in recorded:
        raise ValueError(f"{sums} is damaged or was changed: it has no checksum of {path}. {mends}")
    if recorded[name] != hashlib.sha256(path.read_bytes()).hexdigest():
        raise ValueError(f"{path} is damaged or was changed: its checksum is not the one in {CHECKSUMS}. {mends}")
    return path


def read_table(path, columns, command="make data", skiprows=0, more=False):
    """The CSV file at `path`; ValueError unless it has rows, and exactly these columns or, with `more`, others too."""
    try:
        table = pd.read_csv(path, skiprows=skiprows)
    except ValueError as error:  # pandas' own errors, and text that is none
        raise ValueError(f"{path} is not a table ({error}); `{command}` makes it again") from None
    if table.empty or not (set(columns) <= set(table) if more else tuple(columns) == tuple(table)):
        raise ValueError(
            f"{path} has {len(table)} rows of columns {list(table.columns)}, not of {list(columns)}: made by another "
            f"version of this package; `{command}` makes it again"
        )
    return table


def read_exactly(path, skiprows=0):
    """A CSV file of runs and episodes, every float to the last bit: pandas' own reading is not in every version."""
    table = pd.read_csv(path, skiprows=skiprows, dtype=object)
    return table.astype({name: int if name in ("run", "episode") else float for name in table})


def write_table(table, path, float_format=None):
    """Write a DataFrame as a CSV file, whole or not at all: under a temporary name, then moved into place."""
    temporary = path.with_name(path.name + ".tmp")
    table.to_csv(temporary, index=False, float_format=float_format, lineterminator="\n")
    os.replace(temporary, path)


def kept(path, make, *arguments):
    """The table make(*arguments), written to `path` as well; where an earlier call that was stopped left it, read."""
    if path.is_file():
        return pd.read_csv(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(make(*arguments), path)
    return pd.read_csv(path)


def read_arrays(path, shapes, command="make data"):
    """The arrays of an .npz file as a dict; ValueError unless it holds every name in `shapes`, of as many dimensions.

    shapes: dict name -> number of dimensions. Pickled objects are refused, not read: reading one could run code.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
    except Exception as error:  # NumPy, zipfile and zlib raise many kinds here, and which is no help to a reader
        raise ValueError(f"{path} does not hold its arrays ({error}); `{command}` makes it again") from None
    wrong = {name: x.shape for name, x in arrays.items() if x.ndim != shapes[name]}
    if wrong:
        raise ValueError(f"{path} holds arrays of unexpected shapes {wrong}; `{command}` makes it again")
    return arrays


def write_checksums(folder=DATA, names=None):
    """Record the SHA-256 of the logs and agents in `folder` and below it, in the format of sha256sum.

    names: the files just made, such as "ppo.csv" or "passes/abs_2.csv"; the others keep their sums, so that damage to
    them is still noticed. None: all files.
    """
    folder = pathlib.Path(folder)
    sums = {} if names is None else _recorded_sums(folder / CHECKSUMS)
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.suffix in {".csv", ".pt", ".npz"} and (names is None or name in names):
            sums[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / CHECKSUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)), newline="\n")


def _recorded_sums(path):
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return dict(reversed(line.split()) for line in lines if len(line.split()) == 2)
