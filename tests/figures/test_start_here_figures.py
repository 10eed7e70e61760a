import numpy as np
import pytest

from lecture_utils.figures.start_here import gaussian_policies, promise_and_return, returns_by_policy


def labels(ax):
    return [text.get_text() for text in ax.texts]


def test_returns_show_every_episode_and_the_mean():
    (ax,) = returns_by_policy({"random": np.array([-1200.0, -1000.0]), "best": np.array([-200.0, -100.0, 0.0])}).axes
    assert labels(ax) == ["mean -1100", "mean -100"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["random", "best"]
    dots = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "None"]
    assert [list(x) for x in dots] == [[-1200, -1000], [-200, -100, 0]]


def test_log_density_of_the_marked_action():
    (ax,) = gaussian_policies([(0.0, 1.0), (1.0, 0.1)], action=1.0).axes
    assert labels(ax) == [r"log $\pi$ = -1.42", r"log $\pi$ = 1.38"]
    marks = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    np.testing.assert_allclose(marks, [0.24197, 3.98942], rtol=1e-4)


def test_promise_is_a_median_and_the_return_a_mean():
    objective, change = np.array([[1.0, 2.0, 9.0], [2.0, 4.0, 99.0]]), np.array([[0.0, 1.0, 2.0], [-6.0, 0.0, 0.0]])
    left, right = promise_and_return([1, 10], objective, change).axes
    assert list(left.lines[0].get_ydata()) == [2, 4]
    (mean,) = [line for line in right.lines if line.get_linestyle() == "--"]
    assert list(mean.get_ydata()) == [pytest.approx(1), pytest.approx(-2)]
