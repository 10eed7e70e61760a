"""The exercises of notebook 00: discounted returns, and where a step of the policy gradient moves a Gaussian."""

import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge
from lecture_utils.exercises.verdict import checker

MOVES = {  # question -> (sign of the advantage, action in standard deviations from the mean, what is asked)
    "A > 0, action above the mean: the mean goes": (1, (0.3, 0.8), "mean"),
    "A < 0, action above the mean: the mean goes": (-1, (0.3, 0.8), "mean"),
    "A > 0, action within one std of the mean: the std goes": (1, (-0.8, 0.8), "std"),
    "A > 0, action beyond one std from the mean: the std goes": (1, (1.3, 2.0), "std"),
}


@checker
def check_returns(answer):
    """Exercise 0.1: answer(rewards (T,), gamma) -> the discounted return from each step on, (T,)."""
    return judge(RETURNS, answer)


@checker
def check_moves(answers, show=False):
    """Exercise 0.2: {question of MOVES: "up" or "down"}, after a step of gradient ascent on log pi(a|s) A.

    show: whether the right answers are told, with a measured gradient each.
    """
    rng = np.random.default_rng()
    accepted, measured, by_the_sign_of_a = {}, {}, {}
    for question, (sign, limits, asked) in MOVES.items():
        place, advantage = rng.uniform(*limits), sign * rng.uniform(0.5, 2)
        numbers = {"mean": torch.tensor(rng.uniform(-1, 1)), "std": torch.tensor(rng.uniform(0.5, 1.5))}
        action = numbers["mean"] + numbers["std"] * place
        numbers = {name: x.requires_grad_() for name, x in numbers.items()}
        objective = Normal(numbers["mean"], numbers["std"]).log_prob(action.detach()) * advantage
        (slope,) = torch.autograd.grad(objective, numbers[asked])
        accepted[question] = {"up" if slope > 0 else "down"}
        by_the_sign_of_a[question] = {"up" if advantage > 0 else "down"}
        measured[question] = (
            f"measured at mean {numbers['mean'].item():.2f}, std {numbers['std'].item():.2f}, "
            f"action {action.item():.2f}, A {advantage:.2f}: gradient {slope.item():.2f}"
        )
    opposite = {question: {"down" if x == {"up"} else "up"} for question, x in accepted.items()}
    return judge_choices(
        "0.2", answers, accepted, ("up", "down"),
        "A good action draws the mean towards it; the std widens where the action was far out, and narrows elsewhere.",
        measured=measured, show=show,
        mistakes=[
            ("the sign of A alone decides: where the action lies counts, too", by_the_sign_of_a),
            ("the direction is flipped", opposite),
        ],
    )  # fmt: skip


def _returns(rewards, gamma):
    returns, following = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        returns[t] = following = rewards[t] + gamma * following
    return returns


def _discounted(exponent):
    """Sums of rewards from each step on, or up to it, with gamma to the power of exponent(t, k); NaN leaves one out."""

    def function(rewards, gamma):
        steps = np.arange(len(rewards))
        powers = exponent(steps[:, None], steps[None, :]).astype(float)
        return np.where(np.isnan(powers), 0.0, gamma ** np.nan_to_num(powers)) @ rewards

    return function


def _from_now_on(power):
    return lambda t, k: np.where(k >= t, power(t, k), np.nan)


def _cases(rng):
    cases = [{"rewards": rng.uniform(-3, 3, n).round(2), "gamma": round(rng.uniform(0.6, 0.95), 2)}
             for n in (1, 2, 3, 5, 60)]  # fmt: skip
    return [*cases, {"rewards": rng.choice([-2, -1, 1, 2], 4), "gamma": 0.5}]


def _or_a_list(function, inputs):
    returned = function(*inputs.values())
    return {"result": np.asarray(returned) if isinstance(returned, list | tuple) else returned}


RETURNS = Task(
    "0.1", _returns, _cases, _or_a_list,
    mistakes={
        "the return of the whole episode alone: one is asked from each step on":
            [lambda r, g: _returns(r, g)[0], lambda r, g: np.full(len(r), _returns(r, g)[0])],
        "the discount is left out": _discounted(_from_now_on(lambda t, k: 0 * (t + k))),
        "the discount is counted from the start of the episode, not from the step":
            _discounted(_from_now_on(lambda t, k: k + 0 * t)),
        "the first reward is discounted, too": _discounted(_from_now_on(lambda t, k: k - t + 1)),
        "the loop runs forwards: each step gets the rewards of the past":
            [_discounted(lambda t, k: np.where(k <= t, t - k, np.nan)),
             _discounted(lambda t, k: np.where(k <= t, k + 0 * t, np.nan)),
             _discounted(lambda t, k: np.where(k <= t, 0 * (t + k), np.nan))],
        "the result is in reversed order: a list that grew backwards is not turned around":
            lambda r, g: _returns(r, g)[::-1],
        "the reward of the step itself is left out": _discounted(lambda t, k: np.where(k > t, k - t - 1, np.nan)),
        "only the next reward is added": _discounted(lambda t, k: np.where((k == t) | (k == t + 1), k - t, np.nan)),
        "the discounted rewards are not summed": [lambda r, g: r * g ** np.arange(len(r))],
        "the rewards themselves": lambda r, g: 1.0 * r,
        "the last step is left out": lambda r, g: np.append(_returns(r[:-1], g), 0.0),
        "gamma is used twice": lambda r, g: _returns(r, g**2),
        "1 - gamma stands for gamma": lambda r, g: _returns(r, 1 - g),
        "gamma is not used: a number stands in the code":
            [lambda r, g: _returns(r, 0.99), lambda r, g: _returns(r, 0.95)],
        "the mean of the rewards, not their sum": lambda r, g: _returns(r, g) / np.arange(len(r), 0, -1),
        "weights that sum to 1: the factor 1 - gamma is not asked": lambda r, g: (1 - g) * _returns(r, g),
        "the sign is flipped": lambda r, g: -_returns(r, g),
    },
    partly={
        "the last step is right, what comes before it is not":
            lambda case: np.arange(len(case["rewards"])) == len(case["rewards"]) - 1,
    },
    learned="Backwards, each return is the reward and gamma times the return after it.",
)  # fmt: skip
