"""Right answers to every exercise of code, in forms that differ from the reference's: name -> function."""

import copy
import itertools

import numpy as np
import pandas as pd
import torch
from scipy.signal import lfilter
from torch.distributions import Categorical, Independent, MultivariateNormal, Normal

from lecture_utils import clipped_surrogate, gae

# 1.1, from (ratio, advantage, clip)


def by_sign(r, a, c):
    return torch.where(a >= 0, torch.clamp(r, max=1 + c), torch.clamp(r, min=1 - c)) * a


def bound_on_the_gain(r, a, c):
    return torch.minimum(r * a, torch.where(a > 0, 1 + c, 1 - c) * a)


def flat_where_the_gain_is_used_up(r, a, c):
    used_up = ((a > 0) & (r > 1 + c)) | ((a < 0) & (r < 1 - c))
    return torch.where(used_up, r.clip(1 - c, 1 + c).detach(), r) * a


def with_ramps(r, a, c):
    return a * r - torch.relu(a) * torch.relu(r - 1 - c) - torch.relu(-a) * torch.relu(1 - c - r)


def hard_tanh(r, a, c):
    return torch.min(torch.stack([r * a, torch.nn.functional.hardtanh(r, 1 - c, 1 + c) * a]), dim=0).values


def negated_max(r, a, c):
    return -torch.max(-r * a, -r.clamp(1 - c, 1 + c) * a)


def one_by_one(r, a, c):
    """Python's own numbers decide, and a flat branch is a constant without a gradient."""
    numbers = []
    for x, y in zip(r.flatten(), a.flatten(), strict=True):
        if y > 0:
            numbers.append(x * y if x < 1 + c else (1 + c) * y)
        else:
            numbers.append(x * y if x > 1 - c else (1 - c) * y)
    return torch.stack(numbers).reshape(r.shape)


def bounds_as_tensors(r, a, c):
    return torch.minimum(r * a, torch.minimum(torch.maximum(r, torch.full_like(r, 1 - c)), torch.ones_like(r) + c) * a)


SURROGATES = {f.__name__: f for f in (by_sign, bound_on_the_gain, flat_where_the_gain_is_used_up, with_ramps, hard_tanh,
                                      negated_max, one_by_one, bounds_as_tensors)}  # fmt: skip
SURROGATES["in double precision"] = lambda r, a, c: clipped_surrogate(r.double(), a.double(), c)


# 1.3, from (log_prob, old_log_prob, advantage, clip)
def of_surrogate(objective):
    return lambda new, old, a, c: -objective(torch.exp(new - old), a, c).mean()


def mean_by_hand(new, old, a, c):
    ratio = new.exp() / old.exp()
    return torch.max(-ratio * a, -ratio.clamp(1 - c, 1 + c) * a).sum() / len(a)


def sum_of_losses(new, old, a, c):
    losses = [-torch.min((n - o).exp() * x, (n - o).exp().clamp(1 - c, 1 + c) * x) for n, o, x in zip(new, old, a)]  # noqa: B905
    return sum(losses) / len(losses)


LOSSES = {f"with {name}": of_surrogate(f) for name, f in SURROGATES.items()}
LOSSES |= {f.__name__: f for f in (mean_by_hand, sum_of_losses)}


# 3.1, from (log_prob, old_log_prob, advantage, entropy, clip, entropy_coef)
def with_bonus(policy_loss):
    return lambda new, old, a, entropy, c, coef: policy_loss(new, old, a, c) - coef * entropy.mean()


def one_mean(new, old, a, entropy, c, coef):
    return -(clipped_surrogate((new - old).exp(), a, c) + coef * entropy).mean()


LOSSES_WITH_BONUS = {name: with_bonus(f) for name, f in LOSSES.items()}
LOSSES_WITH_BONUS |= {"one_mean": one_mean}


# 2.1 and 2.2
def with_the_next_value(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    """values[t + 1] where there is one, as most programs have it."""
    advantages, following = np.zeros_like(values, dtype=float), 0.0
    steps = rewards.shape[-1]
    for t in reversed(range(steps)):
        after = next_values[..., t] if t == steps - 1 else values[..., t + 1]
        alive = 1 - terminated[..., t]
        following = rewards[..., t] + gamma * alive * after - values[..., t] + gamma * gae_lambda * alive * following
        advantages[..., t] = following
    return advantages


def lambda_return(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    returns = np.zeros(rewards.shape)
    after = next_values[..., -1].astype(float)
    for t in reversed(range(rewards.shape[-1])):
        mixed = (1 - gae_lambda) * next_values[..., t] + gae_lambda * after
        if t == rewards.shape[-1] - 1:
            mixed = next_values[..., t]
        after = rewards[..., t] + gamma * (1 - terminated[..., t]) * mixed
        returns[..., t] = after
    return returns - values


def _rows(function):
    """An answer for one episode, for several side by side."""

    def answer(*arrays, **numbers):
        steps = arrays[0].shape[-1]
        rows = [function(*(x.reshape(-1, steps)[i] for x in arrays), **numbers) for i in range(arrays[0].size // steps)]
        return np.array(rows).reshape(arrays[0].shape)

    return answer


@_rows
def filtered(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    """A discounted filter, backwards, from one end of an episode to the next."""
    delta = rewards + gamma * (1 - terminated) * next_values - values
    ends = [0, *(np.flatnonzero(terminated) + 1), len(delta)]
    parts = [lfilter([1], [1, -gamma * gae_lambda], delta[a:b][::-1])[::-1]
             for a, b in itertools.pairwise(ends) if b > a]  # fmt: skip
    return np.concatenate(parts)


@_rows
def one_matrix_product(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    delta = rewards + gamma * (1 - terminated) * next_values - values
    t = np.arange(len(delta))
    episode = np.cumsum(np.append(0, terminated[:-1]))
    weights = np.triu((gamma * gae_lambda) ** np.maximum(t - t[:, None], 0)) * (episode == episode[:, None])
    return weights @ delta


@_rows
def linear_equations(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    delta = rewards + gamma * (1 - terminated) * next_values - values
    links = np.diag(gamma * gae_lambda * (1.0 - terminated[:-1]), k=1)
    return np.linalg.solve(np.eye(len(delta)) - links, delta)


@_rows
def sum_of_sums(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    advantages = []
    for t in range(len(rewards)):
        total, weight = 0.0, 1.0
        for k in range(t, len(rewards)):
            bootstrap = 0.0 if terminated[k] else next_values[k]
            total += weight * (rewards[k] + gamma * bootstrap - values[k])
            if terminated[k]:
                break
            weight *= gamma * gae_lambda
        advantages.append(total)
    return advantages


@_rows
def recursive(rewards, values, next_values, terminated, *, gamma, gae_lambda):
    delta = rewards[0] + gamma * (terminated[0] == 0) * next_values[0] - values[0]
    if len(rewards) == 1:
        return [delta]
    rest = recursive(rewards[1:], values[1:], next_values[1:], terminated[1:], gamma=gamma, gae_lambda=gae_lambda)
    return [delta + gamma * gae_lambda * (terminated[0] == 0) * rest[0], *rest]


def in_single_precision(*arrays, **numbers):
    return gae(*(x.astype(np.float32) for x in arrays), **numbers).astype(np.float32)


def as_a_tensor(*arrays, **numbers):
    return gae(*(torch.as_tensor(x) for x in arrays), **numbers)


ADVANTAGES = {f.__name__: f for f in (with_the_next_value, lambda_return, in_single_precision, as_a_tensor)}
ADVANTAGES |= {"filtered": filtered, "one_matrix_product": one_matrix_product, "linear_equations": linear_equations,
               "sum_of_sums": sum_of_sums, "recursive": recursive}  # fmt: skip


# 3.2, from (policy, optimizer, observation, action, advantage, passes, minibatch_size, clip)
def with_a_copy_of_the_policy(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    old_policy = copy.deepcopy(policy)
    for _ in range(passes):
        for i in range(0, len(action), minibatch_size):
            o, a = observation[i : i + minibatch_size], action[i : i + minibatch_size]
            old = old_policy(o).log_prob(a).sum(-1).detach()
            optimizer.zero_grad()
            LOSSES["with with_ramps"](
                policy(o).log_prob(a).sum(-1), old, advantage[i : i + minibatch_size], clip
            ).backward()
            optimizer.step()


def with_split(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    old = Independent(policy(observation), 1).log_prob(action).detach()
    batch = observation, action, advantage, old
    for _ in range(passes):
        for o, a, adv, before in zip(*(x.split(minibatch_size) for x in batch), strict=True):
            loss = LOSSES["mean_by_hand"](Independent(policy(o), 1).log_prob(a), before, adv, clip)
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()


def with_a_loader(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    with torch.no_grad():
        old = policy(observation).log_prob(action).sum(dim=1)
    data = torch.utils.data.TensorDataset(observation, action, advantage, old)
    for _ in range(passes):
        for o, a, adv, before in torch.utils.data.DataLoader(data, batch_size=minibatch_size):
            optimizer.zero_grad()
            LOSSES["with by_sign"](policy(o).log_prob(a).sum(1), before, adv, clip).backward()
            optimizer.step()
    return policy


def with_an_index(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    old = policy(observation).log_prob(action).sum(-1).data
    for _ in range(passes):
        for rows in torch.arange(len(action)).split(minibatch_size):
            ratio = torch.exp(policy(observation[rows]).log_prob(action[rows]).sum(-1) - old[rows])
            objective = torch.min(ratio * advantage[rows], ratio.clip(1 - clip, 1 + clip) * advantage[rows])
            (-objective.mean()).backward()
            optimizer.step()
            optimizer.zero_grad()


def gradients_set_by_hand(policy, optimizer, observation, action, advantage, passes, minibatch_size, clip):
    old = policy(observation).log_prob(action).sum(-1).detach().clone()
    parameters = list(policy.parameters())
    for _ in range(passes):
        for i in range(0, len(action), minibatch_size):
            rows = list(range(i, min(i + minibatch_size, len(action))))
            loss = LOSSES["with negated_max"](
                policy(observation[rows]).log_prob(action[rows]).sum(-1), old[rows], advantage[rows], clip
            )
            for x, gradient in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
                x.grad = gradient
            optimizer.step()


UPDATES = {f.__name__: f for f in (with_a_copy_of_the_policy, with_split, with_a_loader, with_an_index,
                                   gradients_set_by_hand)}  # fmt: skip


# 4.1, from (scores, rows, confidence)
def percent(scores, rows, confidence):
    return np.percentile(np.mean(scores[rows], 1), [50 - 50 * confidence, 50 + 50 * confidence])


def sorted_means(scores, rows, confidence):
    means = sorted(scores[row].mean() for row in rows)
    left_out = round((1 - confidence) / 2 * len(means))
    return means[min(left_out, len(means) - 1)], means[max(len(means) - 1 - left_out, 0)]


def with_pandas(scores, rows, confidence):
    means = pd.DataFrame(scores[rows]).mean(axis="columns")
    return means.quantile((1 - confidence) / 2), means.quantile((1 + confidence) / 2)


def with_torch(scores, rows, confidence):
    means = torch.as_tensor(scores)[torch.as_tensor(rows)].mean(1)
    tail = (1 - confidence) / 2
    return tuple(torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=means.dtype)))


def nearest(scores, rows, confidence):
    means = scores.take(rows).sum(1) / rows.shape[1]
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return list(np.quantile(means, ends, method="nearest"))


def median_unbiased(scores, rows, confidence):
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return np.quantile(scores[rows].mean(1), ends, method="median_unbiased").astype(np.float32)


INTERVALS = {f.__name__: f for f in (percent, sorted_means, with_pandas, with_torch, nearest, median_unbiased)}


# 5.1, from (mean, std, noise, limit)
def drawn(mean, std, noise, limit):
    return torch.clip(mean + std * noise, -limit, limit), mean + std * noise


def by_formula(mean, std, noise, limit):
    applied, sampled = drawn(mean, std, noise, limit)
    log_density = -0.5 * ((sampled - mean) / std) ** 2 - std.log() - 0.5 * np.log(2 * np.pi)
    return applied, log_density.sum(dim=1)


def by_noise(mean, std, noise, limit):
    return drawn(mean, std, noise, limit)[0], (Normal(0.0, 1.0).log_prob(noise) - std.log()).sum(-1)


def independent(mean, std, noise, limit):
    applied, sampled = drawn(mean, std, noise, limit)
    return applied, Independent(Normal(mean, std), 1).log_prob(sampled)


def multivariate(mean, std, noise, limit):
    applied, sampled = drawn(mean, std, noise, limit)
    return applied, MultivariateNormal(mean, scale_tril=torch.diag_embed(std)).log_prob(sampled)


def as_a_list(mean, std, noise, limit):
    sampled = torch.addcmul(mean, std, noise)
    one = torch.tensor(limit, dtype=mean.dtype)
    return [torch.maximum(torch.minimum(sampled, one), -one), Normal(mean, std).log_prob(sampled).sum(1)]


def row_by_row(mean, std, noise, limit):
    applied, sampled = drawn(mean, std, noise, limit)
    return applied, torch.stack([sum(Normal(m, s).log_prob(x) for m, s, x in zip(*row, strict=True))
                                 for row in zip(mean, std, sampled, strict=True)])  # fmt: skip


SCORED = {f.__name__: f for f in (by_formula, by_noise, independent, multivariate, as_a_list, row_by_row)}


# 5.2, from advantage
def with_epsilon(epsilon):
    return lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + epsilon)


def root_of_variance(x):
    variance, mean = torch.var_mean(x, dim=-1, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-8)


def runs_in_a_loop(x):
    return torch.stack([(row - row.mean()) / max(row.std(), torch.tensor(1e-6, dtype=x.dtype)) for row in x])


def with_numpy(x):
    x = x.numpy().astype(np.float64)
    std = x.std(axis=1, ddof=1, keepdims=True)
    return torch.from_numpy((x - x.mean(axis=1, keepdims=True)) / np.where(std > 0, std, 1))


def zeros_put_in(x):
    return ((x - x.mean(1)[:, None]) / x.std(1)[:, None]).nan_to_num(0.0)


def by_layer_norm(x):
    n = x.shape[1]
    return torch.nn.functional.layer_norm(x, (n,), eps=1e-5) * ((n - 1) / n) ** 0.5


NORMALIZED = {f.__name__: f for f in (root_of_variance, runs_in_a_loop, with_numpy, zeros_put_in, by_layer_norm)}
NORMALIZED |= {f"with {epsilon} in the denominator": with_epsilon(epsilon) for epsilon in (1e-3, 1e-4, 1e-5, 1e-12)}


# 0.1, from (rewards, gamma)
def powers(rewards, gamma):
    t = np.arange(len(rewards))
    return np.triu(gamma ** np.maximum(t - t[:, None], 0.0)) @ rewards


def grown_list(rewards, gamma):
    returns = []
    for reward in reversed(rewards):
        returns.insert(0, reward + gamma * (returns[0] if returns else 0.0))
    return np.array(returns, dtype=float)


def each_sum(rewards, gamma):
    return np.array([sum(gamma**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))])


def filter_backwards(rewards, gamma):
    return lfilter([1.0], [1.0, -gamma], rewards[::-1])[::-1]


def tensor_of_returns(rewards, gamma):
    returns = torch.zeros(len(rewards))
    for t in range(len(rewards) - 1, -1, -1):
        returns[t] = rewards[t] + (gamma * returns[t + 1] if t + 1 < len(rewards) else 0.0)
    return returns


def accumulated(rewards, gamma):
    return np.array(list(itertools.accumulate(rewards[::-1], lambda after, r: r + gamma * after))[::-1], dtype=float)


RETURNS = {f.__name__: f for f in (powers, grown_list, each_sum, filter_backwards, tensor_of_returns, accumulated)}


# 1.4, from (old, new, advantage, share)
def einsum(old, new, advantage, share):
    return np.einsum("s,sa,sa,sa->", share, old, new / old, advantage)


def without_the_ratio(old, new, advantage, share):
    return share @ np.sum(new * advantage, axis=1)


def two_loops(old, new, advantage, share):
    return sum(share[s] * old[s, a] * (new[s, a] / old[s, a]) * advantage[s, a] for s, a in np.ndindex(old.shape))


def joint_probability(old, new, advantage, share):
    return np.average(new / old * advantage, weights=share[:, None] * old)


def with_tensors(old, new, advantage, share):
    old, new, advantage, share = (torch.as_tensor(x) for x in (old, new, advantage, share))
    return (share[:, None] * old * (new.log() - old.log()).exp() * advantage).sum()


def a_matrix_product(old, new, advantage, share):
    return np.trace(np.diag(share) @ new @ advantage.T)


ENUMERATED = {f.__name__: f for f in (einsum, without_the_ratio, two_loops, joint_probability, with_tensors,
                                      a_matrix_product)}  # fmt: skip


# 4.4, from (low, high, claim_low, claim_high)
def by_overlap(low, high, claim_low, claim_high):
    overlap = max(0.0, min(high, claim_high) - max(low, claim_low))
    return "supported" if overlap == high - low else "undecided" if overlap else "contradicted"


def contradicted_first(low, high, claim_low, claim_high):
    if high < claim_low or low > claim_high:
        return "Contradicted"
    return "undecided" if low < claim_low or high > claim_high else "Supported"


def by_ends(low, high, claim_low, claim_high):
    inside = [claim_low <= x <= claim_high for x in (low, high)]
    if all(inside):
        return np.str_("supported")
    return "undecided" if any(inside) or low < claim_low <= claim_high < high else "contradicted"


def by_count(low, high, claim_low, claim_high):
    crossed = (low < claim_low <= high) or (low <= claim_high < high)
    return ["contradicted", "undecided", "supported"][1 if crossed else 2 * (claim_low <= low <= claim_high)]


def by_places(low, high, claim_low, claim_high):
    below, above = np.sign([low - claim_low, high - claim_low]), np.sign([low - claim_high, high - claim_high])
    places = {(-1 if b < 0 else 1 if a > 0 else 0) for b, a in zip(below, above, strict=True)}
    return "supported" if places == {0} else "contradicted" if places in ({-1}, {1}) else "undecided"


THREE_VERDICTS = {f.__name__: f for f in (by_overlap, contradicted_first, by_ends, by_count, by_places)}


# 6.1, from (logits, choice)
def by_categorical(logits, choice):
    return Categorical(logits=logits).log_prob(choice)


def by_cross_entropy(logits, choice):
    return -torch.nn.functional.cross_entropy(logits, choice, reduction="none")


def by_one_hot(logits, choice):
    return (torch.nn.functional.one_hot(choice, logits.shape[-1]) * logits.log_softmax(-1)).sum(-1)


def by_index(logits, choice):
    return logits.softmax(-1)[torch.arange(len(choice)), choice].log()


def as_a_stack(logits, choice):
    return torch.stack([row[c] - row.exp().sum().log() for row, c in zip(logits, choice, strict=True)])


CHOICES = {f.__name__: f for f in (by_categorical, by_cross_entropy, by_one_hot, by_index, as_a_stack)}


# 6.2, from (rewards, values, next_values, terminated, truncated)
def episode_by_episode(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    last = np.zeros(rewards.shape[:-1])
    found = []
    for t in reversed(range(rewards.shape[-1])):
        delta = rewards[..., t] + np.where(terminated[..., t], 0, gamma * next_values[..., t]) - values[..., t]
        ended = (terminated[..., t] + truncated[..., t]) > 0
        last = delta + np.where(ended, 0, gamma * gae_lambda * last)
        found.append(last)
    return np.stack(found[::-1], axis=-1)


def by_a_matrix(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    delta = rewards + gamma * (1 - terminated) * next_values - values
    ended = np.maximum(terminated, truncated)
    steps = rewards.shape[-1]
    found = np.zeros(rewards.shape)
    for t in range(steps):
        weight = np.ones(rewards.shape[:-1])
        for k in range(t, steps):
            found[..., t] += weight * delta[..., k]
            weight = weight * gamma * gae_lambda * (1 - ended[..., k])
    return found


def of_the_series(rewards, values, next_values, terminated, truncated, **numbers):
    return gae(rewards, values, next_values, terminated, truncated=truncated, **numbers)


def with_tensors_of_masks(rewards, values, next_values, terminated, truncated, **numbers):
    masks = torch.as_tensor(terminated), torch.as_tensor(truncated)
    arrays = (torch.as_tensor(x) for x in (rewards, values, next_values))
    return gae(*arrays, masks[0], truncated=masks[1], **numbers).numpy()


def lambda_return(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    """The lambda-return of each step, minus its value."""
    found, later = np.zeros(rewards.shape), np.zeros(rewards.shape[:-1])
    for t in reversed(range(rewards.shape[-1])):
        last = (terminated[..., t] + truncated[..., t] > 0) | (t == rewards.shape[-1] - 1)
        mixed = np.where(last, next_values[..., t], (1 - gae_lambda) * next_values[..., t] + gae_lambda * later)
        later = rewards[..., t] + gamma * (1 - terminated[..., t]) * mixed
        found[..., t] = later - values[..., t]
    return found


def values_of_the_next_row(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    """V(s_{t+1}) is the next of the values, but after an end, a cut and the last step."""
    kept = (terminated + truncated) > 0
    kept[..., -1] = True
    after = np.where(kept, next_values, np.roll(values, -1, axis=-1))
    return gae(rewards, values, after, terminated, truncated=truncated, gamma=gamma, gae_lambda=gae_lambda)


def cut_added_to_the_reward(rewards, values, next_values, terminated, truncated, *, gamma, gae_lambda):
    """As older programs do it: the value after a cut goes into the reward, and then every cut is an end."""
    rewards = rewards + gamma * truncated * next_values
    ended = np.maximum(terminated, truncated)
    return gae(rewards, values, next_values, ended, gamma=gamma, gae_lambda=gae_lambda)


ACROSS = {f.__name__: f for f in (episode_by_episode, by_a_matrix, of_the_series, with_tensors_of_masks,
                                  cut_added_to_the_reward, lambda_return, values_of_the_next_row)}  # fmt: skip


# 7.1, from (reward, group)


def by_view(reward, group):
    rows = reward.view(len(reward) // group, group)
    return ((rows - rows.mean(dim=1)[:, None]) / (rows.std(dim=1)[:, None] + 1e-4)).view(-1)


def group_by_group(reward, group):
    return torch.cat([(x - x.mean()) / (x.std() + 1e-4) for x in reward.split(group)])


def from_sums_of_squares(reward, group):
    centred = reward.reshape(-1, group) - reward.reshape(-1, group).mean(1, keepdim=True)
    std = (centred.square().sum(1, keepdim=True) / (group - 1)).sqrt()
    return torch.ravel(centred / (std + 1e-4))


def with_numpy_rows(reward, group):
    rows = reward.numpy().reshape(-1, group)
    centred = rows - rows.mean(1, keepdims=True)
    return torch.from_numpy((centred / (rows.std(1, ddof=1, keepdims=True) + 1e-4)).ravel())


def repeated(reward, group):
    rows = reward.unflatten(0, (-1, group))
    mean, std = (x.repeat_interleave(group) for x in (rows.mean(-1), rows.std(-1)))
    return (reward - mean) / (std + 1e-4)


GROUPS = {f.__name__: f for f in (by_view, group_by_group, from_sums_of_squares, with_numpy_rows, repeated)}

# 7.2, from (log_prob, old_log_prob, advantage, mask, below, above)


def by_sign_of_text(new, old, advantage, mask, below, above):
    ratio, a = torch.exp(new - old), advantage.unsqueeze(1)
    return mask * torch.where(a >= 0, ratio.clamp(max=1 + above), ratio.clamp(min=1 - below)) * a


def text_by_text(new, old, advantage, mask, below, above):
    rows = zip(new, old, advantage, mask, strict=True)
    found = [clipped_surrogate((n - o).exp(), a.expand(n.shape), (below, above)) * m for n, o, a, m in rows]
    return torch.stack(found)


def masked_afterwards(new, old, advantage, mask, below, above):
    ratio, a = new.exp() / old.exp(), advantage[:, None].expand_as(new)
    objective = torch.min(ratio * a, torch.clip(ratio, 1 - below, 1 + above) * a)
    return torch.where(mask > 0, objective, torch.zeros_like(objective))


def negated_max_of_tokens(new, old, advantage, mask, below, above):
    ratio, a = (new - old).exp(), advantage.reshape(-1, 1)
    return -torch.max(-ratio * a, -ratio.clamp(1 - below, 1 + above) * a) * mask


def bounds_then_where(new, old, advantage, mask, below, above):
    ratio, a = torch.exp(new - old), advantage[..., None]
    clipped = torch.where(ratio > 1 + above, 1 + above, torch.where(ratio < 1 - below, 1 - below, ratio))
    return torch.where(ratio * a < clipped * a, ratio * a, clipped * a) * mask


TOKENS = {f.__name__: f for f in (by_sign_of_text, text_by_text, masked_afterwards, negated_max_of_tokens,
                                  bounds_then_where)}  # fmt: skip

# number of the exercise -> {name: right answer}
RIGHT_FORMS = {"7.1": GROUPS, "7.2": TOKENS,
               "0.1": RETURNS, "1.4": ENUMERATED, "4.4": THREE_VERDICTS,
               "1.1": SURROGATES, "1.3": LOSSES, "2.1": ADVANTAGES, "2.2": ADVANTAGES, "3.1": LOSSES_WITH_BONUS,
               "3.2": UPDATES, "4.1": INTERVALS, "5.1": SCORED, "5.2": NORMALIZED,
               "6.1": CHOICES, "6.2": ACROSS}  # fmt: skip
