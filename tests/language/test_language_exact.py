"""Exact quantities against samples, gradients against closed forms, the optimum against all that is near it."""

import numpy as np
import pytest
import torch
from torch import nn

from lecture_utils.experiments.brackets import all_alike, estimator_gradient, std_weight
from lecture_utils.language import task
from lecture_utils.language.learners import kl_estimate
from lecture_utils.language.policy import (
    Policy,
    completion_log_probs,
    prefix_log_probs,
    reference,
    sample,
    token_log_prob,
)

SAMPLES = 200_000


def some_policy(seed, runs=1, scale=1.0):
    """A policy in float64 that is not trained, the more decided the larger `scale`."""
    policy = Policy([torch.Generator().manual_seed(seed + k) for k in range(runs)]).double()
    for parameter in policy.parameters():
        parameter.data *= scale
    return policy


class Tabular(nn.Module):
    """A policy with a logit for each token at each prefix, (R, P S, V), whose gradients have closed forms."""

    def __init__(self, seed, runs=1):
        super().__init__()
        shape = (runs, len(task.PROMPTS) * len(task.PREFIXES), len(task.TOKENS))
        self.logits = nn.Parameter(
            torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        )

    def forward(self, context):
        return self.logits.log_softmax(-1)


@pytest.fixture(scope="module")
def tables():
    """log pi and log ref, (P, C) in float64, of the pretrained model and one whose weights were shaken."""
    ref = reference()
    policy = shaken(ref)
    with torch.no_grad():
        return policy, ref, *(completion_log_probs(x)[0].double() for x in (policy, ref))


def shaken(ref):
    policy, generator = Policy([torch.Generator()]), torch.Generator().manual_seed(5)
    for ours, theirs in zip(policy.parameters(), ref.parameters(), strict=True):
        ours.data = theirs + 0.1 * torch.randn(theirs.shape, generator=generator)
    return policy.requires_grad_(False)


def from_samples(policy, functions):
    """Mean and standard error of functions(text (1, N, W)) -> (N,) over SAMPLES texts, as many of each prompt."""
    n, generator, found = SAMPLES // len(task.PROMPTS), torch.Generator().manual_seed(7), []
    for prompt in range(len(task.PROMPTS)):
        text = sample(policy, torch.full((1, n), prompt), [generator])
        found.append([f(text).double() for f in functions])
    stacked = torch.stack([torch.stack(x) for x in found])  # (P, functions, N)
    return stacked.mean(-1).mean(0), (stacked.var(-1).mean(0) / SAMPLES).sqrt()


def test_exact_quantities_are_those_of_200000_samples(tables):
    policy, ref, log_prob, ref_log_prob = tables

    def log_prob_of(network):
        return lambda text: token_log_prob(network, text)[0].sum(-1)

    def reward(table):
        index = {tuple(x): k for k, x in enumerate(task.PROMPT_TOKENS.tolist())}
        return lambda text: table[index[tuple(text[0, 0, :3].tolist())], task.completion_index(text[0])]

    ours, theirs = log_prob_of(policy), log_prob_of(ref)
    right, pairs = task.reward_table(), task.reward_table(task.pairs_reward)
    functions = (reward(right), reward(pairs), lambda x: ours(x) - theirs(x), lambda x: -ours(x))
    exact = torch.stack([task.expected(log_prob, right), task.expected(log_prob, pairs),
                         task.kl(log_prob, ref_log_prob), task.entropy(log_prob)])  # fmt: skip
    mean, error = from_samples(policy, functions)
    assert ((mean - exact).abs() < 4 * error).all()
    reverse = task.kl(ref_log_prob, log_prob)
    assert (mean[2] - reverse).abs() > 4 * error[2], "the test tells the two directions apart"
    mean, error = from_samples(ref, [lambda x: theirs(x) - ours(x)])
    assert (mean[0] - reverse).abs() < 4 * error[0]


def test_probabilities_add_up_to_one_and_agree_with_those_of_tokens():
    policy = some_policy(3, runs=2, scale=3.0)
    log_prob = completion_log_probs(policy)
    assert log_prob.shape == (2, len(task.PROMPTS), len(task.COMPLETIONS))
    np.testing.assert_allclose(log_prob.exp().sum(-1).detach(), 1, rtol=1e-12)
    text = torch.cat([task.PROMPT_TOKENS[4].expand(len(task.COMPLETIONS), -1), task.COMPLETION_TOKENS], dim=-1)
    one_by_one = token_log_prob(policy, text.expand(2, -1, -1)).sum(-1)
    np.testing.assert_allclose(log_prob[:, 4].detach(), one_by_one.detach(), rtol=1e-12)


@pytest.mark.parametrize("policies", ["networks", "tables"])
def test_gradients_of_the_estimators_are_the_closed_forms(policies):
    """k1 has the gradient of nothing, k2 that of KL(pi || ref), k3 that of KL(ref || pi)."""
    make = {"networks": lambda seed: some_policy(seed, 2, 2.0), "tables": lambda seed: Tabular(seed, 2)}[policies]
    policy, ref = make(1), make(11).requires_grad_(False)
    log_prob, ref_log_prob = completion_log_probs(policy), completion_log_probs(ref)
    forms = {"k2": task.kl(log_prob, ref_log_prob), "k3": task.kl(ref_log_prob, log_prob)}
    forms = {name: task.gradient(x, policy.parameters()) for name, x in forms.items()}
    forms["k1"] = torch.zeros_like(forms["k2"])
    for kind, form in forms.items():
        found = estimator_gradient(kind, policy, ref, "text")
        assert (found - form).abs().max() < 1e-9
        others = [x for name, x in forms.items() if name != kind]
        assert all((found - x).abs().max() > 1e-4 for x in others), "each fits its own form alone"


def by_hand(policy, ref):
    """Probabilities at each prefix (P, S, V) of pi and ref, and of coming there (P, S)."""
    return [[x[0].exp().detach().numpy() for x in prefix_log_probs(network)] for network in (policy, ref)]


def test_gradients_of_a_table_are_those_derived_on_paper():
    """Of the logit of token a at prefix s; d(s) is the probability of coming there, under pi or under ref.

    Text, k3: d_ref(s) (pi(a|s) - ref(a|s)). Token, k3: the same with pi's d. Token, k2: d(s) pi(a|s) (log ratio of a,
    less its mean). Text, k2: likewise, but of the log ratio and all of KL that comes after a.
    """
    policy, ref = Tabular(2), Tabular(12)
    (pi, reached), (q, ref_reached) = by_hand(policy, ref)
    log_ratio, prompts = np.log(pi / q), len(task.PROMPTS)
    to_go = np.zeros((prompts, len(task.PREFIXES)))
    after = np.zeros_like(pi)
    for s in reversed(range(len(task.PREFIXES))):  # children come after their parents
        if s < task.LAST:
            after[:, s, :4] = to_go[:, 4 * s + 1 : 4 * s + 5]
        to_go[:, s] = (pi[:, s] * (log_ratio[:, s] + after[:, s])).sum(-1)

    def centred(x):
        return pi * (x - (pi * x).sum(-1, keepdims=True))

    forms = {
        ("k1", "text"): 0 * pi, ("k1", "token"): 0 * pi,
        ("k2", "text"): reached[..., None] * centred(log_ratio + after),
        ("k2", "token"): reached[..., None] * centred(log_ratio),
        ("k3", "text"): ref_reached[..., None] * (pi - q), ("k3", "token"): reached[..., None] * (pi - q),
    }  # fmt: skip
    for (kind, level), form in forms.items():
        found = estimator_gradient(kind, policy, ref, level).reshape(pi.shape)
        assert np.abs(found.numpy() - form / prompts).max() < 1e-9, (kind, level)
    np.testing.assert_allclose(
        to_go[:, 0].mean(), task.kl(*map(completion_log_probs, (policy, ref))).item(), rtol=1e-12
    )


def test_the_values_of_the_estimators():
    """k1 and k3 have the mean KL; k2 has not."""
    policy, ref = some_policy(1, 1, 3.0), some_policy(11, 1, 3.0)
    log_prob, ref_log_prob = completion_log_probs(policy), completion_log_probs(ref)
    exact = task.kl(log_prob, ref_log_prob).item()
    found = {k: task.expected(log_prob, kl_estimate(k, log_prob, ref_log_prob)).item() for k in ("k1", "k2", "k3")}
    assert abs(found["k1"] - exact) < 1e-12
    assert abs(found["k3"] - exact) < 1e-12
    assert abs(found["k2"] - exact) > 1e-3


def objective(log_prob, ref_log_prob, reward, beta):
    return (task.expected(log_prob, reward) - beta * task.kl(log_prob, ref_log_prob)).item()


@pytest.mark.parametrize("beta", [1.0, 0.2, 0.05])
@pytest.mark.parametrize("reward", [task.is_right, task.pairs_reward])
def test_no_perturbation_of_the_optimum_raises_its_objective(tables, beta, reward):
    ref_log_prob, reward = tables[3], task.reward_table(reward)
    best = task.optimum(ref_log_prob, reward, beta)
    top = objective(best, ref_log_prob, reward, beta)
    # In closed form the objective is then beta log E_ref[exp(r / beta)].
    assert top == pytest.approx(beta * (ref_log_prob + reward / beta).logsumexp(-1).mean().item(), abs=1e-10)
    generator = torch.Generator().manual_seed(0)
    wrong = task.optimum(ref_log_prob, reward, 2 * beta)
    raised = 0
    for size in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(5):
            noise = size * torch.randn(best.shape, generator=generator, dtype=torch.float64)
            assert objective((best + noise).log_softmax(-1), ref_log_prob, reward, beta) < top
            less = objective(wrong, ref_log_prob, reward, beta)
            up = task.optimum(ref_log_prob, reward * (1 + 0.1 * size), 2 * beta)
            raised += objective(up, ref_log_prob, reward, beta) > less
    assert raised == 20, "what is not the optimum can be raised"


def test_no_policy_is_above_the_frontier(tables):
    _, _, log_prob, ref_log_prob = tables
    reward, betas = task.reward_table(), torch.logspace(-1, 1, 30).tolist()
    kl, best = task.frontier(ref_log_prob, reward, betas)
    assert (kl.diff() < 0).all()
    assert (best.diff() < 0).all()
    for policy in (log_prob.log_softmax(-1), ref_log_prob.log_softmax(-1)):  # single precision leaves a sum of 1 + 1e-8
        for k, beta in enumerate(betas):
            missing = best[k] - beta * kl[k] - objective(policy, ref_log_prob, reward, beta)
            # What is missing is beta KL(pi || pi*), exactly.
            expected = beta * task.kl(policy, task.optimum(ref_log_prob, reward, beta))
            assert missing.item() == pytest.approx(expected.item(), abs=1e-9)
            assert missing >= 0


@pytest.mark.parametrize("beta", [0, -1.0, float("nan")])
def test_an_optimum_without_a_penalty_is_refused(beta):
    with pytest.raises(ValueError, match="beta must be a number above 0, got"):
        task.optimum(torch.zeros(1, 1), torch.zeros(1, 1), beta)


def test_the_weight_of_a_prompt_is_that_of_all_groups_listed():
    """Of a Bernoulli policy: every group of zeros and ones, its probability, and the gradient that it gives."""
    p, size = 0.3, 5
    group = np.array(np.meshgrid(*[[0.0, 1.0]] * size)).reshape(size, -1).T  # (32, 5)
    probability = np.where(group == 1, p, 1 - p).prod(-1)
    score = np.where(group == 1, 1 / p, -1 / (1 - p))  # d log probability / d p
    centred = group - group.mean(-1, keepdims=True)
    std = group.std(-1, ddof=1, keepdims=True)
    with_std = np.divide(centred, std, out=np.zeros_like(centred), where=std > 0)
    assert std_weight(p, size) == pytest.approx((probability * (with_std * score).mean(-1)).sum())
    assert (size - 1) / size == pytest.approx((probability * (centred * score).mean(-1)).sum())
    assert all_alike(p, size) == pytest.approx(probability[(group == group[:, :1]).all(-1)].sum())
    assert std_weight([0.1, 0.5], 8).shape == (2,)
