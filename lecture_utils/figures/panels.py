"""Slider panels: each redraws a figure for the values that are set.

In JupyterLab the sliders are widgets. A page has no kernel: there panels.js moves the curves of those panels that
bring a `Live` picture, from the numbers that travel inside the figure's PNG.
"""

import base64
import dataclasses
import html
import json
import struct
import zlib

import ipywidgets
import numpy as np
from IPython.display import Markdown, display
from matplotlib.ticker import MaxNLocator

from lecture_utils import gae as advantages_of
from lecture_utils.figures import a2c_vs_ppo, gae, ratio_and_clip
from lecture_utils.figures.style import PALETTE, png

WITHOUT_KERNEL = (
    "A panel with sliders: run this notebook in JupyterLab (make lab) to move them. "
    "The picture beside it shows the same."
)
KEY = "lecture-panel"  # under which a PNG carries what its page needs to move it
TIP, HEAD = 0.3, (0.07, 0.11)  # length of the arrow in units of r, and its head in units of r and of the objective


@dataclasses.dataclass
class Live:
    """What lets a panel move without a kernel, and quickly with one.

    kind: the function of panels.js. picture(**values): HTML with one SVG a plot, whose paths are in the units of the
    data. numbers: what panels.js needs beyond the sliders' values. text: the caption, the same for all values.
    """

    kind: str
    picture: object
    numbers: dict
    text: str


def panel(draw, live=None, **sliders):
    """Sliders that redraw `draw(**values)`, which returns (figure, caption).

    sliders: one ipywidgets control for each argument of draw. live: a Live, whose picture takes the place of the
    figure where the panel moves. A page without a kernel shows a line of text instead, or the figure as it begins.
    """
    picture = ipywidgets.HTML()  # an Output widget would send its display messages where no page takes them

    def values():
        return {name: control.value for name, control in sliders.items()}

    def redraw(_=None):
        if live:
            picture.value = live.picture(**values())
            return
        figure, caption = draw(**values())
        caption = html.escape(caption)
        image = f'<img alt="{caption}" style="max-width: 100%" src="data:image/png;base64,{png(figure)}">'
        picture.value = f"{image}<p><em>{caption}</em></p>"

    for control in sliders.values():
        control.observe(redraw, "value")
    redraw()
    box = ipywidgets.VBox([*sliders.values(), picture])
    bundle = box._repr_mimebundle_()
    bundle["text/plain"] = WITHOUT_KERNEL
    if not live:
        bundle["text/html"] = f"<p><em>{WITHOUT_KERNEL}</em></p>"
        display(bundle, raw=True)
        return
    figure, caption = draw(**values())
    moving = {
        "kind": live.kind,
        "numbers": live.numbers,
        "picture": picture.value,
        "sliders": [
            {"name": name, "label": x.description, "min": x.min, "max": x.max, "step": x.step, "value": x.value}
            for name, x in sliders.items()
        ],
    }
    bundle["image/png"] = _with_text(png(figure), json.dumps(moving))
    display(bundle, metadata={"image/png": {"alt": f"{live.text} {caption}"}}, raw=True)
    display(Markdown(f"*{live.text}*"))


def _with_text(encoded, text):
    """A PNG in base64 that carries `text`, ASCII, under KEY: outputs are compared by their text, not by pictures."""
    data, chunk = base64.b64decode(encoded), b"tEXt" + KEY.encode() + b"\0" + text.encode("ascii")
    end_of_header = 33  # signature and IHDR
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return base64.b64encode(data[:end_of_header] + chunk + data[end_of_header:]).decode()


def slider(value, low, high, step, label):
    """A labelled slider for one number, moved by mouse or arrow keys."""
    return ipywidgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=label, style={"description_width": "10em"},
        layout={"width": "30em"},
    )  # fmt: skip


def clip_panel():
    """The clipped objective, its branches and its gradient at one ratio: sliders for A, epsilon and r."""

    def draw(advantage, clip, ratio):
        return ratio_and_clip.one_case(advantage, clip, ratio), _clip_state(advantage, clip, ratio)

    text = "The objective (left) and its gradient (right) over the ratio; the dot is r, the grey band 1 ± ε."
    panel(
        draw,
        live=Live("clip", _clip_picture, {"end": 2.0, "tip": TIP, "head": HEAD}, text),
        advantage=slider(1.0, -1.5, 1.5, 0.1, "advantage A"),
        clip=slider(0.2, 0.05, 0.5, 0.05, "clip ε"),
        ratio=slider(1.4, 0.05, 2.0, 0.05, "ratio r"),
    )


def _clip_curves(advantage, clip, end=2.0):
    """{name: corners (N, 2)} of the objective, its branches and their gradients over r in [0, end]."""
    low, high = 1 - clip, 1 + clip
    unclipped = [(r, r * advantage) for r in (0, end)]
    clipped = [(0, low * advantage), (low, low * advantage), (high, high * advantage), (end, high * advantage)]
    if advantage >= 0:
        objective = [(0, 0), (high, high * advantage), (end, high * advantage)]
        gradient = [(0, advantage), (high, advantage), (high, 0), (end, 0)]
    else:
        objective = [(0, low * advantage), (low, low * advantage), (end, end * advantage)]
        gradient = [(0, 0), (low, 0), (low, advantage), (end, advantage)]
    alone = [(0, 0), (low, 0), (low, advantage), (high, advantage), (high, 0), (end, 0)]
    return {"unclipped": unclipped, "clipped": clipped, "min": objective, "gradient": gradient, "clip alone": alone}


def _clip_at(advantage, clip, ratio):
    """(objective, its gradient, gradient of the clip alone) at one ratio; on the band's edge as inside."""
    above, below = ratio > 1 + clip + 1e-9, ratio < 1 - clip - 1e-9
    product, clipped = ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage
    stopped = (above and advantage > 0) or (below and advantage < 0)
    return min(product, clipped), 0.0 if stopped else advantage, 0.0 if above or below else advantage


def _clip_state(advantage, clip, ratio):
    """What the panel shows at one ratio, in a sentence for those who do not see it."""
    objective, gradient, alone = _clip_at(advantage, clip, ratio)
    numbers = f"A = {_signed(advantage)}, ε = {clip:.2f}, r = {ratio:.2f}: the objective is {_signed(objective)}, "
    if gradient == 0:
        return f"{numbers}and it has no gradient."
    push = f"and its gradient {_signed(gradient)} pushes r {'up' if gradient > 0 else 'down'}"
    return numbers + push + (", where the clip alone would have none." if alone == 0 else ".")


def _clip_picture(advantage, clip, ratio):
    """Both plots of the panel and its sentence as HTML."""
    curves, (objective, gradient, _) = _clip_curves(advantage, clip), _clip_at(advantage, clip, ratio)
    band = f"M{_n(1 - clip)} -9H{_n(1 + clip)}V9H{_n(1 - clip)}Z"
    left, right = Plot((0, 2), (-3.1, 3.1), "ratio r", "objective"), Plot((0, 2), (-1.9, 1.9), "ratio r", "gradient")
    for plot in (left, right):
        plot.area("band", band, "band")
    left.curve("unclipped", _path(curves["unclipped"]), "blue", 2, "7 4", "r A")
    left.curve("clipped", _path(curves["clipped"]), "orange", 2, "9 3 2 3", "clip(r) A")
    left.curve("min", _path(curves["min"]), "ink", 4, label="min", pale=True)
    left.curve("arrow", _arrow(ratio, objective, gradient), "ink", 2)
    left.curve("dot", f"M{_n(ratio)} {_n(objective)}h0", "ink", 12)
    right.curve("gradient", _path(curves["gradient"]), "ink", 4, label="with the min", pale=True)
    right.curve("clip alone", _path(curves["clip alone"]), "orange", 2, "9 3 2 3", "clip alone")
    right.curve("gradient dot", f"M{_n(ratio)} {_n(gradient)}h0", "ink", 12)
    plots = left.svg("The objective and its branches over the ratio") + right.svg("The gradient over the ratio")
    return f'<div class="panel-plots">{plots}</div>{_state(_clip_state(advantage, clip, ratio))}'


def lambda_panel(rewards, values, next_values, *, gamma):
    """The advantages of one recorded episode, arrays (T,), for the lambda of a slider."""
    # What a page computes with: rounded, and the same here, so that both draw the same curve.
    recorded = {
        "rewards": np.round(np.asarray(rewards, dtype=float), 3),
        "values": np.round(np.asarray(values, dtype=float), 3),
        "next_values": np.round(np.asarray(next_values, dtype=float), 3),
    }
    going_on = np.zeros(len(recorded["rewards"]))

    def compute(gae_lambda):
        return advantages_of(**recorded, terminated=going_on, gamma=gamma, gae_lambda=gae_lambda)

    every = np.stack([compute(x) for x in np.linspace(0, 1, 21)])
    limits = [(min(x.min(), 0), max(x.max(), 0)) for x in (np.stack([recorded["rewards"], recorded["values"]]), every)]
    steps = (0, len(going_on) - 1)

    def state(gae_lambda):
        return f"λ = {gae_lambda:.2f}: the effective horizon is {1 / (1 - gamma * gae_lambda):.1f} steps."

    def draw(gae_lambda):
        figure = gae.episode(rewards, values, next_values, gamma=gamma, lambdas=[gae_lambda])
        return figure, state(gae_lambda)

    def picture(gae_lambda):
        above = Plot(steps, limits[0], "", "reward, value", 560, 200)
        above.curve("value", _series(recorded["values"]), "green", 2, "7 4", "value V of the critic")
        above.curve("reward", _series(recorded["rewards"]), "ink", 2, label="reward")
        below, advantages = Plot(steps, limits[1], "t (steps of 0.05 s)", "advantage", 560, 230), compute(gae_lambda)
        below.area("up", _filled(np.maximum(advantages, 0)), "blue")
        below.area("down", _filled(np.minimum(advantages, 0)), "orange")
        below.curve("advantage", _series(advantages), "ink", 1)
        plots = above.svg("Rewards and the critic's values over the steps") + below.svg("Advantages over the steps")
        return f'<div class="panel-plots stacked">{plots}</div>{_state(state(gae_lambda))}'

    numbers = {name: column.tolist() for name, column in recorded.items()} | {"gamma": gamma}
    text = "The critic's values and the rewards (top), and the advantages for the λ of the slider (bottom)."
    panel(draw, live=Live("lambda", picture, numbers, text), gae_lambda=slider(0.85, 0.0, 1.0, 0.05, "λ"))


def seed_panel(logs):
    """One run of each algorithm, to be picked: logs is a dict of "A2C", "PPO" -> DataFrame, as train returns it."""
    final = {
        name: log[log.episode >= log.episode.max() - 249].groupby("run").reward.mean() for name, log in logs.items()
    }

    def draw(**runs):
        scores = " and ".join(f"{name} with seed {run} {final[name][run]:.0f}" for name, run in runs.items())
        return a2c_vs_ppo.one_seed(logs, runs), f"One run each. Over the last 250 episodes {scores}."

    sliders = {
        name: ipywidgets.IntSlider(value=0, min=0, max=len(final[name]) - 1, description=f"{name}, seed")
        for name in logs
    }
    panel(draw, **sliders)


class Plot:
    """Axes as SVG. What is drawn on them is in the units of the data, and `panels.js` moves it.

    Written by hand because matplotlib takes a tenth of a second for a picture and a slider asks for thirty in one.
    Colours are those of the page (`--panel-...` in lecture.css), or the palette's where there is no page.
    """

    COLORS = PALETTE | {"ink": "#1f1f1f", "band": "#bdbdbd"}
    LEFT, RIGHT, TOP, BOTTOM = 84, 14, 34, 52

    def __init__(self, x, y, xlabel, ylabel, width=440, height=310):
        self.width, self.height, self.curves, self.legend = width, height, [], []
        bottom = self.BOTTOM if xlabel else 30
        self.inner = width - self.LEFT - self.RIGHT, height - self.TOP - bottom
        margin = 0.04 * (y[1] - y[0] or 1)
        self.x, self.y = x, (y[0] - margin, y[1] + margin)
        self.scale = self.inner[0] / (x[1] - x[0]), self.inner[1] / (self.y[1] - self.y[0])
        self.xlabel, self.ylabel = xlabel, ylabel

    def area(self, name, path, color):
        self.curves.append(f'<path data-curve="{name}" d="{path}" style="fill: {self._color(color)}"/>')

    def curve(self, name, path, color, width, dashes="", label="", pale=False):
        looks = f"fill: none; stroke: {self._color(color)}; stroke-width: {width}; stroke-dasharray: {dashes or 'none'}"
        looks += "; stroke-opacity: 0.55" if pale else ""
        corner = "round" if width > 8 else "butt"
        style = f'style="{looks}" stroke-linecap="{corner}" vector-effect="non-scaling-stroke"'
        self.curves.append(f'<path data-curve="{name}" d="{path}" {style}/>')
        if label:
            self.legend.append((label, style))

    def svg(self, title):
        parts, ink, grid = [], self._color("ink"), "var(--panel-grid, #dddddd)"
        right, bottom = self.LEFT + self.inner[0], self.TOP + self.inner[1]
        for value in _ticks(self.x, 5):
            at = _n(self._across(value))
            parts.append(f'<path d="M{at} {self.TOP}V{_n(bottom)}" style="stroke: {grid}"/>')
            parts.append(f'<text x="{at}" y="{_n(bottom + 19)}" text-anchor="middle">{_label(value)}</text>')
        for value in _ticks(self.y, 5 if self.inner[1] > 160 else 3):
            at = _n(self._down(value))
            parts.append(f'<path d="M{self.LEFT} {at}H{_n(right)}" style="stroke: {grid}"/>')
            parts.append(f'<text x="{self.LEFT - 8}" y="{at}" dy="0.35em" text-anchor="end">{_label(value)}</text>')
        if self.y[0] < 0 < self.y[1]:
            zero = _n(self._down(0))
            parts.append(f'<path d="M{self.LEFT} {zero}H{_n(right)}" style="stroke: {ink}; stroke-opacity: 0.6"/>')
        place = f"{_n(self._across(0))} {_n(self._down(0))}"
        frame = f'x="{self.LEFT}" y="{self.TOP}" width="{_n(self.inner[0])}" height="{_n(self.inner[1])}"'
        inside = f'<svg {frame} viewBox="{self.LEFT} {self.TOP} {_n(self.inner[0])} {_n(self.inner[1])}">'
        moved = f'<g transform="translate({place}) scale({_n(self.scale[0])} {_n(-self.scale[1])})">'
        parts.append(f"{inside}{moved}{''.join(self.curves)}</g></svg>")
        parts.append(f'<path d="M{self.LEFT} {self.TOP}V{_n(bottom)}H{_n(right)}" style="fill: none; stroke: {ink}"/>')
        middle = f"{_n(self.LEFT + self.inner[0] / 2)}", f"{_n(self.TOP + self.inner[1] / 2)}"
        if self.xlabel:
            parts.append(f'<text x="{middle[0]}" y="{_n(bottom + 42)}" text-anchor="middle">{self.xlabel}</text>')
        parts.append(
            f'<text transform="translate(15 {middle[1]}) rotate(-90)" text-anchor="middle">{self.ylabel}</text>'
        )
        room = self.inner[0] / max(len(self.legend), 1)
        for i, (label, style) in enumerate(self.legend):
            start = self.LEFT + i * room
            parts.append(f'<path d="M{_n(start)} 17h26" {style}/><text x="{_n(start + 32)}" y="22">{label}</text>')
        head = f'<svg class="panel-plot" role="img" aria-label="{html.escape(title)}" font-size="14"'
        head += f' viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        paper = f'<rect width="100%" height="100%" style="fill: {self._paper()}"/>'
        return f'{head} style="max-width: 100%; fill: {ink}">{paper}{"".join(parts)}</svg>'

    def _color(self, name):
        return f"var(--panel-{name}, {self.COLORS[name]})"

    def _paper(self):
        return "var(--panel-paper, #ffffff)"

    def _across(self, value):
        return self.LEFT + (value - self.x[0]) * self.scale[0]

    def _down(self, value):
        return self.TOP + (self.y[1] - value) * self.scale[1]


def _ticks(limits, count):
    return [x for x in MaxNLocator(count).tick_values(*limits) if limits[0] <= x <= limits[1]]


def _label(value):
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _n(x):
    """A number for a path: at most three decimals, as panels.js writes it."""
    return f"{round(float(x), 3) + 0.0:g}" if abs(x) < 1000 else f"{x:.1f}"


def _path(corners):
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in corners)


def _series(column):
    return _path(enumerate(column))


def _filled(column):
    return f"{_series(column)}L{len(column) - 1} 0L0 0Z"


def _arrow(ratio, objective, gradient):
    """The arrow from the dot in the direction in which the gradient pushes r; nothing where it has none."""
    if gradient == 0:
        return "M0 0"
    side = np.sign(gradient)
    tip, back = ratio + side * TIP, ratio + side * (TIP - HEAD[0])
    corners = (back, objective + HEAD[1]), (tip, objective), (back, objective - HEAD[1])
    return f"M{_n(ratio)} {_n(objective)}L{_n(tip)} {_n(objective)}" + _path(corners)


def _state(sentence):
    return f'<p class="panel-state">{html.escape(sentence)}</p>'


def _signed(number):
    return f"{round(number, 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")
