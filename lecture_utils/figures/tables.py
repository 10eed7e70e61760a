"""Tables for a page."""

import pandas as pd
from pandas.io.formats.style import Styler

GREY = "background-color: var(--panel-mark, #cccccc); color: var(--panel-ink, black)"  # darker on a dark page


class StyledTable(Styler):
    """A Styler that reads as its table where there is no HTML; pandas' own shows a memory address there."""

    def __repr__(self):
        return self.data.to_string(index=False)


def styled(table, name):
    """The table for a page: zero gradients in bold on grey, and boxed where only the clip alone has none.

    table: what case_table or lecture_cases returns. name: identifies it on the page. Returns a StyledTable.
    """
    numbers = ("ratio", "objective", "gradient", "clip_alone")

    def mark(row):
        zero = {key: float(str(row[key]).split(", then ")[-1]) == 0 for key in ("gradient", "clip_alone")}
        marks = dict.fromkeys(row.index, "text-align: left")
        for key in zero:
            marks[key] += f"; font-weight: bold; {GREY}" if zero[key] else ""
        if zero["clip_alone"] and not zero["gradient"]:
            marks["clip_alone"] += "; border: 2px solid currentcolor"
        return [marks[key] for key in row.index]

    # The two branches are in the objective already: without them the sentences have room on a page.
    style = StyledTable(table.drop(columns=["unclipped", "clipped"], errors="ignore"))
    style = style.apply(mark, axis=1).hide(axis="index").set_uuid(name)
    table = style.data
    is_number = [column for column in numbers if column in table and pd.api.types.is_numeric_dtype(table[column])]
    titles = {
        "gradient": "gradient in r",
        "clip_alone": "gradient, clip alone",
        "advantage": "A",
        "ratio": "r",
        "position": "r is",
    }
    cells = "text-align: left; padding: 0.3em 0.35em; font-size: 0.85rem"
    style = style.set_table_styles([{"selector": "th, td", "props": cells}])
    short = [column for column in ("advantage", "condition", "position") if column in table]
    style = style.set_properties(subset=short, **{"white-space": "nowrap"})
    words = [column for column in ("case", "sentence") if column in table]
    style = style.set_properties(subset=words, **{"min-width": "9em"})
    return style.format("{:.2f}", subset=is_number).format_index(lambda column: titles.get(column, column), axis=1)
