"""Driving a browser: finding it, opening pages in it with the network cut off, and what is wrong with what it shows."""

import contextlib
import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
HERE = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]


def executable():
    """Path of an installed browser, or None; the variable CHROMIUM names one elsewhere."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for found in map(shutil.which, NAMES) if found), None)


@contextlib.contextmanager
def open_browser():
    """A browser that Playwright drives; the test is skipped where there is none."""
    if executable() is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed, and CHROMIUM names none")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").sync_playwright()
    with playwright as driver:
        browser = driver.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


def open_page(browser, width=1280, height=720, **context):
    """A page without a network and the list of what went wrong in it: requests to outside, errors, files not found."""
    page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
    problems = []

    def guard(route):
        if route.request.url.startswith(HERE):
            route.continue_()
        else:
            problems.append(f"asks the network for {route.request.url}")
            route.abort()

    page.route("**/*", guard)
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(f"not loaded: {request.url[:200]}"))
    return page, problems


# A picture of one pixel, PNG in base64.
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

# Formulas that are drawn are MathML with a size; TeX that stands in the text was never converted.
FORMULAS = r"""root => {
  const problems = [];
  for (const math of root.querySelectorAll("math")) {
    const box = math.getBoundingClientRect();
    if (math.checkVisibility() && !(box.width > 1 && box.height > 1))
      problems.push("formula not drawn: " + math.textContent);
    if (math.querySelector("merror")) problems.push("formula with an error: " + math.textContent);
  }
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (parent.closest("pre, code, script, style, annotation, textarea")) continue;
    const raw = node.data.match(/\$[^$]+\$|\\[a-z]{2,}|\\[(\[]/i);
    if (raw) problems.push("raw TeX: " + raw[0]);
  }
  return problems;
}"""

IMAGES = """async root => {
  const problems = [];
  for (const image of root.querySelectorAll("img")) {
    image.loading = "eager";
    try { await image.decode(); } catch { problems.push("image not loaded: " + image.src.slice(0, 100)); continue; }
    if (!(image.naturalWidth > 0)) problems.push("image is empty: " + image.src.slice(0, 100));
    if (!image.alt.trim()) problems.push("image without alternative text: " + image.src.slice(0, 100));
  }
  return problems;
}"""
