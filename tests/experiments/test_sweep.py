"""Sweeps in small: what is stored, what is taken up again, and workers that die."""

import dataclasses
import os
import pathlib
import re
import signal
import time

import numpy as np
import pytest
import torch

from lecture_utils import A2C, PPO, Hyperparameters, train
from lecture_utils.experiments import sweep as module
from lecture_utils.experiments import sweep_progress
from lecture_utils.experiments.fair_experiment import ALGORITHMS, ThreeAlgorithms
from lecture_utils.experiments.sweep import Setting, grid, load_sweep, read_recipe, run_setting, sweep

TINY = {"episodes": 6, "block": 2, "scored_every": 6, "scored_on": 3}
SEEDS = (3, 4)


def tiny(**changes):
    return Setting(**TINY | changes)


@pytest.fixture(scope="module")
def cluster():
    """Two processes, for the tests that need some."""
    distributed = pytest.importorskip("dask.distributed", reason="the extra `sweep` is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class Mortal(PPO):
    """Kills its process at the second update after a first saving, once: a file tells that it has happened."""

    def update(self, rollout):
        victim = pathlib.Path(os.environ.get("MORTAL", "/nonexistent"))
        if self.updates == 3 and victim.is_file():
            victim.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().update(rollout)


class Failing(PPO):
    def update(self, rollout):
        raise ArithmeticError("planted")


class Diverging(PPO):
    """Run with seed 3 has a weight that is not a number from the third update on."""

    def update(self, rollout):
        if self.updates == 2 and 3 in self.seeds:
            with torch.no_grad():
                self.actor.body.layers[0].weight[self.seeds.index(3)] = float("nan")
        return super().update(rollout)


class Slow(PPO):
    def update(self, rollout):
        time.sleep(0.3)
        return super().update(rollout)


class Patient(PPO):
    """Stands still until the file that GO names is there, at most a minute; only in a process that has been told GO."""

    def update(self, rollout):
        end = time.monotonic() + 60
        while "GO" in os.environ and not os.path.exists(os.environ["GO"]):
            if time.monotonic() > end:
                raise TimeoutError("nobody said go")
            time.sleep(0.01)
        return super().update(rollout)


class Told(sweep_progress.tqdm):
    """A bar that remembers where it stood, and where it stood when a line was written."""

    def __init__(self, *args, **kwargs):
        self.stood, self.wrote = [], []
        super().__init__(*args, **kwargs)
        Told.latest = self

    def update(self, n=1):
        super().update(n)
        self.stood.append(self.n)

    def write(self, line):
        self.wrote.append((line, self.n))


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(sweep_progress, "tqdm", Told)
    return Told


def set_victim(path):
    os.environ["MORTAL"] = str(path)


def set_go(path):
    os.environ["GO"] = str(path)


def save_always():
    module.SAVE_EVERY = 0.0


def test_a_block_is_the_mean_of_its_episodes(tmp_path):
    rows = run_setting(tiny(), SEEDS, tmp_path / "x")
    log = train(PPO(3, 1, seeds=SEEDS), 6, progress=False)
    blocks = log.assign(episode=log.episode // 2 * 2).groupby(["run", "episode"]).mean()
    for name in ("reward", "clip_fraction", "loss_v"):
        np.testing.assert_allclose(rows.set_index(["run", "episode"])[name], blocks[name], rtol=1e-6)
    pairs = log.assign(episode=log.episode // 2 * 2).groupby(["run", "episode"]).kl_after
    np.testing.assert_allclose(rows.set_index(["run", "episode"]).kl_after_median, pairs.median(), rtol=1e-6)
    assert rows.score_mean.notna().tolist() == [False, False, True] * 2
    assert rows.seconds.gt(0).all()
    assert not list(tmp_path.iterdir())


def test_interrupted_and_taken_up_again_gives_the_same(tmp_path, monkeypatch):
    whole = run_setting(tiny(), SEEDS, tmp_path / "whole")
    monkeypatch.setattr(module, "SAVE_EVERY", 0.0)
    with monkeypatch.context() as patch:
        update, calls = PPO.update, iter(range(6))
        patch.setattr(
            PPO, "update", lambda *args: update(*args) if next(calls) < 5 else (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            run_setting(tiny(), SEEDS, tmp_path / "part")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.unfinished-4.csv", "part.unfinished.pt"]
    with monkeypatch.context() as patch:
        patch.setattr(PPO, "update", lambda *args: update(*args))
        rest = run_setting(tiny(), SEEDS, tmp_path / "part")
    same = [name for name in whole if name != "seconds"]
    np.testing.assert_array_equal(whole[same], rest[same])
    assert not list(tmp_path.iterdir())


def test_what_is_unfinished_of_another_recipe_is_not_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY", 0.0)
    agent = PPO(3, 1, seeds=SEEDS)
    agent.episodes = 4
    module._save(agent, [0, 1], tiny(block=1), SEEDS, [run_setting(tiny(), SEEDS, tmp_path / "y")], tmp_path / "x")
    assert len(run_setting(tiny(), SEEDS, tmp_path / "x")) == 6


def test_a_diverging_run_leaves_and_the_others_go_on(tmp_path):
    rows = run_setting(tiny(agent=Diverging), SEEDS, tmp_path / "x")
    alone = run_setting(tiny(), (4,), tmp_path / "y")
    assert rows.groupby("run").episode.apply(list).to_dict() == {0: [0, 2], 1: [0, 2, 4]}
    np.testing.assert_allclose(rows[(rows.run == 1) & (rows.episode != 2)].reward, alone[alone.episode != 2].reward)


def test_grid_names_what_varies():
    settings = grid(A2C, passes=[1, 2], gamma=[0.9, 0.95], episodes=[50, 100])
    assert len(settings) == 8
    one = settings["A2C_passes=2_gamma=0.9_episodes=50"]
    assert (one.agent, one.episodes, one.hyperparameters) == (A2C, 50, Hyperparameters(passes=2, gamma=0.9))
    with pytest.raises(ValueError, match="learning_rate"):
        grid(PPO, learning_rate=[0.1])
    with pytest.raises(ValueError, match="A2C or PPO"):
        grid("PPO", passes=[1])


def test_a_grid_takes_the_numbers_and_arrays_of_numpy_as_those_of_python():
    numbers = grid(PPO, passes=[1, 2], gamma=[0.5], clip=[(0.1, 0.2)], episodes=[50], hidden=[(4, 8)])
    clip, hidden = np.array([[0.1, 0.2]]), [(np.int64(4), np.int32(8))]
    passes, gamma, episodes = np.arange(1, 3), [np.float32(0.5)], np.array([50])
    arrays = grid(PPO, passes=passes, gamma=gamma, clip=clip, episodes=episodes, hidden=hidden)
    assert arrays == numbers
    for name, setting in numbers.items():
        assert arrays[name].recipe(np.arange(2)) == setting.recipe(range(2))
    assert "PPO_passes=2_gamma=0.5_clip=(0.1, 0.2)_episodes=50_hidden=(4, 8)" in arrays
    assert Setting(episodes=np.int64(100)).recipe([0]) == Setting(episodes=100).recipe([0])


@pytest.mark.parametrize("values", [0.1, np.float32(0.1), np.array(0.1), "tanh", {"a": 1}, [], None])
def test_a_grid_says_what_it_takes_where_values_are_no_list(values):
    with pytest.raises(ValueError, match=r"a list or an array of values for clip, clip=\[\.\.\.\], got"):
        grid(PPO, clip=values)


def test_a_setting_whose_blocks_do_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"multiples of block \(50\), got 70"):
        Setting(episodes=70)
    with pytest.raises(ValueError, match=r"block must be a whole number of at least 1, got 0"):
        Setting(block=0)
    with pytest.raises(ValueError, match=r"multiple of episodes_per_update; wrong in \['four'\]"):
        sweep({"four": tiny(hyperparameters=Hyperparameters(episodes_per_update=4))}, tmp_path)


@pytest.mark.parametrize(("one", "other"), [("clip=[1]", "clip=1"), ("a*", "ab"), ("a?", "ab")])
def test_a_name_with_brackets_leaves_the_files_of_others_alone(one, other, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY", 0.0)
    agent, rows = PPO(3, 1, seeds=SEEDS), [run_setting(tiny(), SEEDS, tmp_path / "rows")]
    for agent.episodes in (2, 4):
        for name in (one, other):
            module._save(agent, [0, 1], tiny(), SEEDS, rows, tmp_path / name)
    ends = ("unfinished-4.csv", "unfinished.pt")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{end}" for name in (one, other) for end in ends}
    run_setting(tiny(), SEEDS, tmp_path / one)
    assert {path.name for path in tmp_path.iterdir()} == {f"{other}.{end}" for end in ends}


def test_a_recipe_with_a_pair_is_the_one_in_its_file(tmp_path, monkeypatch):
    setting = tiny(hyperparameters=Hyperparameters(clip=(0.1, np.inf), hidden=(8, 8)))
    module.write_rows(tmp_path / "pair.csv", setting.recipe(SEEDS), run_setting(setting, SEEDS, tmp_path / "x"))
    assert read_recipe(tmp_path / "pair.csv") == setting.recipe(SEEDS)
    assert len(sweep({"pair": setting}, tmp_path, seeds=np.array(SEEDS), client="tcp://127.0.0.1:1")) == 6
    monkeypatch.setattr(PPO, "update", lambda *args: pytest.fail("trained again"))
    agent = PPO(3, 1, setting.hyperparameters, seeds=SEEDS)
    agent.episodes = 6
    module._save(agent, [0, 1], setting, SEEDS, [load_sweep(tmp_path).drop(columns="setting")], tmp_path / "y")
    assert len(run_setting(setting, SEEDS, tmp_path / "y")) == 6


def test_a_sweep_says_what_it_will_do_before_a_worker_starts(tmp_path, capsys, monkeypatch):
    distributed = pytest.importorskip("dask.distributed")

    def none_starts(**kwargs):
        raise OSError("no worker starts")

    monkeypatch.setattr(distributed, "LocalCluster", none_starts)
    monkeypatch.setattr(sweep_progress, "seconds_an_episode", lambda agent, setting: 10.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    settings = {name: tiny(agent=Slow) for name in "abcd"}  # four minutes of work
    module.write_rows(tmp_path / "a.csv", settings["a"].recipe(SEEDS), run_setting(tiny(), SEEDS, tmp_path / "x"))
    start = "4 settings, 1 there already; 3 to train: 2 runs each, 18 episodes"
    agent = Slow(3, 1, seeds=SEEDS)
    for kept, line in {0: f"{start}, 4 workers: about 2 min", 4: f"{start} (4 done), 4 workers: about 80 s"}.items():
        if kept:
            agent.episodes, rows = kept, [load_sweep(tmp_path, "a").drop(columns="setting")]
            module._save(agent, [0, 1], settings["b"], SEEDS, rows, tmp_path / "unfinished" / "b")
        with pytest.raises(OSError, match="no worker starts"):
            sweep(settings, tmp_path, seeds=SEEDS, workers=4)
        assert capsys.readouterr().out == line + "\n"
    with pytest.raises(OSError, match="no worker starts"):
        sweep(settings, tmp_path, seeds=SEEDS, progress=False)
    sweep({"a": settings["a"]}, tmp_path, seeds=SEEDS)
    assert capsys.readouterr().out == "0 of 1 settings to train: all there already\n"


def test_the_estimate_is_about_what_training_takes(monkeypatch):
    setting = tiny(agent=Slow)
    found = sweep_progress.seconds_an_episode(Slow(3, 1, seeds=SEEDS), setting)
    assert 0.3 < found < 3
    tried = []
    monkeypatch.setattr(sweep_progress, "seconds_an_episode", lambda agent, setting: tried.append(agent) or 1.0)
    for allowed, count in {0.0: 1, 100.0: 9}.items():
        monkeypatch.setattr(sweep_progress, "ESTIMATE_FOR", allowed)
        settings = {str(k): setting for k in range(9)}
        shown = sweep_progress.Progress(True, 9, settings, 2, {}, lambda name: name)
        shown.announce(2)
        assert len(tried) == count
        assert shown.announced == 30, "five settings of six seconds, one after the other"
        tried.clear()


def test_a_bar_moves_while_a_setting_trains(cluster, tmp_path, told, capsys):
    sweep({"slow": tiny(agent=Slow)}, tmp_path, seeds=SEEDS, client=cluster.scheduler.address)
    assert {1, 2, 4} & set(told.latest.stood), told.latest.stood
    assert (told.latest.n, told.latest.total) == (6, 6)
    out, err = capsys.readouterr()
    assert re.fullmatch(r"1 setting, 0 there .* 6 episodes, 2 workers: about [\d.]+ s\n", out)
    assert "left]" in err
    assert "settings: 1 done, 0 failed, 0 left]" in err


def test_without_progress_there_is_silence(cluster, tmp_path, capsys):
    sweep({"one": tiny()}, tmp_path, seeds=SEEDS, client=cluster, progress=False)
    sweep({"one": tiny()}, tmp_path, seeds=SEEDS, client=cluster, progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_stopped_sweep_keeps_what_is_done_and_says_so(cluster, tmp_path, told, capsys, monkeypatch):
    settings = {"one": tiny(), "slow": tiny(agent=Slow)}
    moved = sweep_progress.Progress.move

    def stopped(self, ended=None, error=None):
        moved(self, ended, error)
        if ended:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweep_progress.Progress, "move", stopped)
        with pytest.raises(KeyboardInterrupt):
            sweep(settings, tmp_path, seeds=SEEDS, client=cluster)
    assert "settings: 1 done, 0 failed, 1 left]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.csv")] == ["one.csv"]
    assert len(sweep(settings, tmp_path, seeds=SEEDS, client=cluster)) == 12
    assert capsys.readouterr().out.startswith("2 settings, 1 there already; 1 to train")


def test_results_are_stored_and_nothing_is_trained_twice(cluster, tmp_path):
    both = {name: dataclasses.replace(one, **TINY) for name, one in grid(PPO, passes=[1, 2]).items()}
    table = sweep(both, tmp_path, seeds=SEEDS, client=cluster)
    assert table.groupby(["setting", "run"]).size().to_dict() == {(name, run): 3 for name in both for run in (0, 1)}
    again = sweep(both, tmp_path, seeds=SEEDS, client="tcp://127.0.0.1:1")  # a scheduler that does not exist: not asked
    assert again.equals(table)
    assert read_recipe(tmp_path / "PPO_passes=2.csv")["hyperparameters"]["passes"] == 2
    with pytest.raises(ValueError, match="another recipe"):
        sweep(both, tmp_path, seeds=(5, 6), client=cluster)
    with pytest.raises(FileNotFoundError, match="PPO_passes=3"):
        load_sweep(tmp_path, ["PPO_passes=3"])


def test_a_file_made_before_a_detail_existed_still_counts(cluster, tmp_path):
    sweep({"one": tiny()}, tmp_path, seeds=SEEDS, client=cluster)
    path = tmp_path / "one.csv"
    text = path.read_text()
    path.write_text(text.replace('"max_grad_norm": Infinity, ', "").replace(', "max_grad_norm": Infinity', ""))
    assert path.read_text() != text
    assert len(sweep({"one": tiny()}, tmp_path, seeds=SEEDS, client="tcp://127.0.0.1:1")) == 6


def test_a_worker_that_dies_costs_nothing_but_time(cluster, tmp_path):
    (tmp_path / "victim").touch()
    cluster.run(set_victim, tmp_path / "victim")
    cluster.run(save_always)
    table = sweep({"mortal": tiny(agent=Mortal), "other": tiny()}, tmp_path / "results", seeds=SEEDS, client=cluster)
    assert not (tmp_path / "victim").exists(), "no worker died"
    mortal, other = (table[table.setting == name].reset_index() for name in ("mortal", "other"))
    np.testing.assert_allclose(mortal.reward, other.reward, rtol=1e-5)


def test_a_setting_that_fails_is_told_at_once_and_does_not_stop_the_others(
    cluster, tmp_path, told, monkeypatch, capsys
):
    go = tmp_path / "go"
    cluster.run(set_go, go)
    write = told.write
    monkeypatch.setattr(told, "write", lambda bar, line: (write(bar, line), go.touch()))  # before, the other one stands
    with pytest.raises(RuntimeError, match=r"1 of 2 settings failed.*planted"):
        sweep({"failing": tiny(agent=Failing), "other": tiny(agent=Patient)}, tmp_path, seeds=SEEDS, client=cluster)
    ((line, episodes),) = told.latest.wrote
    assert line == "failing failed: ArithmeticError('planted')"
    assert episodes < 6, "told when the other one had ended"
    assert "settings: 1 done, 1 failed, 0 left]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.csv")] == ["other.csv"]


@pytest.mark.parametrize("client", [5, object()])
def test_a_client_that_is_none_is_refused(client, tmp_path):
    pytest.importorskip("dask.distributed")
    with pytest.raises(TypeError, match="scheduler"):
        sweep({"one": tiny()}, tmp_path, client=client)


@pytest.mark.parametrize("wrong", [{}, {"a/b": Setting()}, {"a": PPO}])
def test_settings_that_are_none_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="settings must be"):
        sweep(wrong, tmp_path)


def test_three_algorithms_side_by_side_are_what_they_are_alone(tmp_path):
    recipe, short = Hyperparameters(passes=3), {"episodes": 8, "block": 2, "scored_every": 4, "scored_on": 2}
    together = run_setting(Setting(ThreeAlgorithms, recipe, **short), SEEDS * 3, tmp_path / "together")
    unclipped = recipe.replace(clip=np.inf)
    alone = [
        run_setting(Setting(agent, one, **short), SEEDS, tmp_path / "alone")
        for agent, one in [(A2C, recipe), (PPO, unclipped), (PPO, recipe)]
    ]
    for k, one in enumerate(alone):
        these = together[together.run // 2 == k].reset_index(drop=True)
        # A2C alone has its KL from the rollout's log-probabilities, which NumPy computed.
        for name, rtol in {"reward": 1e-6, "approx_kl": 1e-4, "loss_v": 1e-6, "score_mean": 1e-6}.items():
            np.testing.assert_allclose(these[name], one[name], rtol=rtol, err_msg=f"{name} of {ALGORITHMS[k]}")
    assert together[together.run // 2 == 1].clip_fraction.gt(0).any(), "counted, though not used"
