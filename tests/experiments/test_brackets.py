"""Recording in small, reading it back, and what is computed from it, by hand."""

import numpy as np
import pandas as pd
import pytest

from lecture_utils.experiments import brackets
from lecture_utils.experiments.brackets import (
    COLUMNS,
    EVERY,
    EXACT,
    EXPERIMENTS,
    GRADIENTS,
    GRADIENTS_AT,
    OFTEN,
    SEEDS,
    UPDATES,
    at_update,
    difference,
    exact,
    load_language,
    record,
    train,
)
from lecture_utils.language import task
from lecture_utils.language.learners import GRPO


def test_a_row_a_run_and_so_many_updates():
    table = record("imperfect", "beta 0.1", seeds=(5, 6), updates=3, every=2)
    assert tuple(table.columns) == ("setting", *COLUMNS)
    assert table["run"].tolist() == [0, 1] * 3
    assert table["update"].tolist() == [0, 0, 2, 2, 3, 3]
    start = table[table["update"] == 0]
    assert start[["alike", "clip_fraction"]].isna().all(axis=None)
    assert start[["kl", "kl_ref_pi"]].abs().max(axis=None) < 1e-6
    assert np.isfinite(table[table["update"] > 0][list(COLUMNS)]).all(axis=None)
    assert (table["reward"] - table["true_reward"]).abs().max() > 0, "it learns from the imperfect reward"


def test_the_last_row_is_what_enumeration_says():
    learner = GRPO(seeds=(5, 6))
    table = train(learner, updates=2, every=5)
    end = table[table["update"] == 2]
    for name, x in exact(learner).items():
        np.testing.assert_allclose(end[name], x.numpy())
    again = GRPO(seeds=(5, 6))
    logs = [again.update() for _ in range(2)]
    np.testing.assert_allclose(end["alike"], (logs[0]["alike"] + logs[1]["alike"]) / 2)


def test_a_stopped_recording_goes_on_and_a_changed_recipe_is_recorded_anew(tmp_path, monkeypatch):
    few = {"methods": dict(list(EXPERIMENTS["methods"].items())[:2])}
    done = []

    def counted(experiment, setting):
        done.append(setting)
        if len(done) == 2:
            raise KeyboardInterrupt
        return pd.DataFrame({"setting": [setting], **{name: [1.0] for name in COLUMNS}})

    class Here:  # what a pool does, in this process
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def submit(self, function, *arguments):
            job = brackets.concurrent.futures.Future()
            job.set_result(function(*arguments))
            return job

    monkeypatch.setattr(brackets, "EXPERIMENTS", few)
    monkeypatch.setattr(brackets, "record", counted)
    monkeypatch.setattr(brackets, "ROOT", tmp_path)
    monkeypatch.setattr(brackets, "DATA", tmp_path)
    monkeypatch.setattr(brackets.concurrent.futures, "ProcessPoolExecutor", lambda n: Here())
    monkeypatch.setattr(brackets, "write_checksums", lambda names: None)
    with pytest.raises(KeyboardInterrupt):
        brackets.main(names=("methods",))
    brackets.main(names=("methods",))
    first, second = few["methods"]
    assert done == [first, second, second]
    assert pd.read_csv(tmp_path / "language" / "methods.csv")["setting"].tolist() == [first, second]
    assert not list((tmp_path / "build" / "language").iterdir())


@pytest.mark.parametrize("name", ["method", None, "methods.csv"])
def test_an_unknown_experiment_is_named(name):
    with pytest.raises(ValueError, match=r"experiment must be one of 'methods', .*, got"):
        load_language(name)


def test_summaries_by_hand():
    runs, values = 8, np.arange(8.0)
    table = pd.concat(
        [
            pd.DataFrame({"setting": name, "run": range(runs), "update": 200, "reward": values + shift})
            for name, shift in {"a": 0.0, "b": 2.0}.items()
        ]
    )
    row = at_update(table, ["reward"]).iloc[1]
    assert (row["setting"], row["reward"], row["reward min"], row["reward max"]) == ("b", 5.5, 2, 9)
    assert 3.5 < row["reward low"] < 5.5 < row["reward high"] < 7.5
    assert difference(table, "reward", "b", "a") == (2, 2, 2)


RECORDED = [name for name in EXPERIMENTS if (brackets.DATA / "language" / f"{name}.csv").is_file()]


@pytest.mark.parametrize("experiment", RECORDED)
def test_what_is_recorded_is_complete(experiment):
    table = load_language(experiment)
    assert list(table["setting"].unique()) == list(EXPERIMENTS[experiment])
    sizes = table.groupby("setting").size()
    assert (sizes == len(SEEDS) * (UPDATES // OFTEN.get(experiment, EVERY) + 1)).all()
    later = table[table["update"] > 0]
    assert np.isfinite(later[list(COLUMNS)]).all(axis=None)
    shares = later[["reward", "true_reward", "alike", "clip_fraction"]]
    assert ((shares >= -1e-6) & (shares <= 1 + 1e-6)).all(axis=None)
    assert (later[["kl", "kl_ref_pi", "entropy"]] > -1e-5).all(axis=None)


def test_the_recorded_gradients_are_complete():
    table = load_language("gradients")
    assert list(table["setting"].unique()) == list(GRADIENTS)
    assert (table.groupby(["setting", "update", "level", "estimator"]).size() == len(SEEDS)).all()
    assert set(table["update"]) == set(GRADIENTS_AT)
    assert set(zip(table["level"], table["estimator"], strict=True)) == {
        (level, kind) for level in ("text", "token") for kind in ("k1", "k2", "k3")
    }


def test_recordings_begin_at_the_model_of_today():
    if not RECORDED:
        pytest.skip("nothing is recorded")
    learner = GRPO()
    start = load_language(RECORDED[0]).iloc[0]
    for name, x in exact(learner).items():
        if name != "reward":
            assert start[name] == pytest.approx(x.item(), abs=1e-3)
    assert set(EXACT) < set(COLUMNS)
    assert learner.reward_table.shape == (len(task.PROMPTS), len(task.COMPLETIONS))
