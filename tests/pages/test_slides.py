"""Every slide of every deck in a browser, at 1280 x 720 and without a network (make slides)."""

import pathlib

import _editions
import _slides
import browser
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))

# What stands outside the frame, or closer to its lower edge than a printed sheet allows (_pdf.py), is cut off inside a
# box of its own or lies over the next, on the slide that is shown.
OUTSIDE = """slide => {
  const problems = [];
  for (const element of [slide, ...slide.querySelectorAll("*")]) {
    if (element.closest("aside.notes, annotation")) continue;
    const box = element.getBoundingClientRect(), words = (element.textContent || element.alt || "").trim().slice(0, 50);
    if (!box.width || !box.height) continue;
    if (box.left < -0.5 || box.top < -0.5 || box.right > 1280.5 || box.bottom > (element === slide ? 720.5 : 716))
      problems.push(`${element.tagName} reaches ${Math.round(box.right)} x ${Math.round(box.bottom)}: ${words}`);
    if (!element.closest("math") && element.scrollWidth > element.clientWidth + 1 && element.clientWidth
        && getComputedStyle(element).overflowX !== "visible")
      problems.push(`${element.tagName} is cut off: ${words}`);
    if (element.querySelector("img.figure") && element.scrollHeight > element.clientHeight + 1)
      problems.push(`${element.tagName} runs into what follows: ${words}`);
  }
  return problems.slice(-3);
}"""
# At most one figure, or eight lines of code, a slide; and no slide without anything on it.
CROWDED = """slide => {
  const figures = slide.querySelectorAll("img").length, problems = [];
  const code = [...slide.querySelectorAll("pre.code")].map(pre => pre.textContent).join("\\n");
  const lines = code.split("\\n").filter(line => line.trim());
  if (figures > 1) problems.push(`${figures} figures`);
  if (lines.length > 8) problems.push(`${lines.length} lines of code`);
  if (figures && lines.length) problems.push("a figure and code");
  if (!slide.innerText.trim() && !figures) problems.push("an empty slide");
  return problems;
}"""


@pytest.fixture(scope="module")
def maker():
    """The program behind make slides."""
    return _slides


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as opened:
        yield opened


def problems_of(chromium, path):
    """'slide 3.1: ...' for everything wrong with a deck, and how many slides it has."""
    page, problems = browser.open_page(chromium)
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    places = page.evaluate("Reveal.getSlides().map(slide => { const i = Reveal.getIndices(slide); return [i.h, i.v] })")
    for h, v in places:
        page.evaluate(f"Reveal.slide({h}, {v}, 99)")
        slide = page.evaluate_handle("Reveal.getCurrentSlide()")
        for check in (OUTSIDE, CROWDED, browser.FORMULAS, browser.IMAGES, browser.SCRIPTS):
            problems += [f"slide {h + 1}.{v + 1}: {problem}" for problem in slide.evaluate(check)]
    page.context.close()
    return problems, len(places)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slide(maker, chromium, path, tmp_path):
    (tmp_path / "deck.html").write_text(maker.deck(path), encoding="utf-8")
    problems, count = problems_of(chromium, tmp_path / "deck.html")
    assert problems == []
    assert count >= 10


WITH_NOTES = [path for path in NOTEBOOKS if _editions.notes_file(path).is_file()]


@pytest.mark.parametrize("path", WITH_NOTES, ids=lambda path: path.stem)
def test_a_third_of_the_slides_have_notes(maker, path):
    notebook = _editions.with_notes(path)
    shown = [slide for column in maker.slides(notebook) for slide in column]
    assert 3 * sum(any("<aside" in cell for cell in slide) for slide in shown) >= len(shown)


def foreign_fonts(chromium, path):
    """Texts of a deck, all its slides laid out at once, that are not drawn with the fonts inside it."""
    page, problems = browser.open_page(chromium)
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.add_style_tag(content=".reveal .slides section { display: block !important }")
    problems += browser.foreign_fonts(page)
    page.context.close()
    return problems


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_text_is_drawn_with_the_fonts_of_the_deck(maker, chromium, path, tmp_path):
    (tmp_path / "deck.html").write_text(maker.deck(path), encoding="utf-8")
    assert foreign_fonts(chromium, tmp_path / "deck.html") == []


def markdown(text, kind="slide"):
    return nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def code(text, outputs=(), tags=()):
    metadata = {"slideshow": {"slide_type": "-"}, "tags": list(tags)}
    return nbformat.v4.new_code_cell(text, outputs=list(outputs), metadata=metadata)


def picture(alt, repeats=1):
    data = {"image/png": browser.DOT}
    return [nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": alt}})] * repeats


@pytest.fixture
def write_deck(maker, tmp_path):
    """Writes cells as a deck and gives its path."""

    def write(*cells):
        ran = code("1", [nbformat.v4.new_output("stream", text="1")])
        ran.metadata.slideshow.slide_type = "skip"
        nbformat.write(nbformat.v4.new_notebook(cells=[markdown("# A deck"), ran, *cells]), tmp_path / "07_x.ipynb")
        (tmp_path / "deck.html").write_text(maker.deck(tmp_path / "07_x.ipynb"), encoding="utf-8")
        return tmp_path / "deck.html"

    return write


FAULTS = {
    "reaches": [markdown("\n\n".join(["A paragraph too many."] * 20))],
    "runs into what follows": [code("", picture("x")), markdown("\n\n".join(["A paragraph too many."] * 8), "-")],
    "asks the network": [markdown("![x](https://example.org/x.png)")],
    "raw TeX": [markdown(r"The value \gamma is there.")],
    "without alternative text": [code("", picture(""))],
    "2 figures": [code("", picture("x", 2))],
    "9 lines of code": [markdown("Long:"), *(code("a = 1\nb = 2\nc = 3") for _ in range(3))],
    "a figure and code": [code("a = 1"), code("", picture("x"))],
    "on the line of its base": [
        markdown("<math><msub style='display: flex; align-items: baseline'><mi>x</mi><mi>t</mi></msub></math>")
    ],
    "an empty slide": [markdown("<span></span>")],
}


@pytest.mark.parametrize("sign", FAULTS)
def test_each_fault_of_a_slide_is_noticed(write_deck, chromium, sign):
    found, _ = problems_of(chromium, write_deck(*FAULTS[sign]))
    assert any(sign in problem for problem in found), found


def test_a_sound_deck_has_no_problem(write_deck, chromium):
    cells = [markdown("## A slide\n\n$$x^2$$"), code("1 + 1"), markdown("*For the instructor.* Say this.", "notes")]
    path = write_deck(*cells, markdown("A figure", "subslide"), code("draw()", picture("a dot")))
    assert problems_of(chromium, path) == ([], 3)


def test_a_text_in_a_font_of_the_machine_is_noticed(write_deck, chromium):
    assert foreign_fonts(chromium, write_deck(markdown("$x_t$"), markdown("A `word`.", "subslide"))) == []
    found = foreign_fonts(chromium, write_deck(markdown("## One"), markdown("<b style='font-family: serif'>word</b>")))
    assert any("serif for: word" in problem for problem in found), found


def test_a_deck_that_lost_a_font_is_noticed(write_deck, chromium):
    path = write_deck(markdown("A word."))
    path.write_text(path.read_text(encoding="utf-8").replace("font/woff2;base64,", "font/woff2;base64,AAAA", 1))
    with pytest.raises(Exception, match="NetworkError"):
        foreign_fonts(chromium, path)


def test_brackets_grow_with_what_they_hold(write_deck, chromium):
    """By the MATH table of the font for formulas, which a smaller copy of the font loses easily."""
    page, _ = browser.open_page(chromium)
    page.goto(write_deck(markdown(r"$(a) \left(\frac{\frac{a}{b}}{\frac{c}{d}}\right)$")).as_uri() + "#/1")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    low, _, high, _ = page.evaluate("[...document.querySelectorAll('mo')].map(e => e.getBoundingClientRect().height)")
    assert high > 2 * low > 0


def test_a_formula_that_is_none_stops_the_making(write_deck):
    with pytest.raises(Exception, match=r"(?i)latex|frac|brace|token|command|unknown"):
        write_deck(markdown(r"$\nosuchcommand{x}$"))


def test_an_unknown_slide_type_is_named(write_deck):
    with pytest.raises(ValueError, match="'sldie'"):
        write_deck(markdown("x", "sldie"))


def test_what_a_deck_shows(maker):
    """Notes stay notes, skipped and long code stays out, answers come after predictions, links lead to decks."""
    cells = [
        markdown("## Where\n\n**Before you run this**: how many? See [01](01_ratio_and_clip.ipynb)."),
        code("2 + 2"),
        markdown("Four.", "subslide"),
        code("\n".join(f"x{i} = {i}" for i in range(9)), [nbformat.v4.new_output("stream", text="ninth")]),
        code("hidden = 1", tags=["hide-input"]),
        code("gone = 1", tags=["remove-cell"]),
        markdown("Left out.", "skip"),
        markdown("Say this.", "notes"),
    ]
    ((first, second),) = maker.slides(nbformat.v4.new_notebook(cells=cells))
    assert "fragment" not in first[0]
    assert 'href="01.html"' in first[0]
    assert "fragment" in first[1]
    assert '<p class="section">Where</p>' in second[0]
    text = "\n".join(second)
    assert "ninth" in text
    assert "x8" not in text
    assert not any(word in text for word in ("hidden", "gone", "Left out"))
    assert next(cell for cell in second if "Say this." in cell).startswith('<aside class="notes">')


def test_a_diff_is_shown_as_code(maker):
    diff = nbformat.v4.new_output("display_data", {"text/markdown": "```diff\n+ added <b>\n```"})
    caption = nbformat.v4.new_output("display_data", {"text/markdown": "*A caption.*"})
    ((slide,),) = maker.slides(nbformat.v4.new_notebook(cells=[code("", [diff, caption])]))
    assert '<div class="output"><pre>' in slide[0]
    assert '<span class="gi">+ added &lt;b&gt;</span>' in slide[0]
    assert '<div class="caption"><p><em>A caption.' in slide[0]


def test_notes_open_beside_the_slides(write_deck, chromium):
    path = write_deck(markdown("## One"), markdown("Say this.", "notes"))
    page, problems = browser.open_page(chromium)
    page.goto(path.as_uri() + "#/1")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    popup.value.get_by_text("Say this.").first.wait_for(timeout=20_000)
    page.keyboard.press("ArrowLeft")
    assert problems == []


def test_a_notebook_whose_outputs_were_cleared_is_refused(tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / "01_ratio_and_clip.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbformat.write(notebook, tmp_path / "01_ratio_and_clip.ipynb")
    with pytest.raises(ValueError, match=r"01_ratio_and_clip.ipynb holds no outputs: run all of its cells"):
        _slides.deck(tmp_path / "01_ratio_and_clip.ipynb")
