"""Wrong answers to every exercise of code, as a student may write them: (words of the mistake's name, function).

Written without the checkers' own mistakes: other code, same fault. "" stands for a mistake that has no name yet.
"""

import math

import numpy as np
import torch
from torch.distributions import Categorical, Normal

from lecture_utils import gae

UPPER, LOWER = "only the upper edge", "only the lower edge"


# 1.1, and through a loss 1.3 and 3.1: from (ratio, advantage, clip)
def min_of_ratios(r, a, c):
    return torch.min(r, torch.clamp(r, 1 - c, 1 + c)) * a


def by_size(r, a, c):
    return torch.sign(a) * torch.min(a.abs() * r, a.abs() * torch.clamp(r, 1 - c, 1 + c))


def band_of_logarithms(r, a, c):
    limited = torch.exp(torch.clamp(torch.log(r), min=-c, max=c))
    return torch.minimum(limited * a, r * a)


def only_inside(r, a, c):
    return r * a * ((r > 1 - c) & (r < 1 + c)).to(r.dtype)


def both_clipped(r, a, c):
    r = torch.clamp(r, 1 - c, 1 + c)
    return torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a)


def other_way_round(r, a, c):
    return -torch.min(-(r * a), -(torch.clamp(r, 1 - c, 1 + c) * a))


def ratio_where_no_advantage(r, a, c):
    value = torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a)
    return torch.where(a == 0, r, value)


def divided_by_advantage(r, a, c):
    return torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a) * (a / a)


def capped_clip(r, a, c):
    c = min(c, 0.45)
    return torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a)


def floored_clip(r, a, c):
    c = max(c, 0.1)
    return torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a)


def third_bound(r, a, c):
    value = torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a)
    return torch.where(a < 0, torch.max(value, 3 * a), value)


OBJECTIVES = [
    (UPPER, min_of_ratios),
    (UPPER, by_size),
    (LOWER, lambda r, a, c: torch.max(r, torch.clamp(r, 1 - c, 1 + c)) * a),
    ("the logarithm of the ratio is clipped", band_of_logarithms),
    ("left out", only_inside),
    ("both branches are clipped", both_clipped),
    ("max for min", other_way_round),
    ("but where the advantage is 0", ratio_where_no_advantage),
    ("but where the advantage is 0", divided_by_advantage),
    ("clips from 0.1 to 0.4", capped_clip),
    ("clips from 0.1 to 0.4", floored_clip),
    ("sign of the advantage", lambda r, a, c: torch.min(-r * a, -torch.clamp(r, 1 - c, 1 + c) * a)),
    ("the clip is missing", lambda r, a, c: a * r),
    ("[-clip, clip]", lambda r, a, c: torch.min(r * a, torch.clamp(r, min=-c, max=c) * a)),
    ("upside down", lambda r, a, c: torch.min(a / r, torch.clamp(1 / r, 1 - c, 1 + c) * a)),
    ("the product is clipped", lambda r, a, c: torch.min(r * a, torch.clamp(r * a, 1 - c, 1 + c))),
    ("A2C", lambda r, a, c: torch.log(r) * a),
    ("without its sign", lambda r, a, c: torch.min(r * abs(a), torch.clamp(r, 1 - c, 1 + c) * abs(a))),
    ("missing in one of", lambda r, a, c: torch.min(r * a, torch.clamp(r, 1 - c, 1 + c))),
    ("not an edge", lambda r, a, c: torch.minimum(r * a, ((r > 1).to(r) * 2 * c + 1 - c) * a)),
    ("the advantage is clipped", lambda r, a, c: torch.min(r * a, r * torch.clamp(a, 1 - c, 1 + c))),
    ("exponentiated once more", lambda r, a, c: torch.min(torch.exp(r) * a, torch.exp(r).clamp(1 - c, 1 + c) * a)),
]  # fmt: skip


def clipped(r, a, c):
    return torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a)


def no_slope_on_the_edge(r, a, c):
    edge = (r == 1 + c) | (r == 1 - c)
    return torch.where(edge, clipped(r, a, c).detach(), clipped(r, a, c))


def from_the_inside(r, a, c):
    """Right up to the edge; the far side of a corrective sample is held to the edge, which is the clip alone there."""
    return torch.where((r > 1 + c) & (a < 0), clipped(r, a, c).detach(), clipped(r, a, c))


SURROGATES = [
    *OBJECTIVES,
    ("normalised", lambda r, a, c: clipped(r, (a - a.mean()) / (a.std() + 1e-8), c)),
    ("normalised", lambda r, a, c: clipped(r, (a - torch.mean(a)) / (torch.std(a, unbiased=False) + 1e-8), c)),
    ("further bound", third_bound),
    ("on the edge", no_slope_on_the_edge),
    ("right for positive", from_the_inside),
    ("a loss", lambda r, a, c: -clipped(r, a, c)),
    ("the mean is taken", lambda r, a, c: clipped(r, a, c).mean()),
    ("the sum is taken", lambda r, a, c: clipped(r, a, c).sum()),
    ("no gradient", lambda r, a, c: clipped(r.detach(), a, c)),
    ("not a tensor", lambda r, a, c: clipped(r, a, c).detach().numpy()),
    ("an axis too many", lambda r, a, c: clipped(r, a, c)[..., None]),
    ("the same numbers", lambda r, a, c: torch.zeros_like(r)),
]  # fmt: skip


# 1.3 and 3.1: from (log_prob, old_log_prob, advantage, clip)
def on_ratios(objective):
    return lambda new, old, a, c: -objective(torch.exp(new - old), a, c).mean()


def means_of_both_branches(new, old, a, c):
    r = torch.exp(new - old)
    return -torch.min((r * a).mean(), (torch.clamp(r, 1 - c, 1 + c) * a).mean())


def column_of_ratios(new, old, a, c):
    r = torch.exp(new - old).unsqueeze(1)
    return -torch.min(r * a, torch.clamp(r, 1 - c, 1 + c) * a).mean()


def standard_scores(new, old, a, c):
    a = (a - a.mean()) / (a.std() + 1e-8)
    return -clipped(torch.exp(new - old), a, c).mean()


LOSSES = [
    *((name, on_ratios(f)) for name, f in OBJECTIVES if name != "max for min"),
    ("divided", lambda new, old, a, c: -clipped(new / old, a, c).mean()),
    ("exponential is missing", lambda new, old, a, c: -clipped(new - old, a, c).mean()),
    ("A2C", lambda new, old, a, c: -torch.mean(a * new)),
    ("upside down", lambda new, old, a, c: -clipped(torch.exp(old - new), a, c).mean()),
    ("compared with itself", lambda new, old, a, c: -clipped(torch.exp(new - new.detach()), a, c).mean()),
    ("mean is taken before", means_of_both_branches),
    ("averaged before", lambda new, old, a, c: -clipped(torch.exp(new - old), torch.mean(a), c).mean()),
    ("every ratio meets", column_of_ratios),
    ("normalised", standard_scores),
    ("old policy is left out", lambda new, old, a, c: -clipped(torch.exp(new), a, c).mean()),
]  # fmt: skip
MENDED_LOSSES = [
    *LOSSES,
    ("to be maximised", lambda new, old, a, c: clipped(torch.exp(new - old), a, c).mean()),
    ("sum is taken", lambda new, old, a, c: -torch.sum(clipped(torch.exp(new - old), a, c))),
    ("mean is missing", lambda new, old, a, c: -clipped(torch.exp(new - old), a, c)),
    ("no gradient", lambda new, old, a, c: -clipped(torch.exp(new - old).detach(), a, c).mean()),
]  # fmt: skip


def from_policy(loss):
    return lambda new, old, a, h, c, k: loss(new, old, a, c) - k * torch.mean(h)


def policy_part(new, old, a, c):
    return -torch.mean(clipped(torch.exp(new - old), a, c))


LOSSES_WITH_BONUS = [
    *((name, from_policy(f)) for name, f in LOSSES),
    ("max for min", from_policy(on_ratios(other_way_round))),
    ("sign of the entropy", lambda new, old, a, h, c, k: policy_part(new, old, a, c) + k * h.mean()),
    ("entropy bonus is missing", lambda new, old, a, h, c, k: policy_part(new, old, a, c)),
    ("no gradient with respect to entropy",
     lambda new, old, a, h, c, k: policy_part(new, old, a, c) - k * h.mean().item()),
    ("entropy is summed", lambda new, old, a, h, c, k: policy_part(new, old, a, c) - k * h.sum()),
    ("objective is summed", lambda new, old, a, h, c, k:
        -clipped(torch.exp(new - old), a, c).sum() - k * h.mean()),
    ("sum is taken", lambda new, old, a, h, c, k: -(clipped(torch.exp(new - old), a, c) + k * h).sum()),
    ("mean is missing", lambda new, old, a, h, c, k: -(clipped(torch.exp(new - old), a, c) + k * h)),
    ("entropy is not averaged", lambda new, old, a, h, c, k: policy_part(new, old, a, c) - k * h),
    ("entropy_coef is not used", lambda new, old, a, h, c, k: policy_part(new, old, a, c) - h.mean()),
    ("log-probability is taken", lambda new, old, a, h, c, k: policy_part(new, old, a, c) + k * new.mean()),
    ("without its minus", lambda new, old, a, h, c, k: -policy_part(new, old, a, c) - k * h.mean()),
    ("to be maximised", lambda new, old, a, h, c, k: -policy_part(new, old, a, c) + k * h.mean()),
]  # fmt: skip


# 2.1 and 2.2
def running(order, mask, start=0.0, turn=False):
    """One loop with a running sum: in which order, and what the sum is multiplied by at each step."""

    def answer(rewards, values, next_values, terminated, *, gamma, gae_lambda):
        steps = rewards.shape[-1]
        out, total = [], start
        for t in order(steps):
            delta = rewards[..., t] + gamma * next_values[..., t] * (1 - terminated[..., t]) - values[..., t]
            total = delta + gamma * gae_lambda * mask(terminated, t) * total
            out.append(total)
        if turn:
            out = out[::-1]
        return np.stack(out, axis=-1)

    return answer


def forwards_in_place(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    alive = 1 - terminated
    out = rewards + gamma * alive * next_values - values
    out = out.astype(float)
    for t in range(out.shape[-1] - 1):
        out[..., t] += gamma * gae_lambda * alive[..., t] * out[..., t + 1]
    return out


def five_terms(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    alive = 1 - terminated
    delta = (rewards + gamma * alive * next_values - values).astype(float)
    out = np.zeros_like(delta)
    for t in range(delta.shape[-1]):
        weight = np.ones(delta.shape[:-1])
        for k in range(t, min(t + 5, delta.shape[-1])):
            out[..., t] += weight * delta[..., k]
            weight = weight * gamma * gae_lambda * alive[..., k]
    return out


def backwards(delta_of, trace_of=lambda alive, g, lam: g * lam * alive):
    def answer(rewards, values, next_values, terminated, *, gamma, gae_lambda):
        alive = 1 - terminated
        delta = delta_of(rewards, values, next_values, alive, gamma)
        trace = trace_of(alive, gamma, gae_lambda) * np.ones_like(delta)
        out, total = np.zeros(rewards.shape), 0.0
        for t in reversed(range(rewards.shape[-1])):
            total = delta[..., t] + trace[..., t] * total
            out[..., t] = total
        return out

    return answer


def td(r, v, n, alive, g):
    return r + g * alive * n - v


def without_the_ends(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    right = backwards(td)(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=gae_lambda)
    right[..., -1] = 0
    for t in reversed(range(rewards.shape[-1] - 1)):
        delta = td(rewards, values, next_values, 1 - terminated, gamma)[..., t]
        right[..., t] = delta + gamma * gae_lambda * (1 - terminated[..., t]) * right[..., t + 1]
    return right


def on_the_first_axis(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    delta = (rewards + gamma * (1 - terminated) * next_values - values).astype(float)
    for t in reversed(range(len(delta) - 1)):
        delta[t] += gamma * gae_lambda * (1 - terminated[t]) * delta[t + 1]
    return delta


BACK, FORTH = (lambda steps: range(steps - 1, -1, -1)), range
GAES = [
    ("runs forwards", running(FORTH, lambda end, t: 1 - end[..., t])),
    ("runs forwards", running(FORTH, lambda end, t: 1 - end[..., max(t - 1, 0)])),
    ("runs forwards", running(FORTH, lambda end, t: 1.0)),
    ("only the next temporal-difference", forwards_in_place),
    ("reversed order", running(BACK, lambda end, t: 1 - end[..., t])),
    ("not the trace", running(BACK, lambda end, t: 1.0, turn=True)),
    ("a few temporal-difference errors", five_terms),
    ("not the bootstrap", backwards(lambda r, v, n, alive, g: r + g * n - v)),
    ("`terminated` is not used", backwards(lambda r, v, n, alive, g: r + g * n - v, lambda alive, g, lam: g * lam)),
    ("masks the value", backwards(lambda r, v, n, alive, g: r + alive * (g * n - v))),
    ("opposite", backwards(lambda r, v, n, alive, g: r + g * (1 - alive) * n - v,
                           lambda alive, g, lam: g * lam * (1 - alive))),
    ("lambda is left out", backwards(td, lambda alive, g, lam: g * alive)),
    ("gamma is left out of the trace", backwards(td, lambda alive, g, lam: lam * alive)),
    ("gamma is left out of the bootstrap", backwards(lambda r, v, n, alive, g: r + alive * n - v)),
    ("1 - lambda", backwards(td, lambda alive, g, lam: g * (1 - lam) * alive)),
    ("gamma is used twice", backwards(td, lambda alive, g, lam: g * g * lam * alive)),
    ("critic is left out", backwards(lambda r, v, n, alive, g: r)),
    ("not taken off in the temporal-difference", backwards(lambda r, v, n, alive, g: r + g * alive * n)),
    ("the value of the state is still in", lambda r, v, *x, **k: backwards(td)(r, v, *x, **k) + v),
    ("goes around", lambda r, v, n, e, **k: backwards(td)(r, v, np.roll(v, -1, -1), e, **k)),
    ("last value is repeated",
     lambda r, v, n, e, **k: backwards(td)(r, v, np.concatenate([v[..., 1:], v[..., -1:]], -1), e, **k)),
    ("minus the value", lambda r, v, n, e, *, gamma, gae_lambda:
        backwards(lambda r, v, n, alive, g: r, lambda alive, g, lam: g * alive)(
            r, v, n, e, gamma=gamma, gae_lambda=1.0) - v),
    ("into the bootstrap", lambda r, v, n, e, *, gamma, gae_lambda:
        backwards(td)(r, v, n * gae_lambda, e, gamma=gamma, gae_lambda=gae_lambda)),
    ("reward of the next step",
     lambda r, *x, **k: backwards(td)(np.concatenate([r[..., 1:], r[..., -1:]], -1), *x, **k)),
    ("both masks", lambda r, v, n, e, **k: backwards(td)(r, v, n, np.concatenate([e[..., 1:], e[..., -1:]], -1), **k)),
    ("whole numbers", lambda r, *x, **k: backwards(td)(r, *x, **k).astype(np.zeros_like(r).astype(int).dtype)),
    ("this step is taken for that of the next", backwards(lambda r, v, n, alive, g: r + g * alive * v - v)),
    ("value of the next step is used for this one", backwards(lambda r, v, n, alive, g: r + g * alive * n - n)),
    ("this is the temporal-difference error", lambda r, v, n, e, *, gamma, gae_lambda: r + gamma * (1 - e) * n - v),
    ("last step is left out", without_the_ends),
    ("sign is flipped", backwards(lambda r, v, n, alive, g: v - r - g * alive * n)),
    ("on the first axis", on_the_first_axis),
    ("whole numbers", lambda *x, **k: backwards(td)(*x, **k).round().astype(int)),
]  # fmt: skip


# 3.2
def update(old_of=None, advantage_of=lambda a: a, loss_of=None, before_step=None, order=None, zero=True, fresh=False,
           reduce=torch.mean, log_prob_of=None, step=True):  # fmt: skip
    log_prob_of = log_prob_of or (lambda policy, o, a: policy(o).log_prob(a).sum(dim=-1))
    loss_of = loss_of or (lambda new, old, a, c: -reduce(clipped(torch.exp(new - old), a, c)))

    def answer(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
        starts = range(0, len(action), minibatch_size)
        with torch.no_grad():
            old = log_prob_of(policy, observation, action)
        advantage = advantage_of(advantage)
        pairs = [(p, i) for p in range(passes) for i in starts]
        for p, i in order(pairs) if order else pairs:
            if fresh and i == 0 and p > 0:
                old = log_prob_of(policy, observation, action).detach()
            rows = slice(i, i + minibatch_size)
            new = log_prob_of(policy, observation[rows], action[rows])
            loss = loss_of(new, old_of(new) if old_of else old[rows], advantage[rows], clip)
            if before_step:
                loss = before_step(policy, loss, observation[rows])
            if zero:
                optimizer.zero_grad()
            loss.backward()
            if step:
                optimizer.step()

    return answer


def with_entropy(policy, loss, observation):
    return loss - 0.01 * policy(observation).entropy().sum(-1).mean()


def steps_without_gradient(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    old = policy(observation).log_prob(action).sum(-1).detach()
    for _ in range(passes):
        for i in range(0, len(action), minibatch_size):
            rows = slice(i, i + minibatch_size)
            new = policy(observation[rows]).log_prob(action[rows]).sum(-1)
            (-clipped(torch.exp(new - old[rows]), advantage[rows], clip).mean()).backward()
            optimizer.zero_grad()
            optimizer.step()


def without_the_rest(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    whole = len(action) - len(action) % minibatch_size
    batch = observation[:whole], action[:whole], advantage[:whole]
    update()(policy, optimizer, *batch, passes, minibatch_size, clip)


UPDATES = [
    ("no step of the optimizer", update(step=False)),
    ("gone before the step", steps_without_gradient),
    ("halves of the ratio cancel", update(old_of=lambda new: new)),
    ("anew in every minibatch", update(old_of=lambda new: new.detach().clone())),
    ("anew in every pass", update(fresh=True)),
    ("zero_grad is missing", update(zero=False)),
    ("short last minibatch", without_the_rest),
    ("only the first minibatch", update(order=lambda pairs: [x for x in pairs if x[1] == 0])),
    ("all passes over a minibatch", update(order=lambda pairs: sorted(pairs, key=lambda x: x[1]))),
    ("one action dimension", update(log_prob_of=lambda policy, o, a: policy(o).log_prob(a)[:, 0])),
    ("a single pass", update(order=lambda pairs: [x for x in pairs if x[0] == 0])),
    ("sign of the loss", update(loss_of=lambda new, old, a, c: clipped(torch.exp(new - old), a, c).mean())),
    ("sum over the minibatch", update(reduce=torch.sum)),
    ("the clip is missing", update(loss_of=lambda new, old, a, c: -(torch.exp(new - old) * a).mean())),
    ("both branches are clipped", update(loss_of=on_ratios(both_clipped))),
    ("max for min", update(loss_of=on_ratios(other_way_round))),
    ("upside down", update(loss_of=lambda new, old, a, c: -clipped(torch.exp(old - new), a, c).mean())),
    ("A2C", update(loss_of=lambda new, old, a, c: -(a * new).mean())),
    ("entropy bonus", update(before_step=with_entropy)),
    ("normalised", update(advantage_of=lambda a: (a - a.mean()) / (a.std() + 1e-8))),
    ("mean over the action's", update(log_prob_of=lambda p, o, a: p(o).log_prob(a).mean(-1))),
    ("holds the whole batch", update(order=lambda pairs: pairs[::-1])),
]  # fmt: skip


# 4.1
def ends(f):
    return lambda scores, rows, confidence: f(scores, rows, (1 - confidence) / 2)


INTERVALS = [
    ("exchanged", ends(lambda s, rows, t: np.quantile(s[rows].mean(1), [1 - t, t]))),
    ("not halved", lambda s, rows, c: np.quantile(np.mean(s[rows], axis=1), [1 - c, c])),
    ("taken for the share inside", lambda s, rows, c: np.quantile(np.mean(s[rows], axis=1), [c / 2, 1 - c / 2])),
    ("one end only", lambda s, rows, c: (np.mean(s[rows], 1).min(), np.quantile(np.mean(s[rows], 1), c))),
    ("extremes of the resampled", lambda s, rows, c: (min(s[rows].mean(1)), max(s[rows].mean(1)))),
    ("counts to 100", ends(lambda s, rows, t: np.percentile(s[rows].mean(1), [t, 1 - t]))),
    ("quantiles of the scores", ends(lambda s, rows, t: np.quantile(s, [t, 1 - t]))),
    ("pooled", ends(lambda s, rows, t: np.quantile(s[rows].ravel(), [t, 1 - t]))),
    ("over the resamples", ends(lambda s, rows, t: np.quantile(s[rows].mean(axis=0), [t, 1 - t]))),
    ("median", ends(lambda s, rows, t: np.quantile(np.median(s[rows], axis=1), [t, 1 - t]))),
    ("sums", ends(lambda s, rows, t: np.quantile(s[rows].sum(1), [t, 1 - t]))),
    ("standard deviation of each", ends(lambda s, rows, t: np.quantile(s[rows].std(1), [t, 1 - t]))),
    ("extremes of the scores", lambda s, rows, c: [s.min(), s.max()]),
    ("confidence is not used", lambda s, rows, c: np.percentile(s[rows].mean(1), [2.5, 97.5])),
    ("half width", ends(lambda s, rows, t: (s.mean(), np.ptp(np.quantile(s[rows].mean(1), [t, 1 - t])) / 2))),
    ("reflected", ends(lambda s, rows, t: 2 * s.mean() - np.quantile(s[rows].mean(1), [1 - t, t]))),
    ("standard deviations of the runs", lambda s, rows, c: s.mean() + np.array([-1, 1]) * 1.96 * np.std(s, ddof=1)),
    ("no spread", lambda s, rows, c: [np.mean(s)] * 2),
]  # fmt: skip


# 5.1
def score(applied=None, scored=None, log_prob=None):
    def answer(mean, std, noise, limit):
        sampled = mean + std * noise
        cut = torch.clip(sampled, -limit, limit)
        action = applied(mean, sampled, cut, limit) if applied else cut
        x = scored(mean, sampled, cut) if scored else sampled
        return action, (log_prob or (lambda d, x: d.log_prob(x).sum(-1)))(Normal(mean, std), x)

    return answer


SCORED = [
    ("clipped action is scored, not", score(scored=lambda m, x, cut: cut)),
    ("not clipped to the limit", score(applied=lambda m, x, cut, limit: x)),
    ("mean action is scored", score(scored=lambda m, x, cut: m)),
    ("mean action is applied", score(applied=lambda m, x, cut, limit: m)),
    ("two are exchanged", score(lambda m, x, cut, limit: x, lambda m, x, cut: cut)),
    ("tanh", score(applied=lambda m, x, cut, limit: limit * torch.tanh(x))),
    ("limit is not used", score(applied=lambda m, x, cut, limit: x.clamp(-2, 2))),
    ("one end only", score(applied=lambda m, x, cut, limit: torch.minimum(x, torch.tensor(limit).to(x)))),
    ("[0, limit]", score(applied=lambda m, x, cut, limit: x.clamp(0, limit))),
    ("wrong order", lambda m, s, n, limit: score()(m, s, n, limit)[::-1]),
    ("not summed over", score(log_prob=lambda d, x: d.log_prob(x))),
    ("taken for the sum", score(log_prob=lambda d, x: d.log_prob(x).mean(1))),
    ("over the samples, too", score(log_prob=lambda d, x: d.log_prob(x).sum())),
    ("over the samples, not", score(log_prob=lambda d, x: d.log_prob(x).sum(0))),
    ("density is scored", score(log_prob=lambda d, x: d.log_prob(x).exp().prod(-1))),
    ("sign of the log", score(log_prob=lambda d, x: -d.log_prob(x).sum(-1))),
    ("not the variance", score(log_prob=lambda d, x: Normal(d.mean, d.variance).log_prob(x).sum(-1))),
    ("the noise is scored",
     lambda m, s, n, limit: (score()(m, s, n, limit)[0], (-n**2 / 2 - np.log(2 * np.pi) / 2).sum(-1))),
    ("two results", lambda m, s, n, limit: score()(m, s, n, limit)[1]),
]  # fmt: skip


# 5.2
def of_rows(center, size, epsilon=1e-8):
    return lambda x: torch.stack([(row - center(row, x)) / (size(row, x) + epsilon) for row in x])


def mean(row, x):
    return row.mean()


def std(row, x):
    return row.std()


NORMALIZED = [
    ("normalised together", lambda x: (x - x.mean()) / (x.std() + 1e-8)),
    ("the mean is that of all", of_rows(lambda row, x: x.mean(), std)),
    ("deviation is that of all", of_rows(mean, lambda row, x: x.std())),
    ("wrong axis", lambda x: (x - x.mean(0)) / (x.std(0) + 1e-8)),
    ("mean is not taken off", of_rows(lambda row, x: 0.0, std)),
    ("bracket is missing", lambda x: torch.stack([row - row.mean() / (row.std() + 1e-8) for row in x])),
    ("population", of_rows(mean, lambda row, x: row.var(unbiased=False).sqrt())),
    ("variance", of_rows(mean, lambda row, x: row.var())),
    ("root of the standard deviation", of_rows(mean, lambda row, x: row.std().sqrt())),
    ("multiplied", lambda x: torch.stack([(row - row.mean()) * row.std() for row in x])),
    ("not divided", lambda x: x - x.mean(dim=1, keepdim=True)),
    ("norm", lambda x: torch.nn.functional.normalize(x - x.mean(1, keepdim=True), dim=1)),
    ("range", of_rows(lambda row, x: row.min(), lambda row, x: row.max() - row.min())),
    ("median", of_rows(lambda row, x: row.median(), std)),
    ("divided by zero", lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)),
    ("is not small", of_rows(mean, std, 1.0)),
    ("sign", lambda x: (x.mean(1, keepdim=True) - x) / (x.std(1, keepdim=True) + 1e-8)),
    ("not a tensor", lambda x: ((x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-8)).tolist()),
]  # fmt: skip


# 0.1
def loop(order, follow=1.0, first=1.0, turn=False):
    def answer(rewards, gamma):
        out, total = [], 0.0
        for t in order(len(rewards)):
            total = first * rewards[t] + follow * gamma * total
            out.append(total)
        return np.array(out[::-1] if turn else out)

    return answer


def to_the_power_of_t(rewards, gamma):
    discounted = rewards * gamma ** np.arange(len(rewards))
    return np.array([discounted[t:].sum() for t in range(len(rewards))])


def returns(rewards, gamma):
    return loop(BACK, turn=True)(rewards, gamma)


RETURNS = [
    ("reversed order", loop(BACK)),
    ("runs forwards", loop(FORTH)),
    ("discount is left out", lambda r, g: np.cumsum(1.0 * r[::-1])[::-1]),
    ("from the start", to_the_power_of_t),
    ("runs forwards", lambda r, g: np.cumsum(1.0 * r)),
    ("runs forwards", lambda r, g: np.cumsum(r * g ** np.arange(len(r)))),
    ("whole episode", lambda r, g: np.sum(r * g ** np.arange(len(r)))),
    ("whole episode", lambda r, g: np.full(len(r), np.sum(r * g ** np.arange(len(r))))),
    ("are not summed", lambda r, g: np.array([g**t * x for t, x in enumerate(r)])),
    ("first reward is discounted", lambda r, g: g * returns(r, g)),
    ("the step itself is left out", lambda r, g: np.append(returns(r, g)[1:], 0.0)),
    ("only the next", lambda r, g: r + g * np.append(r[1:], 0)),
    ("a number stands", lambda r, g: returns(r, 0.99)),
    ("1 - gamma", lambda r, g: returns(r, 1 - g)),
    ("factor 1 - gamma", lambda r, g: loop(BACK, first=1 - g, turn=True)(r, g)),
    ("sign is flipped", lambda r, g: loop(BACK, first=-1, turn=True)(r, g)),
    ("rewards themselves", lambda r, g: np.array(r, dtype=float)),
    ("whole numbers", lambda r, g: returns(r, g).astype(int)),
]  # fmt: skip


# 1.4
def table(term):
    return lambda old, new, a, share: np.sum(share[:, None] * term(old, new, a))


ENUMERATED = [
    ("by the new policy", table(lambda old, new, a: new * (new / old) * a)),
    ("ratio is missing", table(lambda old, new, a: old * a)),
    ("upside down", table(lambda old, new, a: old * (old / new) * a)),
    ("actions are not weighted", table(lambda old, new, a: new / old * a)),
    ("actions are not weighted", lambda old, new, a, share: share @ np.mean(new / old * a, axis=1)),
    ("states are not weighted", lambda old, new, a, share: np.mean(np.sum(new * a, axis=1))),
    ("states are not weighted", lambda old, new, a, share: np.sum(new * a)),
    ("mean over the actions", lambda old, new, a, share: share @ np.mean(new * a, axis=1)),
    ("left out", table(lambda old, new, a: new)),
    ("for each state", lambda old, new, a, share: share * np.einsum("sa,sa->s", new, a)),
    ("for each action", lambda old, new, a, share: new / old * a),
    ("r - 1", table(lambda old, new, a: new * a - old * a)),
    ("clipped", table(lambda old, new, a: old * np.minimum(new / old * a, np.clip(new / old, 0.8, 1.2) * a))),
    ("logarithm of the ratio", table(lambda old, new, a: old * (np.log(new) - np.log(old)) * a)),
    ("new probability", table(lambda old, new, a: old * np.log(new) * a)),
    ("without its sign", table(lambda old, new, a: new * np.abs(a))),
    ("a loss", table(lambda old, new, a: -new * a)),
]  # fmt: skip


# 4.4
def rule(inside, outside, other):
    """Conditions in the order in which most write them."""

    def answer(low, high, a, b):
        if a <= low <= high <= b:
            return inside
        return outside if (high < a or low > b) else other

    return answer


def with_word(word, when):
    return lambda *x: word if when(*x) else rule("supported", "contradicted", "undecided")(*x)


THREE_VERDICTS = [
    ("undecided is taken for contradicted", rule("supported", "contradicted", "contradicted")),
    ("undecided is taken for supported", rule("supported", "contradicted", "supported")),
    ("contradicted is taken for undecided", rule("supported", "undecided", "undecided")),
    ("exchanged", rule("contradicted", "supported", "undecided")),
    ("never supported", rule("undecided", "contradicted", "undecided")),
    ("supports nothing", with_word("supported", lambda low, high, a, b: low < a and high > b)),
    ("does not contradict", with_word("contradicted", lambda low, high, a, b: low < a and high > b)),
    ("the middle", lambda low, high, a, b: "supported" if a <= (low + high) / 2 <= b else "contradicted"),
    ("lower end of the interval", lambda low, high, a, b: "supported" if a < low < b else "contradicted"),
    ("upper end of the interval", lambda low, high, a, b: "supported" if a < high < b else "contradicted"),
    ("below the claim is not told", with_word("undecided", lambda low, high, a, b: high < a)),
    ("above the claim is not told", with_word("undecided", lambda low, high, a, b: low > b)),
    ("above the claim is taken", with_word("supported", lambda low, high, a, b: low > b)),
    ("below the claim is taken", with_word("supported", lambda low, high, a, b: high < a)),
    ("interval and claim", lambda low, high, a, b: rule("supported", "contradicted", "undecided")(a, b, low, high)),
    ("always the same", lambda *x: "undecided"),
    ("none of the three", lambda *x: "true"),
    ("none of the three", lambda *x: True),
]  # fmt: skip

# 6.1, from (logits, choice)
CHOICES = [
    ("the logit itself", lambda x, c: torch.stack([row[k] for row, k in zip(x, c, strict=True)])),
    ("the probability is returned", lambda x, c: Categorical(logits=x).probs[torch.arange(len(c)), c]),
    ("normalised over the batch", lambda x, c: (x - x.logsumexp(0))[torch.arange(len(c)), c]),
    ("the likeliest choice", lambda x, c: Categorical(logits=x).log_prob(x.argmax(-1))),
    ("the sign is flipped", lambda x, c: torch.nn.functional.cross_entropy(x, c, reduction="none")),
    ("summed over all choices", lambda x, c: Categorical(logits=x).logits.sum(-1)),
    ("the entropy of the policy", lambda x, c: -(x.softmax(-1) * x.log_softmax(-1)).sum(-1)),
    ("", lambda x, c: 2 * Categorical(logits=x).log_prob(c)),
    ("", lambda x, c: Categorical(logits=x).log_prob(c) + 1),
    ("", lambda x, c: Categorical(logits=x).log_prob(c) / math.log(2)),
    ("wrong shape", lambda x, c: Categorical(logits=x).log_prob(c).sum()),
    ("wrong shape", lambda x, c: Categorical(logits=x).log_prob(c)[:, None]),
    ("wrong shape", lambda x, c: x.log_softmax(-1)),
    ("", lambda x, c: x.log_softmax(-1).mean(-1)),
    ("", lambda x, c: -Categorical(logits=x).log_prob(c).exp()),
]


# 6.2, from (rewards, values, next_values, terminated, truncated)
def _one_flag(kept):
    def answer(r, v, n, terminated, truncated, *, gamma, gae_lambda):
        done = terminated + truncated
        value = n if kept else n * (1 - done)
        advantages = r + gamma * value - v
        for t in range(r.shape[-1] - 2, -1, -1):
            advantages[..., t] += gamma * gae_lambda * (1 - done[..., t]) * advantages[..., t + 1]
        return advantages

    return answer


ACROSS = [
    ("a cut is taken for an end", _one_flag(kept=False)),
    ("an end is taken for a cut", _one_flag(kept=True)),
    ("the trace runs across a cut", lambda r, v, n, e, c, **k: gae(r, v, n, e, **k)),
    ("neither ends nor cuts", lambda r, v, n, e, c, **k: gae(r, v, n, 0 * e, **k)),
    ("sign is flipped", lambda r, v, n, e, c, **k: -gae(r, v, n, e, truncated=c, **k)),
    ("still in", lambda r, v, n, e, c, **k: gae(r, v, n, e, truncated=c, **k) + v),
    ("exchanged", lambda r, v, n, e, c, **k: gae(r, v, n, c, truncated=e, **k)),
    ("values and next_values", lambda r, v, n, e, c, **k: gae(r, n, v, e, truncated=c, **k)),
    ("goes around", lambda r, v, n, e, c, **k: gae(r, v, np.roll(v, -1, -1), e, truncated=c, **k)),
    ("not taken off", lambda r, v, n, e, c, **k: gae(r, np.zeros_like(v), n, e, truncated=c, **k)),
    ("run into each other",
     lambda *x, **k: gae(*(y.ravel() for y in x[:4]), truncated=x[4].ravel(), **k).reshape(x[0].shape)),
    ("on the first axis", lambda *x, **k: gae(*(y.T for y in x[:4]), truncated=x[4].T, **k).T),
    ("", lambda r, v, n, e, c, **k: gae(r, n, n, e, truncated=c, **k)),
    ("no trace", lambda r, v, n, e, c, gamma, gae_lambda: gae(r, v, n, e, truncated=c, gamma=gamma, gae_lambda=0.0)),
    ("lambda is left out",
     lambda r, v, n, e, c, gamma, gae_lambda: gae(r, v, n, e, truncated=c, gamma=gamma, gae_lambda=1.0)),
    ("", lambda r, v, n, e, c, gamma, gae_lambda: gae(r, v, n, e, truncated=c, gamma=1.0, gae_lambda=gae_lambda)),
    ("", lambda r, v, n, e, c, gamma, gae_lambda: gae(r, v, n, e, truncated=c, gamma=gae_lambda, gae_lambda=gamma)),
    ("wrong shape", lambda r, v, n, e, c, **k: gae(r, v, n, e, truncated=c, **k).mean(-1)),
    ("", lambda r, v, n, e, c, **k: gae(r, v, n, e, truncated=c, **k)[..., ::-1] + 1),
]  # fmt: skip


# 7.1, from (reward, group)
def rows_of(reward, group):
    return reward.reshape(-1, group)


def each_group(function):
    return lambda reward, group: torch.cat([function(x) for x in reward.split(group)])


def of_strided(reward, group):
    columns = reward.reshape(group, -1)
    return ((columns - columns.mean(0)) / (columns.std(0) + 1e-4)).reshape(-1)


def numpy_std(x):
    return torch.as_tensor(np.std(x.numpy()))


GROUPS = [
    ("whole batch", lambda r, g: (r - r.mean()) / (torch.std(r) + 1e-4)),
    ("standard deviation is that of the whole", lambda r, g: (r - rows_of(r, g).mean(1).repeat_interleave(g))
        / (r.std() + 1e-4)),
    ("places far apart", of_strided),
    ("over the groups", lambda r, g: ((x := rows_of(r, g)) - x.mean(0)).div(x.std(0) + 1e-4).flatten()),
    ("how many texts",
     lambda r, g: ((x := r.view(g, -1)) - x.mean(1, True)).div(x.std(1, keepdim=True) + 1e-4).flatten()),
    ("mean is that of the whole batch",
     lambda r, g: torch.cat([(x - r.mean()) / (x.std() + 1e-4) for x in r.split(g)])),
    ("only the mean is divided", each_group(lambda x: x - x.mean() / (x.std() + 1e-4))),
    ("leave-one-out, divided", each_group(lambda x: (x - (x.sum() - x) / (len(x) - 1)) / (x.std() + 1e-4))),
    ("another small number", each_group(lambda x: (x - x.mean()) / (x.std() + 1e-8))),
    ("another small number", each_group(lambda x: (x - x.mean()) / torch.sqrt(x.var() + 1e-4))),
    ("another small number", each_group(lambda x: (x - x.mean()) / max(x.std(), torch.tensor(1e-4)))),
    ("another small number", each_group(lambda x: (x - x.mean()) / x.std() if x.std() > 0 else 0 * x)),
    ("divided by zero", each_group(lambda x: (x - x.mean()) / x.std() + 1e-4)),
    ("not divided", lambda r, g: (rows_of(r, g) - rows_of(r, g).mean(1)[:, None]).reshape(-1)),
    ("not divided", each_group(lambda x: x - x.sum() / len(x))),
    ("leave-one-out", lambda r, g: (rows_of(r, g) * g - rows_of(r, g).sum(1)[:, None]).reshape(-1) / (g - 1)),
    ("leave-one-out", each_group(lambda x: (x - x.mean()) * len(x) / (len(x) - 1))),
    ("sign is flipped", each_group(lambda x: (x.mean() - x) / (x.std() + 1e-4))),
    ("not taken off", each_group(lambda x: x / (x.std() + 1e-4))),
    ("variance", each_group(lambda x: (x - x.mean()) / (x.var() + 1e-4))),
    ("divided by zero", each_group(lambda x: (x - x.mean()) / x.std())),
    ("divided by G", each_group(lambda x: (x - x.mean()) / (numpy_std(x) + 1e-4))),
    ("median", each_group(lambda x: (x - x.median()) / (x.std() + 1e-4))),
    ("", each_group(lambda x: (x - x.min()) / (x.max() - x.min() + 1e-4))),
    ("shape", lambda r, g: (rows_of(r, g) - rows_of(r, g).mean(1)[:, None]) / (rows_of(r, g).std(1)[:, None] + 1e-4)),
]  # fmt: skip


# 7.2, from (log_prob, old_log_prob, advantage, mask, below, above)
def _token(new, old, advantage, mask, below, above):
    ratio, a = torch.exp(new - old), advantage.unsqueeze(-1)
    return torch.minimum(ratio * a, ratio.clip(1 - below, 1 + above) * a) * mask


def ratio_times(new, old, advantage, mask):
    return (new - old).exp() * advantage.unsqueeze(-1) * mask


def of_texts(mean):
    """The token's ratio replaced by one for the whole text."""

    def function(new, old, advantage, mask, below, above):
        log_ratio = ((new - old) * mask).sum(1, keepdim=True)
        log_ratio = log_ratio / mask.sum(1, keepdim=True) if mean else log_ratio
        return _token(log_ratio.expand(mask.shape), torch.zeros_like(mask), advantage, mask, below, above)

    return function


def band_alone(new, old, advantage, mask, below, above):
    return (new - old).exp().clip(1 - below, 1 + above) * advantage.unsqueeze(-1) * mask


def larger(new, old, advantage, mask, below, above):
    return -_token(new, old, -advantage, mask, below, above)


TOKENS = [
    ("exchanged", lambda n, o, a, m, b, c: _token(n, o, a, m, c, b)),
    ("`below` is used on both sides", lambda n, o, a, m, b, c: _token(n, o, a, m, b, b)),
    ("`above` is used on both sides", lambda n, o, a, m, b, c: _token(n, o, a, m, c, c)),
    ("mask is not used", lambda n, o, a, m, b, c: _token(n, o, a, torch.ones_like(m), b, c)),
    ("upside down", lambda n, o, a, m, b, c: _token(o, n, a, m, b, c)),
    ("no clip at all", lambda n, o, a, m, b, c: ratio_times(n, o, a, m)),
    ("no clip at all", lambda n, o, a, m, b, c: _token(n, o, a, m, 9.0, 9.0)),
    ("clipped branch alone", band_alone),
    ("larger branch", larger),
    ("product over its tokens", of_texts(mean=False)),
    ("geometric mean", of_texts(mean=True)),
    ("a loss", lambda n, o, a, m, b, c: -_token(n, o, a, m, b, c)),
    ("number of tokens", lambda n, o, a, m, b, c: _token(n, o, a, m, b, c) / m.sum(1, keepdim=True)),
    ("sign of the advantage", lambda n, o, a, m, b, c: _token(n, o, -a, m, b, c)),
    ("left out", lambda n, o, a, m, b, c: _token(n, o, torch.ones_like(a), m, b, c)),
    ("upside down", lambda n, o, a, m, b, c: _token(n, o, a, 1 - m, b, c)),
    ("numbers stand in the code", lambda n, o, a, m, b, c: _token(n, o, a, m, 0.2, 0.4)),
    ("numbers stand in the code", lambda n, o, a, m, b, c: _token(n, o, a, m, 0.2, 0.28)),
    ("further bound", lambda n, o, a, m, b, c: torch.where(
        a[:, None] < 0, torch.max(_token(n, o, a, m, b, c), 3 * a[:, None] * m), _token(n, o, a, m, b, c))),
    ("gradient", lambda n, o, a, m, b, c: _token(n, o, a, m, b, c).detach()),
    ("shape", lambda n, o, a, m, b, c: _token(n, o, a, m, b, c).sum(1)),
]  # fmt: skip

# number of the exercise -> [(words of the mistake's name, wrong answer)]
WRONG_FORMS = {"7.1": GROUPS, "7.2": TOKENS,
               "0.1": RETURNS, "1.4": ENUMERATED, "4.4": THREE_VERDICTS,
               "1.1": SURROGATES, "1.3": MENDED_LOSSES, "2.1": GAES, "2.2": GAES, "3.1": LOSSES_WITH_BONUS,
               "3.2": UPDATES, "4.1": INTERVALS, "5.1": SCORED, "5.2": NORMALIZED,
               "6.1": CHOICES, "6.2": ACROSS}  # fmt: skip
