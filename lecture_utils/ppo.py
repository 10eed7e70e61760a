"""Proximal Policy Optimization and the A2C that it extends, for R independent training runs at once.

Read from top to bottom: a recipe, advantages, objectives, diagnostics, A2C, PPO; the networks are in networks.py.
Letters of shapes: R runs, E episodes, T steps, N = E T samples of a rollout, B samples of a minibatch, O and A
dimensions of observation and action.
"""

import copy
import dataclasses
import math

import numpy as np
import torch
from torch.distributions import kl_divergence

from lecture_utils import checks, environments, fast, networks
from lecture_utils.networks import MLP, Adam, CategoricalPolicy, GaussianPolicy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """The defaults are the lecture's PPO. A bad value is a ValueError that names field, value and range."""

    gamma: float = 0.95  # discount a step
    gae_lambda: float = 0.85  # decay of the advantage trace, on top of gamma
    clip: float = 0.2  # epsilon, half-width of the band for the ratio, or (below, above); inf: not clipped
    entropy_coef: float = 0.01  # weight of the entropy bonus, per nat
    actor_lr: float = 1e-4  # Adam's step size for the policy
    critic_lr: float = 1e-3  # Adam's step size for the value function
    minibatch_size: int = 32  # samples a gradient step
    passes: int = 2  # passes over each rollout
    episodes_per_update: int = 1  # E, episodes (on other tasks: environments) side by side, with one policy
    rollout_steps: int = 200  # T, steps of each environment an update, on tasks other than the pendulum
    mean_head: str = "tanh"  # mean action: limit x "tanh" of the output, or "linear"
    std_head: str = "abs"  # standard deviation: "abs" or "softplus" of an output, or "free" of the state
    initial_std: float = 0.0  # standard deviation before training, in every state; 0: as its head happens to start
    score_action: str = "clipped"  # the log-probability scored is that of the "clipped" or of the "sampled" action
    shuffle: bool = False  # minibatches drawn at random; otherwise in time order
    normalize_advantages: str = "no"  # "no", per "rollout" or per "minibatch" (to mean 0 and standard deviation 1)
    reward_scale: float = 1.0  # rewards are multiplied by it before learning (never in the log)
    hidden: tuple = (128, 128)  # widths of the hidden layers, policy and value function alike
    activation: str = "relu"  # "relu" or "tanh"
    initialization: str = "default"  # "default" (that of torch.nn.Linear) or "orthogonal"
    anneal_updates: int = 0  # learning rates fall linearly to zero over so many updates; 0: constant
    max_grad_norm: float = math.inf  # gradients are scaled down to this norm, per run and network; inf: never
    target_kl: float = math.inf  # a run sits out the passes after one with a larger approximate KL, in nats

    def __post_init__(self):
        for name, value in checks.recipe(vars(self)).items():
            object.__setattr__(self, name, value)

    replace = dataclasses.replace  # TUNED.replace(clip=0.1): the same recipe with some fields changed


TUNED_EPISODES = 384  # 76,800 steps a run
TUNED = Hyperparameters(
    gamma=0.97, gae_lambda=0.95, entropy_coef=0.0, actor_lr=5e-3, critic_lr=5e-3, minibatch_size=400, passes=10,
    episodes_per_update=16, mean_head="linear", std_head="free", initial_std=2.0, score_action="sampled", shuffle=True,
    normalize_advantages="rollout", reward_scale=0.2, hidden=(32, 32), activation="tanh", initialization="orthogonal",
    anneal_updates=24, max_grad_norm=0.5, target_kl=0.03,
)  # fmt: skip


# Advantages: all take rewards (..., T), values V(s_t), next_values V(s_{t+1}) and terminated, of one shape, arrays or
# tensors, time on the last axis, and return advantages of that shape.
def one_step(rewards, values, next_values, terminated, *, gamma):
    """The temporal-difference error delta_t = r_t + gamma V(s_{t+1}) - V(s_t): low variance, the critic's bias."""
    return gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=0.0)


def monte_carlo(rewards, values, next_values, terminated, *, gamma):
    """The discounted sum of the rewards that came, minus V(s_t): unbiased but for the bootstrap after the last step."""
    return gae(rewards, values, next_values, terminated, gamma=gamma, gae_lambda=1.0)


def gae(rewards, values, next_values, terminated, *, gamma, gae_lambda, truncated=None):
    """Generalized advantage estimation: A_t = delta_t + gamma lambda A_{t+1}, backwards in time.

    terminated: the episode ended by itself and nothing follows: it masks the bootstrap V(s_{t+1}) and the trace.
    truncated: where an array holds several episodes, the clock cut one here: it masks the trace alone, the value stays.
    Source: equation 16 of arXiv 1506.02438. ValueError for other shapes and numbers, TypeError for what is no number.
    """
    gamma, gae_lambda = checks.hyperparameter("gamma", gamma), checks.hyperparameter("gae_lambda", gae_lambda)
    rewards, values, next_values, alive, uncut = checks.episodes(rewards, values, next_values, terminated, truncated)
    advantages = rewards + gamma * alive * next_values - values  # the temporal-difference errors delta, to begin with
    trace = gamma * gae_lambda * alive * uncut
    for t in reversed(range(advantages.shape[-1] - 1)):  # backwards: a step needs the one after it
        advantages[..., t] += trace[..., t] * advantages[..., t + 1]
    return advantages


def standardize(x):
    """To mean 0 and standard deviation 1 over the last axis: (R, N) tensor -> (R, N). A single number becomes 0."""
    std = x.std(-1, keepdim=True) if x.shape[-1] > 1 else torch.zeros_like(x)
    return (x - x.mean(-1, keepdim=True)) / (std + 1e-8)


# Objectives, to be maximised: the loss is minus their mean. They are elementwise: both arguments have one shape, or one
# of them is a number or a tensor without axes. A wrong type is a TypeError, shapes that disagree are a ValueError.
def probability_ratio(log_prob, old_log_prob):
    """r = pi(a|s) / pi_old(a|s), from logarithms, which do not underflow: section 3 of arXiv 1707.06347."""
    log_prob, old_log_prob = checks.elementwise(log_prob=log_prob, old_log_prob=old_log_prob)
    return (log_prob - old_log_prob).exp()


def policy_gradient(log_prob, advantage):
    """log pi(a|s) A, the objective of A2C, right for one step from the policy that acted: equation 2 of the same."""
    log_prob, advantage = checks.elementwise(log_prob=log_prob, advantage=advantage)
    return log_prob * advantage


def surrogate(ratio, advantage):
    """r A, the surrogate, not clipped: equation 6 of Schulman et al. 2017, arXiv 1707.06347 (there called CPI)."""
    ratio, advantage = checks.elementwise(ratio=ratio, advantage=advantage)
    return ratio * advantage


def clipped_surrogate(ratio, advantage, clip=0.2):
    """min(r A, clip(r, 1 - epsilon, 1 + epsilon) A), the objective of PPO: equation 7 of arXiv 1707.06347.

    clip: epsilon >= 0, or a pair (below, above) for a band from 1 - below to 1 + above.
    """
    below, above = checks.band(clip)
    ratio, advantage = checks.elementwise(ratio=ratio, advantage=advantage)
    return torch.min(ratio * advantage, ratio.clamp(1 - below, 1 + above) * advantage)


# Diagnostics: numbers that tell how an update went. Each reduces the last axis, (..., N) -> (...); a NaN gives NaN.
def approx_kl(log_ratio):
    """KL(pi_old || pi) in nats, estimated from samples of pi_old: mean of (r - 1) - log r, Schulman's k3 (2020)."""
    checks.samples(log_ratio=log_ratio)
    return (log_ratio.expm1() - log_ratio).mean(-1)


def clip_fraction(log_ratio, clip):
    """Share of samples whose ratio is outside the band; clip as for clipped_surrogate."""
    below, above = checks.band(clip)
    checks.samples(log_ratio=log_ratio)
    change = log_ratio.exp() - 1
    outside = (change > above) | (change < -below)
    return torch.where(log_ratio.isnan(), torch.nan, outside.to(log_ratio.dtype)).mean(-1)


def explained_variance(values, returns):
    """1 - Var(returns - values) / Var(returns): 1 a perfect critic, 0 a constant's; NaN where returns do not vary."""
    checks.samples(values=values, returns=returns)
    unexplained, variance = (returns - values).var(-1, correction=0), returns.var(-1, correction=0)
    return torch.where(variance > 0, 1 - unexplained / variance, torch.nan)


class A2C:
    """Advantage actor-critic with GAE, a frozen critic, an entropy bonus and two Adam optimisers (the course's Lab 05).

    obs_dim, action_dim: O and A. hyperparameters: those of `default` where None. seeds: one whole number for each run.
    action_limit: actions lie in [-action_limit, action_limit], in every dimension; or a pair (low, high) of A numbers
    each, to which [-1, 1] is stretched. choices: of a discrete action (A is 1), how many; 0 where actions are numbers.
    """

    default = Hyperparameters(passes=5)
    old_policy = None  # PPO's, at the rollout's observations

    def __init__(
        self, obs_dim, action_dim, hyperparameters=None, seeds=(0,), device="cpu", *, action_limit=2.0, choices=0
    ):
        self.hyperparameters = h = checks.instance("hyperparameters", hyperparameters, Hyperparameters, self.default)
        self.obs_dim, self.action_dim = checks.whole("obs_dim", obs_dim, 1), checks.whole("action_dim", action_dim, 1)
        self.seeds, self.device = checks.seeds(seeds), checks.device(device)
        self.runs, self.choices = len(self.seeds), checks.whole("choices", choices, 0)
        self.action_limit, self.bounds = checks.action_limit(action_limit, self.action_dim)
        # A run's weights, starts, action noise and minibatches are drawn from a generator of its own.
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.updates = self.episodes = 0
        self.stopped = torch.zeros(self.runs, dtype=torch.bool)  # which runs sit out the rest of the passes
        sizes, orthogonal = (self.obs_dim, *h.hidden), h.initialization == "orthogonal"
        gains = (0.01, 1.0) if orthogonal else (None, None)  # first actions near 0: Andrychowicz et al. 2021
        if self.choices:
            actor = CategoricalPolicy(sizes, self.action_dim, self.choices, self.generators, h, gains[0])
        else:
            actor = GaussianPolicy(sizes, self.action_dim, self.generators, h, self.action_limit, gains[0])
        critic = MLP((*sizes, 1), self.generators, h.activation, gains[1])
        self.actor, self.critic = actor.to(self.device), critic.to(self.device)
        self.old_critic = copy.deepcopy(self.critic)
        self.actor_optimizer = Adam(self.actor.parameters(), h.actor_lr)
        self.critic_optimizer = Adam(self.critic.parameters(), h.critic_lr)

    @classmethod
    def for_env(cls, env, hyperparameters=None, seeds=(0,), device="cpu"):
        """An agent with the sizes, bounds and kind of actions of env: an id, one made, or a function that makes one.

        Without hyperparameters the recipe is the lecture's, which is made for the pendulum.
        TypeError for observations that are no Box of numbers and actions neither Box nor Discrete.
        """
        return cls(hyperparameters=hyperparameters, seeds=seeds, device=device, **environments.sizes(env))

    def act(self, observation, deterministic=False):
        """An action, sampled or the likeliest, as `applied` gives it: of (O,) with one run, or of (R, O)."""
        observation = checks.observation(observation, self)
        if observation.ndim == 1:
            return self.act(observation[None], deterministic)[0]
        parameters = fast.on_arrays(self.actor)(observation[:, None])  # (R, O) -> (R, 1, O) -> (R, 1, A), each
        noise = None if deterministic else self.noise(1, self.action_dim)
        return self.applied(self.actor.choose(noise, *parameters)[:, 0])

    __call__ = act

    def applied(self, action):
        """What the environment gets for an action (..., A): it, stretched to the bounds and cut; or a choice (...)."""
        if self.choices:
            return action[..., 0]
        if self.bounds is None:
            return action.clip(-self.action_limit, self.action_limit)
        low, high = np.array(self.bounds)
        return (low + (action + 1) / 2 * (high - low)).clip(low, high).astype(np.float32)

    def noise(self, *shape):
        """Standard normal numbers, a float32 array (R, *shape), each run's from its own generator."""
        return np.stack([torch.randn(shape, generator=g, dtype=torch.float32).numpy() for g in self.generators])

    def update(self, rollout):
        """Learn from one rollout: `passes` passes over it in minibatches.

        rollout: a training.Rollout of these R runs. Returns a dict of (R,) arrays: loss_act, loss_v, loss_ent (nats),
        clip_fraction, approx_kl, means along the passes that a run took, the first minibatch's KL of 0 included; the
        frozen critic's explained_variance; kl_after, the exact KL(old, new) in nats, a mean over the rollout's states.
        """
        self.refresh()
        batch, h = self.prepare(rollout), self.hyperparameters
        policy = torch.no_grad()(self.policy)
        before = self.old_policy or policy(self.actor, batch["observation"])
        logs, took_part = [], []
        for _ in range(h.passes):
            took_part.append(~self.stopped)
            logs.append(self.one_pass(batch))
            if h.target_kl < math.inf:  # a run that moved far sits out the rest: weights, Adam and generator stay
                self.stopped |= (logs[-1]["approx_kl"] > h.target_kl).cpu()
            if self.stopped.all():
                break
        self.updates += 1
        took_part = torch.stack(took_part).to(self.device)  # (passes, R), for means over each run's own passes
        log = {name: (torch.stack([x[name] for x in logs]) * took_part).sum(0) / took_part.sum(0) for name in logs[0]}
        kl = kl_divergence(before, policy(self.actor, batch["observation"])).sum(-1)  # (R, N, A) -> (R, N)
        log |= {"kl_after": kl.mean(-1), "explained_variance": explained_variance(batch["value"], batch["returns"])}
        return {name: x.cpu().numpy() for name, x in log.items()}

    def refresh(self):
        """Copy the networks that judge this rollout; the copies hold still while the networks learn."""
        self.old_critic.load_state_dict(self.critic.state_dict())
        self.stopped = torch.zeros_like(self.stopped)

    def prepare(self, rollout):
        """Everything that the passes need, as a dict of tensors (R, N, ...), N = E x T."""
        h, dtype = self.hyperparameters, next(self.actor.parameters()).dtype
        checks.fits(rollout, self)

        def flat(x):  # array (R, E, T, ...) -> tensor (R, N, ...)
            return torch.as_tensor(x, dtype=dtype, device=self.device).flatten(1, 2)

        observation, action = flat(rollout.observation), flat(rollout.action)
        with torch.no_grad():
            values, next_values = fast.values(self.old_critic, observation, flat(rollout.next_observation))
        values, next_values = (x.reshape(rollout.reward.shape).cpu().numpy() for x in (values, next_values))
        reward = rollout.reward * h.reward_scale
        advantage = gae(reward, values, next_values, rollout.terminated, gamma=h.gamma, gae_lambda=h.gae_lambda,
                        truncated=rollout.truncated)  # fmt: skip
        returns = advantage + values
        advantage = standardize(flat(advantage)) if h.normalize_advantages == "rollout" else flat(advantage)
        return {"observation": observation, "action": action, "old_log_prob": flat(rollout.log_prob),
                "advantage": advantage, "value": flat(values), "returns": flat(returns)}  # fmt: skip

    def one_pass(self, batch):
        """A gradient step on each minibatch in turn. Returns means over the N samples, a dict of (R,) tensors."""
        losses, log_ratios = zip(*map(self.step, self.minibatches(batch)), strict=True)
        log_ratio = torch.cat(log_ratios, dim=-1)  # (R, N)
        weights = log_ratio.new_tensor([x.shape[-1] / log_ratio.shape[-1] for x in log_ratios])  # the last one is short
        losses = torch.einsum("s,slr->lr", weights, torch.stack(losses))  # (steps, 3, R) -> (3, R)
        log = dict(zip(("loss_act", "loss_v", "loss_ent"), losses, strict=True))
        outside = clip_fraction(log_ratio, self.hyperparameters.clip)
        return log | {"clip_fraction": outside, "approx_kl": approx_kl(log_ratio)}

    def minibatches(self, batch):
        """One pass over the batch: dicts of tensors (R, B, ...)."""
        h = self.hyperparameters
        if h.shuffle:
            n = batch["advantage"].shape[1]
            draws = zip(self.generators, self.stopped.tolist(), strict=True)  # a run that sits out draws nothing
            order = [torch.arange(n) if out else torch.randperm(n, generator=g) for g, out in draws]
            run, order = torch.arange(self.runs, device=self.device)[:, None], torch.stack(order).to(self.device)
            batch = {name: x[run, order] for name, x in batch.items()}  # (R, N, ...), each run in an order of its own
        for parts in zip(*(x.split(h.minibatch_size, dim=1) for x in batch.values()), strict=True):
            minibatch = dict(zip(batch, parts, strict=True))
            if h.normalize_advantages == "minibatch":
                minibatch["advantage"] = standardize(minibatch["advantage"])
            yield minibatch

    def step(self, batch):
        """A gradient step of both networks. Returns losses (3, R) and log ratios (R, B), both as they were before."""
        h = self.hyperparameters
        policy = self.policy(self.actor, batch["observation"])
        log_prob = policy.log_prob(batch["action"]).sum(-1)  # (R, B, A) -> (R, B)
        entropy = policy.entropy().sum(-1).mean(-1)  # (R, B, A) -> (R,)
        actor_loss = self.actor_loss(log_prob, batch) - h.entropy_coef * entropy
        value = self.critic(batch["observation"]).squeeze(-1)  # (R, B, 1) -> (R, B)
        critic_loss = (value - batch["returns"]).square().mean(-1)

        self.actor_optimizer.zero_grad()
        self.critic_optimizer.zero_grad()
        (actor_loss + critic_loss).sum().backward()  # a sum over runs: each keeps the gradient that it would have alone
        self.take_step(self.actor_optimizer, h.actor_lr)
        self.take_step(self.critic_optimizer, h.critic_lr)
        return torch.stack((actor_loss, critic_loss, entropy)).detach(), (log_prob - batch["old_log_prob"]).detach()

    def actor_loss(self, log_prob, batch):
        """(R, B) log-probabilities -> (R,) losses."""
        return -policy_gradient(log_prob, batch["advantage"]).mean(-1)

    def take_step(self, optimizer, lr):
        h = self.hyperparameters
        if h.anneal_updates:
            optimizer.lr = lr * max(0.0, 1 - self.updates / h.anneal_updates)
        optimizer.step(h.max_grad_norm, sit_out=self.stopped if h.target_kl < math.inf else None)

    @staticmethod
    def policy(actor, observation):
        """The action distribution at (R, B, O) observations. Unvalidated: a diverged run must not stop the others."""
        return actor.distribution(*actor(observation))

    save, load, select = networks.save, classmethod(networks.load), networks.select


class PPO(A2C):
    """PPO (arXiv 1707.06347) adds to A2C the old actor, its log-probabilities under no_grad, and the clipped loss."""

    default = Hyperparameters()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.old_actor = copy.deepcopy(self.actor)

    def refresh(self):
        super().refresh()
        self.old_actor.load_state_dict(self.actor.state_dict())

    def prepare(self, rollout):
        batch = super().prepare(rollout)
        with torch.no_grad():
            self.old_policy = self.policy(self.old_actor, batch["observation"])
            batch["old_log_prob"] = self.old_policy.log_prob(batch["action"]).sum(-1)
        return batch

    def actor_loss(self, log_prob, batch):
        ratio = probability_ratio(log_prob, batch["old_log_prob"])
        return -clipped_surrogate(ratio, batch["advantage"], self.hyperparameters.clip).mean(-1)
