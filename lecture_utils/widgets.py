"""Slider panels: each redraws a figure of plots_*.py for the values that are set."""

import ipywidgets
from IPython.display import display

from lecture_utils.plots import show

WITHOUT_KERNEL = "A panel with sliders: run this notebook in JupyterLab (make lab) to move them. The picture beside it shows the same."


def panel(draw, **sliders):
    """Sliders that redraw `draw(**values)`, which returns (figure, caption).

    sliders: one ipywidgets control for each argument of draw. A page without a kernel shows a line of text instead.
    """

    def redraw(**values):
        show(*draw(**values))

    box = ipywidgets.VBox([*sliders.values(), ipywidgets.interactive_output(redraw, sliders)])
    bundle = box._repr_mimebundle_()
    bundle["text/plain"] = WITHOUT_KERNEL
    bundle["text/html"] = f"<p><em>{WITHOUT_KERNEL}</em></p>"
    display(bundle, raw=True)
    return None


def slider(value, low, high, step, label):
    """A labelled slider for one number, moved by mouse or arrow keys."""
    return ipywidgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=label, style={"description_width": "10em"},
        layout={"width": "30em"}, continuous_update=False,
    )  # fmt: skip
