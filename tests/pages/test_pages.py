"""Every page of the book in a browser without a network, and what its building promises (make lecture)."""

import contextlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import _pdf
import browser
import nbclient
import nbformat
import numpy as np
import pytest

from lecture_utils.figures import panels, ratio_and_clip

pytest.importorskip("myst_nb", reason="the packages that make pages are not installed")
ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ("conf.py", "_pages.py", "_repository.py", "_static")
DECKS = ROOT / "notebooks" / "decks"
WIDTHS = (1280, 800, 390)

# Wider than the window, tables that a laptop shows in part only or with cells of more than two lines, headings with a
# gap or without words, and controls that do nothing without a kernel.
LAYOUT = """root => {
  const problems = [], width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width)
    problems.push(`${document.documentElement.scrollWidth} px wide in a window of ${width}`);
  const scrolls = e => e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  for (const e of innerWidth < 1280 ? [] : root.querySelectorAll("article *"))
    if (scrolls(e)) problems.push(`cut off after ${e.clientWidth} of ${e.scrollWidth} px: ${e.innerText.slice(0, 60)}`);
  const levels = [...root.querySelectorAll("article h1, article h2, article h3, article h4, article h5")]
    .map(heading => Number(heading.tagName[1]));
  if (levels[0] !== 1 || levels.some((level, i) => i && level > levels[i - 1] + 1))
    problems.push("heading levels: " + levels);
  if (root.querySelector("article .jupyter-widgets, article input[type=range]:not(.panel.moves *)"))
    problems.push("a dead slider");
  for (const cell of innerWidth < 1280 ? [] : root.querySelectorAll("#T_case_table td, #T_lecture_cases td")) {
    const range = document.createRange();
    range.selectNodeContents(cell);
    const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
    if (lines.size > 2) problems.push(`${lines.size} lines in a cell: ${cell.innerText}`);
  }
  return problems;
}"""
# The check of contrasts takes milliseconds for every text, and pages have thousands of words of code, of numbers and of
# formulas. Those that look alike have one verdict: one of each stays, so many as there are styles.
ONE_OF_EACH_STYLE = """root => {
  const seen = new Set();
  const behind = e => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
  };
  for (const e of root.querySelectorAll("pre span, tbody td, tbody td *, math")) {
    const formula = e.localName === "math";
    if ((e.children.length && !formula) || e.closest("a")) continue;
    const {color, opacity, fontSize, fontWeight} = getComputedStyle(e);
    const style = [formula, color, behind(e), opacity, fontSize, fontWeight].join();
    if (seen.has(style)) e.localName === "span" ? e.remove() : e.replaceChildren();
    seen.add(style);
  }
  return seen.size;
}"""
LINKS = """root => [...root.querySelectorAll("a[href]")].map(link => link.href)"""


def build(source, output, **variables):
    """Run sphinx as make lecture does; seconds of processor time, which other programs do not stretch."""
    before = os.times()
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", source, output]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stdout + done.stderr
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.fixture(scope="session")
def book():
    """The book in build/, brought up to date; after make lecture nothing is executed again."""
    build("notebooks", "build")
    return ROOT / "build"


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as opened:
        yield opened


def pages(folder):
    """The pages of a book, not the slides beside them."""
    found = [*folder.glob("*.html"), *folder.glob("solutions/*.html")]
    return sorted(path for path in found if path.name != "search.html")


@contextlib.contextmanager
def opened(chromium, path, **context):
    """An open page, and what goes wrong in it, a list that grows."""
    page, problems = browser.open_page(chromium, **{"height": 900, **context})
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    page.evaluate(browser.LOAD_FONTS)
    yield page, problems
    page.context.close()


def layout(page):
    """Everything wrong with what an open page shows at three widths."""
    problems = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate_handle("document.documentElement").evaluate(LAYOUT)
        problems += [f"at {width} px: {problem}" for problem in found]
    for check in (browser.FORMULAS, browser.IMAGES, browser.SCRIPTS):
        problems += page.evaluate_handle("document.body").evaluate(check)
    return problems


def violations(page):
    """What axe-core calls serious or critical in an open page, as (rule, elements). Takes repeated texts away."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.evaluate_handle("document").evaluate(ONE_OF_EACH_STYLE)
    result = axe.Axe().run(page, options={"preload": False, "resultTypes": ["violations"]})
    return [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in result.response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


def look(chromium, path):
    """All about a page from one visit: dict of "layout", "fonts" and "access" (problems), "links" and "anchors"."""
    with opened(chromium, path) as (page, problems):
        found = {
            "layout": layout(page),
            "links": page.evaluate_handle("document").evaluate(LINKS),
            "anchors": set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")),
            "fonts": browser.foreign_fonts(page),
        }
        page.set_viewport_size({"width": 1280, "height": 900})
        return found | {"access": violations(page), "layout": found["layout"] + problems}


def ask(chromium, path, question, **context):
    """What a question to an open page finds, and what went wrong meanwhile."""
    with opened(chromium, path, **context) as (page, problems):
        return question(page) + problems


def broken_links(looks, folder):
    """Links inside a book that lead nowhere, as (page, link). looks: dict of path -> what `look` found."""
    anchors = {path.as_uri(): found["anchors"] for path, found in looks.items()}
    # make slides writes the decks, beside the pages
    anchors |= {(folder / "slides" / f"{deck.stem}.html").as_uri(): set() for deck in DECKS.glob("*.md")}
    return [
        (path.relative_to(folder).as_posix(), link)
        for path, found in looks.items()
        for link in found["links"]
        for target, _, anchor in [link.partition("#")]
        if link.startswith("file:") and (target not in anchors or (anchor and anchor not in anchors[target]))
    ]


@pytest.fixture(scope="module")
def looks(book, chromium):
    return {path: look(chromium, path) for path in [*pages(book), book / "search.html"]}


def problems(looks, kind):
    return {path.name: found[kind] for path, found in looks.items() if found[kind]}


def test_every_notebook_has_its_page(book):
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    others = {path.stem for path in (ROOT / "notebooks").glob("*.md")}
    assert notebooks | others == {path.stem for path in pages(book) if path.parent == book}
    index = (book / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}.html"' in index for name in notebooks)


def test_a_second_build_is_quick(book):
    def read():
        return {path: path.stat().st_mtime_ns for path in book.glob(".doctrees/**/*.doctree")}

    before = read()
    assert build("notebooks", "build") < 20
    assert read() == before != {}


def test_every_page(looks):
    looks = {path: found for path, found in looks.items() if path.name != "search.html"}
    assert problems(looks, "layout") == {}


def test_every_text_is_drawn_with_the_fonts_of_the_book(looks):
    assert problems(looks, "fonts") == {}


def test_links_lead_somewhere(looks, book):
    assert broken_links(looks, book) == []


def test_no_page_is_cut_off_on_paper(book, chromium):
    """Those that make pdf prints."""
    found = {path.name: ask(chromium, path, _pdf.put_on_paper) for path in sorted(book.glob("[0-9]*.html"))}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_accessible(looks):
    assert problems(looks, "access") == {}


def test_accessible_in_the_dark_on_a_telephone(book, chromium):
    found = {}
    for path in sorted(book.glob("[!s]*.html")):  # the solutions' pages are made of the same pieces
        found[path.name] = ask(chromium, path, violations, width=390, color_scheme="dark")
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_dark_theme_is_dark(book, chromium):
    page, _ = browser.open_page(chromium, color_scheme="dark")
    page.goto((book / "index.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 80


def test_search_works_from_a_file(book, chromium):
    page, problems = browser.open_page(chromium)
    page.goto((book / "search.html").as_uri() + "?q=swing")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    assert problems == []


def test_keyboard_reaches_the_text_and_its_hidden_code(book, chromium):
    """Tab first offers to skip to the text; a folded cell opens by key."""
    page, _ = browser.open_page(chromium)
    page.goto((book / "01_ratio_and_clip.html").as_uri())
    page.keyboard.press("Tab")
    assert "main-content" in page.evaluate("document.activeElement.href || ''")
    fold = page.locator("article details").first
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None


def test_no_panel_waits_for_a_kernel(book, chromium):
    page, problems = browser.open_page(chromium)
    for name, sliders in {"01_ratio_and_clip": 3, "02_gae": 1}.items():
        page.goto((book / f"{name}.html").as_uri())
        assert page.locator("article .panel.moves input[type=range]").count() == sliders
        assert page.get_by_text("Loading widget").count() == 0
    page.goto((book / "04_a2c_vs_ppo.html").as_uri())
    assert page.get_by_text("run this notebook in JupyterLab").count() == 1
    assert problems == []


def bring_sources(folder, *more):
    """What a book is made with, into a new folder."""
    folder.mkdir()
    for name in (*SOURCES, *more):
        copy = shutil.copytree if (ROOT / "notebooks" / name).is_dir() else shutil.copy
        copy(ROOT / "notebooks" / name, folder / name)


@pytest.fixture
def small_book(tmp_path):
    """Writes a page into a book of its own, builds it and gives its path."""
    source = tmp_path / "source"
    bring_sources(source)

    def write(text, **variables):
        (source / "index.md").write_text(f"# A page\n\n{text}\n")
        build(source, tmp_path / "built", **variables)
        return tmp_path / "built" / "index.html"

    return write


FAULTS = {
    "asks the network": '<p><img alt="x" src="https://example.org/x.png"></p>',
    "not loaded": '<p><img alt="x" src="missing.png"></p>',
    "without alternative text": f'<p><img src="data:image/png;base64,{browser.DOT}"></p>',
    "raw TeX": "The value \\\\gamma is there.",
    "formula not drawn": '<p><math style="position: absolute; width: 0; height: 0"><mi>x</mi></math></p>',
    "px wide": '<div style="width: 1500px">wide</div>',
    "cut off": '<div style="overflow-x: auto"><div style="width: 1250px">wide</div></div>',
    "heading levels": "<h4>Too deep</h4>",
    "on the line of its base": "<math><msub style='display: flex; align-items: end'><mi>x</mi><mi>t</mi></msub></math>",
    "away from its base": "<math><msup style='display: flex; align-items: end'><mi>x</mi>"
    "<mn style='margin-bottom: 2em'>2</mn></msup></math>",
    "3 lines in a cell": "<table id='T_case_table'><tr><td>a<br>b<br>c</td></tr></table>",
    "a dead slider": '<p><input type="range" aria-label="lambda"></p>',
    "planted": "<script>console.error('planted')</script>",
}


@pytest.fixture(scope="module")
def sound_page(tmp_path_factory):
    """A page of a book of its own, with a paragraph that gives way to faults."""
    source = tmp_path_factory.mktemp("sound") / "source"
    bring_sources(source)
    text = "A formula $x_t^2$ and `code`, *all* **right** \u2713\n\n```{raw} html\n<p>fault</p>\n```"
    (source / "index.md").write_text(f"# A page\n\n{text}\n", encoding="utf-8")
    build(source, source.parent / "built")
    return source.parent / "built" / "index.html"


@pytest.fixture
def planted(sound_page):
    """Writes the sound page with a fault planted, and gives its path."""
    path = sound_page.with_name("planted.html")

    def plant(fault):
        path.write_text(sound_page.read_text(encoding="utf-8").replace("<p>fault</p>", fault), encoding="utf-8")
        return path

    yield plant
    path.unlink(missing_ok=True)


def test_each_fault_of_a_page_is_noticed(sound_page, planted, chromium):
    assert ask(chromium, sound_page, layout) == []
    for sign, fault in FAULTS.items():
        path = planted(fault.replace("\\\\", "\\"))
        assert any(sign in problem for problem in ask(chromium, path, layout)), sign


STRANGE = {
    "serif for": "<p style='font-family: serif'>word</p>",
    "monospace for": "<p><input style='font-family: monospace' placeholder='word' aria-label='word'></p>",
    "no glyph for": "<p>\u0379</p>",
    "in: \u6f22": "<p>\u6f22</p>",
}


def test_a_text_in_a_font_of_the_machine_is_noticed(sound_page, planted, chromium):
    assert ask(chromium, sound_page, browser.foreign_fonts) == []
    for sign, text in STRANGE.items():
        assert any(sign in problem for problem in ask(chromium, planted(text), browser.foreign_fonts)), sign


def test_a_missing_font_is_noticed(sound_page, chromium):
    font = sound_page.parent / "_static" / "fonts" / "math.woff2"
    away = font.rename(font.with_suffix(".away"))
    with pytest.raises(Exception, match="NetworkError"):
        ask(chromium, sound_page, layout)
    away.rename(font)


def test_a_broken_link_is_noticed(planted, chromium):
    path = planted("<a href='nowhere.html'>x</a> <a href='#nowhere'>y</a>")
    targets = [link for _, link in broken_links({path: look(chromium, path)}, path.parent)]
    assert [target for target in targets if "nowhere" in target] == [
        path.with_name("nowhere.html").as_uri(),
        f"{path.as_uri()}#nowhere",
    ]


def test_a_faint_text_is_noticed(planted, chromium):
    path = planted("<p style='color: #bbb; background: #fff'>faint</p>")
    assert [rule for rule, _ in ask(chromium, path, violations)] == ["color-contrast"]


@pytest.mark.parametrize("style", ["color: #bbb", "color: #000; background: #666", "opacity: 0.4"])
def test_a_faint_word_among_many_of_code_or_numbers_is_noticed(planted, chromium, style):
    style = f"background: #fff; {style}"
    code = "<pre>" + "<span>word</span> " * 30 + f"<span style='{style}'>word</span></pre>"
    table = "<table><thead><tr><th>a</th></tr></thead><tbody>" + "<tr><td>12.5</td></tr>" * 30
    row = f"<tr><td style='{style}'>12.5</td></tr></tbody></table>"
    path = planted(f"<div style='background: #fff; color: #000'>{code}{table}{row}</div>")
    [(rule, elements)] = ask(chromium, path, violations)
    assert (rule, len(elements)) == ("color-contrast", 2)


def test_a_warning_stops_the_build(small_book):
    with pytest.raises(AssertionError, match="nowhere"):
        small_book("[a link](nowhere.md)")


def test_a_page_shows_what_its_notebook_holds_and_runs_nothing(small_book, tmp_path):
    def write(outputs):
        cell = nbformat.v4.new_code_cell("open('../ran', 'w')", outputs=outputs)
        cells = [nbformat.v4.new_markdown_cell("# A notebook"), cell]
        python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=python), tmp_path / "source" / "one.ipynb")

    write([nbformat.v4.new_output("stream", text="what it held")])
    page = small_book("```{toctree}\none\n```").parent / "one.html"
    assert "what it held" in page.read_text(encoding="utf-8")
    assert not (tmp_path / "ran").exists()
    write([])
    with pytest.raises(AssertionError, match="one holds no outputs: run all of its cells"):
        small_book("```{toctree}\none\n```")


def test_launch_buttons_take_one_setting(small_book, tmp_path):
    launch = re.compile(r'href="(https://(?:mybinder|colab)[^"]*)"')
    title = nbformat.v4.new_markdown_cell("# A notebook")
    nbformat.write(nbformat.v4.new_notebook(cells=[title]), tmp_path / "source" / "empty.ipynb")
    page = small_book("```{toctree}\nempty\n```").parent / "empty.html"
    assert launch.findall(page.read_text(encoding="utf-8")) == []
    small_book("```{toctree}\nempty\n```", LECTURE_REPOSITORY="https://github.com/me/ppo-lecture")
    links = launch.findall(page.read_text(encoding="utf-8"))
    assert {link.split("/")[2] for link in links} == {"mybinder.org", "colab.research.google.com"}
    assert all("me/ppo-lecture" in link and "notebooks" in link for link in links)


# Folds, glossary, panels and animations, on a small book of their own.


def load_pages():
    """The module behind folds and links."""
    spec = importlib.util.spec_from_file_location("_pages", ROOT / "notebooks" / "_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load_pages()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NOT_LINKED = {"lambda", "on-policy", "performance difference", "trust region"}  # may only get shorter


def markdown(source, *tags):
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def unresolved(notebook):
    """Predictions without a row of answers that ends in words, and answers below a heading of their own."""
    cells = [cell for cell in notebook["cells"] if "remove-cell" not in cell["metadata"].get("tags", [])]
    rows = {row[0]: row for row in PAGES.answers(cells)}
    problems = []
    for place, cell in enumerate(cells):
        words = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and PAGES.is_answer(cell) and PAGES.has_heading(words):
            problems.append(f"a heading inside an answer: {words[:60]!r}")
        if cell["cell_type"] != "markdown" or PAGES.PREDICTION not in words:
            continue
        row = rows.get(place + 1)
        if row is None:
            problems.append(f"no answer follows: {words[:60]!r}")
        elif cells[row[-1]]["cell_type"] != "markdown":
            problems.append(f"the answer does not end in words: {words[:60]!r}")
    return problems


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_prediction_is_resolved_in_a_fold(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert any(PAGES.is_answer(cell) for cell in notebook["cells"])
    assert unresolved(notebook) == []


ASKED = markdown("**Before you run this**: which?")
ANSWERS = {
    "no answer follows": [ASKED, code("1"), markdown("One.", "answer")],
    "does not end in words": [ASKED, markdown("One.", "answer"), code("1", "answer"), markdown("Next.")],
    "a heading inside": [ASKED, code("1", "answer"), markdown("## One\n\nwas it.", "answer")],
}


@pytest.mark.parametrize("sign", ANSWERS)
def test_an_answer_that_is_missing_is_noticed(sign):
    right = [ASKED, code("1", "answer"), markdown("A note.", "remove-cell"), markdown("One.", "answer"), code("2")]
    assert unresolved({"cells": right}) == []
    assert [sign in problem for problem in unresolved({"cells": ANSWERS[sign]})] == [True]


def test_a_heading_in_a_fold_stops_the_build():
    cells = [ASKED, code("1", "answer"), {**markdown("### One", "answer"), "id": "the-cell"}]
    with pytest.raises(PAGES.ExtensionError, match="the-cell"):
        PAGES.fold_answers(json.dumps({"cells": cells}), "07")
    cells[2] = markdown("```\n# no heading\n```", "answer")
    PAGES.fold_answers(json.dumps({"cells": cells}), "07")


REWARDS, VALUES = -(np.cos(np.arange(40) / 9) ** 2), 3 * np.sin(np.arange(40) / 5)
LIVELY = [
    markdown("# 08 A small one\n\nThe critic stands in the title's cell."),
    markdown("## Folds\n\nAn `advantage` is in code, $advantage$ in a formula. An advantage, and the advantage again."),
    markdown("**Before you run this**: how much is it, and *why*?\n\nThink of the\ntrace."),
    code("1 + 1", "answer"),
    markdown("It is two.", "answer"),
    markdown("Between the rows."),
    code("2 + 2", "answer"),
    markdown("## Panels"),
    code("from lecture_utils.figures.panels import clip_panel\nclip_panel()"),
    code(
        "import numpy as np\nfrom lecture_utils.figures.panels import lambda_panel\nt = np.arange(40)\n"
        "values = 3 * np.sin(t / 5)\n"
        "lambda_panel(-np.cos(t / 9) ** 2, values, np.append(values[1:], 0), gamma=0.95)"
    ),
    code(
        "from lecture_utils.figures import pendulum\n"
        "data = pendulum.animation(np.arange(12) / 4, loops=1)\npendulum.show_animation(data, 'A rod falls.')"
    ),
    markdown("## Exercises\n\nThe ratio stands only here."),
]
SETTINGS = [
    {"advantage": 1.0, "clip": 0.2, "ratio": 1.4},
    {"advantage": -0.7, "clip": 0.35, "ratio": 0.4},
    {"advantage": -1.5, "clip": 0.05, "ratio": 2.0},
    {"advantage": 0.0, "clip": 0.5, "ratio": 1.0},
]


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    """A page with folds, both panels and an animation."""
    source = tmp_path_factory.mktemp("lively") / "source"
    bring_sources(source, "glossary.md")
    notebook = nbformat.v4.new_notebook(cells=LIVELY)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(source)}}).execute()
    nbformat.write(notebook, source / "08_lively.ipynb")
    (source / "index.md").write_text("# A book\n\n```{toctree}\n08_lively\nglossary\n```\n")
    build(source, source.parent / "built")
    return source.parent / "built" / "08_lively.html"


@pytest.fixture
def lively_page(lively, chromium):
    page, problems = browser.open_page(chromium)
    page.goto(lively.as_uri())
    yield page
    page.context.close()
    assert problems == []


def test_answers_are_folded_until_asked_for(lively_page):
    first, second = lively_page.locator("details.answer").all()
    assert [first.locator(".folded").is_visible(), second.locator(".folded").is_visible()] == [False, False]
    first.locator("summary").focus()
    lively_page.keyboard.press("Enter")
    assert first.get_by_text("It is two.").is_visible()
    assert first.locator("pre").first.is_visible()
    lively_page.keyboard.press("Enter")
    assert not first.locator(".folded").is_visible()
    second.locator("summary").click()
    assert second.locator(".folded").is_visible()
    assert lively_page.get_by_text("Between the rows.").is_visible()
    assert lively_page.locator("details.answer", has_text="Between the rows.").count() == 0


def test_a_prediction_stands_in_a_box(lively_page):
    (box,) = lively_page.locator(".prediction").all()
    assert box.locator("p").count() == 2
    assert box.evaluate("e => getComputedStyle(e).borderLeftStyle") == "solid"
    assert lively_page.locator(".prediction details").count() == 0


def test_without_javascript_folds_open_and_figures_stand_for_panels(lively, chromium):
    page, problems = browser.open_page(chromium, java_script_enabled=False)
    page.goto(lively.as_uri())
    assert page.locator("article input[type=range]").count() == 0
    assert page.locator("button.replay").count() == 0
    pictures = page.locator(".panel > img")
    assert pictures.count() == 2
    for picture in pictures.all():
        assert picture.is_visible()
        assert len(picture.get_attribute("alt")) > 40
    page.locator("details.answer summary").first.click()
    assert page.get_by_text("It is two.").is_visible()
    page.context.close()
    assert [problem for problem in problems if ".js" not in problem] == []  # scripts are not loaded, as it should be


@pytest.mark.parametrize("scripts", [True, False])
def test_on_paper_everything_is_unfolded(lively, chromium, scripts):
    page, _ = browser.open_page(chromium, java_script_enabled=scripts)
    page.goto(lively.as_uri())
    page.emulate_media(media="print")
    assert page.locator("details.answer").first.locator(".folded").bounding_box()["height"] > 20
    assert page.get_by_text("It is two.").is_visible()
    assert not page.locator("details.answer summary").first.is_visible()
    page.context.close()


def begun(make, *args, **options):
    """The Live picture of a panel."""
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "panel", lambda draw, live, **sliders: seen.update(live=live))
        make(*args, **options)
    return seen["live"]


def curves(source):
    """{name: the numbers of its path} of a picture, and the sentence below it."""
    paths = re.findall(r'<path data-curve="([^"]+)" d="([^"]+)"', source)
    sentence = re.search(r'<p class="panel-state"[^>]*>([^<]*)</p>', source)[1]
    return {name: [float(x) for x in re.findall(r"-?[\d.]+(?:e-?\d+)?", path)] for name, path in paths}, sentence


def same_picture(panel, expected):
    """Whether the page shows what Python draws."""
    shown, sentence = curves(panel.inner_html().split("</template>")[1])
    wanted, wanted_sentence = curves(expected)
    assert shown.keys() == wanted.keys()
    for name, numbers in wanted.items():
        np.testing.assert_allclose(shown[name], numbers, atol=2.1e-3, err_msg=name)
    assert sentence == wanted_sentence


def set_by_keys(slider, value):
    """Move a slider by its keys to a value."""
    slider.focus()
    slider.press("Home")
    low, step = float(slider.get_attribute("min")), float(slider.get_attribute("step"))
    for _ in range(round((value - low) / step)):
        slider.press("ArrowRight")


@pytest.mark.parametrize("values", SETTINGS, ids=str)
def test_the_clip_panel_shows_by_keyboard_what_python_draws(lively_page, values):
    panel = lively_page.locator(".panel").first
    live = begun(panels.clip_panel)
    same_picture(panel, live.picture(**SETTINGS[0]))  # as it begins
    for name, label in {"advantage": "advantage A", "clip": "clip ε", "ratio": "ratio r"}.items():
        slider = panel.get_by_label(label, exact=True)
        set_by_keys(slider, values[name])
        assert slider.get_attribute("aria-valuetext") == f"{values[name]:.2f}".replace("-", "\N{MINUS SIGN}")
    same_picture(panel, live.picture(**values))
    state = panel.get_by_role("status")
    assert f"r = {values['ratio']:.2f}" in state.inner_text()


def test_the_lambda_panel_shows_by_keyboard_what_gae_computes(lively_page):
    panel = lively_page.locator(".panel").nth(1)
    live = begun(panels.lambda_panel, REWARDS, VALUES, np.append(VALUES[1:], 0), gamma=0.95)
    same_picture(panel, live.picture(gae_lambda=0.85))
    for gae_lambda in (0.0, 0.6, 1.0):
        set_by_keys(panel.get_by_label("λ", exact=True), gae_lambda)
        same_picture(panel, live.picture(gae_lambda=gae_lambda))
    assert "20.0 steps" in panel.get_by_role("status").inner_text()


@pytest.mark.parametrize(("number", "curve"), [(0, "unclipped"), (1, "advantage")])
def test_a_curve_follows_while_its_slider_is_dragged(lively_page, number, curve):
    panel = lively_page.locator(".panel").nth(number)
    slider = panel.locator("input").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    height = box["y"] + box["height"] / 2
    lively_page.mouse.move(box["x"] + 0.8 * box["width"], height)
    lively_page.mouse.down()
    seen = []
    for share in (0.7, 0.5, 0.3):
        lively_page.mouse.move(box["x"] + share * box["width"], height)
        path = panel.locator(f"[data-curve='{curve}']").get_attribute("d")
        seen.append((path, slider.get_attribute("aria-valuetext"), panel.get_by_role("status").inner_text()))
    lively_page.mouse.up()
    for column in zip(*seen, strict=True):
        assert len(set(column)) == 3


def test_the_sentence_of_the_clip_panel_is_that_of_the_gradient():
    """Python's side against autograd, at every place where the slider can stand still, the band's edges included."""
    for advantage in (1.5, 1.0, -0.3, 0.0):
        for ratio in np.arange(1, 41) * 0.05:
            objective, gradient, _ = panels._clip_at(advantage, 0.2, ratio)
            np.testing.assert_allclose((ratio, objective), ratio_and_clip._at(advantage, 0.2, ratio)[:2], atol=1e-12)
            if abs(abs(ratio - 1) - 0.2) > 1e-9:  # on the edge autograd halves what it finds on both sides
                assert gradient == ratio_and_clip._at(advantage, 0.2, ratio)[2]


def test_an_animation_plays_again(lively_page):
    picture, button = lively_page.locator("img.animation"), lively_page.get_by_role("button", name="Play again")
    picture.scroll_into_view_if_needed()

    def pictures(count):
        seen = []
        for _ in range(count):
            seen.append(picture.screenshot())
            lively_page.wait_for_timeout(60)
        return set(seen)

    for _ in range(30):
        if len(pictures(5)) == 1:
            break
    else:
        raise AssertionError("the picture never rests")
    for start in (button.click, lambda: (button.focus(), lively_page.keyboard.press("Enter"))):
        lively_page.wait_for_timeout(2000)
        start()
        assert len(pictures(12)) > 1


def test_the_lively_page_is_sound(lively, chromium):
    looks = {path: look(chromium, path) for path in pages(lively.parent)}
    assert problems(looks, "layout") == problems(looks, "fonts") == {}
    assert broken_links(looks, lively.parent) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_the_lively_page_is_accessible(lively, chromium, width, scheme, tmp_path):
    path = lively.parent / "opened.html"
    path.write_text(
        lively.read_text(encoding="utf-8").replace('<details class="answer"', '<details open class="answer"')
    )
    assert ask(chromium, path, violations, width=width, color_scheme=scheme) == []
    path.unlink()


def links_to_terms(path):
    """(anchor, words) of the links to the glossary, in order."""
    found = re.findall(
        r'<a class="term[^"]*" href="glossary\.html#([^"]+)"([^>]*)>([^<]+)</a>', path.read_text("utf-8")
    )
    assert all("title=" in options for _, options, _ in found)
    return [(anchor, words) for anchor, _, words in found]


def test_the_first_use_of_a_term_leads_to_its_entry(lively):
    assert links_to_terms(lively) == [("term-advantage", "advantage"), ("term-trace", "trace")]
    page = lively.read_text("utf-8")
    assert "An <a class" in re.search(r"in a formula\. .*", page)[0]
    assert 'id="term-advantage"' in (lively.parent / "glossary.html").read_text("utf-8")


SENTENCES = {
    "The clip fraction grows.": ["term-clip-fraction"],
    "The KL divergence and the KL.": ["term-kl-divergence"],
    "Advantages, at a sentence's beginning.": ["term-advantage"],
    "The log-probability is no probability ratio.": ["term-log-probability", "term-ratio"],
    "A subtrace, a trace-like thing and a gael.": [],
    "An explained variance is no variance.": ["term-explained-variance", "term-bias-and-variance"],
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_words_are_found_whole_and_the_longest_first(sentence):
    entries = PAGES.glossary((ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8"))
    title, page = PAGES.docutils.nodes.section(), PAGES.docutils.nodes.section()
    page += [PAGES.docutils.nodes.title("", "A section"), PAGES.docutils.nodes.paragraph("", sentence)]
    title += [PAGES.docutils.nodes.title("", "A page"), page]
    assert PAGES.link_terms(title, entries) == SENTENCES[sentence]


def test_every_entry_of_the_glossary_is_linked(book):
    entries = PAGES.glossary((ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8"))
    page = (book / "glossary.html").read_text("utf-8")
    assert [anchor for anchor in entries if f'id="{anchor}"' not in page] == []
    found = {path.stem: [anchor for anchor, _ in links_to_terms(path)] for path in book.glob("[0-9]*.html")}
    assert [name for name, anchors in found.items() if len(set(anchors)) != len(anchors)] == []
    linked = {anchor for anchors in found.values() for anchor in anchors}
    assert {term for anchor, (term, _, _) in entries.items() if anchor not in linked} <= NOT_LINKED


def test_every_paragraph_of_the_glossary_is_an_entry():
    text = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    entries = PAGES.glossary(text)
    assert len(entries) == len(re.findall(r"^\*\*", text, flags=re.M)) >= 40
    spellings = [spelling.lower() for _, found, _ in entries.values() for spelling in found]
    assert len(set(spellings)) == len(spellings)
    for term, _, definition in entries.values():
        assert "\\" not in PAGES.plain(definition), term
        assert 1 <= len(re.findall(r"[.?!](?= |$)", definition)) <= 3, term
