"""What a slide of a talk must hold to, measured in a browser at 1280 x 720."""

# Sizes of text that is seen, in pixels; rows of the frame that something stands in; what reaches outside, or into what
# stands there already; code whose lines are broken.
MEASURE = r"""([slide, points]) => {
  const problems = [], rows = new Set(), number = document.querySelector(".slide-number")?.getBoundingClientRect();
  const figures = [...slide.querySelectorAll("img.figure")].map(image => image.getBoundingClientRect());
  const seen = e => e.checkVisibility() && !e.closest("aside.notes, annotation, p.section");
  const mark = box => { for (let y = Math.round(box.top); y < box.bottom; y++) rows.add(y); };
  const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || !seen(parent)) continue;
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      mark(box);
      if (box.left < -0.5 || box.top < -0.5 || box.right > 1280.5 || box.bottom > 720.5)
        problems.push(`outside the frame: ${node.data.trim().slice(0, 40)}`);
      else if (number && box.left < number.right && box.bottom > number.top)
        problems.push(`runs into the slide's number: ${node.data.trim().slice(0, 40)}`);
      const over = f => box.top < f.bottom - 3 && box.bottom > f.top + 3 && box.left < f.right && box.right > f.left;
      if (figures.some(over))
        problems.push(`lies over a figure: ${node.data.trim().slice(0, 40)}`);
    }
    const size = parseFloat(getComputedStyle(parent).fontSize), least = parent.closest("pre, code") ? 20 : 24;
    if (size < least && !parent.closest("math"))
      problems.push(`${size} px, not ${least}: ${node.data.trim().slice(0, 40)}`);
  }
  for (const image of slide.querySelectorAll("img.figure")) {
    const box = image.getBoundingClientRect();
    const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    mark(box);
    const words = image.alt.slice(0, 40);
    if (scale * points < 16) problems.push(`figure text of ${(scale * points).toFixed(1)} px: ${words}`);
    if (box.right > 1280.5 || box.bottom > 720.5) problems.push(`outside the frame: a figure, ${words}`);
  }
  for (const pre of slide.querySelectorAll("pre.code")) {
    const style = getComputedStyle(pre), lines = pre.textContent.trimEnd().split("\n").length;
    if (pre.clientHeight > (lines + 0.5) * parseFloat(style.lineHeight) + 2 * parseFloat(style.paddingTop))
      problems.push(`a line of code is broken: ${pre.textContent.slice(0, 40)}`);
  }
  const filled = [...rows].filter(y => y >= 0 && y < 720).length / 720;
  if (filled < 0.2 || filled > 0.9) problems.push(`${Math.round(100 * filled)} % of the height is filled`);
  return problems;
}"""
FIGURE_TEXT = 11 / 72 * 110  # pixels of the figures' text at their own size: style.py's font.size and figure.dpi


KEYS = ("ArrowRight", " ", "PageDown")  # each of them walks through a deck


def walk(page, path, key=KEYS[0], look=lambda number, slide: []):
    """What `look` finds on the slides of a deck, all of it shown, and which of them a key alone does not reach."""
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.evaluate("Promise.all([...document.fonts].map(face => face.load()))")
    total, problems, reached = page.evaluate("Reveal.getTotalSlides()"), [], []
    for _ in range(6 * total):
        number = page.evaluate("Reveal.getSlidePastCount()")
        if number not in reached:
            reached.append(number)
        if page.evaluate("!document.querySelector('section.present .fragment:not(.visible)')"):
            problems += look(number, page.evaluate_handle("Reveal.getCurrentSlide()"))
            if page.evaluate("Reveal.isLastSlide()"):
                break
        page.keyboard.press(key)
    if reached != list(range(total)):
        problems.append(f"{key!r} reaches {len(reached)} of {total} slides")
    return problems, len(reached)


def check(page, path):
    """Everything wrong with a talk, walked through by the right arrow alone; and how many slides that reached."""

    def look(number, slide):
        found = page.evaluate(MEASURE, [slide, FIGURE_TEXT])
        return [f"slide {number + 1}: {problem}" for problem in dict.fromkeys(found)]

    return walk(page, path, look=look)
