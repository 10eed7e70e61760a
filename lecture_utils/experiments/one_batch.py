"""Taking many steps on one batch, or one sample: who starts, and how far the policy moves from the one that acted."""

import numpy as np
import pandas as pd
import scipy.stats
import torch
from torch.distributions import Normal, kl_divergence

from lecture_utils import probability_ratio
from lecture_utils.adam import Adam
from lecture_utils.experiments.recordings import load_agent
from lecture_utils.training import collect_episodes


def ready_to_learn(name, updates=5):
    """A recorded agent whose Adam is warmed up, and a fresh batch of 200 samples for each of its runs.

    name: as load_agent takes it. updates: ordinary updates before the batch, because recordings hold weights but not
    Adam's moments. Double precision, and exploration noise from NumPy, give the same numbers on other processors.
    Returns (agent, batch), the batch a dict of tensors (R, 200, ...) as `agent.prepare` gives it.
    """
    agent = load_agent(name)
    for network in (agent.actor, agent.old_actor, agent.critic, agent.old_critic):
        network.double()
    random = np.random.default_rng(0)
    agent.noise = lambda *shape: random.standard_normal((agent.runs, *shape)).astype(np.float32)
    for _ in range(updates):
        agent.update(collect_episodes(agent))
    agent.refresh()
    return agent, agent.prepare(collect_episodes(agent))


def kl_from(old, new, batch):
    """KL(old || new) in nats between the policies of two agents, the mean over the states of the batch: (R,) array."""
    return kl_divergence(*_policies(old, new, batch)).sum(-1).mean(-1).numpy()


def mean_shift(old, new, batch):
    """How far the mean action moved, in standard deviations of the old policy: |shift|, averaged over states, (R,)."""
    old, new = _policies(old, new, batch)
    return ((new.mean - old.mean) / old.stddev).abs().mean((-1, -2)).numpy()


def distances(old, copies, batch):
    """How far copies of an agent are from it, one row for each number of passes in copies = {passes: agent}.

    Returns a DataFrame: passes; KL and mean shift, each as `across_runs` gives it; runs above 1, those whose KL is
    beyond one nat.
    """
    rows = []
    for passes, new in copies.items():
        kl, shift = kl_from(old, new, batch), mean_shift(old, new, batch)
        counts = {"runs above 1": (kl > 1).sum()}
        rows.append({"passes": passes, **across_runs("KL", kl), **counts, **across_runs("mean shift", shift)})
    return pd.DataFrame(rows)


def climb(objective, adam, steps=40, lr=0.05):
    """The ratio of one good action, a = 1 with A = +1, while gradient ascent moves the policy: a list of steps + 1.

    objective(ratio, advantage) is maximised over mean and log_std of a Gaussian, both 0 at first, by Adam (`adam` true)
    or plainly along the gradient; lr is the learning rate of either.
    """
    mean, log_std = parameters = [torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    action = advantage = torch.ones(1, dtype=torch.float64)
    optimizer, ratios = Adam(parameters, lr), []
    old_log_prob = Normal(mean, log_std.exp()).log_prob(action).detach()
    for _ in range(steps + 1):
        ratio = probability_ratio(Normal(mean, log_std.exp()).log_prob(action), old_log_prob)
        ratios.append(ratio.item())
        optimizer.zero_grad()
        (-objective(ratio, advantage)).sum().backward()
        if adam:
            optimizer.step()
        else:
            with torch.no_grad():
                for x in parameters:
                    x -= lr * x.grad
    return ratios


def across_runs(name, values):
    """The median of R runs with its 95 % interval: {name, name + " low", name + " high"}.

    values: (R,). The interval comes from the order of the runs, so no shape of a distribution is assumed.
    """
    low, high = scipy.stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    return {name: np.median(values), f"{name} low": low, f"{name} high": high}


def readable(table):
    """The same table as text, each median and its interval in one cell: 0.33 [0.22, 0.45].

    Two digits a number, and one from 100 on: ratios that large differ by a percent from processor to processor.
    """
    table = table.map(lambda x: _short(x) if isinstance(x, float) else x)
    for name in [column for column in table if f"{column} low" in table]:
        low, high = table.pop(f"{name} low"), table.pop(f"{name} high")
        table[name] = table[name] + " [" + low + ", " + high + "]"
    return table


def _policies(old, new, batch):
    with torch.no_grad():
        return [agent.policy(agent.actor, batch["observation"]) for agent in (old, new)]


def _short(x):
    return np.format_float_positional(x, precision=1 if abs(x) >= 100 else 2, unique=False, fractional=False, trim="-")
