"""The case tables as a page shows them."""

import pytest

from lecture_utils.experiments.case_table import case_table, lecture_cases
from lecture_utils.figures.tables import styled


@pytest.mark.parametrize("table", [case_table, lecture_cases])
def test_styled_tables_are_the_same_each_time_and_mark_the_zeros(table):
    page = styled(table(), "cases").to_html()
    assert page == styled(table(), "cases").to_html()
    shown = table().drop(columns=["unclipped", "clipped"], errors="ignore")
    assert repr(styled(table(), "cases")) == shown.to_string(index=False)
    assert page.count("background-color: var(--panel-mark, #cccccc)") >= 1
    assert "2px solid currentcolor" in page
    assert all(f">{title}</th>" in page for title in ("gradient in r", "gradient, clip alone"))
