"""Printed pages and decks: how many sheets, nothing beyond the margins, answers after their predictions."""

import pathlib

import _pdf
import browser
import pypdf
import pytest
from test_slides import code, markdown, picture, write_deck  # noqa: F401
from test_slides import maker as maker

LONG = "\n\n".join(["A paragraph too many."] * 20)


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as opened:
        yield opened


def sheets(pdf):
    """The texts of a PDF's pages, with single spaces."""
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(pdf).pages]


def test_a_deck_is_printed_a_sheet_a_step(write_deck, chromium, tmp_path):  # noqa: F811
    asked = markdown("**Before you run this**: how much?")
    path = write_deck(
        asked, markdown("It is seven.", "-"), code("draw()", picture("a dot")), markdown("Then.", "subslide")
    )
    assert _pdf.print_deck(chromium, path, tmp_path / "deck.pdf") == []
    title, question, answer, figure, last = sheets(tmp_path / "deck.pdf")
    assert "A deck" in title
    assert "how much?" in question
    assert "seven" not in question
    assert "seven" in answer
    assert "how much?" in figure
    assert "Then." in last
    first = pypdf.PdfReader(tmp_path / "deck.pdf").pages[0]
    assert [round(float(side) * 96 / 72) for side in first.mediabox[2:]] == [1280, 720]


def test_a_sheet_that_spills_is_noticed(write_deck, chromium, tmp_path):  # noqa: F811
    found = _pdf.print_deck(chromium, write_deck(markdown(LONG)), tmp_path / "deck.pdf")
    assert any("reaches into the margin: A paragraph too many." in problem for problem in found), found
    path = write_deck(markdown("A word."))
    text = path.read_text(encoding="utf-8").replace("padding: 28px 64px 16px !important", "padding: 0 !important")
    path.write_text(text, encoding="utf-8")
    assert any("sheet 2" in problem for problem in _pdf.print_deck(chromium, path, tmp_path / "deck.pdf"))


PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>x</title>
<link rel="stylesheet" href="{css}">
</head><body><article><h1>A page</h1><p>How much?</p>
<details class="answer"><summary>Show the answer</summary><div><p>It is seven.</p></div></details>
{planted}{text}</article></body></html>"""


@pytest.fixture
def write_page(tmp_path):
    def write(planted=""):
        css = (pathlib.Path(_pdf.__file__).parent / "_static" / "lecture.css").as_uri()
        text = PAGE.format(css=css, planted=planted, text="<p>A paragraph of the page.</p>" * 60)
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        return tmp_path / "page.html"

    return write


def test_a_page_is_printed_with_its_answers(write_page, chromium, tmp_path):
    assert _pdf.print_page(chromium, write_page(), tmp_path / "page.pdf") == []
    texts = sheets(tmp_path / "page.pdf")
    assert 2 <= len(texts) <= 4
    assert "How much?" in texts[0].split("It is seven.")[0]
    assert "Show the answer" not in texts[0]
    first = pypdf.PdfReader(tmp_path / "page.pdf").pages[0]
    assert [round(float(side) * 25.4 / 72) for side in first.mediabox[2:]] == list(_pdf.A4)


@pytest.mark.parametrize(
    "wide",
    [
        "<div style='overflow: hidden; white-space: nowrap'>" + "word " * 60 + "</div>",
        "<div style='width: 900px'>wide</div>",
    ],
)
def test_a_page_that_spills_is_noticed(write_page, chromium, tmp_path, wide):
    assert _pdf.print_page(chromium, write_page(wide), tmp_path / "page.pdf") != []


def test_nothing_built_is_said(tmp_path):
    assert "make lecture slides" in _pdf.main(tmp_path)[0]
