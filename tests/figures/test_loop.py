"""The picture of the loop: what is lit, and that every text lies inside its box."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from lecture_utils.figures.loop import BOXES, LIT, loop


def boxes_of(figure):
    return {patch.get_gid(): patch for patch in figure.axes[0].patches if patch.get_gid()}


@pytest.mark.parametrize("lit", [(), ("collect",), ("freeze", "learn"), (*BOXES, "repeat")])
def test_lights_what_is_asked_for_and_nothing_else(lit):
    boxes = boxes_of(loop(*lit))
    assert list(boxes) == ["collect", "judge", "freeze", "learn"]  # in the order of the loop
    yellow = {name for name, box in boxes.items() if to_hex(box.get_facecolor()).upper() == LIT}
    assert yellow == set(lit) - {"repeat"}
    assert all((boxes[name].get_linewidth() > 2) == (name in lit) for name in boxes)  # seen in greyscale too


def test_every_text_is_inside_its_box():
    figure = loop()
    FigureCanvasAgg(figure).draw()
    boxes = {name: box.get_window_extent() for name, box in boxes_of(figure).items()}
    for name, words in BOXES.items():
        (text,) = [text for text in figure.axes[0].texts if text.get_text() == words]
        inside, frame = text.get_window_extent(), boxes[name]
        assert frame.x0 < inside.x0 < inside.x1 < frame.x1, name
        assert frame.y0 < inside.y0 < inside.y1 < frame.y1, name


def test_refuses_a_name_that_is_no_box():
    with pytest.raises(ValueError, match="'clip'"):
        loop("clip")
