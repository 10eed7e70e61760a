"""Driving a browser: finding it, opening pages in it with the network cut off, and what is wrong with what it shows."""

import contextlib

import pytest
from _pdf import ARGUMENTS, NAMES, executable

HERE = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:")


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

# Every font that the styles name, loaded; a file that is missing or no font is an error.
LOAD_FONTS = "() => Promise.all([...document.fonts].map(face => face.load())).then(faces => faces.length)"

# A script that stands on the line of its base, or away from it, as where a browser finds no table of a mathematical
# font. An empty box beside each part shows where its line is.
SCRIPTS = """root => {
  const NAMESPACE = "http://www.w3.org/1998/Math/MathML";
  const line = part => {
    const row = document.createElementNS(NAMESPACE, "mrow"), mark = document.createElementNS(NAMESPACE, "mspace");
    part.replaceWith(row);
    row.append(part, mark);
    return mark;
  };
  const problems = [], places = {msub: ["lower"], msup: ["upper"], msubsup: ["lower", "upper"]};
  for (const e of root.querySelectorAll("msub, msup, msubsup")) {
    if (!e.checkVisibility()) continue;
    const [base, ...scripts] = [...e.children].map(line).map(mark => mark.getBoundingClientRect().y);
    const {top} = e.children[0].getBoundingClientRect(), em = parseFloat(getComputedStyle(e).fontSize);
    places[e.tagName].forEach((place, i) => {
      const beyond = place === "lower" ? scripts[i] - base : base - scripts[i];
      if (beyond < 0.1 * em) problems.push(`${place} script on the line of its base: ${e.textContent}`);
      if (place === "upper" && scripts[i] < top) problems.push(`upper script away from its base: ${e.textContent}`);
    });
  }
  return problems;
}"""

# Marks an element for every character in every style, what stands before and after elements included. Gives the texts
# whose style begins with no font of the lecture, and the characters that are drawn as one that no font has.
MARK_TEXTS = r"""() => {
  const seen = new Set(), problems = [];
  const canvas = new OffscreenCanvas(40, 40).getContext("2d", {willReadFrequently: true});
  const drawn = (character, {fontFamily, fontStyle, fontWeight}) => {
    canvas.clearRect(0, 0, 40, 40);
    canvas.font = `${fontStyle} ${fontWeight} 20px ${fontFamily}`;
    canvas.fillText(character, 5, 30);
    return canvas.getImageData(0, 0, 40, 40).data.join();
  };
  const texts = e => {
    const own = [...e.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data).join("");
    const around = ["::before", "::after"].map(place => getComputedStyle(e, place));
    const words = around.filter(style => style.content.startsWith('"')).map(style => [style.content, style]);
    return [[own + (e.placeholder ?? ""), getComputedStyle(e)], ...words];
  };
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility()) continue;
    texts(e).forEach(([text, style], place) => {
      if (!place && text.trim() && !style.fontFamily.startsWith('"Lecture '))
        problems.push(`${style.fontFamily.slice(0, 40)} for: ${text.trim().slice(0, 40)}`);
      for (const character of text.replace(/\s/g, "")) {
        const key = [character, style.fontFamily, style.fontStyle, style.fontWeight].join();
        if (seen.has(key)) continue;
        seen.add(key);
        e.dataset.characters = "";
        if (drawn(character, style) === drawn("\u0378", style)) problems.push(`no glyph for ${character} in: ${text}`);
      }
    });
  }
  return problems;
}"""


def foreign_fonts(page):
    """Texts of an open page that its own fonts do not draw."""
    page.evaluate(LOAD_FONTS)
    problems = page.evaluate(MARK_TEXTS)
    tools = page.context.new_cdp_session(page)
    tools.send("DOM.enable")
    tools.send("CSS.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    marked = tools.send("DOM.querySelectorAll", {"nodeId": root, "selector": "[data-characters]"})["nodeIds"]
    texts = page.evaluate("[...document.querySelectorAll('[data-characters]')].map(e => e.textContent.slice(0, 40))")
    for node, text in zip(marked, texts, strict=True):
        fonts = tools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        problems += [f"{font['familyName']} in: {text}" for font in fonts if not font["isCustomFont"]]
    return problems
