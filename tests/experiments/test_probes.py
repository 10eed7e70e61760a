"""The probes pay what they say, PPO answers them right, and a wrong answer is noticed."""

import numpy as np
import pytest
import torch

from lecture_utils import PPO
from lecture_utils.experiments import museum, probes
from lecture_utils.experiments.probes import ENOUGH, PROBES, answers, load_probes, play, probe_table, target, verdicts

NAMES = list(PROBES)


def rollout_of(name, seeds=(0, 1)):
    probe = PROBES[name]
    agent = PPO(2, probe.action_dim, probe.recipe, seeds=seeds, action_limit=probes.LIMIT)
    return agent, play(agent, probe)


@pytest.mark.parametrize("name", NAMES)
def test_a_rollout_has_the_shapes_and_ends_where_the_task_does(name):
    probe, (agent, rollout) = PROBES[name], rollout_of(name)
    shape = 2, probe.recipe.episodes_per_update, probe.steps
    assert rollout.reward.shape == shape
    assert rollout.action.shape == (*shape, probe.action_dim)
    np.testing.assert_array_equal(rollout.next_observation[:, :, :-1], rollout.observation[:, :, 1:])
    assert (rollout.terminated[..., -1] == probe.ends).all()
    assert not rollout.terminated[..., :-1].any()
    told = agent.update(rollout)
    del told["explained_variance"]  # not defined where all returns are alike
    assert np.isfinite(list(told.values())).all()


def test_rewards_by_hand():
    _, nothing = rollout_of("nothing matters")
    assert (nothing.reward == 1).all()
    _, state = rollout_of("the state matters")
    np.testing.assert_array_equal(state.reward[..., 0], state.observation[..., 0, 0])
    assert set(np.unique(state.reward)) == {-1.0, 1.0}
    _, in_time = rollout_of("time matters")
    assert (in_time.reward == [0, 1]).all()
    assert (in_time.observation[..., 1] == [0, 1]).all()
    assert (in_time.next_observation[:, :, -1, 1] == 0).all(), "it would begin again"
    _, action = rollout_of("the action matters")
    np.testing.assert_allclose(action.reward, -((action.action[..., 0].clip(-2, 2) - 1) ** 2), rtol=1e-6)
    _, all_of_it = rollout_of("everything matters")
    coin, applied = all_of_it.observation[:, :, 0, 0], all_of_it.action.clip(-2, 2)
    for t, sign in enumerate((1, -1)):
        best = np.stack([sign * coin, -sign * coin], axis=-1)
        np.testing.assert_array_equal(target(coin, t), best)
        np.testing.assert_allclose(all_of_it.reward[:, :, t], -((applied[:, :, t] - best) ** 2).sum(-1), rtol=1e-5)


def told(values):
    """An `ask` that answers from a dict of (coin, t) -> (mean, std, value) for one run."""

    def ask(coin, t):
        mean, std, value = values[coin, t]
        return np.array([mean], float), np.array([std], float), np.array([value], float)

    return ask


def test_right_answers_by_hand():
    """The right answer is right, and each number of it that is wrong makes it wrong."""
    third = {(1, 0): ([0], [1], 2 / 3), (1, 1): ([0], [1], 4 / 3)}
    best = {(c, t): ([c * (-1) ** t, -c * (-1) ** t], [1, 1], 0) for c in (1, -1) for t in (0, 1)}
    right = {
        "nothing matters": {(1, 0): ([5], [2], 1)},
        "the state matters": {(1, 0): ([0], [1], 1), (-1, 0): ([0], [1], -1)},
        "time matters": third,
        "the action matters": {(1, 0): ([1], [0.3], 0)},
        "everything matters": best,
    }
    for name, values in right.items():
        assert PROBES[name].right(told(values)).tolist() == [True], name
    wrong = [
        ("nothing matters", (1, 0), ([0], [2], 0.7)),
        ("nothing matters", (1, 0), ([0], [1.4], 1)),
        ("the state matters", (-1, 0), ([0], [1], 1)),
        ("time matters", (1, 0), ([0], [1], 0.5)),  # with the cut taken for the end
        ("time matters", (1, 1), ([0], [1], 2)),
        ("the action matters", (1, 0), ([0.7], [0.3], 0)),
        ("the action matters", (1, 0), ([1], [0.2], 0)),
        *[("everything matters", case, ([0, 0], [1, 1], 0)) for case in best],
    ]
    for name, case, answer in wrong:
        assert PROBES[name].right(told(right[name] | {case: answer})).tolist() == [False], (name, case)


@pytest.mark.parametrize("name", NAMES)
def test_ppo_answers_right(name):
    assert answers(PPO, PROBES[name], seeds=range(50, 58)).all()


@pytest.mark.parametrize(
    ("bug", "name"),
    [
        ("WrongSign", "the action matters"),
        ("CutIsEnd", "time matters"),
        ("BroadcastValues", "the state matters"),
        ("ActionClipped", "nothing matters"),
        ("ShiftedAdvantage", "everything matters"),
    ],
)
def test_a_bug_is_caught_live_as_recorded(bug, name):
    right = answers(getattr(museum, bug), PROBES[name], seeds=range(50, 58))
    assert right.sum() <= 2
    recorded = load_probes().set_index(["algorithm", "probe"]).right
    assert recorded[bug, name] < ENOUGH


def test_the_recorded_table_holds_every_bug_and_is_far_from_its_threshold():
    rows = load_probes()
    table = probe_table(rows)
    assert table.index.tolist() == ["PPO", *(bug.__name__ for bug in museum.BUGS)]
    assert table.columns.tolist() == [*NAMES, "caught by"]
    assert table.loc["PPO", "caught by"] == 0
    assert (rows[rows.algorithm == "PPO"].right == 16).all()
    assert (rows.right - ENOUGH + 0.5).abs().min() > 2


def test_the_table_is_made_of_the_rows():
    class Idle(PPO):
        def update(self, rollout):
            return {}

    rows = verdicts([Idle], seeds=range(2))
    assert rows.right.tolist() == [0] * len(NAMES)
    assert rows.probe.tolist() == NAMES
    table = probe_table(rows.assign(right=[16, 9, 10, 0, 16]))
    assert table.loc["Idle"].tolist() == ["passed", "caught", "passed", "caught", "passed", 2]


def test_a_run_plays_the_same_alone_and_among_others():
    _, alone = rollout_of("everything matters", seeds=(1,))
    _, among = rollout_of("everything matters", seeds=(0, 1))
    assert torch.allclose(torch.as_tensor(alone.action[0]), torch.as_tensor(among.action[1]), atol=1e-6)
    np.testing.assert_array_equal(alone.observation[0], among.observation[1])
