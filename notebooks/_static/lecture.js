// What scrolls by itself, as a wide formula on a phone does, can be reached by the keyboard too.
function reachScrollers() {
  for (const box of document.querySelectorAll("div.formula, div.cell_output, div.output, .pst-scrollable-table-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
  }
}
window.addEventListener("load", reachScrollers);
window.addEventListener("resize", reachScrollers);
