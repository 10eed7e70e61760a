"""The task, close a text's brackets and end it; and what is known exactly because every completion can be listed.

A text is a prompt of one to three brackets and a completion of at most six tokens; the token "." ends it. Letters of
shapes: R runs, N texts, W = 9 columns of a text, T = 6 of them the completion's, V = 5 tokens, P = 10 prompts,
S = 1,365 prefixes of a completion that can go on, C = 5,461 completions.
"""

import functools
import itertools

import torch

TOKENS = "()[]."
END, PAD = TOKENS.index("."), len(TOKENS)  # PAD fills columns left of a prompt and right of an end; it is no token
PROMPTS = ("(", "[", "((", "([", "[(", "[[", "()(", "[](", "(((", "([(")
PROMPT_LENGTH, LENGTH = 3, 6
WIDTH = PROMPT_LENGTH + LENGTH

# All that can be written so far, shorter ones first: a tree in which prefix i goes on to prefixes 4 i + 1 to 4 i + 4.
PREFIXES = tuple("".join(x) for n in range(LENGTH) for x in itertools.product(TOKENS[:END], repeat=n))
LAST = sum(4**n for n in range(LENGTH - 1))  # 341: from this prefix on there is room for one token more
COMPLETIONS = tuple(x + "." for x in PREFIXES[:LAST]) + tuple(x + y for x in PREFIXES[LAST:] for y in TOKENS)


def read(text):
    """Read brackets up to the first wrong one: (pairs closed, brackets still open, whether all were read)."""
    opened, pairs = [], 0
    for bracket in text.removesuffix("."):
        if bracket in "([":
            opened.append(bracket)
        elif opened and opened.pop() + bracket in ("()", "[]"):
            pairs += 1
        else:
            return pairs, len(opened), False
    return pairs, len(opened), True


def is_right(text):
    """The true reward, a parser: 1.0 if every bracket is closed by its own kind, in order, and the text is ended."""
    return float(text.endswith(".") and read(text)[1:] == (0, True))


def pairs_reward(text):
    """An imperfect reward: a quarter for each pair closed before the first error, at most 1. It asks for no end."""
    return min(1.0, read(text)[0] / 4)


@functools.cache
def reward_table(reward=is_right):
    """reward(prompt + completion) of every prompt and completion, a function of a text: (P, C), float64."""
    return torch.tensor([[reward(x + y) for y in COMPLETIONS] for x in PROMPTS], dtype=torch.float64)


def encode(texts, width, left=False):
    """Strings -> (len(texts), width) whole numbers, PAD for a space and to the right (or left) of each."""
    symbols = TOKENS + " "
    for text in texts:
        if not isinstance(text, str) or set(text) - set(symbols) or len(text) > width:
            raise ValueError(f"texts must be strings of at most {width} of {symbols!r}, got {text!r:.80}")
    return torch.tensor([[*map(symbols.index, x.rjust(width) if left else x.ljust(width))] for x in texts])


def decode(text):
    """(W,) tokens -> the string, without PAD."""
    return "".join(TOKENS[x] for x in text.tolist() if x != PAD)


PROMPT_TOKENS = encode(PROMPTS, PROMPT_LENGTH, left=True)  # (P, 3), so that every completion begins in column 3
COMPLETION_TOKENS = encode(COMPLETIONS, LENGTH)  # (C, T)
PREFIX_TEXTS = encode([x.rjust(PROMPT_LENGTH) + y for x in PROMPTS for y in PREFIXES], WIDTH)  # (P S, W)


def completion_index(text):
    """Where in COMPLETIONS the completions of texts (..., W) stand: (...). A completion has an end or T brackets."""
    completion, prefix = text[..., PROMPT_LENGTH:], torch.zeros_like(text[..., 0])
    for token in completion[..., :-1].unbind(-1):
        prefix = torch.where(token < END, 4 * prefix + 1 + token, prefix)  # an ended one stays where it is
    last = completion[..., -1]
    return torch.where(last == PAD, prefix, LAST + len(TOKENS) * (prefix - LAST) + last)


# Exact quantities. log_prob is a table (..., P, C): log pi(y|x) of all completions y of all prompts x. Each returns
# means over the prompts (...), in which they are equally likely, and can be differentiated.
def expected(log_prob, value):
    """E over completions of pi of a table `value` (..., P, C), in its unit: the expected reward, for one."""
    return (log_prob.exp() * value).sum(-1).mean(-1)


def kl(log_p, log_q):
    """KL(p || q) = E_p[log p - log q] of whole completions, in nats."""
    return expected(log_p, log_p - log_q)


def entropy(log_prob):
    """-E[log pi] of whole completions, in nats."""
    return -expected(log_prob, log_prob)


def optimum(ref_log_prob, reward, beta):
    """log pi* (P, C) of the pi that maximises E[reward] - beta KL(pi || ref): pi* is proportional to ref exp(r / beta).

    beta > 0, in units of the reward a nat. Source: equation 4 of Rafailov et al. 2023, Direct Preference Optimization:
    Your Language Model is Secretly a Reward Model, arXiv 2305.18290."""
    if not beta > 0:
        raise ValueError(f"beta must be a number above 0, got {beta!r}")
    return (ref_log_prob + reward / beta).log_softmax(-1)


def frontier(ref_log_prob, reward, betas):
    """The largest expected reward at each KL to the reference: two tensors (len(betas),), KL in nats and reward."""
    best = [optimum(ref_log_prob, reward, beta) for beta in betas]
    return torch.stack([kl(x, ref_log_prob) for x in best]), torch.stack([expected(x, reward) for x in best])


def gradient(quantity, parameters):
    """The exact gradient of quantities (R,), one a run, with respect to parameters (R, ...): (R, D), run by run."""
    parts = torch.autograd.grad(quantity.sum(), list(parameters), retain_graph=True)
    return torch.cat([x.flatten(1) for x in parts], dim=1)
