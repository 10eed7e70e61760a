"""The policy that writes, R runs of it side by side: what it is, sampling from it, listing all that it may write.

Letters of shapes as in task.py.
"""

import copy
import functools

import torch
from torch import nn

from lecture_utils.language import task
from lecture_utils.language.task import END, LENGTH, PAD, PROMPT_LENGTH, TOKENS, WIDTH
from lecture_utils.networks import Adam
from lecture_utils.ppo import MLP

HIDDEN = (64, 64)
NOISE = {1: 0.15, 2: 0.5, 3: 0.9}  # share of random texts in the corpus, by how many brackets the prompt leaves open


class Policy(nn.Module):
    """pi(token | text so far): contexts (R, B, 45) -> log-probabilities of the next token (R, B, V), in nats.

    A context is a text in one-hot code, its later columns 0. A torch.Generator a run draws its weights."""

    def __init__(self, generators):
        super().__init__()
        self.body = MLP((WIDTH * len(TOKENS), *HIDDEN, len(TOKENS)), generators)

    def forward(self, context):
        return self.body(context.to(self.body.layers[0].weight.dtype)).log_softmax(-1)


def one_hot(text):
    """(..., W) -> (..., W, V): a 1 in each row, none in that of a PAD."""
    return nn.functional.one_hot(text, len(TOKENS) + 1)[..., : len(TOKENS)].float()


def contexts(text):
    """What the policy sees before each token of the completion: texts (..., W) -> (..., T, 45)."""
    seen = torch.ones(WIDTH, WIDTH).tril(-1)[PROMPT_LENGTH:, :, None]  # (T, W, 1): 1 for the columns before the token
    return (one_hot(text)[..., None, :, :] * seen).flatten(-2)  # (..., T, W, V) -> (..., T, 45)


def token_log_prob(policy, text):
    """log pi(token | text before it) of every token of the completion: (R, N, W) -> (R, N, T), 0 for PAD."""
    log_prob = policy(contexts(text).flatten(1, 2)).unflatten(1, (-1, LENGTH))  # (R, N, T, V)
    token = text[..., PROMPT_LENGTH:]
    return log_prob.gather(-1, token[..., None].clamp(max=END)).squeeze(-1) * (token != PAD)  # PAD: none to look up


@torch.no_grad()
def sample(policy, prompt, generators):
    """Let the policy complete prompts, (R, N) indices into PROMPTS: texts (R, N, W). generators: one for each run."""
    if prompt.ndim != 2 or len(prompt) != len(generators):
        raise ValueError(f"prompt must be (R, N), R = {len(generators)} generators, got shape {tuple(prompt.shape)}")
    text = nn.functional.pad(task.PROMPT_TOKENS[prompt], (0, LENGTH), value=PAD)  # (R, N, W)
    shape, writing = (prompt.shape[1], LENGTH), torch.ones_like(prompt, dtype=torch.bool)
    uniform = torch.stack([torch.rand(shape, generator=g, dtype=torch.float64) for g in generators])  # (R, N, T)
    for t in range(LENGTH):
        probability = policy(one_hot(text).flatten(-2)).exp()  # (R, N, V)
        begins = probability.cumsum(-1)[..., :-1]  # (R, N, V - 1): where in [0, 1] the tokens after the first begin
        token = (uniform[..., t, None] >= begins).sum(-1)
        text[..., PROMPT_LENGTH + t] = torch.where(writing, token, PAD)
        writing &= token != END
    return text


def prefix_log_probs(policy):
    """At all prefixes of all prompts: log-probabilities of the next token (R, P, S, V), of coming there (R, P, S)."""
    context = one_hot(task.PREFIX_TEXTS).flatten(-2)  # (P S, 45)
    following = policy(context.expand(len(next(policy.parameters())), -1, -1))  # (R, P S, V)
    following = following.unflatten(1, (len(task.PROMPTS), -1))  # (R, P, S, V)
    reached = [torch.zeros_like(following[:, :, :1, 0])]  # the empty prefix: probability 1
    for level in following.split([4**n for n in range(LENGTH)], dim=2)[:-1]:  # (R, P, 4^n, V)
        reached.append((reached[-1][..., None] + level[..., :END]).flatten(2))  # each bracket leads one level further
    return following, torch.cat(reached, dim=-1)


def completion_log_probs(policy):
    """log pi(y|x) of every completion y of every prompt x: (R, P, C), in the order of COMPLETIONS."""
    following, reached = prefix_log_probs(policy)
    joint = reached[..., None] + following  # (R, P, S, V): the prefix and a token after it
    return torch.cat([joint[:, :, : task.LAST, END], joint[:, :, task.LAST :].flatten(2)], dim=-1)


def for_runs(policy, runs):
    """A policy of one run as `runs` equal ones, with weights of their own."""
    wider = copy.deepcopy(policy)
    for parameter in wider.parameters():
        parameter.data = parameter.data.expand(runs, *parameter.shape[1:]).clone()
    return wider


@functools.cache
def reference(steps=400, batch=256, lr=3e-3, seed=0):
    """The pretrained model, a frozen policy of one run: maximum likelihood on a corpus, `batch` texts a step.

    The corpus: prompts equally often, each ended in a right way (all equally often) or, in a share NOISE, by tokens at
    random. In double precision, so that every processor comes to the same model. Takes a few seconds."""
    generator = torch.Generator().manual_seed(seed)
    policy, right = Policy([generator]).double(), task.reward_table()
    at_random = len(TOKENS) ** -(task.COMPLETION_TOKENS != PAD).sum(-1).double()  # (C,)
    noise = torch.tensor([[NOISE[task.read(x)[1]]] for x in task.PROMPTS], dtype=torch.float64)  # (P, 1)
    share = (1 - noise) * right / right.sum(-1, keepdim=True) + noise * at_random  # (P, C)
    drawn = torch.multinomial(share.flatten(), steps * batch, replacement=True, generator=generator)
    prompt, completion = drawn // share.shape[1], drawn % share.shape[1]
    corpus = torch.cat([task.PROMPT_TOKENS[prompt], task.COMPLETION_TOKENS[completion]], dim=-1)  # (steps batch, W)
    optimizer = Adam(policy.parameters(), lr)
    for text in corpus.split(batch):
        optimizer.zero_grad()
        (-token_log_prob(policy, text[None]).sum(-1).mean()).backward()
        optimizer.step()
    return policy.float().requires_grad_(False)
