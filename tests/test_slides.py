"""Every slide of every deck in a browser, at 1280 x 720 and without a network (make slides)."""

import importlib.util
import pathlib

import browser
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))

# What stands outside the frame, or is cut off inside a box of its own, on the slide that is shown.
OUTSIDE = """slide => {
  const problems = [];
  for (const element of [slide, ...slide.querySelectorAll("*")]) {
    if (element.closest("aside.notes, annotation")) continue;
    const box = element.getBoundingClientRect(), words = (element.textContent || element.alt || "").trim().slice(0, 50);
    if (!box.width || !box.height) continue;
    if (box.left < -0.5 || box.top < -0.5 || box.right > 1280.5 || box.bottom > 720.5)
      problems.push(`${element.tagName} reaches ${Math.round(box.right)} x ${Math.round(box.bottom)}: ${words}`);
    if (!element.closest("math") && element.scrollWidth > element.clientWidth + 1 && element.clientWidth
        && getComputedStyle(element).overflowX !== "visible")
      problems.push(`${element.tagName} is cut off: ${words}`);
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
    spec = importlib.util.spec_from_file_location("_slides", ROOT / "notebooks" / "_slides.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        for check in (OUTSIDE, CROWDED, browser.FORMULAS, browser.IMAGES):
            problems += [f"slide {h + 1}.{v + 1}: {problem}" for problem in slide.evaluate(check)]
    page.context.close()
    return problems, len(places)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slide(maker, chromium, path, tmp_path):
    (tmp_path / "deck.html").write_text(maker.deck(path), encoding="utf-8")
    problems, count = problems_of(chromium, tmp_path / "deck.html")
    assert problems == []
    assert count >= 10
