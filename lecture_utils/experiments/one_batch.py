"""Taking many steps on one batch, or one sample: how far the policy moves from the one that acted, and what it earns.

`python -m lecture_utils.experiments.one_batch` (part of `make data`, about three minutes) lets recorded agents take up
to twenty passes over one batch and writes data/one_batch.csv, for notebook 01. Rounding grows over so many steps, so
that another processor gives other digits; the notebook shows the recorded ones.
"""

import copy

import numpy as np
import pandas as pd
import scipy.stats
import torch
from torch.distributions import Normal, kl_divergence

from lecture_utils import clipped_surrogate, evaluate, policy_gradient, probability_ratio, surrogate
from lecture_utils.experiments.data_files import DATA, checked, read_table, write_checksums, write_table
from lecture_utils.experiments.recordings import load_agent
from lecture_utils.networks import Adam
from lecture_utils.training import collect_episodes

FILE = "one_batch.csv"
KEYS = ("agents", "objective", "passes", "run")
MEASURED = ("kl", "mean_shift", "outside", "no_gradient", "gain", "score", "change", "change_se")
PASSES = (0, 1, 2, 3, 5, 7, 10, 14, 20)
CLIP = 0.2  # the lecture's epsilon
AGENTS = {"early": "ppo_early", "late": "ppo"}  # after 250 and after 3,000 episodes


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


def a2c(log_prob, old_log_prob, advantage):
    """A2C's objective, which knows no old policy."""
    return policy_gradient(log_prob, advantage)


def unclipped(log_prob, old_log_prob, advantage):
    """The surrogate without the clip."""
    return surrogate(probability_ratio(log_prob, old_log_prob), advantage)


def clipped(log_prob, old_log_prob, advantage):
    """The surrogate with the clip, PPO's objective."""
    return clipped_surrogate(probability_ratio(log_prob, old_log_prob), advantage, CLIP)


OBJECTIVES = {"a2c": a2c, "unclipped": unclipped, "clipped": clipped, "clipped, no momentum": clipped}


def log_prob_of(agent, batch):
    """log pi(a|s) of a batch's samples under the agent's policy: (R, N)."""
    return agent.policy(agent.actor, batch["observation"]).log_prob(batch["action"]).sum(-1)


def learn(agent, batch, objective, passes):
    """Maximise objective(log_prob, old_log_prob, advantage), (R, B) each, for some passes: the actor only, in place."""
    for _ in range(passes):
        for minibatch in agent.minibatches(batch):
            value = objective(log_prob_of(agent, minibatch), minibatch["old_log_prob"], minibatch["advantage"])
            agent.actor_optimizer.zero_grad()
            (-value.mean(-1)).sum().backward()
            agent.actor_optimizer.step()


def measure(agent, learner, batch, before):
    """What became of a learner that started as `agent`: a dict of (R,) arrays, named as MEASURED.

    kl (nats) and mean_shift (old standard deviations) as below; outside, the share of samples whose ratio is outside
    1 +- CLIP; no_gradient, the share on which the clip leaves none; gain, by how much the clipped objective rose on the
    batch; score, the mean return over the fixed starts of `evaluate`; change, score minus that of `before`, the agent's
    own returns (R, episodes), and change_se, the standard error of it over episodes, start by start.
    """
    with torch.no_grad():
        log_prob = log_prob_of(learner, batch)
        ratio = probability_ratio(log_prob, batch["old_log_prob"])
        gain = (clipped(log_prob, batch["old_log_prob"], batch["advantage"]) - batch["advantage"]).mean(-1)
    up = batch["advantage"] > 0
    stopped = torch.where(up, ratio > 1 + CLIP, ratio < 1 - CLIP)
    outside = (ratio > 1 + CLIP) | (ratio < 1 - CLIP)
    returns = evaluate(learner, episodes=before.shape[-1])
    values = (
        kl_from(agent, learner, batch),
        mean_shift(agent, learner, batch),
        outside.double().mean(-1).numpy(),
        stopped.double().mean(-1).numpy(),
        gain.numpy(),
        returns.mean(-1),
        (returns - before).mean(-1),
        scipy.stats.sem(returns - before, axis=-1),
    )
    return dict(zip(MEASURED, values, strict=True))


def record(agents, objective, passes=PASSES, episodes=100):
    """Take passes over one batch: a DataFrame of KEYS and MEASURED, one row a number of passes and run.

    agents: a key of AGENTS, objective: a key of OBJECTIVES; episodes: the fixed starts that judge a policy.
    """
    agent, batch = ready_to_learn(AGENTS[agents])
    learner, done, rows = copy.deepcopy(agent), 0, []
    if "no momentum" in objective:
        learner.actor_optimizer.betas = (0.0, 0.999)
    before = evaluate(agent, episodes=episodes)
    for n in passes:
        learn(learner, batch, OBJECTIVES[objective], n - done)
        done = n
        keys = {"agents": agents, "objective": objective, "passes": n, "run": range(agent.runs)}
        rows.append(pd.DataFrame(keys | measure(agent, learner, batch, before)))
    return pd.concat(rows, ignore_index=True)


def load_one_batch(folder=DATA):
    """The recorded passes, as `record` returns them, of all AGENTS and OBJECTIVES below each other."""
    return read_table(checked(FILE, folder), KEYS + MEASURED)


def kl_from(old, new, batch):
    """KL(old || new) in nats between the policies of two agents, the mean over the states of the batch: (R,) array."""
    return kl_divergence(*_policies(old, new, batch)).sum(-1).mean(-1).numpy()


def mean_shift(old, new, batch):
    """How far the mean action moved, in standard deviations of the old policy: |shift|, averaged over states, (R,)."""
    old, new = _policies(old, new, batch)
    return ((new.mean - old.mean) / old.stddev).abs().mean((-1, -2)).numpy()


def medians(table, objective, columns=("kl", "outside", "change"), passes=(1, 2, 5, 10, 20)):
    """Medians over the runs of one objective with their intervals, as `across_runs` gives them: a row each of `passes`.

    table: of `load_one_batch`, the rows of one key of AGENTS.
    """
    rows = []
    for n in passes:
        chosen = table[(table.objective == objective) & (table.passes == n)]
        rows.append({"passes": n})
        for name in columns:
            rows[-1] |= across_runs(name, chosen[name])
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

    Two digits a number, and whole numbers from 100 on.
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
    if abs(x) >= 100:
        return f"{x:,.0f}"
    return np.format_float_positional(x, precision=2, unique=False, fractional=False, trim="-")


def main():
    torch.set_num_threads(1)
    tables = [record(agents, objective) for agents in AGENTS for objective in OBJECTIVES]
    write_table(pd.concat(tables), DATA / FILE, float_format="%.4g")
    write_checksums(names=[FILE])


if __name__ == "__main__":
    main()
