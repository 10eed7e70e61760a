"""The exercises of notebook 01: the clipped surrogate, the table of cases, a loss with a wrong sign."""

import numpy as np
import torch

from lecture_utils import clipped_surrogate, probability_ratio
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import NO_GRADIENT, Task, judge, with_gradient
from lecture_utils.exercises.verdict import checker

CASES = [(sign, place) for sign in (1, -1) for place in ("below", "inside", "above")]
WIDE, NARROW = (0.6, 0.9), (0.02, 0.04)


def draw(rng, size, sign, place, clip, dtype=torch.float32):
    """Ratios and advantages of one case, few decimals each, and never on the edge of the band: two (size,) tensors."""
    low, high = {"below": (0.3, 0.9), "inside": (-0.9, 0.9), "above": (1.1, 2.2)}[place]
    share = rng.uniform(low, high, size)
    ratio = {"below": (1 - clip) * share, "inside": 1 + clip * share, "above": (1 + clip) * share}[place]
    advantage = sign * rng.uniform(0.4, 3.0, size)
    decimals = 2 if clip >= 0.1 else 4
    return (torch.as_tensor(x, dtype=dtype) for x in (ratio.round(decimals), advantage.round(2)))


@checker
def check_clipped_surrogate(answer):
    """Exercise 1.1: answer(ratio, advantage, clip) -> the objective of every sample, tensors of one shape."""
    return judge(CLIPPED_SURROGATE, answer)


@checker
def check_mended_loss(answer):
    """Exercise 1.3: answer(log_prob, old_log_prob, advantage, clip) -> a loss to minimise, tensor of one number."""
    return judge(MENDED_LOSS, answer)


@checker
def check_cases(answers, show=False):
    """Exercise 1.2: {case: "up", "down" or "none"}, where gradient ascent on the objective pushes the ratio.

    show: whether the right answers are told, with a measured gradient each.
    """
    rng, clip = np.random.default_rng(), None
    accepted, measured, alone, everywhere, flipped = {}, {}, {}, {}, {}
    opposite = {"up": "down", "down": "up", "none": "none"}
    for sign, place in CASES:
        clip = round(rng.uniform(0.1, 0.4), 2)
        ratio, advantage = draw(rng, 1, sign, place, clip)
        name = f"A {'>' if sign > 0 else '<'} 0, ratio {place} the band"
        slope = _slope(lambda r, a, c=clip: clipped_surrogate(r, a, c), ratio, advantage)
        accepted[name] = {_direction(slope)}
        alone[name] = {_direction(_slope(lambda r, a, c=clip: _clip_alone(r, a, c), ratio, advantage))}
        everywhere[name], flipped[name] = {"up" if sign > 0 else "down"}, {opposite[_direction(slope)]}
        measured[name] = (
            f"measured at ratio {ratio.item():.2f}, advantage {advantage.item():.2f}, clip {clip}: gradient {slope:.2f}"
        )
    maximum = {name: {d} if alone[name] == accepted[name] != {"none"} else _other(accepted[name], d)
               for name, (d,) in ((name, tuple(x)) for name, x in everywhere.items())}  # fmt: skip
    return judge_choices(
        "1.2", answers, accepted, ("up", "down", "none"),
        "Two of the six have no gradient: there the ratio has gone far enough in the direction that A asked for.",
        measured=measured, show=show,
        mistakes=[
            ("flat on both sides of the band: that is the clip alone, without the min", alone),
            ("never flat: that is the surrogate without the clip", everywhere),
            ("the direction is flipped", flipped),
            ("flat on the wrong side of the band: that is max for min", maximum),
        ],
    )  # fmt: skip


@checker
def check_enumerated_surrogate(answer):
    """Exercise 1.4: answer(old (S, A), new (S, A), advantage (S, A), share (S,)) -> the surrogate, a number.

    old and new: the probability of each action in each state; share: how much of the old policy's steps a state gets.
    """
    return judge(ENUMERATED, answer)


def _other(answer, direction):
    return {direction} if answer == {"none"} else {"none"}


def _direction(slope):
    return "none" if slope == 0 else "up" if slope > 0 else "down"


def _slope(objective, ratio, advantage):
    ratio = ratio.clone().requires_grad_()
    return torch.autograd.grad(objective(ratio, advantage).sum(), ratio)[0].item() + 0.0  # never -0


def _clip_alone(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage


def usual(rng):
    """A clip as in most papers, two decimals."""
    return round(rng.uniform(0.1, 0.4), 2)


def batch(rng, rows, clip, dtype=torch.float32):
    """One sample of each row of CASES, in random order: ratio, advantage (len(rows),)."""
    drawn = [draw(rng, 1, *row, clip, dtype) for row in rng.permutation(np.array(rows, dtype=object))]
    return tuple(torch.cat(x) for x in zip(*drawn, strict=True))


def _batches(rng):
    """(ratio, advantage, clip) of several samples: each sign, no advantage, wide and narrow bands, far outside."""
    cases = []
    for rows, limits in ((CASES[:3], None), (CASES[3:], None), (CASES, WIDE), (CASES, NARROW)):
        clip = usual(rng) if limits is None else round(rng.uniform(*limits), 2)
        cases.append((*batch(rng, rows, clip), clip))
    ratio, advantage = batch(rng, CASES, clip := usual(rng))
    cases.append((ratio, 0 * advantage, clip))
    far = np.concatenate([rng.uniform(8, 30, 2), rng.uniform(0.01, 0.05, 2)]).round(2)
    large = torch.tensor([1.0, -1.0, 1.0, -1.0]) * round(rng.uniform(8, 20), 1)
    cases.append((torch.as_tensor(far).float(), large, usual(rng)))
    return cases


def _edges(rng):
    """Ratios exactly on an edge of the band: these clips, and 1 minus and plus them, are exact in binary."""
    cases = []
    for clip in (0.25, 0.5):
        signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
        ratio = torch.tensor([1 + clip, 1 + clip, 1 - clip, 1 - clip])
        cases.append((ratio, signs * torch.as_tensor(rng.uniform(0.4, 3.0, 4).round(2)).float(), clip))
    return cases


def _surrogate_cases(rng):
    cases = [(*draw(rng, 1, *row, clip), clip) for row in CASES for clip in [usual(rng)]]
    cases += [*_batches(rng), *_edges(rng)]
    clip = usual(rng)
    ratio, advantage = (x.reshape(2, 6) for x in batch(rng, CASES * 2, clip, torch.float64))
    return [dict(zip(("ratio", "advantage", "clip"), case, strict=True)) for case in [*cases, (ratio, advantage, clip)]]


def _edge_agrees(case, name, gradient):
    """On an edge of the band any slope between those of its two sides is right, and none but where one side is flat.

    Where the unclipped branch counts on both sides, torch shares the gradient of a tie among the branches.
    """
    if name == "result":
        return False
    ratio, advantage, clip = (x.numpy() if isinstance(x, torch.Tensor) else x for x in case.values())
    upper, lower = ratio == 1 + clip, ratio == 1 - clip
    share = np.divide(gradient.numpy(), advantage, out=np.full_like(advantage, np.nan), where=advantage != 0)
    kink = (upper & (advantage > 0)) | (lower & (advantage < 0))
    return (upper | lower) & (share <= 1 + 1e-4) & (share >= np.where(kink, -1e-4, 0.2))


def logarithms(rng, ratio, clip):
    """(log_prob, old_log_prob) of such ratios up to rounding, which leaves each ratio on its side of every edge."""
    old = torch.as_tensor(rng.uniform(-3, 0.5, ratio.shape).round(2), dtype=ratio.dtype)
    decimals = 10**2 if clip >= 0.1 else 10**4
    return old + (ratio.log() * decimals).round() / decimals, old


def _loss_cases(rng):
    cases = []
    for case in _surrogate_cases(rng):
        ratio, advantage, clip = case.values()
        if clip in (0.25, 0.5) and ((ratio == 1 + clip) | (ratio == 1 - clip)).any():
            continue  # a logarithm does not hit an edge
        new, old = logarithms(rng, ratio.flatten(), clip)
        cases.append({"log_prob": new, "old_log_prob": old, "advantage": advantage.flatten(), "clip": clip})
    return cases


def _on_ratio(objective):
    """A loss from an elementwise objective(ratio, advantage, clip), by minus and mean."""
    return lambda new, old, advantage, clip: -objective(probability_ratio(new, old), advantage, clip).mean()


def _given_loss(log_prob, old_log_prob, advantage, clip):
    ratio = (log_prob - old_log_prob).exp()
    unclipped = -ratio * advantage
    clipped = -ratio.clamp(1 - clip, 1 + clip) * advantage
    return torch.min(unclipped, clipped).mean()


def _outside(ratio, clip):
    return (ratio < 1 - clip) | (ratio > 1 + clip)


MAX_FOR_MIN = "max for min"
SIGN_FLIPPED = "the sign of the advantage is flipped"
OBJECTIVES = {
    SIGN_FLIPPED: lambda r, a, c: clipped_surrogate(r, -a, c),
    MAX_FOR_MIN: lambda r, a, c: torch.max(r * a, _clip_alone(r, a, c)),
    "the clip alone, without the min: both branches are clipped": _clip_alone,
    "the clip is missing": lambda r, a, c: r * a,
    "the ratio is clipped to [-clip, clip], not to [1 - clip, 1 + clip]":
        [lambda r, a, c: torch.min(r * a, r.clamp(-c, c) * a), lambda r, a, c: r.clamp(-c, c) * a],
    "the logarithm of the ratio is clipped":
        [lambda r, a, c: torch.min(r * a, r.log().clamp(-c, c).exp() * a),
         lambda r, a, c: torch.min(r * a, r.log().clamp(1 - c, 1 + c).exp() * a),
         lambda r, a, c: torch.min(r.log() * a, r.log().clamp(-c, c) * a)],
    "the ratio is upside down: old over new": lambda r, a, c: clipped_surrogate(1 / r, a, c),
    "the product is clipped, not the ratio":
        [lambda r, a, c: torch.min(r * a, (r * a).clamp(1 - c, 1 + c)), lambda r, a, c: (r * a).clamp(1 - c, 1 + c)],
    "only the upper edge of the band, right for positive advantages only: is the min taken before A is multiplied?":
        lambda r, a, c: r.clamp(max=1 + c) * a,
    "only the lower edge of the band, right for negative advantages only": lambda r, a, c: r.clamp(min=1 - c) * a,
    "the advantage is left out": lambda r, a, c: torch.min(r, r.clamp(1 - c, 1 + c)),
    "the advantage is missing in one of the two branches":
        [lambda r, a, c: torch.min(r * a, r.clamp(1 - c, 1 + c)),
         lambda r, a, c: torch.min(r, r.clamp(1 - c, 1 + c) * a)],
    "the size of the advantage is used, without its sign": lambda r, a, c: clipped_surrogate(r, a.abs(), c),
    "samples outside the band are left out: those that went the wrong way must come back":
        [lambda r, a, c: torch.where(_outside(r, c), 0.0, r * a),
         lambda r, a, c: torch.where((r - 1).abs() < c, r * a, 0.0)],
    "the argument clip is not used: a number stands in the code":
        [lambda r, a, c: clipped_surrogate(r, a, 0.2), lambda r, a, c: clipped_surrogate(r, a, 0.1)],
    "the lower edge is 1 / (1 + clip), not 1 - clip":
        lambda r, a, c: torch.min(r * a, r.clamp(1 / (1 + c), 1 + c) * a),
    "A2C's objective: the logarithm times the advantage, without ratio and clip": lambda r, a, c: r.log() * a,
    "the change of the ratio is used: r - 1 in place of r": lambda r, a, c: clipped_surrogate(r, a, c) - a,
    "inside the band the ratio itself must stand, and not an edge":
        lambda r, a, c: torch.min(r * a, torch.where(r > 1, 1 + c, 1 - c) * a),
    "the advantage is clipped, not the ratio": [
        lambda r, a, c: torch.min(r * a, r * a.clamp(1 - c, 1 + c)), lambda r, a, c: r * a.clamp(1 - c, 1 + c),
        lambda r, a, c: torch.min(r * a, r * a.clamp(-c, c)), lambda r, a, c: r * a.clamp(-c, c)],
    "the ratio is given, and it is exponentiated once more": lambda r, a, c: clipped_surrogate(r.exp(), a, c),
}  # fmt: skip
PARTLY = {  # what leaves least out comes first
    "right but where the advantage is 0": lambda case: case["advantage"] != 0,
    "right for clips from 0.1 to 0.4 only":
        lambda case: torch.full(case["advantage"].shape, 0.1 <= case["clip"] <= 0.4),
    "right for positive advantages only": lambda case: case["advantage"] > 0,
    "right for negative advantages only": lambda case: case["advantage"] < 0,
}  # fmt: skip


def _far_bound(ratio, advantage):
    return (advantage < 0) & (ratio > 2.2)


CLIPPED_SURROGATE = Task(
    "1.1", clipped_surrogate, _surrogate_cases, with_gradient("ratio"), agrees=_edge_agrees,
    mistakes={
        **OBJECTIVES,
        "a loss: the objective itself is asked for, to be maximised":
            [lambda r, a, c: -clipped_surrogate(r, a, c), lambda r, a, c: -clipped_surrogate(r, a, c).mean()],
        "the advantages are normalised, which is not asked here": [
            lambda r, a, c, n=n: clipped_surrogate(r, (a - a.mean()) / (a.std(correction=n) + 1e-8), c)
            for n in (1, 0)],
        "the mean is taken: one number for each sample is asked": lambda r, a, c: clipped_surrogate(r, a, c).mean(),
        "the sum is taken: one number for each sample is asked": lambda r, a, c: clipped_surrogate(r, a, c).sum(),
        NO_GRADIENT: lambda r, a, c: clipped_surrogate(r, a, c).detach(),
    },
    partly={
        "right but on the edge of the band":
            lambda case: (case["ratio"] != 1 + case["clip"]) & (case["ratio"] != 1 - case["clip"]),
        "a further bound holds where the ratio is large and the advantage negative":
            lambda case: ~_far_bound(case["ratio"], case["advantage"]),
        **PARTLY,
        "right inside the band only": lambda case: (case["ratio"] - 1).abs() < case["clip"],
        "right for a single sample only": lambda case: torch.full(case["ratio"].shape, case["ratio"].numel() == 1),
    },
    learned="It agrees in value and gradient for both signs of A, on both sides of the band, and for any clip.",
)  # fmt: skip


def _mean_first(new, old, advantage, clip):
    ratio = probability_ratio(new, old)
    return -torch.min((ratio * advantage).mean(), _clip_alone(ratio, advantage, clip).mean())


LOSSES = {  # of a policy, from (log_prob, old_log_prob, advantage, clip); shared with exercise 3.1
    "the logarithms are divided: the ratio is the exponential of their difference":
        lambda new, old, a, c: -clipped_surrogate(new / old, a, c).mean(),
    "the exponential is missing: the ratio is the exponential of the difference":
        lambda new, old, a, c: -clipped_surrogate(new - old, a, c).mean(),
    "A2C's loss: the logarithm times the advantage, without ratio and clip": lambda new, old, a, c: -(new * a).mean(),
    "the probability is used for the ratio: the old policy is left out":
        lambda new, old, a, c: -clipped_surrogate(new.exp(), a, c).mean(),
    "the policy is compared with itself: the ratio is always 1":
        lambda new, old, a, c: -clipped_surrogate((new - new.detach()).exp(), a, c).mean(),
    "the mean is taken before the min": _mean_first,
    "the advantages are averaged before they meet the ratios":
        lambda new, old, a, c: -clipped_surrogate(probability_ratio(new, old), a.mean(), c).mean(),
    "the advantages are normalised, which is not asked here": lambda new, old, a, c:
        -clipped_surrogate(probability_ratio(new, old), (a - a.mean()) / (a.std() + 1e-8), c).mean(),
    "every ratio meets every advantage: a shape (B, 1) against (B,)": lambda new, old, a, c:
        -clipped_surrogate(*torch.broadcast_tensors(probability_ratio(new, old)[:, None], a), c).mean(),
}  # fmt: skip

MENDED_LOSS = Task(
    "1.3", _on_ratio(clipped_surrogate), _loss_cases, with_gradient("log_prob"),
    mistakes={
        **{name: [_on_ratio(x) for x in (functions if isinstance(functions, list) else [functions])]
           for name, functions in OBJECTIVES.items() if name != MAX_FOR_MIN},  # that is the given loss
        "the objective, to be maximised: a loss is minimised": lambda *x: -_on_ratio(clipped_surrogate)(*x),
        "the sum is taken for the mean": lambda new, old, a, c: -clipped_surrogate((new - old).exp(), a, c).sum(),
        "the mean is missing": lambda new, old, a, c: -clipped_surrogate((new - old).exp(), a, c),
        **LOSSES,
        NO_GRADIENT: lambda *x: _on_ratio(clipped_surrogate)(*x).detach(),
    },
    partly={
        **PARTLY,
        "right for a single sample only": lambda case: torch.full(case["advantage"].shape, len(case["advantage"]) == 1),
    },
    given=_given_loss,
    learned="With a minus inside, min must become max: the smaller objective is the larger loss.",
)  # fmt: skip


def _enumerated(term=lambda r, a: r * a, weight=lambda old, new: old, over_actions=np.sum, over_states=None, total=1):
    """Sums with parts exchanged: term of ratio and advantage, weight of an action, and the two reductions."""

    def function(old, new, advantage, share):
        of_state = over_actions(weight(old, new) * term(new / old, advantage), axis=1)
        return total * float(over_states(of_state) if over_states else share @ of_state)

    return function


def _tables(rng):
    """Probabilities of the actions in each state, old and new, and how often the states are met; each sums to 1."""
    cases = []
    for states, actions in ((1, 2), (1, 3), (2, 2), (3, 4), (5, 5)):
        old, new = (x / x.sum(axis=1, keepdims=True) for x in rng.uniform(0.1, 1, (2, states, actions)))
        share = rng.uniform(0.2, 1, states)
        advantage = rng.uniform(-3, 3, (states, actions)).round(2)
        cases.append({"old": old, "new": new, "advantage": advantage, "share": share / share.sum()})
    return cases


ENUMERATED = Task(
    "1.4", _enumerated(), _tables, lambda function, inputs: {"result": function(*inputs.values())},
    mistakes={
        "the actions are weighted by the new policy, and the ratio has done so already":
            _enumerated(weight=lambda old, new: new),
        "the ratio is missing: this is the old policy's mean advantage": _enumerated(lambda r, a: a),
        "the ratio is upside down: old over new": _enumerated(lambda r, a: a / r),
        "the actions are not weighted by how often the old policy takes them":
            [_enumerated(weight=lambda old, new: 1), _enumerated(weight=lambda old, new: 1, over_actions=np.mean)],
        "the states are not weighted by their share":
            [_enumerated(over_states=np.mean), _enumerated(over_states=np.sum)],
        "the mean over the actions is taken for the sum": _enumerated(over_actions=np.mean),
        "the advantages are left out": _enumerated(lambda r, a: r),
        "one number for each state: the sum over the states is missing":
            [lambda old, new, a, share: share * (new * a).sum(1), lambda old, new, a, share: (new * a).sum(1)],
        "one number for each action: the sums are missing":
            [lambda old, new, a, share: share[:, None] * new * a, lambda old, new, a, share: new * a,
             lambda old, new, a, share: new / old * a],
        "the change of the ratio is used: r - 1 in place of r": _enumerated(lambda r, a: (r - 1) * a),
        "the ratio is clipped, which is not asked here":
            [_enumerated(lambda r, a, c=c: np.minimum(r * a, r.clip(1 - c, 1 + c) * a)) for c in (0.2, 0.1)],
        "the logarithm of the ratio stands for the ratio": _enumerated(lambda r, a: np.log(r) * a),
        "the logarithm of the new probability stands for the ratio":
            lambda old, new, a, share: float(share @ (old * np.log(new) * a).sum(1)),
        "the size of the advantage is used, without its sign": _enumerated(lambda r, a: r * abs(a)),
        "a loss: the surrogate itself is asked for, to be maximised": _enumerated(total=-1),
    },
    partly={"right for a single state only": lambda case: np.array(len(case["share"]) == 1)},
    learned="Weighted by the old policy, the ratio gives the new policy's mean advantage in the old policy's states.",
)  # fmt: skip
