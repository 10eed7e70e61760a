"""Pictures of the pendulum: film strip and animation.

Both are drawn with matplotlib alone, as Gymnasium draws it: upright is up, a positive angle leans to the left.
Observations are (T, 3) arrays of cos theta, sin theta, theta_dot, or (T,) angles theta in rad.
"""

import base64
import io

import numpy as np
from IPython.display import Markdown, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from lecture_utils.figures.style import PALETTE, fixed_settings, new_figure
from lecture_utils.pendulum import MAX_TORQUE, TIME_STEP, wrap_angle

DEGREES_PER_TORQUE = 60  # the arrow's sweep for 1 N m


def angles(observations):
    """(T, 3) observations or (T,) angles -> theta (T,) in rad, in [-pi, pi). ValueError for other shapes."""
    observations = np.asarray(observations, dtype=float)
    if observations.ndim == 1 and len(observations):
        return wrap_angle(observations)
    if observations.ndim == 2 and observations.shape[1] == 3 and len(observations):
        return np.arctan2(observations[:, 1], observations[:, 0])
    raise ValueError(f"observations must have shape (T, 3), or (T,) for angles, with T > 0, got {observations.shape}")


@fixed_settings()
def film_strip(observations, rewards=None, actions=None, frames=8):
    """`frames` pictures, evenly spaced in time, side by side; the pale rods are 0.05, 0.1 and 0.15 s earlier.

    rewards (T,) are written below the pictures; actions (T,) or (T, 1), torques in N m, are drawn as arrows around
    the pivot. To look at the swing-up only, pass the first steps only.
    """
    theta = angles(observations)
    rewards, torques = _per_step("rewards", rewards, theta), _per_step("actions", actions, theta)
    if not isinstance(frames, (int, np.integer)) or not 1 <= frames <= len(theta):
        raise ValueError(f"frames must be a whole number from 1 to the {len(theta)} steps given, got {frames!r}")
    figure, axes = new_figure(1, int(frames), width=1.15 * frames, height=1.75, squeeze=False)
    for ax, t in zip(axes[0], np.linspace(0, len(theta) - 1, frames).round().astype(int), strict=True):
        rod, arrow = _stage(ax)
        for age, earlier in enumerate(theta[max(t - 3, 0) : t][::-1], start=1):
            ax.plot(*_rod(earlier), color=PALETTE["blue"], alpha=0.4 / age, linewidth=4, linestyle="-", zorder=1)
        rod.set_data(*_rod(theta[t]))
        if torques is not None:
            _turn(arrow, torques[t])
        ax.set_title(f"{t * TIME_STEP:.1f} s", fontsize=10)
        if rewards is not None:
            ax.set_xlabel(f"{rewards[t].round(1) + 0.0:.1f}", fontsize=10)  # + 0.0: no "-0.0"
    return figure


@fixed_settings()
def animation(observations, actions=None, titles=None, every=2, loops=3, width=2.2):
    """An episode, or several side by side, as the bytes of an animated PNG in real time.

    observations: (T, 3) or (T,), or a list of such, one a panel (shorter ones stop at their end). actions: the same
    for torques in N m, or None. titles: one a panel. every: only each so many-th step is drawn. loops: how often it
    plays; it ends on its last picture. width: inches a panel.
    """
    episodes = observations if isinstance(observations, (list, tuple)) else [observations]
    thetas = [angles(x) for x in episodes]
    actions = [None] * len(thetas) if actions is None else actions if isinstance(actions, (list, tuple)) else [actions]
    titles = [""] * len(thetas) if titles is None else [titles] if isinstance(titles, str) else titles
    if not len(thetas) == len(actions) == len(titles):
        raise ValueError(f"got {len(thetas)} episodes, but {len(actions)} of actions and {len(titles)} titles")
    torques = [_per_step("actions", x, theta) for x, theta in zip(actions, thetas, strict=True)]

    figure, axes = new_figure(1, len(thetas), width=width * len(thetas), height=width + 0.55, squeeze=False)
    figure.get_layout_engine().set(h_pad=0.1)
    stages = [_stage(ax) for ax in axes[0]]
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    clock = figure.supxlabel("0.0 s", fontsize=10)
    canvas, pictures = FigureCanvasAgg(figure), []
    for t in range(0, max(map(len, thetas)), every):
        for theta, torque, (rod, arrow) in zip(thetas, torques, stages, strict=True):
            now = min(t, len(theta) - 1)
            rod.set_data(*_rod(theta[now]))
            if torque is not None:
                _turn(arrow, torque[now])
        clock.set_text(f"{t * TIME_STEP:.1f} s")
        canvas.draw()
        figure.set_layout_engine("none")  # laid out once: the panels must not jitter
        pictures.append(np.array(canvas.buffer_rgba())[..., :3])
    # One palette for all, from pictures spread over the episode: the first may show no torque.
    palette = Image.fromarray(np.concatenate(pictures[:: max(len(pictures) // 8, 1)])).quantize(32)
    pictures = [Image.fromarray(x).quantize(palette=palette, dither=Image.Dither.NONE) for x in pictures]
    data = io.BytesIO()
    pictures[0].save(
        data, format="PNG", save_all=True, append_images=pictures[1:], duration=1000 * TIME_STEP * every, loop=loops
    )
    return data.getvalue()


def show_animation(data, caption):
    """Display the bytes of an animated PNG with its caption below, which is its alternative text too."""
    bundle = {"image/png": base64.b64encode(data).decode(), "text/plain": "<Animation>"}
    display(bundle, metadata={"image/png": {"alt": caption}}, raw=True)
    display(Markdown(f"*{caption}*"))


def _per_step(name, values, theta):
    if values is None:
        return None
    values = np.asarray(values, dtype=float)
    if values.shape not in [theta.shape, (*theta.shape, 1)]:
        raise ValueError(f"{name} must hold one number for each of the {len(theta)} observations, got {values.shape}")
    return values.reshape(theta.shape)


def _rod(theta):
    return [0, -np.sin(theta)], [0, np.cos(theta)]


def _stage(ax):
    """An empty stage with the goal, and the rod and arrow to be moved on it."""
    ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#bbbbbb")
    ax.plot([0, 0], [0, 1], color=PALETTE["grey"], linestyle=":", linewidth=1.5, zorder=0)
    (rod,) = ax.plot([], [], color=PALETTE["blue"], linewidth=5, linestyle="-", solid_capstyle="round")
    ax.plot(0, 0, "o", color=PALETTE["black"], markersize=5)
    (line,) = ax.plot([], [], color=PALETTE["orange"], linewidth=2, linestyle="-")
    (head,) = ax.plot([], [], color=PALETTE["orange"], linestyle="")
    return rod, (line, head)


def _turn(arrow, torque):
    """Draw the torque as an arc below the pivot: anticlockwise, to the right, where it is positive."""
    line, head = arrow
    sweep = np.deg2rad(DEGREES_PER_TORQUE * np.clip(torque, -MAX_TORQUE, MAX_TORQUE))
    bow = -np.pi / 2 + np.linspace(0, sweep, 30)
    line.set_data(0.45 * np.cos(bow), 0.45 * np.sin(bow))
    head.set_data(line.get_xdata()[-1:], line.get_ydata()[-1:])
    head.set_marker((3, 0, np.rad2deg(bow[-1]) + (0 if sweep > 0 else 180)))
    head.set_markersize(7 if abs(sweep) > 0.1 else 0)
