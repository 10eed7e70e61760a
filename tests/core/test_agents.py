"""The agents' updates against independent plain-torch programs, and runs together against runs alone."""

import math
import types

import numpy as np
import pytest
import torch
from helpers import doubled, make_rollout, networks, weights
from plain_updates import PlainA2C, PlainTuned, copy_weights, largest_difference, linears, tensors

from lecture_utils import A2C, PPO, TUNED, Hyperparameters, Rollout, checks
from lecture_utils.experiments.plain_loop import PlainPPO
from lecture_utils.ppo import standardize
from lecture_utils.training import collect_episodes

PLAIN = {PPO: PlainPPO, A2C: PlainA2C}


def some_rollout(agent, kind):
    """One collected on Pendulum-v1, or random numbers in which a twentieth of the steps terminate."""
    if kind == "pendulum":
        return collect_episodes(agent)
    return make_rollout(agent, terminates=0.05)


@pytest.mark.parametrize(
    ("algorithm", "kind", "passes", "updates"),
    # A second update starts from Adam's moments and refreshed old networks. A2C gets one: unclipped, it soon drives the
    # standard deviation to its floor, where rounding grows ten thousandfold within an update (and 2 passes are enough).
    [(PPO, "pendulum", 2, 2), (PPO, "terminations", 2, 2), (A2C, "pendulum", 5, 1), (A2C, "terminations", 2, 1)],
)
def test_update_equals_the_plain_program(algorithm, kind, passes, updates):
    agent = doubled(algorithm(3, 1, algorithm.default.replace(passes=passes), seeds=[4, 5]))
    plain = PLAIN[algorithm]()
    for network in (plain.actor, plain.critic, plain.old_actor, plain.old_critic):
        network.double()
    for name in ("actor", "critic"):
        copy_weights(agent, name, 1, linears(getattr(plain, name)))
    for _ in range(updates):
        rollout = some_rollout(agent, kind)
        columns = [x[0].clone() for x in tensors(rollout, 1)]
        agent.update(rollout)
        plain.refresh()
        for _ in range(passes):
            plain.one_pass(*columns)
        for name in ("actor", "critic"):
            assert largest_difference(agent, name, 1, linears(getattr(plain, name))) < 1e-10


@pytest.mark.parametrize(("target_kl", "passes"), [(0.03, 10), (0.004, 3)])
def test_tuned_update_equals_the_plain_program(target_kl, passes):
    agent = doubled(PPO(3, 2, TUNED.replace(target_kl=target_kl), seeds=[4, 5]))
    agent.updates = 12
    rollout = make_rollout(agent, terminates=0.02)
    plain = PlainTuned(agent, run=1)
    agent.update(rollout)
    plain.update(rollout, run=1, updates_before=12, target_kl=target_kl)
    assert plain.passes == passes
    for name in ("actor", "critic"):
        assert largest_difference(agent, name, 1, linears(getattr(plain, name))) < 1e-10
    assert (agent.actor.log_std[1, 0] - plain.log_std).abs().max() < 1e-10


RECIPES = {
    "lecture": Hyperparameters(),
    "tuned": TUNED.replace(episodes_per_update=2, passes=3),
    "other": Hyperparameters(normalize_advantages="minibatch", max_grad_norm=0.5, shuffle=True, std_head="softplus"),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_four_runs_together_equal_four_alone(algorithm, recipe):
    seeds, h = [3, 1, 4, 15], RECIPES[recipe]
    together = doubled(algorithm(3, 1, h, seeds=seeds))
    rollout = make_rollout(together, terminates=0.02)
    log = together.update(rollout)
    for run, seed in enumerate(seeds):
        alone = doubled(algorithm(3, 1, h, seeds=[seed]))
        fields = {name: x[run : run + 1] for name, x in vars(rollout).items()}
        log_alone = alone.update(Rollout(**fields))
        assert np.abs(weights(together, run) - weights(alone, 0)).max() < 1e-10
        for name, numbers in log.items():
            assert numbers.shape == (4,)
            assert numbers[run] == pytest.approx(log_alone[name][0], abs=1e-8)


class WithoutOldNetworks(PPO):
    """PPO that keeps no old networks: it takes the rollout's own log_prob, and the values before the update."""

    def refresh(self):
        self.old_critic = self.critic

    def prepare(self, rollout):
        return A2C.prepare(self, rollout)


def test_old_networks_kept_equals_the_rollouts_own_log_prob_and_values():
    kept, without = (doubled(cls(3, 1, seeds=[0, 1])) for cls in (PPO, WithoutOldNetworks))
    for seed in range(2):
        rollout = make_rollout(kept, seed=seed)
        for agent in (kept, without):
            agent.update(rollout)
        for name in ("actor", "critic"):
            pairs = zip(networks(kept)[name].parameters(), networks(without)[name].parameters(), strict=True)
            assert max((a - b).abs().max().item() for a, b in pairs) < 1e-10


@pytest.mark.parametrize("score_action", ["clipped", "sampled"])
def test_collected_log_prob_is_that_of_the_scored_action(score_action):
    agent = PPO(3, 1, Hyperparameters(score_action=score_action, episodes_per_update=2), seeds=[0, 1])
    rollout = collect_episodes(agent)
    batch = agent.prepare(rollout)
    assert batch["old_log_prob"].numpy() == pytest.approx(rollout.log_prob.reshape(2, 400), abs=1e-2)
    with torch.no_grad():
        agent.actor.body.layers[-1].bias[..., 1] += 3  # a std of about 3: sampled actions leave the limits
    beyond = np.abs(collect_episodes(agent).action).max() > 2
    assert beyond == (score_action == "sampled")


def test_in_one_step_from_the_collecting_policy_ppo_is_a2c():
    h = Hyperparameters(passes=1, minibatch_size=200)
    ppo, a2c = (doubled(cls(3, 1, h, seeds=[2])) for cls in (PPO, A2C))
    for agent in (ppo, a2c):
        agent.update(make_rollout(agent))
    for a, b in zip(ppo.actor.parameters(), a2c.actor.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_log_weighs_minibatches_by_their_size_and_counts_clipping(algorithm):
    agent = doubled(algorithm(3, 1, Hyperparameters(clip=0.05, passes=1, minibatch_size=128)))
    seen, step = [], agent.step
    agent.step = lambda batch: seen.append((len(batch["advantage"][0]), *step(batch))) or seen[-1][1:]
    log = agent.update(make_rollout(agent))
    assert [size for size, *_ in seen] == [128, 72]
    losses = sum(size * losses for size, losses, _ in seen) / 200
    assert [log[name][0] for name in ("loss_act", "loss_v", "loss_ent")] == pytest.approx(losses[:, 0].tolist())
    ratio = torch.cat([log_ratio for *_, log_ratio in seen], -1).exp()
    assert (ratio[0, :128] - 1).abs().max() < 1e-9
    assert log["clip_fraction"][0] == pytest.approx(((ratio - 1).abs() > 0.05).double().mean().item())
    assert log["clip_fraction"][0] > 0
    assert log["approx_kl"][0] == pytest.approx((ratio - 1 - ratio.log()).mean().item())


@pytest.mark.parametrize(("h", "steps"), [
    (Hyperparameters(normalize_advantages="minibatch", minibatch_size=4), 9),  # the last minibatch is one sample
    (Hyperparameters(normalize_advantages="rollout"), 1),
])  # fmt: skip
def test_a_single_advantage_is_normalised_to_zero(algorithm, h, steps):
    agent = algorithm(3, 1, h, seeds=[0, 1])
    log = agent.update(make_rollout(agent, steps=steps))
    assert np.isfinite(weights(agent)).all()
    assert all(np.isfinite(values).all() for name, values in log.items() if name != "explained_variance")
    assert standardize(torch.tensor([[3.0], [-2.0]])).tolist() == [[0.0], [0.0]]
    with pytest.raises(
        ValueError, match="minibatch_size must be at least 2 with normalize_advantages='minibatch', got 1"
    ):
        h.replace(minibatch_size=1, normalize_advantages="minibatch")


def test_kl_after_is_the_exact_kl_from_before_the_update_to_after_it(algorithm):
    """Over the rollout's states, in nats; approx_kl is a mean along the update, and its first minibatch is 0."""
    agent = doubled(algorithm(3, 2, algorithm.default.replace(passes=3), seeds=[0, 1]))
    rollout = make_rollout(agent)
    states = torch.as_tensor(rollout.observation).flatten(1, 2)
    old_mean, old_std = (x.detach() for x in agent.actor(states))
    log = agent.update(rollout)
    mean, std = (x.detach() for x in agent.actor(states))
    by_dimension = (std / old_std).log() + (old_std**2 + (old_mean - mean) ** 2) / (2 * std**2) - 0.5
    assert log["kl_after"] == pytest.approx(by_dimension.sum(-1).mean(-1).numpy(), rel=1e-9)
    one_step = doubled(algorithm(3, 1, Hyperparameters(passes=1, minibatch_size=200)))
    log = one_step.update(make_rollout(one_step))
    assert log["approx_kl"][0] == pytest.approx(0, abs=1e-12)
    assert log["kl_after"][0] > 1e-4


def test_annealing_reaches_zero_and_stays():
    agent = PPO(3, 1, Hyperparameters(anneal_updates=2))
    rates = []
    for _ in range(4):
        agent.update(make_rollout(agent))
        rates.append(agent.actor_optimizer.lr)
    assert rates == pytest.approx([1e-4, 5e-5, 0, 0])


def test_acting(algorithm):
    one, many = algorithm(3, 2, seeds=[7]), algorithm(3, 2, seeds=[6, 7, 8])
    observation = np.random.default_rng(0).normal(size=(3, 3))
    assert one(observation[1]).shape == (2,)
    assert one(observation[1:2]).shape == (1, 2)
    assert many(observation).dtype == np.float32
    fresh, among = algorithm(3, 2, seeds=[7]), algorithm(3, 2, seeds=[6, 7, 8])
    for _ in range(3):
        assert fresh(observation[1]) == pytest.approx(among(observation)[1], abs=1e-6)
    assert np.array_equal(many.act(observation, deterministic=True), many.act(observation, deterministic=True))
    assert not np.array_equal(many(observation), many(observation))
    with torch.no_grad():
        many.actor.body.layers[-1].bias[..., 2:] += 100
    actions = np.stack([many(observation) for _ in range(20)])
    assert np.abs(actions).max() == 2.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"obs_dim": 0}, ValueError, "obs_dim must be a whole number of at least 1, got 0"),
        ({"action_dim": 1.5}, ValueError, "action_dim must be"),
        ({"hyperparameters": {"gamma": 0.9}}, TypeError, "hyperparameters must be a Hyperparameters"),
        ({"seeds": ()}, ValueError, r"seeds must be one or more whole numbers.* got \(\)"),
        ({"seeds": 3}, ValueError, "seeds must be"),
        ({"seeds": [0, -1]}, ValueError, "seeds must be"),
        ({"seeds": [0.5]}, ValueError, "seeds must be"),
        ({"device": "abacus"}, ValueError, "device must be one that this torch has.*'abacus'"),
        ({"device": "cuda:99"}, ValueError, "device must be one that this torch has.*cuda"),
        ({"action_limit": 0.0}, ValueError, "action_limit must be"),
        ({"action_limit": math.inf}, ValueError, "action_limit must be"),
    ],
)
def test_bad_input_names_the_argument(algorithm, change, error, message):
    with pytest.raises(error, match=message):
        algorithm(**{"obs_dim": 3, "action_dim": 1, **change})


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 1, 3), ()])
def test_observation_of_a_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"observation must have shape \(1, 3\) or \(3,\), got"):
        PPO(3, 1)(np.zeros(shape))


@pytest.mark.parametrize("other", [(3, 1, [0, 1]), (4, 1, [0]), (3, 2, [0])])
def test_rollout_of_another_agent(algorithm, other):
    obs_dim, action_dim, seeds = other
    rollout = make_rollout(algorithm(obs_dim, action_dim, seeds=seeds))
    with pytest.raises(ValueError, match=r"rollout must hold 1 run\(s\) of 3 observation and 1 action dimensions, got"):
        algorithm(3, 1).update(rollout)


def test_without_seeds_an_agent_is_that_of_seed_0(algorithm):
    alone, named = algorithm(3, 1), algorithm(3, 1, seeds=(0,))
    assert list(alone.seeds) == [0]
    assert all(map(torch.equal, alone.actor.parameters(), named.actor.parameters()))


@pytest.mark.parametrize("half", ["hyperparameters", "actor"])
def test_half_an_agent_is_no_agent(half):
    with pytest.raises(TypeError, match="agent must be an A2C or a PPO"):
        checks.agent(types.SimpleNamespace(**{half: None}))


def test_what_is_not_finite_may_have_a_gradient():
    weights = torch.tensor([[1.0], [torch.nan], [torch.inf]], requires_grad=True)
    assert checks.NotFinite("weights", weights * 2).runs == [1, 2]
