"""The exercises of notebook 07: a group's advantages, a token's ratio with two clips, whose gradient a loss has."""

import numpy as np
import pandas as pd
import torch

from lecture_utils import checks, clipped_surrogate
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge, plain, with_gradient
from lecture_utils.exercises.verdict import checker
from lecture_utils.language.learners import group_relative, kl_estimate, leave_one_out

ESTIMATORS = ("k1", "k2", "k3")
LABELS = ("A", "B", "C")
TEXTS = 4


@checker
def check_group_advantage(answer):
    """Exercise 7.1: answer(reward (N,), group) -> (N,), each group by itself; siblings stand side by side."""
    return judge(GROUP_ADVANTAGE, answer)


@checker
def check_two_clips(answer):
    """Exercise 7.2: answer(log_prob, old_log_prob, advantage, mask, below, above) -> (N, T), 0 where mask is 0.

    All are (N, T), but for advantage, (N,), and the two numbers.
    """
    return judge(TWO_CLIPS, answer)


def hidden_losses(number):
    """A policy over four texts, its reference, and the mean gradients of three losses that the number puts in order.

    number: any whole number. Returns a DataFrame, a row a text: the probabilities pi and ref, and under A, B and C the
    mean gradient of k1, k2 and k3, in an order of the number's, with respect to the logits of pi, by enumeration.
    """
    policy, ref, order = _hidden(number)
    columns = {"pi": policy.softmax(-1), "ref": ref.exp()}
    columns |= {label: _gradient(kind, policy, ref) for label, kind in zip(LABELS, order, strict=True)}
    table = pd.DataFrame({name: x.detach().numpy() for name, x in columns.items()}).round(3) + 0.0  # no -0.0
    return table.set_axis([f"text {i + 1}" for i in range(TEXTS)])


@checker
def check_estimators(number, answers, *, show=False):
    """Exercise 7.3: {"A": "k1", "B": ..., "C": ...} for the columns of hidden_losses(number).

    show: whether the right answers are told, each with its sign in the table.
    """
    _, _, order = _hidden(number)
    found = dict(zip(LABELS, order, strict=True))
    signs = {
        "k1": "its mean gradient is 0 in every row: as a loss it pulls nowhere",
        "k2": "its rows are pi (log(pi / ref) - KL(pi || ref)), the gradient of KL(pi || ref)",
        "k3": "its rows are pi - ref, the gradient of KL(ref || pi)",
    }
    exchanged = {"k1": "k1", "k2": "k3", "k3": "k2"}
    return judge_choices(
        "7.3", answers, {label: {kind} for label, kind in found.items()}, ESTIMATORS,
        "As losses, k1 pulls nowhere, k2 as KL(pi || ref) does, and k3 as KL(ref || pi).",
        measured={label: signs[kind] for label, kind in found.items()},
        mistakes=[("the two directions of the KL are exchanged", {x: {exchanged[kind]} for x, kind in found.items()})],
        show=show,
    )  # fmt: skip


def _hidden(number):
    """Logits of pi, log-probabilities of ref, and the order of the estimators, all drawn by the number."""
    number = checks.plain(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"number must be a whole number, got {number!r}")
    rng = np.random.default_rng(abs(number) + 7)
    policy, ref = torch.as_tensor(rng.uniform(-1.2, 1.2, (2, TEXTS)))
    return policy.requires_grad_(), ref.log_softmax(-1), [ESTIMATORS[i] for i in rng.permutation(len(ESTIMATORS))]


def _gradient(kind, logits, ref_log_prob):
    """The exact mean over texts drawn by the policy of the gradient of the estimate used as a loss: (TEXTS,)."""
    log_prob = logits.log_softmax(-1)
    loss = (log_prob.detach().exp() * kl_estimate(kind, log_prob, ref_log_prob)).sum()
    return torch.autograd.grad(loss, logits)[0]


def _grouped(advantage):
    """A function of groups (N / G, G) as one of the rewards side by side."""

    def function(reward, group):
        return advantage(reward.unflatten(0, (-1, group))).flatten()

    return function


def _of_the_batch(reward, group):
    return (reward - reward.mean()) / (reward.std() + 1e-4)


def _std_of_the_batch(reward, group):
    return _grouped(lambda x: x - x.mean(-1, keepdim=True))(reward, group) / (reward.std() + 1e-4)


def _over_groups(reward, group):
    """Mean and standard deviation over the groups, place by place."""
    return group_relative(reward.unflatten(0, (-1, group)).T).T.flatten()


def _of_other_groups(reward, group):
    """As many groups as a group has texts."""
    return group_relative(reward.reshape(group, -1)).flatten()


def _strided(reward, group):
    """Siblings taken for those that stand N / group apart."""
    return group_relative(reward.unflatten(0, (group, -1)).T).T.flatten()


def _divided_by(scale):
    return _grouped(lambda x: (x - x.mean(-1, keepdim=True)) / scale(x))


def _group_cases(rng):
    """One group by hand, several of several sizes, of a right-or-wrong reward and of another; one group all alike.

    In one the rewards differ by hundredths, so that it counts where the small number stands.
    """
    cases = [{"reward": torch.tensor([1.0, 0.0, 0.0, 0.0])[torch.as_tensor(rng.permutation(4))], "group": 4}]
    for groups, group, dtype in ((2, 3, torch.float32), (3, 8, torch.float32), (5, 4, torch.float64)):
        offset, size = rng.uniform(-3, 3, (groups, 1)), rng.uniform(0.5, 4, (groups, 1))
        reward = torch.as_tensor((offset + size * rng.normal(size=(groups, group))).round(2), dtype=dtype)
        cases.append({"reward": reward.flatten(), "group": group})
    alike = torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0, 1.0]) * float(rng.integers(1, 4))
    close = torch.as_tensor(rng.choice([0.5, 0.75], (2, 1)) + np.array([0.0, 0.01, 0.0, 0.02])).flatten()
    return [*cases, {"reward": close, "group": 4}, {"reward": alike, "group": 3}]


def _two_clips(
    bounds=lambda below, above: (below, above),
    pick=torch.minimum,
    ratio=None,
    masked=True,
    min_of_both=True,
    advantage_of=lambda a: a[:, None],
    change=lambda objective, mask: objective,
):
    def function(log_prob, old_log_prob, advantage, mask, below, above):
        r = (log_prob - old_log_prob).exp() if ratio is None else ratio(log_prob, old_log_prob, mask)
        low, high = bounds(below, above)
        a, clipped = advantage_of(advantage), r.clamp(1 - low, 1 + high)
        objective = pick(r * a, clipped * a) if min_of_both else (clipped * a).expand(r.shape)
        return change(objective * mask if masked else objective, mask)

    return function


def _reference(log_prob, old_log_prob, advantage, mask, below, above):
    ratio = (log_prob - old_log_prob).exp()
    return clipped_surrogate(ratio, advantage[:, None].expand(ratio.shape), (below, above)) * mask


def _product(log_prob, old_log_prob, mask):
    return ((log_prob - old_log_prob) * mask).sum(-1, keepdim=True).exp().expand(mask.shape)


def _geometric_mean(log_prob, old_log_prob, mask):
    mean = ((log_prob - old_log_prob) * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True)
    return mean.exp().expand(mask.shape)


def _clip_cases(rng):
    """One text of one token on either side of the band and far out, then several texts of several lengths.

    The last text stays inside the band as a whole, too, so that a ratio of the whole text is told from a mean of them.
    """
    cases, bands = [], [(0.2, 0.4), (0.1, 0.25), (0.3, 0.5)]
    rng.shuffle(bands)
    for change, sign in ((0.5, 1.0), (-0.9, -1.0), (0.5, -1.0), (0.25, 1.0), (1.5, -1.0), (-0.9, 1.0)):
        band = bands[len(cases) % len(bands)]
        cases.append(_clip_case(rng, np.array([[change]]), np.array([sign]), np.ones((1, 1)), band))
    lengths = np.array([3, 1, 4, 2])
    change = rng.choice([-0.5, -0.15, 0.1, 0.25, 0.6], (4, 4)) + rng.uniform(-0.02, 0.02, (4, 4))
    change[3, :2] = 0.03
    mask = (np.arange(4) < lengths[:, None]).astype(float)
    return [*cases, _clip_case(rng, change, np.array([1.0, -1.0, -1.0, 1.0]), mask, bands[0])]


def _clip_case(rng, change, sign, mask, band):
    old = rng.uniform(-2.5, -0.8, change.shape).round(2)
    numbers = {"log_prob": old + change.round(2), "old_log_prob": old}
    numbers |= {"advantage": sign * rng.uniform(0.5, 2.0, sign.shape).round(2), "mask": mask}
    tensors = {name: torch.as_tensor(x, dtype=torch.float32) for name, x in numbers.items()}
    return {**tensors, "below": band[0], "above": band[1]}


GROUP_ADVANTAGE = Task(
    "7.1", _grouped(group_relative), _group_cases, plain(),
    mistakes={
        "the mean and the standard deviation are those of the whole batch": _of_the_batch,
        "the standard deviation is that of the whole batch": _std_of_the_batch,
        "siblings stand side by side, and here they are taken from places far apart": _strided,
        "mean and standard deviation are taken over the groups, not within each": _over_groups,
        "the rows are no groups: `group` is how many texts a group has, not how many groups there are":
            _of_other_groups,
        "the mean is that of the whole batch":
            lambda reward, group: _grouped(lambda x: (x - reward.mean()) / (x.std(-1, keepdim=True) + 1e-4))(
                reward, group),
        "the median is taken off, not the mean":
            _grouped(lambda x: (x - x.median(-1, keepdim=True).values) / (x.std(-1, keepdim=True) + 1e-4)),
        "only the mean is divided: the difference stands in brackets":
            _grouped(lambda x: x - x.mean(-1, keepdim=True) / (x.std(-1, keepdim=True) + 1e-4)),
        "leave-one-out, divided by the standard deviation":
            _grouped(lambda x: leave_one_out(x) / (x.std(-1, keepdim=True) + 1e-4)),
        "not divided by the standard deviation": _grouped(lambda x: x - x.mean(-1, keepdim=True)),
        "the mean is not taken off": _grouped(lambda x: x / (x.std(-1, keepdim=True) + 1e-4)),
        "this is leave-one-out: the mean of the others is taken off": _grouped(leave_one_out),
        "divided by the variance, not by its root": _divided_by(lambda x: x.var(-1, keepdim=True) + 1e-4),
        "the standard deviation is divided by G: torch.std divides by G - 1":
            _divided_by(lambda x: x.std(-1, keepdim=True, correction=0) + 1e-4),
        "a group all alike is divided by zero": [
            _divided_by(lambda x: x.std(-1, keepdim=True)),
            _grouped(lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True) + 1e-4)],
        "another small number than 1e-4, or not added to the standard deviation": [
            *(_divided_by(lambda x, e=e: x.std(-1, keepdim=True) + e) for e in (1e-8, 1e-6, 1e-5, 1e-3)),
            *(_divided_by(lambda x, e=e: (x.var(-1, keepdim=True) + e).sqrt()) for e in (1e-4, 1e-8)),
            _divided_by(lambda x: x.std(-1, keepdim=True).clamp(min=1e-4)),
            _grouped(lambda x: ((x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)).nan_to_num(0.0))],
        "the sign is flipped": _grouped(lambda x: -group_relative(x)),
    },
    learned="Each group by itself: the siblings' mean stands for PPO's critic, and a group all alike is silent.",
)  # fmt: skip

TWO_CLIPS = Task(
    "7.2", _reference, _clip_cases, with_gradient("log_prob"),
    mistakes={
        "the two clips are exchanged": _two_clips(bounds=lambda below, above: (above, below)),
        "`below` is used on both sides": _two_clips(bounds=lambda below, above: (below, below)),
        "`above` is used on both sides": _two_clips(bounds=lambda below, above: (above, above)),
        "no minimum: the clipped branch alone": _two_clips(min_of_both=False),
        "the larger branch is taken, not the smaller": _two_clips(pick=torch.maximum),
        "no clip at all": _two_clips(pick=lambda a, b: a),
        "the ratio is that of the whole text: the product over its tokens": _two_clips(ratio=_product),
        "the ratio is the geometric mean over the text's tokens": _two_clips(ratio=_geometric_mean),
        "columns without a token count, too: the mask is not used": _two_clips(masked=False),
        "the ratio is upside down: old over new": _two_clips(ratio=lambda new, old, mask: (old - new).exp()),
        "the difference of logs is taken for the ratio": _two_clips(ratio=lambda new, old, mask: new - old),
        "the advantage runs along the tokens: each text has one, `advantage[:, None]`":
            _two_clips(advantage_of=lambda a: a[None]),
        "the advantage is left out": _two_clips(advantage_of=lambda a: torch.ones_like(a)[:, None]),
        "the sign of the advantage is flipped": _two_clips(advantage_of=lambda a: -a[:, None]),
        "a loss: the objective itself is asked for, to be maximised": _two_clips(change=lambda x, mask: -x),
        "the mask is upside down": _two_clips(masked=False, change=lambda x, mask: x * (1 - mask)),
        "divided by the number of tokens, which is not asked here":
            _two_clips(change=lambda x, mask: x / mask.sum(-1, keepdim=True)),
        "the band is [below, above], and not [1 - below, 1 + above]":
            [_two_clips(lambda b, a: (1 - b, a - 1)), _two_clips(lambda b, a: (1 + b, a - 1))],
        "only the upper edge of the band": _two_clips(lambda b, a: (torch.inf, a), min_of_both=False),
        "only the lower edge of the band": _two_clips(lambda b, a: (b, torch.inf), min_of_both=False),
        "below and above are not used: numbers stand in the code":
            [_two_clips(lambda b, a, x=x: x) for x in ((0.2, 0.28), (0.2, 0.2), (0.2, 0.4), (0.1, 0.1))],
    },
    partly={
        "a further bound holds where the ratio is large and the advantage negative":
            lambda case: ~((case["advantage"][:, None] < 0) & (case["log_prob"] - case["old_log_prob"] > 0.9)),
    },
    learned="Each token has a ratio of its own, all of a text share its advantage, and the band may be wider above.",
)  # fmt: skip
