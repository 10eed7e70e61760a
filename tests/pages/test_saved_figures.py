"""The figures in figures/ are those of the data."""

import re

import matplotlib
import pytest

from lecture_utils.figures import __main__ as figures


def test_saved_figures_are_those_of_the_data(tmp_path):
    figures.save_figures(tmp_path)
    stored = (figures.ROOT / "figures" / "a2c_vs_ppo.svg").read_text(encoding="utf-8")
    drawn_with = re.search(r"Matplotlib v([\d.]+)", stored)[1]
    if drawn_with != matplotlib.__version__:
        pytest.skip(f"drawn with Matplotlib {drawn_with}; {matplotlib.__version__} places the axes elsewhere")
    for path in tmp_path.glob("*.svg"):
        same = path.read_bytes() == (figures.ROOT / "figures" / path.name).read_bytes()
        assert same, path.name  # not the bytes themselves: pytest would spend minutes on how they differ
    assert {path.name for path in tmp_path.glob("*.svg")} == {p.name for p in (figures.ROOT / "figures").glob("*.svg")}
