// What scrolls by itself, as a wide formula on a phone does, can be reached by the keyboard too.
function reachScrollers() {
  for (const box of document.querySelectorAll("div.formula, div.cell_output, div.output, .pst-scrollable-table-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
  }
}
window.addEventListener("load", reachScrollers);
window.addEventListener("resize", reachScrollers);
document.addEventListener("toggle", reachScrollers, true);  // what was folded has a width now

// A fold that hides what an address leads to opens.
function openFolds() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
}
window.addEventListener("hashchange", openFolds);
document.addEventListener("DOMContentLoaded", openFolds);

// On paper nothing is folded; afterwards what was closed is closed again.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("article details:not([open])")];
  for (const fold of opened) fold.open = true;
});
window.addEventListener("afterprint", () => opened.splice(0).forEach(fold => { fold.open = false; }));

// An animated picture plays a few times and rests; a button plays it again. Its data is asked for under another address
// each time, or the browser would go on with the one that rests.
function addReplay(image) {
  const button = document.createElement("button"), address = image.src.split("#")[0];
  let times = 0;
  Object.assign(button, {type: "button", className: "replay", textContent: "Play again"});
  button.addEventListener("click", () => {
    times += 1;
    image.src = `${address}#${times}`;
  });
  image.after(button);
}
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("img.animation").forEach(addReplay));
