"""Print the decks and the pages with Chromium: `python notebooks/_pdf.py build`, which is `make pdf`.

Reads build/slides/*.html and build/*.html and writes build/pdf/slides/ and build/pdf/. What is folded on a page is open
on paper, an answer below its prediction; on a deck it has a sheet of its own after that of the prediction.
"""

import contextlib
import os
import pathlib
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]
MARGIN = 15  # millimetres around a page
A4 = (210, 297)
PIXELS = 96 / 25.4  # CSS pixels in a millimetre

# What a printed page cuts off, with the window as wide as the paper between its margins.
SPILLS = """width => {
  const problems = [];
  for (const e of document.querySelectorAll("article *")) {
    if (!e.checkVisibility() || e.closest("svg, math")) continue;
    const words = (e.innerText || e.alt || "").trim().slice(0, 50);
    if (e.getBoundingClientRect().right > width + 1) problems.push(`${e.tagName} reaches beyond the margin: ${words}`);
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth && getComputedStyle(e).overflowX !== "visible")
      problems.push(`${e.tagName} is cut off: ${words}`);
  }
  return problems;
}"""
# What a sheet of a deck cuts off, or has closer to its edge than the slide on the screen has.
SHEET_SPILLS = """() => {
  const problems = [], sheets = [...document.querySelectorAll(".pdf-page")];
  sheets.forEach((sheet, i) => {
    const frame = sheet.getBoundingClientRect();
    for (const e of sheet.querySelectorAll("section *")) {
      const box = e.getBoundingClientRect();
      if (!box.width || !box.height || e.closest("aside.notes, annotation, svg")) continue;
      const words = (e.innerText || e.alt || "").trim().slice(0, 50);
      const [left, top] = [box.left - frame.left, box.top - frame.top];
      if (left < 63 || top < 15 || left + box.width > 1217 || top + box.height > 716)
        problems.push(`sheet ${i + 1}: ${e.tagName} reaches into the margin: ${words}`);
    }
  });
  if (!sheets.length) problems.push("no sheets");
  return problems;
}"""


def executable():
    """Path of an installed browser, or None; the variable CHROMIUM names one elsewhere."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for found in map(shutil.which, NAMES) if found), None)


@contextlib.contextmanager
def chromium():
    """A browser that Playwright drives."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


def put_on_paper(page):
    """Lay an open page out as on A4, all of it unfolded; what does not fit between its margins, as sentences."""
    width, height = (round((side - 2 * MARGIN) * PIXELS) for side in A4)
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(media="print", color_scheme="light")
    page.evaluate("Promise.all([...document.fonts].map(face => face.load()))")
    page.evaluate("for (const fold of document.querySelectorAll('article details')) fold.open = true")
    page.evaluate(
        "Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode().catch(() => 0) }))"
    )
    return page.evaluate(SPILLS, width)


def print_page(browser, path, pdf):
    """Print a page of the book on A4; what does not fit between its margins, as a list of sentences."""
    page = browser.new_page(color_scheme="light")
    page.goto(path.as_uri())
    problems = put_on_paper(page)
    side = f"{MARGIN}mm"
    page.pdf(path=pdf, format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), side), outline=True,
             tagged=True, print_background=True)  # fmt: skip
    page.close()
    return problems


def print_deck(browser, path, pdf):
    """Print a deck, a sheet for each step of a slide; what does not fit, as a list of sentences."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(path.as_uri() + "?print-pdf")
    page.wait_for_function("window.Reveal && Reveal.isReady() && document.querySelector('.pdf-page')")
    page.emulate_media(media="print")
    problems = page.evaluate(SHEET_SPILLS)
    page.pdf(path=pdf, prefer_css_page_size=True, print_background=True)
    page.close()
    return problems


def main(build):
    """Print everything in `build`; returns the problems."""
    pages, decks = sorted(build.glob("[0-9]*.html")), sorted(build.glob("slides/*.html"))
    if not pages or not decks:
        return [f"{build} has {len(pages)} pages and {len(decks)} decks: `make lecture slides` writes them first"]
    (build / "pdf" / "slides").mkdir(parents=True, exist_ok=True)
    problems = []
    with chromium() as browser:
        for printer, paths, folder in ((print_page, pages, "pdf"), (print_deck, decks, "pdf/slides")):
            for path in paths:
                found = printer(browser, path, build / folder / f"{path.stem}.pdf")
                problems += [f"{path.name}: {problem}" for problem in found]
    return problems


if __name__ == "__main__":
    found = main(pathlib.Path(sys.argv[1]).resolve())
    sys.exit("\n".join(found) if found else 0)
