"""A2C and PPO, each for R independent runs at once. PPO is A2C with three additions."""

import contextlib
import copy
import math

import numpy as np
import torch
from torch.distributions import Normal

from lecture_utils import checkpoints
from lecture_utils.advantages import gae, standardize
from lecture_utils.diagnostics import approx_kl, clip_fraction, explained_variance
from lecture_utils.hyperparameters import Hyperparameters
from lecture_utils.networks import MLP, GaussianPolicy
from lecture_utils.objectives import clipped_surrogate, policy_gradient, probability_ratio
from lecture_utils.optimizers import Adam, clip_gradients, held
from lecture_utils.pendulum import real_array

ROLLOUT_FIELDS = ("observation", "action", "log_prob", "reward", "next_observation", "terminated")

ORTHOGONAL_GAINS = {"actor": 0.01, "critic": 1.0}  # of the last layer: Andrychowicz et al. 2021, arXiv 2006.05990


class A2C:
    """Advantage actor-critic with GAE, a frozen critic, an entropy bonus and two Adam optimisers (the course's Lab 05).

    obs_dim, action_dim: O and A. hyperparameters: None for the lecture's (five passes for A2C, two for PPO).
    seeds: one whole number a run; their count is R. A run draws everything random from its own generator, so it trains
    alike alone or among others. action_limit: actions are in [-action_limit, action_limit] in every dimension.
    Raises ValueError for dimensions below 1, no seeds or an unknown device.
    """

    default = Hyperparameters(passes=5)

    def __init__(self, obs_dim, action_dim, hyperparameters=None, seeds=(0,), device="cpu", *, action_limit=2.0):
        self.hyperparameters = h = self.default if hyperparameters is None else hyperparameters
        self.obs_dim, self.action_dim, self.seeds, self.device, self.action_limit = _checked(
            obs_dim, action_dim, h, seeds, device, action_limit
        )
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.updates = self.episodes = 0
        self.stopped = torch.zeros(self.runs, dtype=torch.bool, device=self.device)

        sizes, hidden_gain = (self.obs_dim, *h.hidden), math.sqrt(2)
        gains = {name: [hidden_gain] * len(h.hidden) + [last] for name, last in ORTHOGONAL_GAINS.items()}
        if h.initialization == "default":
            gains = dict.fromkeys(gains)
        self.actor = GaussianPolicy(
            sizes, self.action_dim, self.generators, action_limit=self.action_limit, mean_head=h.mean_head,
            std_head=h.std_head, activation=h.activation, gains=gains["actor"],
        ).to(self.device)  # fmt: skip
        self.critic = MLP((*sizes, 1), self.generators, h.activation, gains["critic"]).to(self.device)
        self.old_critic = copy.deepcopy(self.critic)
        self.actor_optimizer = Adam(self.actor.parameters(), h.actor_lr)
        self.critic_optimizer = Adam(self.critic.parameters(), h.critic_lr)

    @property
    def runs(self):
        return len(self.seeds)

    # Acting

    def __call__(self, observation):
        """A sampled action, clipped to the bounds: (O,) -> (A,) with one run, (R, O) -> (R, A), float32 array."""
        return self.act(observation)

    def act(self, observation, deterministic=False):
        """As calling the agent; with `deterministic` the mean action, likewise clipped."""
        observation = real_array("observation", observation, np.float32)
        if observation.shape == (self.obs_dim,) and self.runs == 1:
            return self.act(observation[None], deterministic)[0]
        if observation.shape != (self.runs, self.obs_dim):
            takes = f"({self.runs}, {self.obs_dim})" + (f" or ({self.obs_dim},)" if self.runs == 1 else "")
            raise ValueError(f"observation must have shape {takes}, got {observation.shape}")
        if not np.isfinite(observation).all():
            raise ValueError(f"observation must be finite numbers, got {observation}")
        mean, std = self.actor.on_arrays()(observation[:, None])
        action = mean if deterministic else mean + std * self.noise(1, self.action_dim)
        return action[:, 0].clip(-self.action_limit, self.action_limit)

    def noise(self, *shape):
        """Standard normal numbers, a float32 array (R, *shape), each run's from its own generator."""
        return np.stack([torch.randn(shape, generator=g).numpy() for g in self.generators])

    # Learning

    def update(self, rollout):
        """Learn from one rollout: `passes` passes over it in minibatches.

        rollout: rollouts.Rollout or anything with its fields, for these R runs. Returns a dict of (R,) arrays, the
        losses and the policy's distance averaged over the minibatches: loss_act, loss_v, loss_ent (the entropy in
        nats), clip_fraction, approx_kl, and the explained_variance of the frozen critic.
        """
        self.refresh()
        batch = self.prepare(rollout)
        steps, self.stopped = [], torch.zeros(self.runs, dtype=torch.bool, device=self.device)
        for _ in range(self.hyperparameters.passes):
            one_pass = [self.step(minibatch) for minibatch in self.minibatches(batch)]
            steps += one_pass
            if self.hyperparameters.target_kl < math.inf:
                log_ratio = torch.cat([log_ratio for _, log_ratio in one_pass], dim=-1)
                self.stopped |= approx_kl(log_ratio) > self.hyperparameters.target_kl
        self.updates += 1
        losses, log_ratios = zip(*steps, strict=True)
        weights = torch.tensor([x.shape[-1] for x in log_ratios], dtype=losses[0].dtype, device=self.device)
        losses = torch.einsum("s,slr->lr", weights / weights.sum(), torch.stack(losses))
        log_ratio = torch.cat(log_ratios, dim=-1)
        log = dict(zip(("loss_act", "loss_v", "loss_ent"), losses, strict=True))
        log["clip_fraction"] = clip_fraction(log_ratio, self.hyperparameters.clip)
        log["approx_kl"] = approx_kl(log_ratio)
        log["explained_variance"] = explained_variance(batch["returns"] - batch["unscaled_advantage"], batch["returns"])
        return {name: x.cpu().numpy() for name, x in log.items()}

    def refresh(self):
        """Copy the networks that judge this rollout; the copies hold still while the networks learn."""
        self.old_critic.load_state_dict(self.critic.state_dict())

    def prepare(self, rollout):
        """Everything that the passes need, as a dict of tensors (R, N, ...), N = E x T."""
        h = self.hyperparameters
        dtype = next(self.actor.parameters()).dtype
        _check_rollout(rollout, self)
        observation, next_observation, action, rollout_log_prob = (
            torch.as_tensor(x, dtype=dtype, device=self.device).flatten(1, 2)
            for x in (rollout.observation, rollout.next_observation, rollout.action, rollout.log_prob)
        )
        with torch.no_grad():
            values, next_values = self.old_critic(observation), self.old_critic(next_observation)
        values, next_values = (x.reshape(rollout.reward.shape).cpu().numpy() for x in (values, next_values))
        reward = rollout.reward * h.reward_scale
        advantage = gae(reward, values, next_values, rollout.terminated, gamma=h.gamma, gae_lambda=h.gae_lambda)
        returns = advantage + values
        advantage, returns = (
            torch.as_tensor(x, dtype=dtype, device=self.device).flatten(1) for x in (advantage, returns)
        )
        return {
            "observation": observation,
            "action": action,
            "advantage": standardize(advantage) if h.normalize_advantages == "rollout" else advantage,
            "unscaled_advantage": advantage,
            "returns": returns,
            "rollout_log_prob": rollout_log_prob,
        }

    def minibatches(self, batch):
        """One pass over the batch: dicts of tensors (R, B, ...)."""
        h = self.hyperparameters
        if h.shuffle:
            n = batch["advantage"].shape[1]
            order = torch.stack([torch.randperm(n, generator=g) for g in self.generators]).to(self.device)
            run = torch.arange(self.runs, device=self.device)[:, None]
            batch = {name: x[run, order] for name, x in batch.items()}
        for parts in zip(*(x.split(h.minibatch_size, dim=1) for x in batch.values()), strict=True):
            minibatch = dict(zip(batch, parts, strict=True))
            if h.normalize_advantages == "minibatch":
                minibatch["advantage"] = standardize(minibatch["advantage"])
            yield minibatch

    def step(self, batch):
        """One gradient step of both networks. Returns the losses (3, R) and the log ratios (R, B) before it."""
        h = self.hyperparameters
        policy = self.policy(self.actor, batch["observation"])
        log_prob = policy.log_prob(batch["action"]).sum(-1)
        entropy = policy.entropy().sum(-1).mean(-1)
        actor_loss = self.actor_loss(log_prob, batch) - h.entropy_coef * entropy

        value = self.critic(batch["observation"]).squeeze(-1)
        critic_loss = (value - batch["returns"]).square().mean(-1)

        self.actor_optimizer.zero_grad()
        self.critic_optimizer.zero_grad()
        # A sum over runs, never a mean: each run keeps the gradient that it would have alone.
        (actor_loss + critic_loss).sum().backward()
        self.take_step(self.actor_optimizer, h.actor_lr)
        self.take_step(self.critic_optimizer, h.critic_lr)
        return torch.stack((actor_loss, critic_loss, entropy)).detach(), log_prob.detach() - batch["rollout_log_prob"]

    def actor_loss(self, log_prob, batch):
        """(R, B) log-probabilities -> (R,) losses."""
        return -policy_gradient(log_prob, batch["advantage"]).mean(-1)

    def take_step(self, optimizer, lr):
        h = self.hyperparameters
        if h.max_grad_norm < math.inf:
            clip_gradients(optimizer.parameters, h.max_grad_norm)
        if h.anneal_updates:
            optimizer.lr = lr * max(0.0, 1 - self.updates / h.anneal_updates)
        with held(optimizer, self.stopped) if h.target_kl < math.inf else contextlib.nullcontext():
            optimizer.step()

    # Keeping

    def save(self, path, resumable=True):
        """Write the agent to a file, whole or not at all. Without `resumable` the optimisers' moments are left out."""
        checkpoints.save(self, path, resumable)

    @classmethod
    def load(cls, path, device="cpu"):
        """The agent that `save` wrote. A missing, damaged or foreign file is an error that names it."""
        return checkpoints.load(cls, path, device)

    def select(self, runs):
        """A new agent that holds copies of these runs only; runs: a list of indices into the runs axis."""
        return checkpoints.select(self, runs)

    @staticmethod
    def policy(actor, observation):
        """The action distribution at (R, B, O) observations. Unvalidated: a diverged run must not stop the others."""
        return Normal(*actor(observation), validate_args=False)


class PPO(A2C):
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv 1707.06347): A2C with three additions.

    The old actor, the old log-probabilities under no_grad, and the clipped loss. Arguments as for A2C.
    """

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
            old_policy = self.policy(self.old_actor, batch["observation"])
            batch["old_log_prob"] = old_policy.log_prob(batch["action"]).sum(-1)
        return batch

    def actor_loss(self, log_prob, batch):
        ratio = probability_ratio(log_prob, batch["old_log_prob"])
        return -clipped_surrogate(ratio, batch["advantage"], self.hyperparameters.clip).mean(-1)


def _checked(obs_dim, action_dim, hyperparameters, seeds, device, action_limit):
    if not isinstance(hyperparameters, Hyperparameters):
        raise TypeError(f"hyperparameters must be a Hyperparameters or None, got {hyperparameters!r}")
    for name, value in {"obs_dim": obs_dim, "action_dim": action_dim}.items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    seeds = tuple(seeds) if np.iterable(seeds) and not isinstance(seeds, str) else seeds
    whole = isinstance(seeds, tuple) and all(isinstance(s, (int, np.integer)) and 0 <= s < 2**63 for s in seeds)
    if not whole or not seeds:
        raise ValueError(f"seeds must be one or more whole numbers in [0, 2**63), one a run, got {seeds!r}")
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device must be one that this torch has, such as 'cpu', got {device!r} ({error})") from None
    if not (isinstance(action_limit, (int, float)) and 0 < action_limit <= np.finfo(np.float32).max):
        raise ValueError(f"action_limit must be a finite number above 0, got {action_limit!r}")
    return int(obs_dim), int(action_dim), tuple(int(s) for s in seeds), device, float(action_limit)


def _check_rollout(rollout, agent):
    if missing := [name for name in ROLLOUT_FIELDS if not hasattr(rollout, name)]:
        raise TypeError(f"rollout must be a Rollout or have its fields, got {rollout!r:.80} without {missing}")
    runs, dims = rollout.observation.shape[0], (rollout.observation.shape[-1], rollout.action.shape[-1])
    if (runs, dims) != (agent.runs, (agent.obs_dim, agent.action_dim)):
        raise ValueError(
            f"rollout must hold {agent.runs} run(s) of {agent.obs_dim} observation and {agent.action_dim} action "
            f"dimensions, got {runs} run(s) of {dims[0]} and {dims[1]}"
        )
