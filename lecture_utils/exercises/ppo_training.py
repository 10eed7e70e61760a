"""The exercises of notebook 03: the loss of PPO, an update with it, and what the diagnostics of sick runs tell."""

import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils import clipped_surrogate, probability_ratio
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import NO_GRADIENT, Task, judge, near, with_gradient
from lecture_utils.exercises.ratio_and_clip import (
    CASES,
    LOSSES,
    NARROW,
    OBJECTIVES,
    PARTLY,
    WIDE,
    batch,
    logarithms,
    usual,
)
from lecture_utils.exercises.verdict import checker
from lecture_utils.experiments.data_files import DATA
from lecture_utils.experiments.faulty_runs import SICK, side_by_side

FAR = 3.0  # weights of exercise 3.2 are drawn within 0.5, its logarithms of standard deviations within 0.2
LOST = 100.0  # a policy this far out is lost, and its numbers hang on the order of the sums


class LinearPolicy(torch.nn.Module):
    """A policy small enough for paper: observation (B, O) -> Normal (B, A).

    Its mean is observation @ weight, its standard deviation exp(log_std) in every state. Of a policy that a wrong
    update has thrown away, all is NaN and nothing is raised.
    """

    def __init__(self, weight, log_std):
        super().__init__()
        self.weight, self.log_std = torch.nn.Parameter(weight.clone()), torch.nn.Parameter(log_std.clone())

    def forward(self, observation):
        mean = observation @ self.weight
        return Normal(mean, self.log_std.exp().expand_as(mean), validate_args=False)


class CountingSGD(torch.optim.SGD):
    """torch's own, which remembers of every step whether there was "no gradient", a gradient of "zero", or "some"."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr)
        self.steps = []

    def step(self, closure=None):
        gradients = [x.grad for group in self.param_groups for x in group["params"]]
        there = [x for x in gradients if x is not None]
        self.steps.append("no gradient" if not there else "some" if any(x.abs().max() > 0 for x in there) else "zero")
        return super().step(closure)


@checker
def check_ppo_loss(answer):
    """Exercise 3.1: answer(log_prob, old_log_prob, advantage, entropy, clip, entropy_coef) -> loss, a tensor of one
    number; the first four are (B,).
    """
    return judge(LOSS, answer)


@checker
def check_update(answer):
    """Exercise 3.2: answer(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip).

    Changes the policy's weights in place. The policy is a LinearPolicy, the optimizer torch.optim.SGD; observation
    (N, O), action (N, A), advantage (N,). Minibatches in the order of the batch.
    """
    return judge(UPDATE, answer)


def sick_runs(folder=DATA):
    """The diagnostics of healthy runs and of three sick kinds, A, B and C: a DataFrame of text, medians over runs."""
    return side_by_side({"healthy": "healthy", **SICK}, folder)


@checker
def check_diagnosis(answers, show=False):
    """Exercise 3.3: {"A": diagnosis, "B": ..., "C": ...}, one of those in SICK.

    show: whether the right answers are told, with the sign of each.
    """
    signs = {
        "A": "the explained variance is near 0: this critic is hardly better than a constant",
        "B": "the policy moves further in an update than in any other column: see approx_kl and clip_fraction",
        "C": "the entropy is far below that of the healthy run",
    }
    return judge_choices(
        "3.3", answers, {name: {fault} for name, fault in SICK.items()}, tuple(SICK.values()),
        "The return only says that a run is sick; explained variance, KL and entropy say where.",
        measured={name: f"the sign: {sign}" for name, sign in signs.items()}, show=show,
        mistakes=[("the learning rate and the standard deviation are exchanged: look at the entropy",
                   {"A": {SICK["A"]}, "B": {SICK["C"]}, "C": {SICK["B"]}}),
                  ("the critic is blamed for what the actor does: look at the explained variance",
                   {"A": {SICK["B"], SICK["C"]}, "B": {SICK["A"]}, "C": {SICK["B"], SICK["C"]}})],
    )  # fmt: skip


def _loss(objective=clipped_surrogate, ratio=probability_ratio, entropy_sign=1, reduce=torch.mean, sign=1,
          reduce_entropy=None):  # fmt: skip
    def function(log_prob, old_log_prob, advantage, entropy, clip, entropy_coef):
        value = objective(ratio(log_prob, old_log_prob), advantage, clip)
        return sign * (-reduce(value) - entropy_sign * entropy_coef * (reduce_entropy or reduce)(entropy))

    return function


def _with_entropy(policy_loss):
    """A loss of exercise 3.1 from one of the policy alone, of (log_prob, old_log_prob, advantage, clip)."""
    return lambda new, old, a, entropy, clip, coef: policy_loss(new, old, a, clip) - coef * entropy.mean()


def _loss_cases(rng):
    def case(rows, clip, dtype=torch.float32, flat=False):
        ratio, advantage = batch(rng, rows, clip, dtype)
        log_prob, old_log_prob = logarithms(rng, ratio, clip)
        advantage = 0 * advantage if flat else advantage
        numbers = {"log_prob": log_prob, "old_log_prob": old_log_prob, "advantage": advantage}
        numbers["entropy"] = torch.as_tensor(rng.uniform(0.5, 2, len(rows)).round(2), dtype=dtype)
        return {**numbers, "clip": clip, "entropy_coef": round(rng.uniform(0.1, 0.9), 2)}

    single = [case([row], usual(rng)) for row in CASES]
    several = [case(rows, usual(rng)) for rows in (CASES[:2], CASES[:3] * 2, CASES[3:] * 2, CASES)]
    bands = [case(CASES, round(rng.uniform(*limits), 2)) for limits in (WIDE, NARROW)]
    return [*single, *several, *bands, case(CASES, usual(rng), flat=True), case(CASES * 2, usual(rng), torch.float64)]


def _update(refresh=None, zero_grad=True, last=True, sign=1, objective=clipped_surrogate, passes_used=None,
            reduce=torch.mean, entropy_coef=0.0, max_norm=None, ratio=probability_ratio, step="minibatch",
            reduce_log_prob=lambda x: x.sum(-1), old_has_gradient=False, normalize=None, minibatches=None):  # fmt: skip
    """An update with parts exchanged. refresh: "pass" or "minibatch", how often the old policy is taken anew."""

    def function(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
        def log_prob_of(rows):
            return reduce_log_prob(policy(observation[rows]).log_prob(action[rows]))

        n = len(observation)
        advantage = _normalized(advantage) if normalize == "rollout" else advantage
        with torch.set_grad_enabled(old_has_gradient):
            old = log_prob_of(slice(None))
        for _ in range(passes_used or passes):
            if refresh == "pass":
                old = log_prob_of(slice(None)).detach()
            stop = n if last else n - n % minibatch_size
            for start in range(0, stop, minibatch_size)[:minibatches]:
                rows = slice(start, start + minibatch_size)
                log_prob = log_prob_of(rows)
                before = log_prob.detach() if refresh == "minibatch" else old[rows]
                a = _normalized(advantage[rows]) if normalize == "minibatch" else advantage[rows]
                value = objective(ratio(log_prob, before), a, clip)
                loss = -sign * reduce(value) - entropy_coef * policy(observation[rows]).entropy().sum(-1).mean()
                if zero_grad:
                    optimizer.zero_grad()
                loss.backward()
                if max_norm:
                    torch.nn.utils.clip_grad_norm_(policy.parameters(), max_norm)
                if step == "minibatch":
                    optimizer.step()
            if step == "pass":
                optimizer.step()
                optimizer.zero_grad()

    return function


def _clipped_logarithm(ratio, advantage, clip):
    return torch.min(ratio * advantage, ratio.log().clamp(-clip, clip).exp() * advantage)


def _normalized(advantage):
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


def _minibatch_by_minibatch(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    """All passes over one minibatch before the next; the old policy from before the first step."""
    old = policy(observation).log_prob(action).sum(-1).detach()
    for start in range(0, len(observation), minibatch_size):
        rows = slice(start, start + minibatch_size)
        for _ in range(passes):
            ratio = (policy(observation[rows]).log_prob(action[rows]).sum(-1) - old[rows]).exp()
            optimizer.zero_grad()
            (-clipped_surrogate(ratio, advantage[rows], clip).mean()).backward()
            optimizer.step()


def _nothing_left(policy, optimizer, observation, *rest):
    """Steps without a gradient: zero_grad stands between backward and step, or backward is missing."""
    passes, minibatch_size = rest[2], rest[3]
    for _ in range(passes):
        for _ in range(0, len(observation), minibatch_size):
            optimizer.zero_grad()
            optimizer.step()


def _cancelled(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    """The ratio of a policy to itself, with a gradient in both halves."""
    for _ in range(passes):
        for start in range(0, len(observation), minibatch_size):
            rows = slice(start, start + minibatch_size)
            log_prob = policy(observation[rows]).log_prob(action[rows]).sum(-1)
            optimizer.zero_grad()
            (-((log_prob - log_prob).exp() * advantage[rows]).mean()).backward()
            optimizer.step()


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


def _another_clip(*arguments):
    _update()(*arguments[:-1], 0.2)


def _update_cases(rng):
    """From one sample in one dimension to seven in two.

    Actions lie far from the mean, so that the first step leaves the band; signs of the advantage alternate, so that
    one sample's step takes another the wrong way; in the case of three, the short last minibatch has its own weight.
    """
    sizes = [(1, 1, 1, 1, 1), (2, 1, 1, 1, 2), (1, 1, 1, 2, 1), (2, 1, 1, 1, 1), (3, 2, 1, 1, 2), (7, 3, 2, 3, 3),
             (4, 2, 2, 2, 4), (6, 2, 1, 2, 2)]  # fmt: skip
    inside_the_band = _moderate_case(rng, 1, 1, 1, 3, 1, clip=0.3, learning_rate=0.002)
    wide = _moderate_case(rng, 1, 1, 1, 2, 1, _update(objective=_clipped_logarithm), clip=0.5, learning_rate=0.05)
    narrow = _moderate_case(rng, 1, 1, 1, 3, 1, _another_clip, clip=0.05, learning_rate=0.005)
    to_tell_apart = {3: _update(last=False), 6: _minibatch_by_minibatch}
    cases = [_moderate_case(rng, *size, to_tell_apart.get(size[0])) for size in sizes]
    return [inside_the_band, *cases[:5], wide, narrow, *cases[5:]]


def _moderate_case(rng, n, observations, actions, passes, minibatch_size, wrong=None, **settings):
    """A drawn case after which the right update leaves moderate weights: a large ratio can throw a policy far away.

    wrong: an update that must lead to other weights, which not every draw makes sure of.
    """
    while True:
        case = {**_update_case(rng, n, observations, actions, passes, minibatch_size), **settings}
        after = _weights_after(_update(), case)
        moderate = all((after[name].abs() < FAR).all() for name in ("result", "log_std"))
        if moderate and not (wrong and near(_weights_after(wrong, case)["result"], after["result"], 0.01)):
            return case


def _update_case(rng, n, observations, actions, passes, minibatch_size):
    low_high = {"weight": (-0.5, 0), "log_std": (-0.2, 0.2), "observation": (1, 2), "action": (1.2, 2.5),
                "advantage": (1, 2)}  # fmt: skip
    shapes = ((observations, actions), (actions,), (n, observations), (n, actions), (n,))
    numbers = {name: torch.as_tensor(rng.uniform(*limits, shape).round(2))
               for (name, limits), shape in zip(low_high.items(), shapes, strict=True)}  # fmt: skip
    numbers["advantage"] *= torch.as_tensor(np.resize(rng.permutation([1.0, -1.0]), n))
    if n == 3:
        numbers["observation"][:2, 1] = numbers["observation"][2, 0] = 0.0
    return {**numbers, "passes": passes, "minibatch_size": minibatch_size, "clip": 0.05, "learning_rate": 0.1}


def _weights_after(function, inputs):
    inputs = dict(inputs)
    policy = LinearPolicy(inputs.pop("weight"), inputs.pop("log_std"))
    optimizer = CountingSGD(policy.parameters(), inputs.pop("learning_rate"))
    returned = function(policy, optimizer, *inputs.values())
    after = {"result": policy.weight.detach(), "log_std": policy.log_std.detach()}
    if not all((x.abs() < LOST).all() for x in after.values()):
        after = {name: torch.full_like(x, torch.nan) for name, x in after.items()}
    steps = {"_steps": len(optimizer.steps), "_no_gradient": optimizer.steps.count("no gradient")}
    return {**after, **({"result": ...} if returned is ... else {}), **steps}


LOSS = Task(
    "3.1", _loss(), _loss_cases, with_gradient("log_prob", "entropy"),
    mistakes={
        "the sign of the entropy bonus is flipped": _loss(entropy_sign=-1),
        "the entropy bonus is missing": lambda *x: _loss(entropy_sign=0)(*x),
        "the objective, to be maximised: a loss is minimised": _loss(sign=-1),
        "the sum is taken for the mean": _loss(reduce=torch.sum),
        "the entropy is summed over the batch, not averaged": _loss(reduce_entropy=torch.sum),
        "the objective is summed over the batch, not averaged": _loss(reduce=torch.sum, reduce_entropy=torch.mean),
        "the mean is missing": _loss(reduce=lambda x: x),
        "the entropy is not averaged: one number for each sample": _loss(reduce_entropy=lambda x: x),
        "the objective is not averaged: one number for each sample":
            _loss(reduce=lambda x: x, reduce_entropy=torch.mean),
        "entropy_coef is not used": [
            lambda new, old, a, h, c, k: _loss()(new, old, a, h, c, 1.0),
            lambda new, old, a, h, c, k: _loss()(new, old, a, h, c, 0.01)],
        "minus the log-probability is taken for the entropy":
            lambda new, old, a, h, c, k: _loss()(new, old, a, -new, c, k),
        "the entropy multiplies the objective, and should be added": lambda new, old, a, h, c, k:
            -(clipped_surrogate((new - old).exp(), a, c) * k * h).mean(),
        "the objective enters without its minus": lambda new, old, a, h, c, k:
            clipped_surrogate((new - old).exp(), a, c).mean() - k * h.mean(),
        **{name: [_with_entropy(lambda new, old, a, c, f=f: -f((new - old).exp(), a, c).mean())
                  for f in (functions if isinstance(functions, list) else [functions])]
           for name, functions in OBJECTIVES.items()},
        **{name: _with_entropy(function) for name, function in LOSSES.items()},
        NO_GRADIENT: lambda *x: _loss()(*x).detach(),
    },
    partly={
        **PARTLY,
        "right inside the band only":
            lambda case: ((case["log_prob"] - case["old_log_prob"]).exp() - 1).abs() < case["clip"],
        "right for a single sample only": lambda case: torch.full(case["advantage"].shape, len(case["advantage"]) == 1),
    },
    learned="Value and gradient agree: ratio, min, mean over the batch, and a bonus that lowers the loss.",
)  # fmt: skip

UPDATE = Task(
    "3.2", _update(), _update_cases, _weights_after,
    mistakes={
        "the weights do not move: no step of the optimizer is taken": lambda policy, *rest: policy.requires_grad_(),
        "the weights do not move: the gradient is gone before the step (zero_grad after backward, or no backward)":
            _nothing_left,
        "the weights do not move: the old log-probabilities have a gradient, and the halves of the ratio cancel":
            _cancelled,
        "the old log-probabilities have a gradient: no_grad or detach is missing": _update(old_has_gradient=True),
        "the old policy is taken anew in every minibatch: the ratio is always 1, and the gradient that of A2C's loss":
            _update(refresh="minibatch"),
        "the old policy is taken anew in every pass: the clip never sees the drift": _update(refresh="pass"),
        "gradients add up: zero_grad is missing": _update(zero_grad=False),
        "one step a pass: the gradients of its minibatches add up": _update(zero_grad=False, step="pass"),
        "the short last minibatch is left out": _update(last=False),
        "only the first minibatch of each pass is used": _update(minibatches=1),
        "all passes over a minibatch come before the next minibatch": _minibatch_by_minibatch,
        "descent on the objective: the sign of the loss is flipped": _update(sign=-1),
        "a single pass": _update(passes_used=1),
        "the minibatch is the whole batch": _one_batch,
        "the sum over the minibatch is taken for the mean": _update(reduce=torch.sum),
        "the clip is missing": _update(objective=lambda r, a, c: r * a),
        "the clip alone, without the min: both branches are clipped":
            _update(objective=lambda r, a, c: r.clamp(1 - c, 1 + c) * a),
        "max for min": _update(objective=lambda r, a, c: torch.max(r * a, r.clamp(1 - c, 1 + c) * a)),
        "the logarithm of the ratio is clipped":
            _update(objective=_clipped_logarithm),
        "the argument clip is not used: 0.2 stands in the code":
            _update(objective=lambda r, a, c: clipped_surrogate(r, a, 0.2)),
        "the ratio is upside down: old over new": _update(ratio=lambda new, old: (old - new).exp()),
        "the logarithms are divided: the ratio is the exponential of their difference":
            _update(ratio=lambda new, old: new / old),
        "the exponential is missing: the ratio is the exponential of the difference":
            _update(ratio=lambda new, old: new - old),
        "an entropy bonus is added, which is not asked here":
            [_update(entropy_coef=k) for k in (0.01, 0.001, 0.02, 0.05, 0.1, 1.0, -0.01)],
        "gradients are clipped to a norm, which is not asked here": [_update(max_norm=x) for x in (0.5, 1.0, 0.1)],
        "the advantages are normalised, which is not asked here":
            [_update(normalize="rollout"), _update(normalize="minibatch")],
        "the mean over the action's dimensions is taken for the sum": _update(reduce_log_prob=lambda x: x.mean(-1)),
        "log-probabilities are not summed over the action's dimensions": _per_dimension,
    },
    partly={
        "right for one action dimension only": lambda case: case["action"].shape[1] == 1,
        "right for the first pass only": lambda case: case["passes"] == 1,
        "right only where a minibatch holds the whole batch: several are taken in order, and the last may be short":
            lambda case: case["minibatch_size"] >= len(case["advantage"]),
    },
    learned="The weights agree after several passes: the old log-probabilities stayed put while the policy moved.",
)  # fmt: skip
