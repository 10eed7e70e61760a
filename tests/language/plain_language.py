"""Independent programs for one run, in plain torch and float64, of the updates of lecture_utils.language.

Texts are strings here, a loop goes over texts and tokens, and nothing of the package is called.
"""

import torch
from torch import nn

TOKENS = "()[]."


def linear_network(layers, run):
    """nn.Sequential of a run's layers (weight (R, in, out), bias (R, 1, out)) with ReLU between them."""
    modules = []
    for layer in layers:
        linear = nn.Linear(*layer.weight.shape[1:], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(layer.weight[run].T)
            linear.bias.copy_(layer.bias[run, 0])
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def context(prompt, written):
    """One-hot code of nine columns; the prompt ends in the third."""
    x = torch.zeros(9, 5, dtype=torch.float64)
    for column, token in enumerate(prompt + written, start=3 - len(prompt)):
        x[column, TOKENS.index(token)] = 1
    return x.flatten()


def log_probs(network, prompt, completion):
    """A list: log-probability of each token of the completion."""
    found = []
    for t, token in enumerate(completion):
        scores = network(context(prompt, completion[:t]))
        found.append(scores[TOKENS.index(token)] - scores.exp().sum().log())
    return found


def is_right(text):
    left = text
    for _ in range(len(text)):
        left = left.replace("()", "").replace("[]", "")
    return 1.0 if left == "." else 0.0


def kl_term(kind, log_prob, ref):
    if kind == "k1":
        return log_prob - ref
    if kind == "k2":
        return (log_prob - ref) ** 2 / 2
    return (ref - log_prob).exp() - (ref - log_prob) - 1


def clipped(ratio, advantage, below, above):
    bounded = ratio.clamp(1 - below, 1 + above)
    return torch.minimum(ratio * advantage, bounded * advantage)


class PlainGroupLearner:
    """GRPO and its relatives, and leave-one-out: one run."""

    def __init__(self, learner, run):
        self.network = linear_network(learner.policy.body.layers, run)
        self.ref = linear_network(learner.ref.body.layers, run)
        self.optimizer = torch.optim.Adam(self.network.parameters(), learner.recipe.lr)
        self.h, self.leave_one_out = learner.recipe, type(learner).__name__ == "RLOO"

    def advantages(self, scores):
        """Of the scores of one group, a list of G numbers."""
        if self.leave_one_out:
            return [x - (sum(scores) - x) / (len(scores) - 1) for x in scores]
        mean = sum(scores) / len(scores)
        std = (sum((x - mean) ** 2 for x in scores) / (len(scores) - 1)) ** 0.5
        return [(x - mean) / (std + 1e-4) if self.h.divide_by_std else x - mean for x in scores]

    def update(self, texts):
        """texts: a list of (prompt, completion), G completions of a prompt after each other."""
        h, old, ref = self.h, [], []
        for prompt, completion in texts:
            old.append([x.item() for x in log_probs(self.network, prompt, completion)])
            ref.append([x.item() for x in log_probs(self.ref, prompt, completion)])
        scores = []
        for (prompt, completion), a, b in zip(texts, old, ref, strict=True):
            score = is_right(prompt + completion)
            scores.append(score - h.beta * (sum(a) - sum(b)) if h.kl_in == "reward" else score)
        advantage = []
        for first in range(0, len(texts), h.group):
            advantage += self.advantages(scores[first : first + h.group])
        below, above = h.clip if isinstance(h.clip, tuple) else (h.clip, h.clip)
        for _ in range(h.passes):
            sums, lengths = [], []
            for i, (prompt, completion) in enumerate(texts):
                now, total = log_probs(self.network, prompt, completion), 0.0
                whole = sum(now) - sum(old[i])
                for t, log_prob in enumerate(now):
                    exponents = {"token": log_prob - old[i][t], "sequence": whole / len(now), "product": whole}
                    total = total + clipped(exponents[h.ratio].exp(), advantage[i], below, above)
                    if h.kl_in != "reward":
                        total = total - h.beta * kl_term(h.kl_in, log_prob, ref[i][t])
                sums.append(total)
                lengths.append(len(now))
            if h.mean_over == "token":
                objective = sum(sums) / sum(lengths)
            elif h.mean_over == "sequence":
                objective = sum(x / n for x, n in zip(sums, lengths, strict=True)) / len(sums)
            else:
                objective = sum(sums) / (6 * len(sums))
            self.optimizer.zero_grad()
            (-objective).backward()
            self.optimizer.step()

    def largest_difference(self, policy, run):
        linears = [x for x in self.network if isinstance(x, nn.Linear)]
        pairs = zip(policy.body.layers, linears, strict=True)
        return max(
            max((ours.weight[run].T - x.weight).abs().max(), (ours.bias[run, 0] - x.bias).abs().max()).item()
            for ours, x in pairs
        )
