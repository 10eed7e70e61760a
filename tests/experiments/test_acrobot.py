"""Acrobot in three forms: what is recorded is what the task says, and the forms differ in one thing each."""

import gymnasium
import numpy as np
import pytest
import torch

from lecture_utils.experiments import acrobot
from lecture_utils.experiments.cartpole import CARTPOLE

STEPS = CARTPOLE.episodes_per_update * CARTPOLE.rollout_steps


@pytest.fixture(scope="module")
def short():
    """Three updates of each form."""
    with pytest.warns(UserWarning, match="no episode"):
        return {form: acrobot.record(form, steps=3 * STEPS) for form in acrobot.FORMS}


def test_one_row_a_run_and_update(short):
    for form, log in short.items():
        assert tuple(log) == acrobot.COLUMNS
        assert (log.form == form).all()
        assert sorted(zip(log.run, log["update"], strict=True)) == [(r, k) for r in range(16) for k in range(3)]


def test_before_anything_is_learned_the_forms_are_the_same_task(short):
    first = [log[log["update"] == 0].highest.to_numpy() for log in short.values()]
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[0], first[2])
    assert all((log.highest != short[acrobot.FORMS[0]].highest).any() for log in list(short.values())[1:])


def test_the_height_is_that_of_the_task_and_the_line_is_at_1():
    env = gymnasium.make(acrobot.TASK)
    env.reset(seed=0)
    rng, heights, lines = np.random.default_rng(0), [], []
    for _ in range(200):
        env.unwrapped.state = state = rng.uniform(-np.pi, np.pi, 4)
        heights.append(acrobot.height(np.array(env.unwrapped._get_ob())))
        lines.append(env.unwrapped._terminal())
        assert heights[-1] == pytest.approx(-np.cos(state[0]) - np.cos(state[0] + state[1]), abs=1e-6)
    assert ((np.array(heights) > 1) == np.array(lines)).all()
    assert any(lines)


def test_the_second_form_expects_that_the_cost_goes_on_for_ever(monkeypatch):
    started = {}
    monkeypatch.setattr(acrobot, "train", lambda agent, **_: started.update(agent=agent) or agent.notes.append(
        (np.zeros(16), np.zeros(16))))  # fmt: skip
    values = {}
    for form in acrobot.FORMS:
        acrobot.record(form, steps=STEPS)
        values[form] = started["agent"].critic(torch.zeros(16, 1, 6)).detach().numpy()
    never = sum(-CARTPOLE.reward_scale * CARTPOLE.gamma**t for t in range(5000))
    np.testing.assert_allclose(values[acrobot.FORMS[1]] - values[acrobot.FORMS[0]], never, rtol=1e-4)
    np.testing.assert_array_equal(values[acrobot.FORMS[2]], values[acrobot.FORMS[0]])


def test_the_third_form_pays_for_the_arrival_alone():
    env = acrobot.make(acrobot.FORMS[2])
    env.reset(seed=0)
    assert env.step(0)[1] == 0
    env.unwrapped.state = np.array([np.pi, 0.0, 0.0, 0.0])
    assert env.step(1)[1:3] == (acrobot.PRIZE, True)
    assert acrobot.make(acrobot.FORMS[1]).spec == acrobot.make(acrobot.FORMS[0]).spec


def test_the_table_says_what_the_file_holds():
    log = acrobot.load_acrobot()
    table = acrobot.summary(log)
    for form in acrobot.FORMS:
        runs, arrivals, tips = log[log.form == form].groupby("run"), [], []
        for _, run in runs:
            ordered = run.sort_values("update")
            came = [k for k, n in zip(ordered["update"], ordered.arrived, strict=True) if n]
            arrivals.append(came[0] if came else np.inf)
            tips.append(ordered.highest.iloc[(came[0] if came else len(ordered)) - 1])
        assert table.loc[form, "runs that arrive"] == sum(map(np.isfinite, arrivals))
        assert table.loc[form, "first arrival, update"] == np.median(arrivals)
        assert table.loc[form, "tip before the arrival"] == pytest.approx(np.median(tips))
    first = acrobot.first_arrivals(log)
    assert table.loc[acrobot.FORMS[1], "later"] == (first[acrobot.FORMS[1]] > first[acrobot.FORMS[0]]).sum()
