"""A number in prose agrees with the output nearest to it: what a text claims, where it must stand, when both agree.

Where: **the nearest code of a prose cell is the block of code cells before it in its section**: from the cell one back
over other prose to the first code cell, and further back as far as no prose comes between. The section is that of level
2; the sections that sum up (QUOTES_ALL) have the code of the whole notebook. What counts there are

- the text outputs, without those that nobody checks (`unchecked`), pictures, and captions, which are prose themselves;
- for settings, the constants and comments in the source of this block and of the one that follows (a text that leads
  to an experiment names what is in it), though not for a result: a number in bold, a percentage, "15 of 16";
- for settings that stand in the package and not in the notebook, `settings`: "16 runs", "3,000 episodes".

When: the number stands there with its sign, as it is or rounded to fewer digits. "0.4" and "0.42" agree with 0.42,
"0.41" does not; "-1,400" is not -1415.0, but "about -1,400" is. A single digit is never the rounding of more ("5" for
5.2), unless it is "about 5". "338" agrees with -338 only in a sentence that speaks of a size or a loss (SIZE). A
percentage is that of an output, or its share: "60 %" agrees with 60%, 60 and 0.6, and "60" with 60 alone. Numbers that
the text puts together, "0.66 [0.32, 1.8]", stand together in the output.

What: numbers with a point, percentages, bold ones, whole ones, and words ("three of 16"). Formulas, code, headings,
references and labels (NOT_CLAIMED) claim nothing, nor do 0, 1 and -1, which more often belong to a definition, nor a
sentence that asks or supposes. Of sections that only announce or ask (NO_CLAIMS) and of the instructor's notes,
which say what a class may answer, whole numbers are left out.
"""

import ast
import dataclasses
import functools
import html
import inspect
import itertools
import re

from lecture_utils import A2C, PPO, TUNED_EPISODES
from lecture_utils.experiments import recordings, statistics, std_zero, true_advantages
from lecture_utils.pendulum import EPISODE_STEPS, TIME_STEP

NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>(?<![\w.)\]%+])[-+−])?(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?P<places>\.\d+)?)"
    r"(?P<power>e[+-]?\d+)?(?P<percent>\s?%)?(?!\w|\.\d|,\d{3})"
)
NOT_CLAIMED = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$"  # code and formulas
    r"|^\#[^\n]*|^\s*\d+\.\s|\]\([^)\s]*\)|<[^>]*>"  # headings, the numbers of a list, targets of links, tags
    r"|arXiv\s*:?\s*\d{4}\.\d{4,5}|\b(?:19[5-9]|20[0-3])\d\b"  # papers and years
    r"|\b(?i:notebook|exercise|section|lecture|lab|row|chapter|equation|number|seed)s?\s\d[\d.]*(?:(?:,| and| to) \d+)*"
    r"|(?<![\d.,])0\d+\b",  # a notebook by its number
    flags=re.S | re.M,
)
SENTENCE = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]\s|\|))|\||(?<=[.?!])[*)\"]*\s+(?=\W*[A-Z§\d])")
ASKS_OR_SUPPOSES = re.compile(r"\W*(?:If|Suppose|Imagine)\b|.*\?\W*$", flags=re.S)
ABOUT = re.compile(r"\b(?i:about|around|nearly|almost|roughly|some)\s[*(]*$")
SIZE = re.compile(r"\b(?i:size|below|behind|lower|worse|lo(?:se|st)s?|costs?|f[ae]ll(?:s|en)?|drop(?:s|ped)?)\b")
WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
WORDS |= {"ten": 10, "eleven": 11, "twelve": 12}
OF_MANY = re.compile(rf"\b(?i:{'|'.join(WORDS)})(?= of (?:its |the |all )?(?:\d|{'|'.join(WORDS)}|sixteen))")
TOGETHER = re.compile(r"(?:[-+−]?\d[\d.,]* )?\[[-+−]?\d[\d.,]*, [-+−]?\d[\d.,]*\]")
NO_CLAIMS = ("What you will be able to do", "The map of the series", "Exercises", "Where next")
QUOTES_ALL = ("Takeaways", "Common mistakes")


@dataclasses.dataclass(frozen=True)
class Number:
    """A number as it is written."""

    text: str
    value: float
    places: int = 0  # digits after the point
    percent: bool = False
    about: bool = False  # "about 400": the zeros at its end may stand for what was rounded away
    size: bool = False  # of a sentence that speaks of a size or a loss: "210 points below" needs no minus
    result: bool = False  # in bold, a percentage, or "15 of 16": no setting, so an output shows it


def numbers(text, size=False):
    """[(match, Number)] of every number of a text, in order."""
    found = []
    for match in NUMBER.finditer(text):
        value = float(match["digits"].replace(",", "") + (match["power"] or ""))
        value = -value if match["sign"] in ("-", "−") else value
        places = max(len(match["places"] or ".") - 1 - int((match["power"] or "e0")[1:]), 0)
        about = bool(ABOUT.search(text[: match.start()]))
        found.append((match, Number(match.group().strip(), value, places, bool(match["percent"]), about, size)))
    return found


def agrees(claim, fact):
    """Whether the number of a text is that of an output: as it stands there, or rounded to fewer digits."""
    if fact.percent and not claim.percent:
        return False
    seen = [fact.value, 100 * fact.value] if claim.percent and not fact.percent else [fact.value]
    ours, seen = (abs(claim.value), [abs(x) for x in seen]) if claim.size else (claim.value, seen)
    digits = re.sub(r"\D", "", claim.text)
    unit = 10.0**-claim.places
    if claim.about and not claim.places:
        unit = 10.0 ** (len(digits) - len(digits.rstrip("0")))
    elif not claim.percent and (fact.places <= claim.places or (len(digits) < 2 and not claim.places)):
        unit = 0.0
    return any(abs(ours - x) <= unit / 2 + 1e-9 * max(1.0, abs(x)) for x in seen)


@functools.cache
def settings():
    """{noun: numbers} that stand in the package: those of the lecture's recipe, of the recordings, of the task."""
    states = len(true_advantages.RUNS) * true_advantages.EPISODES * len(true_advantages.STEPS)
    confidence = inspect.signature(statistics.interval).parameters["confidence"].default
    return {
        "pass(?:es)?": {PPO.default.passes, A2C.default.passes},
        "minibatch(?:es)?": {PPO.default.minibatch_size},
        "runs|agents|seeds": {len(recordings.SEEDS), len(std_zero.SEEDS)},
        "episodes": {recordings.EPISODES, recordings.EARLY, TUNED_EPISODES, std_zero.EPISODES},
        "steps|rewards": {EPISODE_STEPS, true_advantages.HORIZON, TUNED_EPISODES * EPISODE_STEPS},
        "samples": {EPISODE_STEPS},
        "continuations": {true_advantages.CONTINUATIONS},
        "states": {states, EPISODE_STEPS},
        "seconds": {round(EPISODE_STEPS * TIME_STEP)},
        "intervals?": {100 * confidence},
    }


BETWEEN = (
    r"(?:(?:or|and|to|after|of its|of their|all|more|training|bootstrap|same|[\d,]+)\s+)*"  # "250 of their 3,000 runs"
)


def is_setting(number, before, after):
    """Whether it is one of `settings`, beside its noun: before it ("3,000 episodes") or after ("minibatches of 32")."""
    return any(
        number.value in values
        and (re.match(rf"[*\s]+{BETWEEN}(?:{noun})\b", after) or re.search(rf"\b(?:{noun}) of $", before))
        for noun, values in settings().items()
    )


def claims(markdown, whole=True):
    """[[Number]] that a text claims; numbers that it puts together are in one list. Not whole: only what stands out."""
    found = []
    for sentence in SENTENCE.split(NOT_CLAIMED.sub(" § ", markdown)):
        if ASKS_OR_SUPPOSES.match(sentence):
            continue
        size = bool(SIZE.search(sentence))
        bold = [m.span() for m in re.finditer(r"\*\*[-+−]?\d.*?\*\*", sentence, flags=re.S)]
        together = [m.span() for m in TOGETHER.finditer(sentence)]
        found += [[number for _, number in numbers(sentence[a:b], size)] for a, b in together]
        named = set()
        for match, number in numbers(sentence, size):
            at, before, after = match.start(), sentence[: match.start()], sentence[match.end() :]
            if any(a <= at < b for a, b in together):
                continue
            if is_setting(number, before, after):
                named.add(number.value)  # and may be named again: "1,024 runs with it and 1,024 without"
                continue
            share = whole and bool(re.match(r"\W*\sof (?:its |the |all )?(?:\d|sixteen)", after))
            result = share or number.percent or any(a < at < b for a, b in bold)
            if result or number.places or (whole and abs(number.value) > 1 and number.value not in named):
                found.append([dataclasses.replace(number, result=result)])
        if whole:
            found += [[Number(m.group(), WORDS[m.group().lower()], result=True)] for m in OF_MANY.finditer(sentence)]
    return found


def source(cell):
    return "".join(cell["source"])


def unchecked(cell):
    """Whether nobody compares the output of this cell with what another machine computes, or nobody sees it."""
    tags = {"nbval-ignore-output", "nbval-skip", "remove-output", "remove-cell"}
    return bool(tags & set(cell["metadata"].get("tags", []))) or "NBVAL_IGNORE_OUTPUT" in source(cell)


def written(cell):
    """The numbers in the source of a cell: its constants and comments. What a string says is prose, as a caption is."""
    try:
        constants = [x.value for x in ast.walk(ast.parse(source(cell))) if isinstance(x, ast.Constant)]
    except SyntaxError:  # a magic
        constants = []
    constants = [x for x in constants if isinstance(x, (int, float)) and not isinstance(x, bool)]
    places = {x: len(repr(x).partition(".")[2].removesuffix("0")) for x in constants}
    found = [Number(repr(x), sign * x, places[x]) for x in constants for sign in (1, -1)]
    comments = re.findall(r"(?:^|\s)#\s.*$", source(cell), flags=re.M)
    return found + [number for comment in comments for _, number in numbers(comment)]


def shown(cell):
    """[[Number]]: the numbers of each text output that counts, in order."""
    found, figure = [], False
    for output in [] if unchecked(cell) else cell.get("outputs", []):
        data = output.get("data", {})
        caption, figure = figure and "text/markdown" in data, any(kind.startswith("image/") for kind in data)
        text = "".join(output.get("text", "")) + "\n".join(output.get("traceback", []))
        if "text/html" in data:
            page = re.sub(r"<style.*?</style>|<[^>]*>", " ", "".join(data["text/html"]), flags=re.S)
            text = html.unescape(page)
        elif data and not caption:
            text = "".join(data.get("text/markdown", data.get("text/plain", "")))
        found.append([number for _, number in numbers(text)])
    return found


def block(cells, steps):
    """The first code cells that one meets going through `cells` in these steps, as many as no prose divides."""
    code = itertools.dropwhile(lambda i: cells[i]["cell_type"] != "code", steps)
    return [cells[i] for i in itertools.takewhile(lambda i: cells[i]["cell_type"] == "code", code)]


def stand(together, sources):
    """Whether these numbers stand one after the other in one of the sources."""
    size = len(together)
    return any(
        all(map(agrees, together, facts[i : i + size])) for facts in sources for i in range(len(facts) - size + 1)
    )


def disagreements(sections):
    """[(heading, cell, number)] of what the prose claims and the code nearest to it does not show.

    sections: [(heading, cells)] of a notebook, by its headings of level 2.
    """
    everything = [cell for _, cells in sections for cell in cells if cell["cell_type"] == "code"]
    found = []
    for heading, cells in sections:
        for i, cell in enumerate(cells):
            if cell["cell_type"] != "markdown" or heading == "References":
                continue
            before, after = block(cells, range(i - 1, -1, -1)), block(cells, range(i + 1, len(cells)))
            before = everything if heading in QUOTES_ALL else before
            results = [facts for code in before for facts in shown(code)]
            sources = results + [[number] for code in (*before, *after) for number in written(code)]
            whole = heading not in NO_CLAIMS and cell["metadata"].get("slideshow", {}).get("slide_type") != "notes"
            found += [
                (heading, cell, " ".join(number.text for number in together))
                for together in claims(source(cell), whole)
                if not stand(together, results if together[0].result else sources)
            ]
    return found
