"""The exercises of notebook 01: the clipped surrogate, the table of cases, a loss with a wrong sign."""

import numpy as np
import torch

from lecture_utils import clipped_surrogate, probability_ratio
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge, with_gradient

CASES = [(sign, place) for sign in (1, -1) for place in ("below", "inside", "above")]


def draw(rng, size, sign, place, clip, dtype=torch.float32):
    """Ratios and advantages of one case, two decimals each, and never on the edge of the band: two (size,) tensors."""
    low, high = {"below": (0.2, 1 - clip - 0.05), "inside": (1 - clip, 1 + clip), "above": (1 + clip + 0.05, 2.2)}[
        place
    ]
    ratio = rng.uniform(low + 0.011, high - 0.011, size)
    advantage = sign * rng.uniform(0.4, 3.0, size)
    return (torch.as_tensor(x.round(2), dtype=dtype) for x in (ratio, advantage))


def check_clipped_surrogate(answer):
    """Exercise 1.1: answer(ratio, advantage, clip) -> the objective of every sample, tensors of one shape."""
    return judge(CLIPPED_SURROGATE, answer)


def check_mended_loss(answer):
    """Exercise 1.3: answer(log_prob, old_log_prob, advantage, clip) -> a loss to minimise, tensor of one number."""
    return judge(MENDED_LOSS, answer)


def check_cases(answers):
    """Exercise 1.2: {case: "up", "down" or "none"}, where gradient ascent on the objective pushes the ratio."""
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
        measured=measured,
        mistakes=[
            ("flat on both sides of the band: that is the clip alone, without the min", alone),
            ("never flat: that is the surrogate without the clip", everywhere),
            ("the direction is flipped", flipped),
            ("flat on the wrong side of the band: that is max for min", maximum),
        ],
    )  # fmt: skip


def _other(answer, direction):
    return {direction} if answer == {"none"} else {"none"}


def _direction(slope):
    return "none" if slope == 0 else "up" if slope > 0 else "down"


def _slope(objective, ratio, advantage):
    ratio = ratio.clone().requires_grad_()
    return torch.autograd.grad(objective(ratio, advantage).sum(), ratio)[0].item() + 0.0  # never -0


def _clip_alone(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage


def _surrogate_cases(rng):
    cases = []
    for sign, place in CASES:
        clip = round(rng.uniform(0.1, 0.4), 2)
        cases.append((*draw(rng, 1, sign, place, clip), clip))
    for shape, dtype in (((6,), torch.float32), ((2, 6), torch.float64)):
        clip = round(rng.uniform(0.1, 0.4), 2)
        parts = [draw(rng, shape[:-1], *case, clip, dtype) for case in CASES]
        cases.append((*(torch.stack(x, dim=-1) for x in zip(*parts, strict=True)), clip))
    return [dict(zip(("ratio", "advantage", "clip"), case, strict=True)) for case in cases]


def _loss_cases(rng):
    cases = []
    for case in _surrogate_cases(rng):
        if case["ratio"].ndim > 1:
            case = {k: x.flatten() if k != "clip" else x for k, x in case.items()}
        old = torch.as_tensor(rng.uniform(-3, 0.5, case["ratio"].shape).round(2), dtype=case["ratio"].dtype)
        log_ratio = (case["ratio"].log() * 100).round() / 100
        cases.append({"log_prob": old + log_ratio, "old_log_prob": old, **{k: case[k] for k in ("advantage", "clip")}})
    return cases


def _on_ratio(objective):
    """A loss from an elementwise objective(ratio, advantage, clip), by minus and mean."""
    return lambda new, old, advantage, clip: -objective(probability_ratio(new, old), advantage, clip).mean()


def _given_loss(log_prob, old_log_prob, advantage, clip):
    ratio = (log_prob - old_log_prob).exp()
    unclipped = -ratio * advantage
    clipped = -ratio.clamp(1 - clip, 1 + clip) * advantage
    return torch.min(unclipped, clipped).mean()


MAX_FOR_MIN = "max for min"
SIGN_FLIPPED = "the sign of the advantage is flipped"
OBJECTIVES = {
    SIGN_FLIPPED: lambda r, a, c: clipped_surrogate(r, -a, c),
    MAX_FOR_MIN: lambda r, a, c: torch.max(r * a, _clip_alone(r, a, c)),
    "the clip alone, without the min": _clip_alone,
    "the clip is missing": lambda r, a, c: r * a,
    "the ratio is clipped to [-clip, clip], not to [1 - clip, 1 + clip]":
        lambda r, a, c: torch.min(r * a, r.clamp(-c, c) * a),
    "the logarithm of the ratio is clipped": lambda r, a, c: torch.min(r * a, r.log().clamp(-c, c).exp() * a),
    "the product is clipped, not the ratio": lambda r, a, c: torch.min(r * a, (r * a).clamp(1 - c, 1 + c)),
    "only the upper edge of the band, right for positive advantages only": lambda r, a, c: r.clamp(max=1 + c) * a,
    "the advantage is left out": lambda r, a, c: torch.min(r, r.clamp(1 - c, 1 + c)),
    "the argument clip is not used: 0.2 stands in the code": lambda r, a, c: clipped_surrogate(r, a, 0.2),
}  # fmt: skip
PARTLY = {
    "right for positive advantages only": lambda case: case["advantage"] > 0,
    "right for negative advantages only": lambda case: case["advantage"] < 0,
}

CLIPPED_SURROGATE = Task(
    "1.1", clipped_surrogate, _surrogate_cases, with_gradient("ratio"),
    mistakes={
        **OBJECTIVES,
        "a loss: the objective itself is asked for, to be maximised": lambda r, a, c: -clipped_surrogate(r, a, c),
        "the mean is taken: one number for each sample is asked": lambda r, a, c: clipped_surrogate(r, a, c).mean(),
    },
    partly={
        **PARTLY,
        "right inside the band only": lambda case: (case["ratio"] - 1).abs() < case["clip"],
    },
    learned="It agrees in value and gradient for both signs of A, on both sides of the band, and for any clip.",
)  # fmt: skip

MENDED_LOSS = Task(
    "1.3", _on_ratio(clipped_surrogate), _loss_cases, with_gradient("log_prob"),
    mistakes={
        **{name: _on_ratio(x) for name, x in OBJECTIVES.items() if name != MAX_FOR_MIN},  # that is the given loss
        "the objective, to be maximised: a loss is minimised": lambda *x: -_on_ratio(clipped_surrogate)(*x),
        "the ratio is upside down": lambda new, old, a, c: _on_ratio(clipped_surrogate)(old, new, a, c),
        "the sum is taken for the mean": lambda new, old, a, c: -clipped_surrogate((new - old).exp(), a, c).sum(),
        "the mean is missing": lambda new, old, a, c: -clipped_surrogate((new - old).exp(), a, c),
    },
    partly=PARTLY,
    given=_given_loss,
    learned="With a minus inside, min must become max: the smaller objective is the larger loss.",
)  # fmt: skip
