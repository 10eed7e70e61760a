"""Every page of the book in a browser without a network, and what its building promises (make lecture)."""

import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys

import browser
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ("conf.py", "_static")
WIDTHS = (1280, 800, 390)

# Wider than the window, tables that a laptop shows in part only, headings with a gap or without words, and controls
# that do nothing without a kernel.
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
  if (root.querySelector("article .jupyter-widgets, article input[type=range]")) problems.push("a dead slider");
  return problems;
}"""
# The check of contrasts takes milliseconds for every text, and pages have thousands of words of code and of numbers.
# Those that look alike have one verdict: one of each stays, so many as there are styles.
ONE_OF_EACH_STYLE = """root => {
  const seen = new Set();
  const behind = e => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
  };
  for (const e of root.querySelectorAll("pre span, tbody td, tbody td *")) {
    if (e.children.length || e.closest("a")) continue;
    const {color, opacity, fontSize, fontWeight} = getComputedStyle(e);
    const style = [color, behind(e), opacity, fontSize, fontWeight].join();
    if (seen.has(style)) e.textContent = "";
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
    pytest.importorskip("myst_nb", reason="the packages that make pages are not installed")
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


def look(chromium, path):
    """Everything wrong with a page at three widths."""
    page, problems = browser.open_page(chromium)
    page.goto(path.as_uri())
    page.evaluate(browser.LOAD_FONTS)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate_handle("document.documentElement").evaluate(LAYOUT)
        problems += [f"at {width} px: {problem}" for problem in found]
    for check in (browser.FORMULAS, browser.IMAGES, browser.SCRIPTS):
        problems += page.evaluate_handle("document.body").evaluate(check)
    page.context.close()
    return problems


def broken_links(chromium, folder):
    """Links inside the book that lead nowhere, as (page, link)."""
    page, _ = browser.open_page(chromium)
    links, anchors = {}, {}
    for path in [*pages(folder), folder / "search.html"]:
        page.goto(path.as_uri())
        links[path] = page.evaluate_handle("document").evaluate(LINKS)
        anchors[path.as_uri()] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))
    page.context.close()
    return [
        (path.relative_to(folder).as_posix(), link)
        for path, found in links.items()
        for link in found
        for target, _, anchor in [link.partition("#")]
        if link.startswith("file:") and (target not in anchors or (anchor and anchor not in anchors[target]))
    ]


def violations(chromium, path, width, scheme):
    """What axe-core calls serious or critical, as (rule, elements)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page, _ = browser.open_page(chromium, width=width, height=900, color_scheme=scheme)
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    page.evaluate_handle("document").evaluate(ONE_OF_EACH_STYLE)
    result = axe.Axe().run(page, options={"preload": False, "resultTypes": ["violations"]})
    page.context.close()
    return [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in result.response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


def test_every_notebook_has_its_page(book):
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert notebooks == {path.stem for path in pages(book) if path.parent == book} - {"index"}
    index = (book / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}.html"' in index for name in notebooks)


def test_a_second_build_is_quick(book):
    def read():
        return {path: path.stat().st_mtime_ns for path in book.glob(".doctrees/**/*.doctree")}

    before = read()
    assert build("notebooks", "build") < 20
    assert read() == before != {}


@pytest.mark.parametrize("changed", ["lecture_utils/gae.py", "lecture_utils/figures/gae.py", "data/SHA256SUMS"])
def test_what_is_behind_the_notebooks_executes_them_again(tmp_path, changed):
    conf = tmp_path / "notebooks" / "conf.py"
    conf.parent.mkdir()
    shutil.copy(ROOT / "notebooks" / "conf.py", conf)
    file = tmp_path / changed
    file.parent.mkdir(parents=True)
    file.write_text("one")
    before, again = (runpy.run_path(str(conf))["nb_execution_cache_path"] for _ in range(2))
    file.write_text("two")
    assert before == again != runpy.run_path(str(conf))["nb_execution_cache_path"]


def test_every_page(book, chromium):
    found = {path.relative_to(book): look(chromium, path) for path in pages(book)}
    assert {name: problems for name, problems in found.items() if problems} == {}


def foreign_fonts(chromium, path):
    page, problems = browser.open_page(chromium)
    page.goto(path.as_uri())
    problems += browser.foreign_fonts(page)
    page.context.close()
    return problems


def test_every_text_is_drawn_with_the_fonts_of_the_book(book, chromium):
    found = {path.relative_to(book): foreign_fonts(chromium, path) for path in [*pages(book), book / "search.html"]}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_links_lead_somewhere(book, chromium):
    assert broken_links(chromium, book) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_accessible(book, chromium, width, scheme):
    found = {path.relative_to(book): violations(chromium, path, width, scheme) for path in pages(book)}
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


def test_a_panel_without_a_kernel_says_how_to_run_it(book, chromium):
    page, _ = browser.open_page(chromium)
    page.goto((book / "01_ratio_and_clip.html").as_uri())
    assert page.get_by_text("run this notebook in JupyterLab").count() >= 1
    assert page.get_by_text("Loading widget").count() == 0


@pytest.fixture
def small_book(tmp_path):
    """Writes a page into a book of its own, builds it and gives its path."""
    source = tmp_path / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / "notebooks" / name).is_dir() else shutil.copy
        copy(ROOT / "notebooks" / name, source / name)

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
    "a dead slider": '<p><input type="range" aria-label="lambda"></p>',
    "planted": "<script>console.error('planted')</script>",
}


def test_each_fault_of_a_page_is_noticed(small_book, chromium):
    path = small_book("A formula $x^2$.\n\n```{raw} html\n<p>fault</p>\n```")
    assert look(chromium, path) == []
    sound = path.read_text(encoding="utf-8")
    for sign, fault in FAULTS.items():
        path.write_text(sound.replace("<p>fault</p>", fault.replace("\\\\", "\\")), encoding="utf-8")
        assert any(sign in problem for problem in look(chromium, path)), sign


STRANGE = {
    "serif for": "<p style='font-family: serif'>word</p>",
    "monospace for": "<p><input style='font-family: monospace' placeholder='word' aria-label='word'></p>",
    "no glyph for": "<p>\u0379</p>",
    "in: \u6f22": "<p>\u6f22</p>",
}


def test_a_text_in_a_font_of_the_machine_is_noticed(small_book, chromium):
    path = small_book("$x_t^2$ and `code`, *all* **right** \u2713\n\n```{raw} html\n<p>strange</p>\n```")
    assert foreign_fonts(chromium, path) == []
    sound = path.read_text(encoding="utf-8")
    for sign, text in STRANGE.items():
        path.write_text(sound.replace("<p>strange</p>", text), encoding="utf-8")
        assert any(sign in problem for problem in foreign_fonts(chromium, path)), sign


def test_a_missing_font_is_noticed(small_book, chromium):
    path = small_book("A word.")
    (path.parent / "_static" / "fonts" / "math.woff2").unlink()
    with pytest.raises(Exception, match="NetworkError"):
        look(chromium, path)


def test_a_broken_link_is_noticed(small_book, chromium):
    path = small_book("```{raw} html\n<a href='nowhere.html'>x</a> <a href='#nowhere'>y</a>\n```")
    assert len(broken_links(chromium, path.parent)) == 2


def test_a_faint_text_is_noticed(small_book, chromium):
    path = small_book("```{raw} html\n<p style='color: #bbb; background: #fff'>faint</p>\n```")
    assert [rule for rule, _ in violations(chromium, path, 1280, "light")] == ["color-contrast"]


@pytest.mark.parametrize("style", ["color: #bbb", "color: #000; background: #666", "opacity: 0.4"])
def test_a_faint_word_among_many_of_code_or_numbers_is_noticed(small_book, chromium, style):
    style = f"background: #fff; {style}"
    code = "<pre>" + "<span>word</span> " * 30 + f"<span style='{style}'>word</span></pre>"
    table = "<table><thead><tr><th>a</th></tr></thead><tbody>" + "<tr><td>12.5</td></tr>" * 30
    path = small_book(
        f"```{{raw}} html\n<div style='background: #fff; color: #000'>{code}{table}"
        f"<tr><td style='{style}'>12.5</td></tr></tbody></table></div>\n```"
    )
    [(rule, elements)] = violations(chromium, path, 1280, "light")
    assert (rule, len(elements)) == ("color-contrast", 2)


def test_a_warning_stops_the_build(small_book):
    with pytest.raises(AssertionError, match="nowhere"):
        small_book("[a link](nowhere.md)")


def test_a_second_build_executes_what_changed(small_book, tmp_path):
    def notebook(name, text=""):
        cell = nbformat.v4.new_code_cell(f"with open('../ran', 'a') as file:\n    _ = file.write('{name}{text} ')")
        cells = [nbformat.v4.new_markdown_cell(f"# {name}"), cell]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "source" / f"{name}.ipynb")

    notebook("same"), notebook("other")
    small_book("```{toctree}\nsame\nother\n```")
    assert sorted((tmp_path / "ran").read_text().split()) == ["other", "same"]
    notebook("other", "-changed")
    small_book("```{toctree}\nsame\nother\n```")
    assert sorted((tmp_path / "ran").read_text().split()) == ["other", "other-changed", "same"]


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
