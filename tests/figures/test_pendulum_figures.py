import base64
import io

import numpy as np
import pytest
from PIL import Image

from lecture_utils.figures import pendulum
from lecture_utils.figures.pendulum import angles, animation, film_strip

FALL = np.linspace(0.1, 3.0, 60)  # theta, rad: leaning left, then hanging
OBSERVATIONS = np.stack([np.cos(FALL), np.sin(FALL), np.ones(60)], axis=1)


def pictures(data):
    image = Image.open(io.BytesIO(data))
    frames = []
    for i in range(image.n_frames):
        image.seek(i)
        frames.append(np.asarray(image.convert("RGB")).astype(int))
    return image, frames


def rod_tip(ax):
    """Where the thick rod ends."""
    (rod,) = [line for line in ax.lines if line.get_linewidth() == 5]
    return rod.get_xdata()[-1], rod.get_ydata()[-1]


def test_angles_of_observations_and_of_angles_agree():
    np.testing.assert_allclose(angles(OBSERVATIONS), FALL)
    np.testing.assert_allclose(angles(FALL + 2 * np.pi), FALL)


@pytest.mark.parametrize("wrong", [np.zeros((5, 2)), np.zeros((0, 3)), np.zeros((2, 5, 3)), 1.0])
def test_wrong_observations_are_refused(wrong):
    with pytest.raises(ValueError, match="observations must have shape"):
        angles(wrong)


def test_film_strip_draws_the_rod_as_gymnasium_does():
    """Upright is up, and a positive angle leans to the left."""
    figure = film_strip([0.0, np.pi / 2, np.pi], frames=3)
    np.testing.assert_allclose([rod_tip(ax) for ax in figure.axes], [(0, 1), (-1, 0), (0, -1)], atol=1e-12)


def test_film_strip_tells_time_and_reward_of_the_frames_that_it_shows():
    figure = film_strip(OBSERVATIONS, rewards=-np.arange(60.0), frames=3)
    assert [ax.get_title() for ax in figure.axes] == ["0.0 s", "1.5 s", "3.0 s"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["0.0", "-30.0", "-59.0"]


@pytest.mark.parametrize(("torque", "side"), [(2.0, 1), (-2.0, -1)])
def test_the_arrow_turns_anticlockwise_for_a_positive_torque(torque, side):
    (ax,) = film_strip([0.0], actions=[[torque]], frames=1).axes
    (arc,) = [line for line in ax.lines if len(line.get_xdata()) == 30]
    assert arc.get_ydata()[0] == pytest.approx(-0.45)  # it starts below the pivot
    assert np.sign(arc.get_xdata()[-1]) == side


@pytest.mark.parametrize("frames", [0, 61, 2.5])
def test_film_strip_refuses_a_wrong_number_of_frames(frames):
    with pytest.raises(ValueError, match="frames must be a whole number from 1 to the 60 steps"):
        film_strip(OBSERVATIONS, frames=frames)


@pytest.mark.parametrize("name", ["rewards", "actions"])
def test_film_strip_refuses_numbers_that_do_not_fit_the_steps(name):
    with pytest.raises(ValueError, match=f"{name} must hold one number for each of the 60"):
        film_strip(OBSERVATIONS, **{name: np.zeros(59)})


def test_animation_plays_in_real_time_and_ends():
    image, frames = pictures(animation(OBSERVATIONS[:20], every=2, loops=3))
    assert image.format == "PNG"
    assert len(frames) == 10
    assert image.info["duration"] == 100  # ms: two steps of 0.05 s
    assert image.info["loop"] == 3


def test_animation_moves_only_the_rod_that_moves():
    still, fall = np.zeros(20), FALL[:20]
    _, frames = pictures(animation([still, fall], titles=["still", "falls"]))
    change = np.abs(frames[0] - frames[-1]).max(axis=(0, 2))
    # Beyond the clock, which stands in the middle, the left half holds still and the right half does not.
    width = len(change)
    assert change[: width // 3].max() == 0
    assert change[2 * width // 3 :].max() > 50


def test_a_shorter_episode_stops_at_its_end():
    _, frames = pictures(animation([FALL[:10], FALL[:20]], every=1))
    assert len(frames) == 20
    left = [frame[:, : frame.shape[1] // 3] for frame in frames]
    assert all((frame == left[9]).all() for frame in left[9:])
    assert not (left[0] == left[9]).all()


def test_animation_of_an_episode_is_small_and_the_same_each_time():
    theta = np.cumsum(np.full(200, 0.2))
    data = animation([theta, theta[::-1]], [np.ones(200), -np.ones(200)], ["one", "two"])
    assert len(data) < 1_000_000
    assert data == animation([theta, theta[::-1]], [np.ones(200), -np.ones(200)], ["one", "two"])


@pytest.mark.parametrize(("actions", "titles"), [([np.ones(60)], None), (None, ["one"])])
def test_animation_refuses_lists_of_different_lengths(actions, titles):
    with pytest.raises(ValueError, match="got 2 episodes"):
        animation([FALL, FALL], actions, titles)


def test_animation_is_shown_with_alternative_text_and_caption(monkeypatch):
    shown = []
    monkeypatch.setattr(pendulum, "display", lambda *args, **options: shown.append((args[0], options)))
    data = animation(FALL[:4])
    pendulum.show_animation(data, "A rod falls.")
    (bundle, options), (caption, _) = shown
    assert base64.b64decode(bundle["image/png"]) == data
    assert options["metadata"]["image/png"]["alt"] == "A rod falls."
    assert caption.data == "*A rod falls.*"
