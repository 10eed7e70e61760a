"""The ledger of notebook 07 is computed from data/language and by listing: recomputed another way, and spoilt."""

import itertools
import math
import shutil
import statistics

import numpy as np
import pandas as pd
import pytest
import torch

from lecture_utils.experiments import brackets, language_ledger
from lecture_utils.experiments.brackets import compare_gradients, length_weights, load_language
from lecture_utils.experiments.data_files import DATA, write_checksums
from lecture_utils.experiments.language_ledger import gradient_summary, lead_over_ppo, ledger, summary, table
from lecture_utils.language import task
from lecture_utils.language.learners import GRPO
from lecture_utils.language.policy import completion_log_probs, for_runs, reference


@pytest.fixture(scope="module")
def claims():
    return ledger()


def ends(experiment, setting, column, update=200):
    """(16,) numbers of the runs after so many updates, by plain pandas."""
    rows = pd.read_csv(DATA / "language" / f"{experiment}.csv")
    rows = rows[(rows["setting"] == setting) & (rows["update"] == update)].sort_values("run")
    return rows[column].to_numpy()


def objective(experiment, setting):
    """(16,) numbers: reward - 0.05 KL at the end."""
    return ends(experiment, setting, "reward") - 0.05 * ends(experiment, setting, "kl")


def path(experiment, setting, column, run):
    """(rows,) of one run."""
    rows = pd.read_csv(DATA / "language" / f"{experiment}.csv")
    return rows[(rows["setting"] == setting) & (rows["run"] == run)].sort_values("update")[column].to_numpy()


def apart(kind):
    rows = pd.read_csv(DATA / "language" / "gradients.csv")
    wanted = {"setting": "GRPO", "update": 200, "level": "text", "estimator": kind}
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    # From size and cosine alone: |a - b|^2 = |a|^2 + |b|^2 - 2 |a| |b| cos.
    return np.sqrt(1 + rows["size"] ** 2 - 2 * rows["size"] * rows["cosine"].fillna(0)).to_numpy()


def at_equal_kl_by_hand():
    found = []
    for run in range(16):
        kl, right = (path("stopping", "beta 0", x, run) for x in ("kl", "true_reward"))
        goal, end = (path("stopping", "beta 0.1", x, run)[-1] for x in ("kl", "true_reward"))
        k = next(i for i, x in enumerate(kl) if x >= goal)
        share = (goal - kl[k - 1]) / (kl[k] - kl[k - 1])
        found.append(end - (1 - share) * right[k - 1] - share * right[k])
    return np.array(found)


def since_the_start(setting):
    return ends("imperfect", setting, "true_reward") - ends("imperfect", setting, "true_reward", 0)


def clipping(passes, column):
    return ends("passes", f"{passes} passes, clipped", column) - ends("passes", f"{passes} passes, unclipped", column)


def test_every_number_of_runs_another_way(claims):
    best = {"PPO": "PPO, lr 0.003", "RLOO": "RLOO, lr 0.003"}
    assert objective("learning_rates", best["PPO"]).mean() > objective("methods", "PPO").mean()
    assert objective("learning_rates", best["RLOO"]).mean() > objective("methods", "RLOO").mean()
    assert objective("learning_rates", "GRPO, lr 0.003").mean() < objective("methods", "GRPO").mean()
    slow = [objective("learning_rates", f"{name}, lr 0.0003") for name in ("RLOO", "PPO")]
    expected = {
        0: slow[0] - slow[1],
        1: objective("methods", "RLOO") - objective("methods", "PPO"),
        2: objective("learning_rates", best["RLOO"]) - objective("learning_rates", best["PPO"]),
        3: objective("methods", "GRPO") - objective("learning_rates", best["PPO"]),
        5: ends("methods", "GRPO", "alike") - ends("methods", "GRPO", "alike", 20),
        6: clipping(8, "kl"), 7: clipping(4, "kl"), 8: clipping(8, "reward"), 9: clipping(4, "reward"),
        10: ends("clip_higher", "clip 0.2 and 0.28", "entropy") - ends("clip_higher", "clip 0.2", "entropy"),
        11: ends("ratio", "sequence, clip 0.2", "reward") - ends("ratio", "token, clip 0.2", "reward"),
        12: apart("k1"), 13: apart("k2"), 14: apart("k3"), 15: since_the_start("beta 0"),
        16: since_the_start("beta 0.03"), 17: since_the_start("beta 0.1"), 18: at_equal_kl_by_hand(),
    }  # fmt: skip
    assert {4, *expected} == set(range(len(claims)))
    for place, runs in expected.items():
        measure = claims[place].own
        assert len(runs) == 16
        assert measure.value == pytest.approx(runs.mean(), abs=2e-4), claims[place].says
        spread = runs.std(ddof=1) / math.sqrt(len(runs))
        assert measure.bounds[0] <= measure.value <= measure.bounds[1]
        assert 2 * spread < measure.bounds[1] - measure.bounds[0] + 1e-4 < 8 * spread + 2e-4


def test_the_weight_of_easy_and_hard_prompts_another_way(claims):
    """By a sum over all 256 groups of eight."""
    table = completion_log_probs(reference())[0].double().exp()
    p = (table * task.reward_table()).sum(-1).tolist()

    def weight(q):
        total = 0.0
        for group in itertools.product((0, 1), repeat=8):
            if 0 < sum(group) < 8:
                chance = math.prod(q if x else 1 - q for x in group)
                pull = sum(x - sum(group) / 8 for x in group if x) / 8
                total += chance * pull / statistics.stdev(group)
        return total / q / (1 - q)

    weights = [weight(q) for q in p]
    smaller = min(weights[p.index(max(p))], weights[p.index(min(p))]) / weight(0.5)
    assert claims[4].own.value == pytest.approx(smaller, abs=1e-6)


def test_exact_numbers_have_no_interval(claims):
    exact = [x for x in claims if x.own.bounds[0] == x.own.bounds[1]]
    assert len(exact) == 3, "a weight by listing, and k1 and k2, whose distances are the same in all runs"
    said = table(claims)["measured"].str.contains(", exact: ")
    assert list(said) == [x in exact for x in claims]
    assert set(table(claims)["verdict"]) == {"supported", "undecided", "contradicted"}


def test_the_estimators_have_the_gradients_that_are_claimed():
    """At a policy that training has moved; whole texts have the identities, tokens nearly."""
    learner = GRPO(seeds=(5, 6))
    for _ in range(10):
        learner.update()
    text, token = (compare_gradients(learner, level).set_index(["estimator", "run"]) for level in ("text", "token"))
    assert text.loc["k1", "size"].max() < 1e-6
    np.testing.assert_allclose(text.loc["k2", ["size", "cosine"]], 1, atol=1e-6)
    assert text.loc["k2", "apart"].max() < 1e-6
    np.testing.assert_allclose(text.loc["k3", "cosine_ref_pi"], 1, atol=1e-6)
    assert text.loc["k3", "cosine"].max() < 0.999
    assert 1e-3 < token.loc["k2", "apart"].min() < token.loc["k2", "apart"].max() < 0.3
    recorded = load_language("gradients")
    at = (recorded["setting"] == "GRPO") & (recorded["update"] == 10) & (recorded["level"] == "text")
    again = recorded[at & recorded["run"].isin([5, 6])].set_index(["estimator", "run"])
    np.testing.assert_allclose(again["size"], text["size"], atol=2e-3)


def test_three_step_sizes_side_by_side():
    rows = lead_over_ppo()
    assert list(rows.index) == ["0.0003", "0.001", "0.003", "each at its best"]
    lead = objective("learning_rates", "RLOO, lr 0.0003") - objective("learning_rates", "PPO, lr 0.0003")
    assert rows.loc["0.0003", "leave-one-out minus PPO"].startswith(f"{lead.mean():.3f} [")
    assert rows.loc["0.001", "J of PPO"] == f"{objective('methods', 'PPO').mean():.3f}"


def test_the_gradients_in_words():
    rows = gradient_summary("GRPO")
    assert rows.loc["k2, whole texts"].tolist() == ["1.00"] * 6
    assert rows.loc["k1, token by token"].tolist() == ["0.00"] * 3 + ["none"] * 3


def test_the_weight_of_a_prompt_by_its_length():
    """A step along the mean gradient of samples: written anew, with autograd on one prompt's texts."""
    weights, cosines = length_weights("sequence")
    np.testing.assert_allclose(length_weights("constant"), 1, rtol=1e-9)
    policy = for_runs(reference(), 1).double().requires_grad_()
    for prompt in ("(", "((("):
        place = task.PROMPTS.index(prompt)
        log_prob = completion_log_probs(policy)[0, place]
        right = torch.tensor([task.is_right(prompt + y) for y in task.COMPLETIONS], dtype=torch.float64)
        length = torch.tensor([float(len(y)) for y in task.COMPLETIONS], dtype=torch.float64)
        p = (log_prob.exp() * right).sum()
        loss = (log_prob.exp().detach() * (right - p.item()) * log_prob / length).sum()
        ours, plain = (
            torch.cat([x.flatten() for x in torch.autograd.grad(y, policy.parameters(), retain_graph=True)])
            for y in (loss, p)
        )
        assert weights[place] == pytest.approx((ours @ plain / (plain @ plain)).item(), rel=1e-6)
        assert cosines[place] == pytest.approx((ours @ plain / ours.norm() / plain.norm()).item(), rel=1e-6)


def test_spoilt_data_change_the_verdict(claims, tmp_path):
    (tmp_path / "language").mkdir()
    for path in (DATA / "language").glob("*.csv"):
        shutil.copy(path, tmp_path / "language" / path.name)
    rows = pd.read_csv(tmp_path / "language" / "methods.csv")
    rows.loc[(rows["setting"] == "RLOO") & (rows["update"] == 200), "reward"] += 0.5
    rows.to_csv(tmp_path / "language" / "methods.csv", index=False)
    names = [f"language/{path.name}" for path in (tmp_path / "language").glob("*.csv")]
    write_checksums(tmp_path, names=names)
    rows = pd.read_csv(tmp_path / "language" / "ratio.csv")
    rows.loc[(rows["setting"] == "sequence, clip 0.2") & (rows["update"] == 200), "reward"] -= 0.5
    rows.to_csv(tmp_path / "language" / "ratio.csv", index=False)
    write_checksums(tmp_path, names=names)
    spoilt = ledger(tmp_path)
    changed = {k: (x.verdict, y.verdict) for k, (x, y) in enumerate(zip(claims, spoilt, strict=True))
               if x.verdict != y.verdict}  # fmt: skip
    wanted = {1: ("contradicted", "supported"), 2: ("undecided", "supported"), 11: ("undecided", "contradicted")}
    assert changed == wanted


def test_an_end_that_decides_is_not_rounded_to_0(claims):
    assert language_ledger.in_words(0.00273, 0.00041, 0.00538) == "0.0027 [0.0004, 0.0054]"
    assert language_ledger.in_words(-0.002074, -0.0054, 0.000041) == "-0.00207 [-0.00540, 0.00004]"
    assert language_ledger.in_words(0.5, 0.0, 1.0, 2) == "0.50 [0.00, 1.00]"
    assert table(claims)["measured"][2].startswith("0.0027 [0.0004, 0.0054]; t [-0.0001, 0.0055]: ")


def test_equal_gradients_pass_and_a_spoilt_one_does_not(claims, monkeypatch):
    assert [claims[place].verdict for place in (12, 13, 14)] == ["contradicted", "supported", "contradicted"]
    tables = load_language("gradients")
    tables.loc[tables["estimator"] == "k2", "apart"] += 0.1
    load = language_ledger.load_language
    monkeypatch.setattr(language_ledger, "load_language", lambda x, *a: tables if x == "gradients" else load(x, *a))
    assert ledger()[13].verdict == "contradicted"


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
    assert language_ledger.STEP_SIZES[1] == brackets.EXPERIMENTS["methods"]["PPO"][1].lr
    assert {how.beta for _, how in brackets.EXPERIMENTS["methods"].values()} == {language_ledger.BETA}


ABOVE, BELOW, MORE = (0, math.inf), (-math.inf, 0), (1, math.inf)
ROWS = [  # how each claim and its number begin, and its range; None: a cosine, whose least is told elsewhere
    ("Leave-one-out is better", "its J minus PPO's, step size 0.0003", ABOVE),
    ("Leave-one-out is better", "the same, step size 0.001", ABOVE),
    ("Leave-one-out is better", "the same, each at its best of three", ABOVE),
    ("GRPO ends at least as high", "its J minus PPO's, each at its best", ABOVE),
    ("The group's std gives easy prompts more", "weight of our easiest prompt", MORE),
    ("Groups all alike become more", "their share, last 20 updates minus first 20", ABOVE),
    ("The clip holds", "KL(pi || ref) at the end, 8 passes", BELOW),
    ("The clip holds", "the same at 4 passes", BELOW),
    ("The clip raises the reward", "reward at the end, 8 passes", ABOVE),
    ("The clip raises the reward", "the same at 4 passes", ABOVE),
    ("A band that is wider above", "nats at the end", ABOVE),
    ("One ratio for the text", "its reward minus the other's", ABOVE),
    *(("As a loss, ", "", None) for _ in range(3)),
    ("Learning from an imperfect reward", "share of right texts without a price", BELOW),
    ("A price of the KL divergence prevents it", "share of right texts at beta 0.03", ABOVE),
    ("A price of the KL divergence prevents it", "the same at beta 0.1", ABOVE),
    ("A price buys no more than stopping early", "share of right texts, 200 updates at beta 0.1", BELOW),
]


def test_each_claim_has_its_number_and_its_range(claims):
    for claim, (says, number, claimed) in zip(claims, ROWS, strict=True):
        assert claim.says.startswith(says)
        assert claim.number.startswith(number)
        assert claimed is None or claim.own.claimed == claimed


def test_the_easiest_and_the_hardest_prompt_are_weighed(claims):
    probability = completion_log_probs(reference()).exp().numpy()
    right = (probability * task.reward_table().numpy()).sum(-1)
    half, *ends = (language_ledger.std_weight(x, 8) for x in (0.5, right.max(), right.min()))
    assert ends[0] != pytest.approx(ends[1], rel=0.1)
    assert claims[4].own.value == pytest.approx(min(ends) / half, rel=1e-3)


def test_a_zero_has_no_minus():
    assert language_ledger.in_words(-0.0, -0.0, 0.0) == "0.000 [0.000, 0.000]"
