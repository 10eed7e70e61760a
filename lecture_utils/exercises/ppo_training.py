"""The exercises of notebook 03: the loss of PPO, an update with it, and what the diagnostics of sick runs tell."""

import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils import clipped_surrogate, probability_ratio
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge, with_gradient
from lecture_utils.exercises.ratio_and_clip import draw
from lecture_utils.experiments.data_files import DATA
from lecture_utils.experiments.faulty_runs import SICK, side_by_side

CASES = [(sign, place) for sign in (1, -1) for place in ("below", "inside", "above")]


class LinearPolicy(torch.nn.Module):
    """A policy small enough for paper: observation (B, O) -> Normal (B, A) of mean observation @ weight and std 1."""

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight.clone())

    def forward(self, observation):
        return Normal(observation @ self.weight, 1.0)


def check_ppo_loss(answer):
    """Exercise 3.1: answer(log_prob, old_log_prob, advantage, entropy, clip, entropy_coef) -> loss, a tensor of one
    number; the first four are (B,).
    """
    return judge(LOSS, answer)


def check_update(answer):
    """Exercise 3.2: answer(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip).

    Changes the policy's weights in place. The policy is a LinearPolicy, the optimizer torch.optim.SGD; observation
    (N, O), action (N, A), advantage (N,). Minibatches in the order of the batch.
    """
    return judge(UPDATE, answer)


def sick_runs(folder=DATA):
    """The diagnostics of healthy runs and of three sick kinds, A, B and C: a DataFrame of text, medians over runs."""
    return side_by_side({"healthy": "healthy", **SICK}, folder)


def check_diagnosis(answers):
    """Exercise 3.3: {"A": diagnosis, "B": ..., "C": ...}, one of those in SICK."""
    signs = {
        "A": "the explained variance is near 0: this critic is hardly better than a constant",
        "B": "the policy moves further in an update than in any other column: see approx_kl and clip_fraction",
        "C": "the entropy is far below that of the healthy run",
    }
    return judge_choices(
        "3.3", answers, {name: {fault} for name, fault in SICK.items()}, tuple(SICK.values()),
        "The return only says that a run is sick; explained variance, KL and entropy say where.",
        measured={name: f"the sign: {sign}" for name, sign in signs.items()},
        mistakes=[("the learning rate and the standard deviation are exchanged: look at the entropy",
                   {"A": {SICK["A"]}, "B": {SICK["C"]}, "C": {SICK["B"]}}),
                  ("the critic is blamed for what the actor does: look at the explained variance",
                   {"A": {SICK["B"], SICK["C"]}, "B": {SICK["A"]}, "C": {SICK["B"], SICK["C"]}})],
    )  # fmt: skip


def _loss(objective=clipped_surrogate, ratio=probability_ratio, entropy_sign=1, reduce=torch.mean, sign=1):
    def function(log_prob, old_log_prob, advantage, entropy, clip, entropy_coef):
        value = objective(ratio(log_prob, old_log_prob), advantage, clip)
        return sign * (-reduce(value) - entropy_sign * entropy_coef * reduce(entropy))

    return function


def _loss_cases(rng):
    def case(rows, dtype=torch.float32):
        clip = round(rng.uniform(0.1, 0.4), 2)
        drawn = [draw(rng, 1, *row, clip, dtype) for row in rows]
        ratio, advantage = (torch.cat(x) for x in zip(*drawn, strict=True))
        old_log_prob, entropy = (torch.as_tensor(rng.uniform(*limits, len(rows)).round(2), dtype=dtype)
                                 for limits in ((-3, 0.5), (0.5, 2)))  # fmt: skip
        log_prob = old_log_prob + (ratio.log() * 100).round() / 100
        numbers = {"log_prob": log_prob, "old_log_prob": old_log_prob, "advantage": advantage, "entropy": entropy}
        return {**numbers, "clip": clip, "entropy_coef": round(rng.uniform(0.1, 0.9), 2)}

    return [*(case([row]) for row in CASES), case(CASES[:2]), case(CASES), case(CASES * 2, torch.float64)]


def _update(
    refresh=None, zero_grad=True, last=True, sign=1, objective=clipped_surrogate, passes_used=None, total=False
):
    """An update with parts exchanged. refresh: "pass" or "minibatch", how often the old policy is taken anew."""

    def function(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
        def log_prob_of(rows):
            return policy(observation[rows]).log_prob(action[rows]).sum(-1)

        n = len(observation)
        with torch.no_grad():
            old = log_prob_of(slice(None))
        for _ in range(passes_used or passes):
            if refresh == "pass":
                old = log_prob_of(slice(None)).detach()
            stop = n if last else n - n % minibatch_size
            for start in range(0, stop, minibatch_size):
                rows = slice(start, start + minibatch_size)
                log_prob = log_prob_of(rows)
                before = log_prob.detach() if refresh == "minibatch" else old[rows]
                value = objective(probability_ratio(log_prob, before), advantage[rows], clip)
                if zero_grad:
                    optimizer.zero_grad()
                (-sign * (value.sum() if total else value.mean())).backward()
                optimizer.step()

    return function


def _one_batch(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    _update()(policy, optimizer, observation, action, advantage, passes, len(observation), clip)


def _per_dimension(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    """The ratio of each action dimension by itself, clipped by itself."""
    old = policy(observation).log_prob(action).detach()
    for _ in range(passes):
        for start in range(0, len(observation), minibatch_size):
            rows = slice(start, start + minibatch_size)
            ratio = (policy(observation[rows]).log_prob(action[rows]) - old[rows]).exp()
            optimizer.zero_grad()
            (-clipped_surrogate(ratio, advantage[rows, None].expand_as(ratio), clip).mean()).backward()
            optimizer.step()


def _update_cases(rng):
    """From one sample in one dimension to seven in two.

    Actions lie far from the mean, so that the first step leaves the band; signs of the advantage alternate, so that
    one sample's step takes another the wrong way; in the case of three, the short last minibatch has its own weight.
    """
    sizes = [(1, 1, 1, 1, 1), (2, 1, 1, 1, 2), (1, 1, 1, 2, 1), (2, 1, 1, 1, 1), (3, 2, 1, 1, 2), (7, 3, 2, 3, 3)]
    inside_the_band = {**_update_case(rng, 1, 1, 1, 3, 1), "clip": 0.3, "learning_rate": 0.002}
    return [inside_the_band, *(_update_case(rng, *size) for size in sizes)]


def _update_case(rng, n, observations, actions, passes, minibatch_size):
    low_high = {"weight": (-0.5, 0), "observation": (1, 2), "action": (1.2, 2.5), "advantage": (1, 2)}
    shapes = ((observations, actions), (n, observations), (n, actions), (n,))
    numbers = {name: torch.as_tensor(rng.uniform(*limits, shape).round(2))
               for (name, limits), shape in zip(low_high.items(), shapes, strict=True)}  # fmt: skip
    numbers["advantage"] *= torch.as_tensor(np.resize(rng.permutation([1.0, -1.0]), n))
    if n == 3:
        numbers["observation"][:2, 1] = numbers["observation"][2, 0] = 0.0
    return {**numbers, "passes": passes, "minibatch_size": minibatch_size, "clip": 0.05, "learning_rate": 0.1}


def _weights_after(function, inputs):
    inputs = dict(inputs)
    policy = LinearPolicy(inputs.pop("weight"))
    optimizer = torch.optim.SGD(policy.parameters(), lr=inputs.pop("learning_rate"))
    returned = function(policy, optimizer, *inputs.values())
    return {"result": ... if returned is ... else policy.weight.detach()}


LOSS = Task(
    "3.1", _loss(), _loss_cases, with_gradient("log_prob", "entropy"),
    mistakes={
        "the sign of the entropy bonus is flipped": _loss(entropy_sign=-1),
        "the entropy bonus is missing": lambda *x: _loss(entropy_sign=0)(*x),
        "the objective, to be maximised: a loss is minimised": _loss(sign=-1),
        "the sum is taken for the mean": _loss(reduce=torch.sum),
        "the mean is missing": _loss(reduce=lambda x: x),
        "the sign of the advantage is flipped": _loss(lambda r, a, c: clipped_surrogate(r, -a, c)),
        "max for min": _loss(lambda r, a, c: torch.max(r * a, r.clamp(1 - c, 1 + c) * a)),
        "the clip alone, without the min": _loss(lambda r, a, c: r.clamp(1 - c, 1 + c) * a),
        "the clip is missing": _loss(lambda r, a, c: r * a),
        "the ratio is upside down": _loss(ratio=lambda new, old: (old - new).exp()),
        "the logarithms are divided: the ratio is the exponential of their difference":
            _loss(ratio=lambda new, old: new / old),
        "the exponential is missing: the ratio is the exponential of the difference":
            _loss(ratio=lambda new, old: new - old),
    },
    partly={
        "right for positive advantages only": lambda case: case["advantage"] > 0,
        "right for negative advantages only": lambda case: case["advantage"] < 0,
        "right inside the band only":
            lambda case: ((case["log_prob"] - case["old_log_prob"]).exp() - 1).abs() < case["clip"],
    },
    learned="Value and gradient agree: ratio, min, mean over the batch, and a bonus that lowers the loss.",
)  # fmt: skip

UPDATE = Task(
    "3.2", _update(), _update_cases, _weights_after,
    mistakes={
        "the weights do not move": lambda policy, *rest: policy.requires_grad_(),
        "the old policy is taken anew in every minibatch: the ratio is always 1": _update(refresh="minibatch"),
        "the old policy is taken anew in every pass: the clip never sees the drift": _update(refresh="pass"),
        "gradients add up: zero_grad is missing": _update(zero_grad=False),
        "the short last minibatch is left out": _update(last=False),
        "descent on the objective: the sign of the loss is flipped": _update(sign=-1),
        "a single pass": _update(passes_used=1),
        "the minibatch is the whole batch": _one_batch,
        "the sum over the minibatch is taken for the mean": _update(total=True),
        "the clip is missing": _update(objective=lambda r, a, c: r * a),
        "the clip alone, without the min": _update(objective=lambda r, a, c: r.clamp(1 - c, 1 + c) * a),
        "max for min": _update(objective=lambda r, a, c: torch.max(r * a, r.clamp(1 - c, 1 + c) * a)),
        "log-probabilities are not summed over the action's dimensions": _per_dimension,
    },
    partly={
        "right for the first pass only": lambda case: case["passes"] == 1,
        "right for one action dimension only": lambda case: case["action"].shape[1] == 1,
    },
    learned="The weights agree after several passes: the old log-probabilities stayed put while the policy moved.",
)  # fmt: skip
