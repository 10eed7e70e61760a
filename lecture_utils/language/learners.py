"""Learning from a reward: GRPO, leave-one-out (RLOO) and PPO with a critic, R runs side by side.

All three let the policy write, judge the texts and take steps on the core's clipped surrogate; they differ in where
the advantage comes from. Letters of shapes as in task.py; a run's N texts are G completions each of N / G prompts.
"""

import dataclasses
import math

import torch

from lecture_utils import checks
from lecture_utils.language import task
from lecture_utils.language.policy import HIDDEN, contexts, for_runs, reference, sample, token_log_prob
from lecture_utils.networks import Adam
from lecture_utils.ppo import MLP, clip_fraction, clipped_surrogate, gae, probability_ratio, standardize

CHOICES = {"kl_in": ("reward", "k1", "k2", "k3"), "ratio": ("token", "sequence", "product")}
CHOICES |= {"mean_over": ("token", "sequence", "constant"), "divide_by_std": (False, True)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What may be varied. A bad value is a ValueError that names field, value and range."""

    prompts: int = 4  # prompts an update
    group: int = 8  # G, completions a prompt
    passes: int = 1  # gradient steps an update, each on all of its texts
    lr: float = 1e-3  # Adam's step size for the policy
    clip: float = 0.2  # as the core's: epsilon, or (below, above), or inf
    beta: float = 0.05  # weight of KL(pi || ref), in units of the reward a nat
    kl_in: str = "reward"  # KL to the reference is taken off the "reward", or is a term "k1", "k2" or "k3" of the loss
    ratio: str = "token"  # of each "token", of a "sequence" (the geometric mean over its tokens), or their "product"
    mean_over: str = "token"  # what the loss is a mean over, see `mean`
    divide_by_std: bool = False  # whether a group's advantages are divided by its standard deviation
    gae_lambda: float = 0.95  # PPO's; its discount is 1
    critic_lr: float = 3e-3  # Adam's step size for PPO's value function

    def __post_init__(self):
        for name, least in {"prompts": 1, "group": 2, "passes": 1}.items():
            checks.whole(name, getattr(self, name), least)
        for name in ("lr", "critic_lr"):
            checks.above_zero(name, getattr(self, name))
        for name in ("clip", "gae_lambda"):
            checks.hyperparameter(name, getattr(self, name))
        if not isinstance(self.beta, (int, float)) or not 0 <= self.beta < math.inf:
            raise ValueError(f"beta must be a finite number of at least 0, got {self.beta!r}")
        for name, values in CHOICES.items():
            if (value := getattr(self, name)) not in values or not isinstance(value, type(values[0])):
                raise ValueError(f"{name} must be one of {', '.join(map(repr, values))}, got {value!r}")

    replace = dataclasses.replace


def group_relative(score, divide_by_std=True):
    """A_i = (r_i - mean of the group) / std of the group: scores (..., G) -> advantages (..., G); all alike: 0.

    Source: Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1. Without the division: Liu et al. 2025,
    Understanding R1-Zero-Like Training: A Critical Perspective (there Dr. GRPO), arXiv 2503.20783.
    """
    advantage = score - score.mean(-1, keepdim=True)
    return advantage / (score.std(-1, keepdim=True) + 1e-4) if divide_by_std else advantage


def leave_one_out(score):
    """A_i = r_i - mean of the others of the group: scores (..., G) -> advantages (..., G).

    Source: Ahmadian et al. 2024, Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human
    Feedback in LLMs, arXiv 2402.14740; earlier Kool, van Hoof and Welling 2019."""
    return score - (score.sum(-1, keepdim=True) - score) / (score.shape[-1] - 1)


def kl_estimate(kind, log_prob, ref_log_prob):
    """KL(pi || ref) in nats from samples of pi; with u = ref / pi, k1 = -log u, k2 = (log u)^2 / 2, k3 = u - 1 - log u.

    Source: Schulman 2020, Approximating KL Divergence. In the mean over samples, their gradients as a loss are 0, that
    of KL(pi || ref), that of KL(ref || pi): Tang and Munos 2025, On a few pitfalls in KL divergence gradient estimation
    for RL, arXiv 2506.09477."""
    log_u = ref_log_prob - log_prob
    return {"k1": -log_u, "k2": log_u.square() / 2, "k3": log_u.expm1() - log_u}[kind]


def ratio_of(kind, log_prob, old_log_prob, mask):
    """pi / pi_old of each "token", or one for all tokens of a text: log-probabilities and mask (R, N, T) -> (R, N, T).

    "sequence": (pi(y|x) / pi_old(y|x))^(1 / length), Zheng et al. 2025, Group Sequence Policy Optimization, arXiv
    2507.18071; "product": the same without the root."""
    if kind != "token":
        length = mask.sum(-1, keepdim=True) if kind == "sequence" else 1
        log_prob, old_log_prob = (x.sum(-1, keepdim=True) / length for x in (log_prob * mask, old_log_prob * mask))
    return probability_ratio(log_prob, old_log_prob).expand(mask.shape)


def mean(x, mask, over):
    """Of tokens (R, N, T) -> (R,): over all "token"s of a run (Yu et al. 2025, DAPO, arXiv 2503.14476); over those of
    each "sequence", then over sequences (GRPO); or a sum over each text, divided by the "constant" T (Dr. GRPO)."""
    if over == "token":
        return (x * mask).sum((1, 2)) / mask.sum((1, 2))
    return ((x * mask).sum(2) / (mask.sum(2) if over == "sequence" else mask.shape[2])).mean(1)


class GRPO:
    """Group relative policy optimization: the mean of a group stands where PPO has a critic.

    Source: equation 3 of Shao et al. 2024, DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language
    Models, arXiv 2402.03300. recipe: `default` where None; seeds: one a run; ref: a policy of one run, where all start
    and which never changes, the pretrained one where None; reward: a function of a text."""

    default = Recipe(kl_in="k3", mean_over="sequence", divide_by_std=True)

    def __init__(self, recipe=None, seeds=(0,), ref=None, reward=task.is_right):
        self.recipe, self.seeds = checks.instance("recipe", recipe, Recipe, self.default), checks.seeds(seeds)
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        ref = reference() if ref is None else ref
        self.dtype = next(ref.parameters()).dtype
        self.ref, self.policy = (for_runs(ref, len(self.seeds)).requires_grad_(x) for x in (False, True))
        self.optimizer = Adam(self.policy.parameters(), self.recipe.lr)
        self.reward_table = task.reward_table(reward).to(self.dtype)  # (P, C)

    def update(self):
        """Write texts and learn from them. Returns a dict of (R,) tensors: alike and clip_fraction, see `learn`."""
        return self.learn(self.write())

    def write(self):
        """Let the policy write, as it is: a dict of tensors, text (R, N, W) and what follows from it."""
        h = self.recipe
        prompt = torch.stack([torch.randint(len(task.PROMPTS), (h.prompts,), generator=g) for g in self.generators])
        prompt = prompt.repeat_interleave(h.group, dim=1)  # (R, N): siblings side by side
        text = sample(self.policy, prompt, self.generators)
        mask = text[..., task.PROMPT_LENGTH :] != task.PAD  # (R, N, T): True for what the policy wrote, its end too
        reward = self.reward_table[prompt, task.completion_index(text)]  # (R, N)
        with torch.no_grad():
            old, ref = token_log_prob(self.policy, text), token_log_prob(self.ref, text)  # (R, N, T)
        return {"text": text, "mask": mask, "reward": reward, "old_log_prob": old, "ref_log_prob": ref}

    def learn(self, batch):
        """`passes` steps on what `write` returned. Returns alike, the share of groups with one and the same reward, and
        clip_fraction, the share of tokens outside the band, a mean over the steps: (R,) tensors."""
        batch["advantage"] = self.advantage(batch)  # (R, N, T)
        outside = [self.step(batch) for _ in range(self.recipe.passes)]
        group = batch["reward"].unflatten(1, (-1, self.recipe.group))  # (R, N) -> (R, N / G, G)
        alike = (group == group[..., :1]).all(-1).to(group.dtype).mean(-1)
        return {"alike": alike, "clip_fraction": torch.stack(outside).mean(0)}

    def score(self, batch):
        """r - beta KL of each whole text, (R, N / G, G). KL is taken off only where the loss has none."""
        kl = kl_estimate("k1", batch["old_log_prob"], batch["ref_log_prob"]).sum(-1)  # (R, N, T) -> (R, N)
        score = batch["reward"] - self.recipe.beta * kl * (self.recipe.kl_in == "reward")
        return score.unflatten(1, (-1, self.recipe.group))

    def advantage(self, batch):
        """(R, N, T): every token of a text has the text's advantage."""
        advantage = group_relative(self.score(batch), self.recipe.divide_by_std)
        return advantage.flatten(1)[..., None].expand(batch["mask"].shape)

    def step(self, batch):
        """Maximise the mean of min(r A, clip(r) A) - beta KL over tokens. Returns the clip fraction before it, (R,)."""
        h, mask = self.recipe, batch["mask"]
        log_prob = token_log_prob(self.policy, batch["text"])
        ratio = ratio_of(h.ratio, log_prob, batch["old_log_prob"], mask)
        objective = clipped_surrogate(ratio, batch["advantage"], h.clip)
        if h.kl_in != "reward":
            objective = objective - h.beta * kl_estimate(h.kl_in, log_prob, batch["ref_log_prob"])
        self.optimizer.zero_grad()
        (-mean(objective, mask, h.mean_over)).sum().backward()  # a sum over runs, as everywhere
        self.optimizer.step()
        outside = clip_fraction(ratio.detach().log()[..., None], h.clip)  # (R, N, T, 1) -> (R, N, T): 1 or 0 a token
        return mean(outside, mask, "token")


class RLOO(GRPO):
    """REINFORCE with `leave_one_out`, KL in the reward. Its paper has no ratio; at one pass it makes no difference."""

    default = Recipe(kl_in="reward", mean_over="constant")

    def advantage(self, batch):
        return leave_one_out(self.score(batch)).flatten(1)[..., None].expand(batch["mask"].shape)


class PPO(GRPO):
    """PPO as for language models: KL taken off each token's reward, a critic, GAE along the text.

    Sources: Ziegler et al. 2019, Fine-Tuning Language Models from Human Preferences, arXiv 1909.08593; Ouyang et al.
    2022, Training language models to follow instructions with human feedback, arXiv 2203.02155."""

    default = Recipe(kl_in="reward", mean_over="token")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.critic = MLP((task.WIDTH * len(task.TOKENS), *HIDDEN, 1), self.generators).to(self.dtype)
        self.critic_optimizer = Adam(self.critic.parameters(), self.recipe.critic_lr)

    def value(self, text):
        """V(text so far) before each token of the completion: (R, N, W) -> (R, N, T)."""
        return self.critic(contexts(text).to(self.dtype).flatten(1, 2)).unflatten(1, (-1, task.LENGTH)).squeeze(-1)

    def advantage(self, batch):
        """(R, N, T), by GAE, standardised over a run's tokens; batch gets "returns", what the critic learns, too."""
        h, mask = self.recipe, batch["mask"]
        last = mask & (mask.cumsum(-1) == mask.sum(-1, keepdim=True))  # (R, N, T): the token that ends a text
        kl = kl_estimate("k1", batch["old_log_prob"], batch["ref_log_prob"]) * (h.kl_in == "reward")
        reward = last * batch["reward"][..., None] - h.beta * kl
        with torch.no_grad():
            value = self.value(batch["text"]) * mask
        next_value = torch.cat([value[..., 1:], torch.zeros_like(value[..., :1])], dim=-1)
        advantage = gae(reward, value, next_value, last, gamma=1.0, gae_lambda=h.gae_lambda)
        batch["returns"] = advantage + value
        for run, written in zip(advantage, mask, strict=True):
            run[written] = standardize(run[written])
        return advantage

    def step(self, batch):
        error = (self.value(batch["text"]) - batch["returns"]).square()
        self.critic_optimizer.zero_grad()
        mean(error, batch["mask"], "token").sum().backward()
        self.critic_optimizer.step()
        return super().step(batch)
