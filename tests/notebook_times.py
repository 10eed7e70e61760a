"""How long a notebook takes a class, by one rule; `python tests/notebook_times.py` writes it to where it is told.

The rule: words at 200 a minute, half a minute for a code cell, a minute for a prediction, for an exercise with a
checker the minutes that it says itself, and two for a question to think about. The section *Put to the test* and the
exercises count apart.
"""

import json
import math
import pathlib
import re

from notebook_checks import sections, source, tags

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
WORDS_A_MINUTE, CELL, PREDICTION, QUESTION = 200, 0.5, 1, 2  # minutes, but for the first
PREDICT = "**Before you run this"
NOT_READ = re.compile(r"```.*?```|<[^>]+>|\]\([^)\s]*\)|^\s*\|?[\s:|-]+\|?\s*$|[|#*`]", flags=re.S | re.M)
SAYS = re.compile(r"^\*Difficulty [1-5], importance [1-5], about (\d+) minutes\.\*$", flags=re.M)  # of an exercise
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", flags=re.S)  # read as one word
LINE = re.compile(r"\*\*Time\*\*: [^.]*\.")


def minutes(notebook):
    """(in class, put to the test, exercises): minutes of a notebook, as a dict, by the rule above."""
    told = [0.0, 0.0, 0.0]
    for heading, cells in sections(notebook):
        if heading in ("References", "Where next"):
            continue
        part = 2 if heading == "Exercises" else 1 if heading.startswith("Put to the test") else 0
        told[part] += sum(_minutes(cell, part == 2) for cell in cells)
    return tuple(told)


def _minutes(cell, exercises):
    text = source(cell)
    if "remove-cell" in tags(cell):  # a note for the instructor, the cell that installs
        return 0.0
    if cell["cell_type"] == "code":
        return 0.0 if exercises else CELL * bool(text.strip())
    if exercises and (said := SAYS.findall(text)):
        return float(sum(map(int, said)))
    took = len(re.findall(r"\S*\w\S*", NOT_READ.sub(" ", FORMULA.sub(" formula ", text)))) / WORDS_A_MINUTE
    took += PREDICTION * text.count(PREDICT)
    if exercises:
        took += QUESTION * len(re.findall(r"^\d+\. ", text, flags=re.M))
    return took


def rounded(notebook):
    """The same to five minutes, upwards from two and a half, and at least five of what there is."""
    return tuple(5 * max(math.floor(x / 5 + 0.5), x > 0) for x in minutes(notebook))


def line(notebook):
    """What the head of a notebook says."""
    idea, test, exercises = rounded(notebook)
    parts = [f"about {idea} minutes in class"]
    parts += [f"{test} more for *Put to the test*"] * bool(test) + [f"{exercises} for the exercises"] * bool(exercises)
    return f"**Time**: {', '.join(parts)}."


def row(path, notebook):
    """How a row of the tables in README, index and notebook 00 ends: | in class | put to the test | exercises |."""
    return "".join(f" {x or '–'} |" for x in rounded(notebook))


def tables():
    """(path, text) of everything that has a table of the notebooks with their minutes."""
    return [ROOT / "README.md", ROOT / "notebooks" / "index.md", ROOT / "notebooks" / "00_start_here.ipynb"]


def wanted(path, text, notebooks):
    """`text` of a file as it should be: the line of a notebook's own time, and the rows that name notebooks."""
    if path.name in notebooks:
        text = LINE.sub(lambda _: line(notebooks[path.name]), text)
    if path in tables():
        for name, notebook in notebooks.items():
            link = re.escape(name.removesuffix(".ipynb"))
            inside = rf"(\| (?:\[[^\]]*\]\((?:notebooks/)?{link}(?:\.ipynb|\.md)?\)|{link[:2]} Start here) \|[^|\n]*\|)"
            inside += r"(?: [\d–]+ \|){3}"
            text = re.sub(inside, lambda match, notebook=notebook: match[1] + row(path, notebook), text)
    return text


def places():
    """path -> (text as it stands, text as it should be), of all notebooks and tables."""
    notebooks = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in NOTEBOOKS}
    texts = {path: path.read_text(encoding="utf-8") for path in dict.fromkeys([*NOTEBOOKS, *tables()])}
    return {path: (text, wanted(path, text, notebooks)) for path, text in texts.items()}


if __name__ == "__main__":
    for path, (found, right) in places().items():
        if found != right:
            path.write_text(right, encoding="utf-8")
            print("written:", path.relative_to(ROOT))
