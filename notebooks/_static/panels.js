// Panels that move without a kernel. The notebook's figure stands in the page; where scripts run, sliders and plots
// that they move take its place. Everything is in the page: the plots (a template), the numbers and the sliders (JSON).

// As the notebooks write a number into a path.
const short = x => String(Number((Object.is(x, -0) ? 0 : x).toFixed(3)));
const path = corners => "M" + corners.map(([x, y]) => `${short(x)} ${short(y)}`).join("L");
const series = column => path(column.map((y, x) => [x, y]));
const filled = column => `${series(column)}L${column.length - 1} 0L0 0Z`;
const signed = x => {
  const rounded = Math.abs(x) < 0.005 ? 0 : x;
  return (rounded < 0 ? "\u2212" : "+") + Math.abs(rounded).toFixed(2);
};

const PANELS = {
  clip({advantage: A, clip, ratio: r}, {end, tip, head}) {
    const low = 1 - clip, high = 1 + clip;
    const above = r > high + 1e-9, below = r < low - 1e-9;
    const objective = Math.min(r * A, Math.min(Math.max(r, low), high) * A);
    const gradient = (above && A > 0) || (below && A < 0) ? 0 : A;
    const alone = above || below ? 0 : A;
    const side = Math.sign(gradient), back = r + side * (tip - head[0]);
    const arrow = gradient === 0 ? "M0 0" : path([[r, objective], [r + side * tip, objective]])
      + path([[back, objective + head[1]], [r + side * tip, objective], [back, objective - head[1]]]);
    const numbers = `A = ${signed(A)}, ε = ${clip.toFixed(2)}, r = ${r.toFixed(2)}: the objective is ${signed(objective)}, `;
    const push = `and its gradient ${signed(gradient)} pushes r ${gradient > 0 ? "up" : "down"}`;
    return {
      curves: {
        band: `M${short(low)} -9H${short(high)}V9H${short(low)}Z`,
        unclipped: path([[0, 0], [end, end * A]]),
        clipped: path([[0, low * A], [low, low * A], [high, high * A], [end, high * A]]),
        min: path(A >= 0 ? [[0, 0], [high, high * A], [end, high * A]] : [[0, low * A], [low, low * A], [end, end * A]]),
        gradient: path(A >= 0 ? [[0, A], [high, A], [high, 0], [end, 0]] : [[0, 0], [low, 0], [low, A], [end, A]]),
        "clip alone": path([[0, 0], [low, 0], [low, A], [high, A], [high, 0], [end, 0]]),
        arrow,
        dot: `M${short(r)} ${short(objective)}h0`,
        "gradient dot": `M${short(r)} ${short(gradient)}h0`,
      },
      state: numbers + (gradient === 0 ? "and it has no gradient."
        : push + (alone === 0 ? ", where the clip alone would have none." : ".")),
    };
  },

  lambda({gae_lambda: lambda}, {rewards, values, next_values, gamma}) {
    const advantages = new Array(rewards.length);
    let carried = 0;
    for (let t = rewards.length - 1; t >= 0; t--) {
      const delta = rewards[t] + gamma * next_values[t] - values[t];
      carried = advantages[t] = delta + gamma * lambda * carried;
    }
    return {
      curves: {
        up: filled(advantages.map(x => Math.max(x, 0))),
        down: filled(advantages.map(x => Math.min(x, 0))),
        advantage: series(advantages),
      },
      state: `λ = ${lambda.toFixed(2)}: the effective horizon is ${(1 / (1 - gamma * lambda)).toFixed(1)} steps.`,
    };
  },
};

function startPanel(panel, number) {
  const {kind, numbers, sliders} = JSON.parse(panel.querySelector("script").textContent);
  const plots = panel.querySelector("template").content.cloneNode(true);
  const state = plots.querySelector(".panel-state");
  state.setAttribute("role", "status");
  const controls = document.createElement("div"), inputs = {};
  controls.className = "panel-sliders";
  for (const {name, label, min, max, step, value} of sliders) {
    const input = document.createElement("input"), words = document.createElement("label"), shown = document.createElement("span");
    Object.assign(input, {type: "range", id: `panel-${number}-${name}`, min, max, step, value});
    Object.assign(words, {htmlFor: input.id, textContent: label});
    shown.className = "panel-value";
    shown.setAttribute("aria-hidden", "true");  // the slider itself says it
    input.addEventListener("input", draw);
    inputs[name] = [input, shown];
    controls.append(words, input, shown);
  }
  function draw() {
    const values = {};
    for (const [name, [input, shown]] of Object.entries(inputs)) {
      values[name] = Number(input.value);
      shown.textContent = values[name].toFixed(2).replace("-", "\u2212");
      input.setAttribute("aria-valuetext", shown.textContent);
    }
    const {curves, state: sentence} = PANELS[kind](values, numbers);
    for (const curve of panel.querySelectorAll("[data-curve]"))
      if (curve.dataset.curve in curves) curve.setAttribute("d", curves[curve.dataset.curve]);
    state.textContent = sentence;
  }
  panel.append(controls, plots);
  panel.classList.add("moves");
  draw();
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("div.panel").forEach(startPanel));
