"""Recording in small: stopping, resuming, and what is written beside the recordings."""

import re

import numpy as np
import pytest
from helpers import weights

from lecture_utils import A2C, PPO, train
from lecture_utils.experiments import recordings
from lecture_utils.experiments.recordings import (
    AGENTS,
    RECORDED,
    checked,
    load_agent,
    load_log,
    record,
    write_checksums,
    write_readme,
)
from lecture_utils.training import LOG_COLUMNS

TINY = {"seeds": [3, 4], "episodes": 6, "early": 2, "chunk": 2}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder of data with one tiny recording, made without a stop."""
    folder = tmp_path_factory.mktemp("data")
    record("ppo", folder.parent / "workspace", folder, **TINY)
    write_checksums(folder)
    return folder


def test_files_are_read_back(recorded):
    assert sorted(path.name for path in recorded.iterdir()) == ["SHA256SUMS", "ppo.csv", "ppo.pt", "ppo_early.pt"]
    log = load_log("ppo", recorded)
    assert tuple(log.columns) == LOG_COLUMNS
    assert log.run.tolist() == [0] * 6 + [1] * 6
    assert log.episode.tolist() == [*range(6)] * 2
    assert np.isfinite(log.to_numpy()).all()
    late, early = load_agent("ppo", folder=recorded), load_agent("ppo_early", folder=recorded)
    assert isinstance(late, PPO)
    assert (late.seeds, late.episodes, early.episodes) == ((3, 4), 6, 2)


def test_numbers_are_written_with_six_digits(recorded):
    rows = (recorded / "ppo.csv").read_text().splitlines()[1:]
    digits = [len(re.sub(r"e.*|[-.]", "", number).lstrip("0")) for row in rows for number in row.split(",")]
    assert max(digits) == 6


class Interrupts:
    """An update that is interrupted at its n-th call, once."""

    def __init__(self, update, n):
        self.update, self.left = update, n

    def __call__(self, agent, rollout):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.update(agent, rollout)


def test_stopped_and_resumed_gives_the_same_files(recorded, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupts = Interrupts(PPO.update, 4)  # in the middle of the second chunk
        patch.setattr(PPO, "update", lambda agent, rollout: interrupts(agent, rollout))
        with pytest.raises(KeyboardInterrupt):
            record("ppo", tmp_path / "workspace", tmp_path, **TINY)
    assert sorted(path.name for path in (tmp_path / "workspace").iterdir()) == ["ppo-2.csv", "ppo.pt"]
    assert not (tmp_path / "ppo.csv").exists()
    record("ppo", tmp_path / "workspace", tmp_path, **TINY)
    assert (tmp_path / "ppo.csv").read_text() == (recorded / "ppo.csv").read_text()
    for name in ("ppo.pt", "ppo_early.pt"):
        assert np.array_equal(weights(PPO.load(tmp_path / name)), weights(PPO.load(recorded / name)))


def test_recording_again_what_is_finished_changes_nothing(recorded, tmp_path):
    for _ in range(2):
        record("ppo", recorded.parent / "workspace", tmp_path, **TINY)
        assert (tmp_path / "ppo.csv").read_bytes() == (recorded / "ppo.csv").read_bytes()


@pytest.mark.parametrize("name", ["dqn", "ppo.pt", "early", 5, None])
def test_unknown_names(recorded, name):
    with pytest.raises(ValueError, match=r"name must be one of .*'a2c_early'"):
        load_agent(name, folder=recorded)
    with pytest.raises(ValueError, match=r"name must be one of \['ppo', 'a2c'\], got"):
        load_log(name, recorded)


def test_the_recipe_of_the_recording():
    assert AGENTS == {"ppo": PPO, "a2c": A2C}
    assert (len(recordings.SEEDS), recordings.EPISODES) == (16, 3000)
    assert recordings.EPISODES % recordings.CHUNK == recordings.EARLY % recordings.CHUNK == 0


def test_checksums_of_files_that_were_not_made_are_kept(tmp_path):
    for name in ("a.csv", "b.npz"):
        (tmp_path / name).write_text("1")
    write_checksums(tmp_path)
    for name in ("a.csv", "b.npz"):
        (tmp_path / name).write_text("2")
    write_checksums(tmp_path, names=["b.npz"])
    assert checked("b.npz", tmp_path)
    with pytest.raises(ValueError, match=r"a\.csv is damaged or was changed"):
        checked("a.csv", tmp_path)


def test_readme_says_what_was_recorded(tmp_path):
    (tmp_path / "README.md").write_text(f"kept\n{RECORDED}\nold")
    write_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("kept\n")
    assert "old" not in text
    assert "| passes | 2 | 5 |" in text


def test_a_finished_recording_leaves_nothing_to_go_on_from(tmp_path):
    record("ppo", tmp_path / "workspace", tmp_path, **TINY)
    assert list((tmp_path / "workspace").iterdir()) == []


def test_another_recipe_is_not_gone_on_with(recorded, tmp_path):
    other = PPO(3, 1, PPO.default.replace(gamma=0.5), seeds=TINY["seeds"])
    (tmp_path / "workspace").mkdir()
    log = train(other, 2, progress=False)
    log.to_csv(tmp_path / "workspace" / "ppo-2.csv", index=False)
    other.save(tmp_path / "workspace" / "ppo.pt")
    record("ppo", tmp_path / "workspace", tmp_path, **TINY)
    assert (tmp_path / "ppo.csv").read_text() == (recorded / "ppo.csv").read_text()


def test_both_are_recorded_with_a_bar_and_a_checksum(tmp_path, capsys):
    (tmp_path / "README.md").write_text(f"mine\n{RECORDED}\nold")
    recordings.main(tmp_path, tmp_path / "workspace", episodes=4, early=2, chunk=1, seeds=(0,))
    assert "8/8" in capsys.readouterr().err
    for name in ("ppo", "a2c"):
        assert load_log(name, tmp_path).episode.tolist() == [0, 1, 2, 3]
        assert (load_agent(name, folder=tmp_path).episodes, load_agent(f"{name}_early", folder=tmp_path).episodes) == (
            4,
            2,
        )
    assert (tmp_path / "README.md").read_text().startswith(f"mine\n{RECORDED}\n\nMade with Python")
    assert not list((tmp_path / "workspace").iterdir())
