"""Saving, loading, selecting; and files that are not checkpoints."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import networks, weights

from lecture_utils import A2C, PPO, TUNED, Hyperparameters, train

SMALL = Hyperparameters(hidden=(8,), shuffle=True, anneal_updates=50)
RECIPES = {"lecture": None, "small": SMALL, "tuned": TUNED.replace(episodes_per_update=1, passes=2, hidden=(8, 8))}


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_goes_on_exactly_as_it_would_have(algorithm, recipe, tmp_path):
    agent = algorithm(3, 1, RECIPES[recipe], seeds=[5, 2])
    train(agent, 2, progress=False)
    agent.save(tmp_path / "agent.pt")
    loaded = algorithm.load(tmp_path / "agent.pt")
    assert (loaded.seeds, loaded.updates, loaded.episodes) == ((5, 2), 2, 2)
    assert loaded.hyperparameters == agent.hyperparameters
    pd.testing.assert_frame_equal(train(agent, 3, progress=False), train(loaded, 3, progress=False))
    assert np.array_equal(weights(agent), weights(loaded))
    assert [path.name for path in tmp_path.iterdir()] == ["agent.pt"]


def test_without_moments_the_file_is_smaller_and_the_agent_acts_alike(tmp_path):
    agent = PPO(3, 1, seeds=[5, 2])
    train(agent, 1, progress=False)
    for name, resumable in [("whole", True), ("weights", False)]:
        agent.save(tmp_path / name, resumable=resumable)
    assert (tmp_path / "weights").stat().st_size < 0.4 * (tmp_path / "whole").stat().st_size
    loaded = PPO.load(tmp_path / "weights")
    for name, network in networks(agent).items():
        if not name.startswith("old"):
            pairs = zip(network.parameters(), networks(loaded)[name].parameters(), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)
    observation = np.ones((2, 3))
    assert np.array_equal(agent(observation), loaded(observation))


def test_select_takes_copies_that_train_as_among_the_others(algorithm):
    agent = algorithm(3, 1, SMALL, seeds=range(4))
    train(agent, 2, progress=False)
    before = weights(agent)
    chosen = agent.select([3, 1])
    assert chosen.seeds == (3, 1)
    log_chosen = train(chosen, 2, progress=False)
    assert np.array_equal(weights(agent), before)
    log = train(agent, 2, progress=False)
    for run, index in enumerate([3, 1]):
        got, expected = (x[x.run == k].drop(columns="run") for x, k in [(log_chosen, run), (log, index)])
        assert got.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("runs", [[], [4], [-1], [0.0], ["0"]])
def test_select_names_what_it_takes(runs):
    with pytest.raises(ValueError, match=r"runs must be a list of indices in \[0, 4\), got"):
        PPO(3, 1, SMALL, seeds=range(4)).select(runs)


class Bomb:
    def __reduce__(self):
        return (eval, ("__import__('pytest').fail('a checkpoint ran code')",))


def whole_state(tmp_path):
    PPO(3, 1, SMALL).save(tmp_path / "good.pt")
    return torch.load(tmp_path / "good.pt", weights_only=True)


def write_without(key):
    def write(path):
        state = whole_state(path.parent)
        del state[key]
        torch.save(state, path)

    return write


def truncated(path):
    whole_state(path.parent)
    path.write_bytes((path.parent / "good.pt").read_bytes()[:-500])


def of_a_range(path):
    state = whole_state(path.parent)
    torch.save({**state, "hyperparameters": {**state["hyperparameters"], "gamma": 5.0}}, path)


def of_another_shape(path):
    torch.save({**whole_state(path.parent), "obs_dim": 5}, path)


FILES = {
    "text": (lambda path: path.write_text("run,episode,reward\n"), "damaged or not a checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "damaged or not a checkpoint"),
    "truncated": (truncated, "damaged or not a checkpoint"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"format": 1}, protocol=2)), "not a checkpoint|not hold"),
    "code": (lambda path: torch.save({"format": 1, "agent": Bomb()}, path), "damaged or not a checkpoint"),
    "tensor": (lambda path: torch.save(torch.zeros(3), path), "not a checkpoint of this package"),
    "foreign": (lambda path: torch.save({"state_dict": {}}, path), "not a checkpoint of this package"),
    "older": (lambda path: torch.save({**whole_state(path.parent), "format": 0}, path), r"\(format 1\)"),
    "bare": (lambda path: torch.save({"format": 1}, path), "holds an agent of None"),
    "without critic": (write_without("critic"), "does not hold a whole agent"),
    "without generators": (write_without("generators"), "does not hold a whole agent"),
    "another range": (of_a_range, r"does not hold a whole agent \(ValueError: gamma must be"),
    "another shape": (of_another_shape, "does not hold a whole agent"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_checkpoint_is_named(kind, tmp_path):
    write, message = FILES[kind]
    path = tmp_path / "agent of mine.pt"
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        PPO.load(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_other_algorithm(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        PPO.load(tmp_path / "nothing.pt")
    A2C(3, 1, SMALL).save(tmp_path / "a2c.pt")
    with pytest.raises(ValueError, match=r"a2c\.pt holds an agent of A2C, not PPO: use A2C\.load"):
        PPO.load(tmp_path / "a2c.pt")
    with pytest.raises(ValueError, match="device must be"):
        A2C.load(tmp_path / "a2c.pt", device="abacus")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "agent.pt"
    PPO(3, 1, SMALL, seeds=[1]).save(path)

    def breaks(state, path):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", breaks)
    with pytest.raises(OSError, match="no space"):
        PPO(3, 1, SMALL, seeds=[2]).save(path)
    assert PPO.load(path).seeds == (1,)
