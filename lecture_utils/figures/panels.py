"""Slider panels: each redraws a figure for the values that are set."""

import html

import ipywidgets
from IPython.display import display

from lecture_utils.figures import a2c_vs_ppo, gae, ratio_and_clip
from lecture_utils.figures.style import png

WITHOUT_KERNEL = (
    "A panel with sliders: run this notebook in JupyterLab (make lab) to move them. "
    "The picture beside it shows the same."
)


def panel(draw, **sliders):
    """Sliders that redraw `draw(**values)`, which returns (figure, caption).

    sliders: one ipywidgets control for each argument of draw. A page without a kernel shows a line of text instead.
    """

    picture = ipywidgets.HTML()  # an Output widget would send its display messages where no page takes them

    def redraw(_=None):
        figure, caption = draw(**{name: control.value for name, control in sliders.items()})
        caption = html.escape(caption)
        image = f'<img alt="{caption}" style="max-width: 100%" src="data:image/png;base64,{png(figure)}">'
        picture.value = f"{image}<p><em>{caption}</em></p>"

    for control in sliders.values():
        control.observe(redraw, "value")
    redraw()
    box = ipywidgets.VBox([*sliders.values(), picture])
    bundle = box._repr_mimebundle_()
    bundle["text/plain"] = WITHOUT_KERNEL
    bundle["text/html"] = f"<p><em>{WITHOUT_KERNEL}</em></p>"
    display(bundle, raw=True)


def slider(value, low, high, step, label):
    """A labelled slider for one number, moved by mouse or arrow keys."""
    return ipywidgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=label, style={"description_width": "10em"},
        layout={"width": "30em"}, continuous_update=False,
    )  # fmt: skip


def clip_panel():
    """The clipped objective, its branches and its gradient at one ratio: sliders for A, epsilon and r."""

    def draw(advantage, clip, ratio):
        caption = "The objective (left) and its gradient (right) over the ratio; the dot is r, the grey band 1 ± ε."
        return ratio_and_clip.one_case(advantage, clip, ratio), caption

    panel(
        draw,
        advantage=slider(1.0, -2.0, 2.0, 0.1, "advantage A"),
        clip=slider(0.2, 0.05, 0.5, 0.05, "clip ε"),
        ratio=slider(1.4, 0.05, 2.4, 0.05, "ratio r"),
    )


def lambda_panel(rewards, values, next_values, *, gamma):
    """The advantages of one recorded episode, arrays (T,), for the lambda of a slider."""

    def draw(gae_lambda):
        caption = (
            f"The critic's values and the rewards (top), and the advantages for λ = {gae_lambda:g} (bottom); "
            f"the effective horizon is {1 / (1 - gamma * gae_lambda):.1f} steps."
        )
        return gae.episode(rewards, values, next_values, gamma=gamma, lambdas=[gae_lambda]), caption

    panel(draw, gae_lambda=slider(0.85, 0.0, 1.0, 0.05, "λ"))


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
