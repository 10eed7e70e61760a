"""The ledger of notebook 07 is computed from data/language and by listing: recomputed another way, and spoilt."""

import math
import shutil

import numpy as np
import pandas as pd
import pytest

from lecture_utils.experiments import brackets, language_ledger
from lecture_utils.experiments.data_files import DATA, write_checksums
from lecture_utils.experiments.language_ledger import estimator_table, ledger, moved_policy, summary, table
from lecture_utils.language import task
from lecture_utils.language.policy import completion_log_probs


@pytest.fixture(scope="module")
def claims():
    return ledger()


def ends(experiment, setting, column, update=200):
    """(16,) numbers of the runs after so many updates, by plain pandas."""
    rows = pd.read_csv(DATA / "language" / f"{experiment}.csv")
    rows = rows[(rows["setting"] == setting) & (rows["update"] == update)].sort_values("run")
    return rows[column].to_numpy()


def test_every_number_of_runs_another_way(claims):
    price = {x: ends("methods", x, "reward") - 0.05 * ends("methods", x, "kl") for x in ("PPO", "RLOO", "GRPO")}
    expected = {
        0: price["RLOO"] - price["PPO"],
        1: price["GRPO"] - price["PPO"],
        3: ends("methods", "GRPO", "alike") - ends("methods", "GRPO", "alike", 20),
        6: ends("imperfect", "beta 0", "true_reward") - ends("imperfect", "beta 0", "true_reward", 0),
        7: ends("imperfect", "beta 0.1", "true_reward") - ends("imperfect", "beta 0.1", "true_reward", 0),
    }
    for place, runs in expected.items():
        measure = claims[place].own
        assert len(runs) == 16
        assert measure.value == pytest.approx(runs.mean(), abs=1e-6), claims[place].says
        spread = runs.std(ddof=1) / math.sqrt(len(runs))
        assert measure.bounds[0] <= measure.value <= measure.bounds[1]
        assert 2 * spread < measure.bounds[1] - measure.bounds[0] + 1e-9 < 8 * spread + 1e-9


def test_exact_numbers_have_no_interval(claims):
    exact = [x for x in claims if x.own.bounds[0] == x.own.bounds[1]]
    assert len(exact) == 3
    assert list(table(claims)["measured"].str.endswith("exact")) == [x in exact for x in claims]


def test_the_estimators_have_the_gradients_that_are_claimed():
    found = estimator_table()
    assert found.loc["k1", "size"] == pytest.approx(0, abs=1e-6)
    assert found.loc["k2", "KL(pi || ref)"] == pytest.approx(1, abs=1e-9)
    assert found.loc["k3", "KL(ref || pi)"] == pytest.approx(1, abs=1e-9)
    assert found.loc["k3", "KL(pi || ref)"] < 0.95
    policy, ref = (completion_log_probs(x) for x in moved_policy())
    assert 0.3 < task.kl(policy, ref).item() < 1.5


def test_spoilt_data_change_the_verdict(claims, tmp_path):
    (tmp_path / "language").mkdir()
    for path in (DATA / "language").glob("*.csv"):
        shutil.copy(path, tmp_path / "language" / path.name)
    rows = pd.read_csv(tmp_path / "language" / "methods.csv")
    rows.loc[(rows["setting"] == "RLOO") & (rows["update"] == 200), "reward"] -= 0.5
    rows.to_csv(tmp_path / "language" / "methods.csv", index=False)
    names = [f"language/{path.name}" for path in (tmp_path / "language").glob("*.csv")]
    write_checksums(tmp_path, names=names)
    spoilt = ledger(tmp_path)
    assert (claims[0].verdict, spoilt[0].verdict) == ("supported", "contradicted")
    assert [x.verdict for x in spoilt[1:]] == [x.verdict for x in claims[1:]]


def test_a_summary_by_hand():
    runs = np.arange(8.0)
    rows = [
        pd.DataFrame({"setting": name, "run": range(8), "update": 200, "reward": runs + shift})
        for name, shift in {"a": 0, "b": 1}.items()
    ]
    found = summary(pd.concat(rows), ["b"], {"reward": "title"}, worst="reward", digits=1)
    assert found.index.tolist() == ["b"]
    assert found.loc["b", "title"].startswith("4.5 [")
    assert found.loc["b", "worst run"] == "1.0"
    assert summary(pd.concat(rows), columns={"reward": "title"}).index.tolist() == ["a", "b"]


def test_the_price_is_that_of_the_recordings():
    assert {how.beta for _, how in brackets.EXPERIMENTS["methods"].values()} == {language_ledger.BETA}
