"""Talks: cells of the notebooks chosen by a file, and the check of their slides."""

import pathlib

import _slides
import _talks
import browser
import pytest
import talk_checks

ROOT = pathlib.Path(__file__).parents[2]
TALKS = sorted((ROOT / "notebooks" / "decks").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as opened:
        yield opened


@pytest.mark.parametrize("path", TALKS, ids=lambda path: path.stem)
def test_a_talk_keeps_to_its_time_and_copies_no_number(path):
    """Every cell that it names is there; a third of the slides have notes; minutes are left for questions."""
    slides = _talks.slides_of(path)
    assert len(_talks.columns(slides)) == len(slides)
    assert 5 <= int(path.stem[:2]) - sum(slide["minutes"] for slide in slides) <= 10
    assert [slide["title"] for slide in slides if _talks.copied_numbers(slide)] == []
    assert sum(bool(slide["notes"]) for slide in slides) * 3 >= len(slides)
    if path.stem == "75":
        assert 35 <= len(slides) <= 40


def test_parts_of_a_cell():
    source = "## Title\n\nOne is 1. Two `a.b` is 2.5 here. Three.\n\n$$x$$\n\nAnother one."
    assert _talks.markdown_part(source, []) == "One is 1. Two `a.b` is 2.5 here. Three.\n\n$$x$$\n\nAnother one."
    assert _talks.markdown_part(source, ["sentence", "2"]) == "Two `a.b` is 2.5 here."
    assert _talks.markdown_part(source, ["sentences", "2-3"]) == "Two `a.b` is 2.5 here. Three."
    assert _talks.markdown_part(source, ["formula", "1"]) == "$$x$$"
    assert _talks.markdown_part(source, ["paragraph", "3"]) == "Another one."
    with pytest.raises(ValueError, match="paragraph 4 of 3"):
        _talks.markdown_part(source, ["paragraph", "4"])


def test_what_is_wrong_with_a_talk_is_named():
    with pytest.raises(ValueError, match=r"in its minutes.*## Two"):
        _talks.read("## One (1 min)\n\na\n\n## Two\n\nb")
    with pytest.raises(ValueError, match="'no-such-cell'"):
        _talks.columns(_talks.read("## One (1 min)\n\n{{01:no-such-cell}}"))
    [slide] = _talks.read("## One (1 min)\n\nIt is 0.41 of 3,000 in `1.25` and 20 passes.\n\nNotes: 9.99")
    assert _talks.copied_numbers(slide) == ["0.41", "3,000"]


def test_a_slide_of_another_talk(tmp_path):
    (tmp_path / "75.md").write_text(
        "## One (1 min)\n\na\n\nNotes: n\n\n## Two (2 min)\n\nb\n\nNotes: m", encoding="utf-8"
    )
    (tmp_path / "50.md").write_text(
        "## Two (3 min)\n\n{{75}}\n\n## One (1 min)\n\n{{75}}\n\nNotes: own", encoding="utf-8"
    )
    two, one = _talks.slides_of(tmp_path / "50.md")
    assert two == {"title": "Two", "minutes": 3, "text": "b", "notes": "m"}
    assert one == {"title": "One", "minutes": 1, "text": "a", "notes": "own"}
    (tmp_path / "50.md").write_text("## Three (3 min)\n\n{{75}}")
    with pytest.raises(ValueError, match="the talk 75 has no slide 'Three'"):
        _talks.slides_of(tmp_path / "50.md")


def test_nothing_is_run_in_a_talk():
    text = "## One (1 min)\n\nNow. {{01:sample-ask sentence 1}}"
    [[[_, _, body]]] = _talks.columns(_talks.read(text))
    assert "<p>Now. <strong>Think first</strong>: continue" in body


def page_of(text, tmp_path):
    made = _slides.page("A talk", _talks.columns(_talks.read(text)), kind="talk")
    (tmp_path / "talk.html").write_text(made, encoding="utf-8")
    return tmp_path / "talk.html"


LINES = "\n\nA line of the slide that is long enough to be one.\n" * 3
FAULTS = {
    "outside the frame": "## Two (1 min)\n" + LINES * 6,
    "px, not 24": f"## Two (1 min)\n{LINES}\n<span style='font-size: 20px'>small</span>",
    "px, not 20": f"## Two (1 min)\n{LINES}\n<pre style='font-size: 18px'>small</pre>",
    "% of the height": "## Two (1 min)\n\nShort.",
    "slide's number": "## Two (1 min)\n<p style='position: absolute; left: 8px; top: 670px'>low</p>" + LINES,
    "over a figure": f"## Two (1 min)\n{LINES}\n<img class='figure' alt='x' style='--natural: 9px; margin-top: -50px; "
    f"width: 400px; height: 300px' src='data:image/png;base64,{browser.DOT}'>",
    "code is broken": f"## Two (1 min)\n{LINES}\n<pre class='code'>{'x = 1; ' * 20}</pre>",
}


def test_faults_of_a_talk_are_noticed(chromium, tmp_path):
    page, _ = browser.open_page(chromium)
    sound = f"## One (1 min)\n{LINES}\n\n## Two (1 min)\n{LINES}\n---\n{LINES}\n\nNotes: say it\n"
    assert talk_checks.check(page, page_of(sound, tmp_path)) == ([], 2)
    for sign, text in FAULTS.items():
        found, _ = talk_checks.check(page, page_of(f"## One (1 min)\n{LINES}\n\n{text}", tmp_path))
        assert any(sign in problem for problem in found), (sign, found)
    [first], [second] = _talks.columns(_talks.read(sound))
    stacked = _slides.page("A talk", [[first, second], [first]], kind="talk").replace(
        'navigationMode: "linear"', "x: 0"
    )
    (tmp_path / "talk.html").write_text(stacked, encoding="utf-8")
    assert any("reaches 2 of 3 slides" in problem for problem in talk_checks.check(page, tmp_path / "talk.html")[0])


@pytest.mark.parametrize("key", talk_checks.KEYS)
def test_each_key_walks_through_a_deck(key, chromium, tmp_path):
    """The decks of two notebooks and a talk, whose fragments and columns are made in different ways."""
    page, _ = browser.open_page(chromium)
    notebooks = [path for path in NOTEBOOKS if path.stem[:2] in ("01", "04")]
    for made in (*map(_slides.deck, notebooks), _talks.talk(TALKS[0])):
        (tmp_path / "deck.html").write_text(made, encoding="utf-8")
        assert talk_checks.walk(page, tmp_path / "deck.html", key)[0] == []


OTHER_FONTS = """<style>.reveal, .reveal :is(p, li, h1, h2, td, th) { font-family: DejaVu Sans, Verdana, sans-serif }
.reveal :is(pre, code) { font-family: DejaVu Sans Mono, Courier New, monospace }</style></head>"""


@pytest.mark.parametrize("fonts", ["</head>", OTHER_FONTS], ids=["its own fonts", "wider fonts"])
@pytest.mark.parametrize("path", TALKS, ids=lambda path: path.stem)
def test_every_slide_of_a_talk(path, fonts, chromium, tmp_path):
    (tmp_path / "talk.html").write_text(_talks.talk(path).replace("</head>", fonts, 1), encoding="utf-8")
    page, problems = browser.open_page(chromium)
    assert (talk_checks.check(page, tmp_path / "talk.html")[0], problems) == ([], [])
