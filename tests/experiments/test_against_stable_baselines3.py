"""Our update beside Stable-Baselines3's: same weights, episodes and minibatches; and mistakes that must show."""

import dataclasses
import inspect
import math

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy

from lecture_utils import PPO, TUNED, Hyperparameters, gae, ppo
from lecture_utils.experiments.stable_baselines3 import (
    SB3_DIFFERENCES,
    differences_table,
    largest_difference,
    our_updates,
    sb3_arguments,
    sb3_updates,
)

RECIPE = TUNED.replace(
    gamma=0.97,
    entropy_coef=0.01,
    actor_lr=3e-3,
    critic_lr=3e-3,
    minibatch_size=100,
    passes=3,
    episodes_per_update=2,
    normalize_advantages="minibatch",
    reward_scale=1.0,
    hidden=(64, 64),
    anneal_updates=0,
    max_grad_norm=math.inf,
    target_kl=math.inf,
)
SAME = 1e-6  # asked for; about 1e-13 is found


class TwoActions(gymnasium.Env):
    """Noise to observe, two torques to choose, a reward that depends on both. ends: chance of terminating, a step."""

    observation_space = gymnasium.spaces.Box(-5.0, 5.0, (4,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))

    def __init__(self, ends):
        self.ends = ends

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation = self.np_random.normal(size=4).clip(-5, 5).astype(np.float32)
        return self.observation, {}

    def step(self, action):
        reward = -float(np.square(action - self.observation[:2]).sum())
        ends = self.np_random.random() < self.ends
        return self.reset()[0], reward, ends, False, {}


@pytest.fixture(scope="module")
def theirs():
    return sb3_updates(RECIPE, updates=2)


def difference(theirs, recipe=RECIPE, **kwargs):
    start, rollouts, log = theirs
    return largest_difference(our_updates(recipe, start, rollouts, **kwargs), log)


def test_two_updates_are_the_same(theirs):
    """Twelve gradient steps each on three passes: every loss, every gradient, and the weights at the end."""
    _, rollouts, log = theirs
    assert [x.gradients.shape for x in log] == [(12, 8963)] * 2
    assert np.abs(log[1].parameters - log[0].parameters).max() > 1e-3
    assert log[1].losses["clip_fraction"] > 0
    assert rollouts[0].observation.shape == (1, 2, 200, 3)
    assert not rollouts[0].terminated.any()
    for name, value in difference(theirs).items():
        assert value < SAME, name


@pytest.mark.parametrize(
    "changes",
    [
        {"normalize_advantages": "no"},
        {"hidden": (16, 8, 8), "activation": "relu", "initialization": "default"},
        {"clip": math.inf, "gae_lambda": 1.0},
        {"passes": 1, "minibatch_size": 400},
    ],
    ids=str,
)
def test_other_recipes_are_the_same_too(changes):
    recipe = RECIPE.replace(**changes)
    assert max(difference(sb3_updates(recipe), recipe).values()) < SAME


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
def test_a_short_last_minibatch_is_kept():
    recipe = RECIPE.replace(minibatch_size=150)
    differences = difference(sb3_updates(recipe), recipe)
    assert max(differences["gradients"], differences["parameters"]) < SAME
    assert differences["losses"] > SAME  # theirs weighs the short minibatch as the long ones


@pytest.mark.parametrize(("ends", "updates"), [(0.0, 2), (0.1, 1)])
def test_two_action_dimensions_and_terminations(ends, updates):
    """Log-probabilities summed over dimensions; no bootstrap and no trace past the end of an episode."""
    recipe = RECIPE.replace(episodes_per_update=3, minibatch_size=40)
    make_env = lambda: gymnasium.wrappers.TimeLimit(TwoActions(ends), 40)  # noqa: E731
    theirs = sb3_updates(recipe, updates, make_env=make_env, steps=40)
    assert theirs[1][0].terminated.any() == (ends > 0)
    assert max(difference(theirs, recipe).values()) < SAME


CHOICE = RECIPE.replace(episodes_per_update=4, minibatch_size=64, passes=2, hidden=(16,))


@pytest.fixture(scope="module")
def cartpole():
    """Two updates on 64 steps of four CartPoles, in which episodes end and others are cut after 20 steps."""
    return sb3_updates(CHOICE, 2, make_env=lambda: gymnasium.make("CartPole-v1", max_episode_steps=20), steps=64)


def test_choices_and_episodes_of_any_length_are_the_same(cartpole):
    start, rollouts, log = cartpole
    for rollout in rollouts:
        assert rollout.action.shape == (1, 4, 64, 1)
        inside = slice(0, -1)  # of the rollout
        assert rollout.terminated[..., inside].any()
        assert rollout.truncated[..., inside].any()
        assert not (rollout.terminated & rollout.truncated).any()
        assert not (rollout.terminated | rollout.truncated)[..., -1].all()  # some episode goes on after it
    assert np.abs(log[1].parameters - start).max() > 1e-3
    assert max(difference(cartpole, CHOICE, choices=2).values()) < SAME


def ended(rollout):
    return rollout.terminated | rollout.truncated


def reset_for_last(rollout):
    """At an end inside the rollout, the first observation of the next episode."""
    last, inside = rollout.next_observation.copy(), ended(rollout)[..., :-1]
    last[:, :, :-1][inside] = rollout.observation[:, :, 1:][inside]
    return {"next_observation": last}


def at_the_last_step(mask):
    return mask | (np.arange(mask.shape[-1]) == mask.shape[-1] - 1)


def rolled(name, by, axis=2):
    return lambda rollout: {name: np.roll(getattr(rollout, name), by, axis=axis)}


ROLLOUT_FAULTS = {
    "a cut taken for an end": lambda x: {"terminated": ended(x), "truncated": None},
    "an end taken for a cut": lambda x: {"terminated": np.zeros_like(x.terminated), "truncated": ended(x)},
    "the reset observation taken for the last one": reset_for_last,
    "the trace across cuts": lambda x: {"truncated": None},
    "no ends and no cuts": lambda x: {"terminated": np.zeros_like(x.terminated), "truncated": None},
    "ends one step late": rolled("terminated", 1),
    "ends one step early": rolled("terminated", -1),
    "cuts one step late": rolled("truncated", 1),
    "cuts one step early": rolled("truncated", -1),
    "an end after the last step": lambda x: {"terminated": at_the_last_step(x.terminated)},
    "the value of the state before": lambda x: {"next_observation": x.observation},
    "the last observations of another environment": rolled("next_observation", 1, axis=1),
    "the choices of another environment": rolled("action", 1, axis=1),
}


@pytest.mark.parametrize("fault", ROLLOUT_FAULTS)
def test_a_fault_in_the_rollout_is_seen(cartpole, fault):
    start, rollouts, log = cartpole
    changed = dataclasses.replace(rollouts[0], **ROLLOUT_FAULTS[fault](rollouts[0]))
    ours = our_updates(CHOICE, start, [changed], choices=2)
    assert largest_difference(ours, log[:1])["gradients"] > 100 * SAME


class WrongSign(PPO):
    def actor_loss(self, log_prob, batch):
        return -super().actor_loss(log_prob, batch)


class NoMinimum(PPO):
    def actor_loss(self, log_prob, batch):
        ratio = (log_prob - batch["old_log_prob"]).exp()
        clip = self.hyperparameters.clip
        return -(ratio.clamp(1 - clip, 1 + clip) * batch["advantage"]).mean(-1)


class StaleOldPolicy(PPO):
    def refresh(self):
        if not self.updates:
            super().refresh()


MISTAKES = {
    "clip": {"recipe": RECIPE.replace(clip=0.25)},
    "no clip": {"recipe": RECIPE.replace(clip=math.inf)},
    "clip without minimum": {"algorithm": NoMinimum},
    "sign of the advantage": {"algorithm": WrongSign},
    "not normalised": {"recipe": RECIPE.replace(normalize_advantages="no")},
    "normalised per rollout": {"recipe": RECIPE.replace(normalize_advantages="rollout")},
    "entropy": {"recipe": RECIPE.replace(entropy_coef=0.0)},
    "discount": {"recipe": RECIPE.replace(gamma=0.98)},
    "trace": {"recipe": RECIPE.replace(gae_lambda=0.94)},
    "old policy kept": {"algorithm": StaleOldPolicy},
    "order of the minibatches": {"seed": 1},
    "time order": {"recipe": RECIPE.replace(shuffle=False)},
    "learning rate": {"recipe": RECIPE.replace(actor_lr=2e-3)},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_change_is_seen(theirs, mistake):
    differences = difference(theirs, **MISTAKES[mistake])
    assert differences["parameters"] > 100 * SAME
    assert max(differences["losses"], differences["gradients"]) > 100 * SAME


def test_a_biased_standard_deviation_is_seen(theirs, monkeypatch):
    """One part in two hundred: 1/n in place of 1/(n - 1) in the normalisation of a hundred advantages."""
    monkeypatch.setattr(ppo, "standardize", lambda x: (x - x.mean(-1, True)) / (x.std(-1, correction=0, keepdim=True)))
    assert difference(theirs)["gradients"] > SAME


def test_a_cut_taken_for_an_end_is_seen(theirs, monkeypatch):
    def ended(rewards, values, next_values, terminated, **kwargs):
        terminated = terminated.copy()
        terminated[..., -1] = True
        return gae(rewards, values, next_values, terminated, **kwargs)

    monkeypatch.setattr(ppo, "gae", ended)
    assert difference(theirs)["gradients"] > SAME


@pytest.mark.parametrize(
    ("field", "value"),
    [("std_head", "abs"), ("mean_head", "tanh"), ("score_action", "clipped"), ("shuffle", False), ("reward_scale", 0.2),
     ("critic_lr", 1e-3), ("max_grad_norm", 0.5), ("anneal_updates", 30), ("normalize_advantages", "rollout")],
)  # fmt: skip
def test_what_stable_baselines3_cannot_follow_is_named(field, value):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        sb3_arguments(RECIPE.replace(**{field: value}))
    with pytest.raises(ValueError, match=r"std_head|mean_head"):
        sb3_arguments(Hyperparameters())


# The table: every row is asked of the installed Stable-Baselines3.


def argument(name, of=stable_baselines3.PPO):
    return inspect.signature(of.__init__).parameters[name].default


def source(of):
    return " ".join(inspect.getsource(of).split())


FACTS = {
    "optimiser": lambda: "self.optimizer = self.optimizer_class(self.parameters()" in source(ActorCriticPolicy._build),
    "epsilon of Adam": lambda: 'optimizer_kwargs["eps"] = 1e-5' in source(ActorCriticPolicy.__init__),
    "weight of the value loss": lambda: argument("vf_coef") == 0.5,
    "clipping of gradients": lambda: (
        argument("max_grad_norm") == 0.5
        and "clip_grad_norm_(self.policy.parameters()" in source(stable_baselines3.PPO.train)
    ),
    "early stop on KL": lambda: (
        argument("target_kl") is None and "approx_kl_div > 1.5 * self.target_kl" in source(stable_baselines3.PPO.train)
    ),
    "advantages normalised": lambda: (
        argument("normalize_advantage") is True
        and "advantages - advantages.mean()" in source(stable_baselines3.PPO.train)
    ),
    "an episode that the clock cuts": lambda: (
        "rewards[idx] += self.gamma * terminal_value" in source(OnPolicyAlgorithm.collect_rollouts)
    ),
    "data of an update": lambda: argument("n_steps") == 2048,
    "unit of the action": lambda: (
        "mean_actions = self.action_net(latent_pi)" in source(ActorCriticPolicy._get_action_dist_from_latent)
    ),
    "standard deviation at the start": lambda: argument("log_std_init", ActorCriticPolicy) == 0.0,
    "learning rate": lambda: (
        argument("learning_rate") == 3e-4
        and source(OnPolicyAlgorithm.learn).index("_update_current_progress_remaining")
        < source(OnPolicyAlgorithm.learn).index("self.train()")
    ),
    "scale of the rewards": lambda: "reward_scale" not in source(stable_baselines3.PPO),
    "approx_kl in the log": lambda: (
        "for epoch in range(self.n_epochs): approx_kl_divs = []" in source(stable_baselines3.PPO.train)
    ),
    "losses in the log": lambda: "np.mean(pg_losses)" in source(stable_baselines3.PPO.train),
    "action that is scored": lambda: (
        "rollout_buffer.add( self._last_obs, # type: ignore[arg-type] actions,"
        in source(OnPolicyAlgorithm.collect_rollouts)
    ),
    "clipping of the value function": lambda: argument("clip_range_vf") is None,
    "squashing of actions": lambda: argument("squash_output", ActorCriticPolicy) is False,
    "initialisation": lambda: argument("ortho_init", ActorCriticPolicy) is True and gains(),
    "minibatches": lambda: "np.random.permutation(self.buffer_size * self.n_envs)" in source(RolloutBuffer.get),
}


def gains():
    """The singular values of the layers of a fresh agent of theirs, and of ours."""
    policy = stable_baselines3.PPO("MlpPolicy", "Pendulum-v1", device="cpu").policy
    agent = PPO(3, 1, RECIPE)
    pairs = [(policy.mlp_extractor.policy_net[0], agent.actor.body.layers[0])]
    pairs += [(policy.mlp_extractor.policy_net[2], agent.actor.body.layers[1])]
    pairs += [(policy.action_net, agent.actor.body.layers[2]), (policy.value_net, agent.critic.layers[2])]
    for linear, layer in pairs:
        singular = torch.linalg.svdvals(linear.weight)
        torch.testing.assert_close(singular, torch.linalg.svdvals(layer.weight[0]), rtol=1e-5, atol=1e-6)
        assert not linear.bias.any()
        assert not layer.bias.any()
    return True


def test_every_row_of_the_table_has_a_fact():
    assert list(FACTS) == list(SB3_DIFFERENCES) == list(differences_table().index)


@pytest.mark.parametrize("row", FACTS)
def test_the_table_says_what_the_installed_one_does(row):
    assert FACTS[row]()


def test_the_table_says_what_ours_does():
    here = {name: row[0] for name, row in SB3_DIFFERENCES.items()}
    agent = PPO(3, 1, TUNED)
    for optimizer in (agent.actor_optimizer, agent.critic_optimizer):
        assert f"{optimizer.eps:g}" == "1e-08"
    assert here["epsilon of Adam"] == "1e-8"
    _, std = agent.actor(torch.zeros(1, 1, 3))
    assert std.item() == agent.action_limit
    assert TUNED.score_action == "sampled"
    assert TUNED.mean_head == "linear"
    assert TUNED.std_head == "free"
    assert TUNED.shuffle
    assert TUNED.initialization == "orthogonal"
