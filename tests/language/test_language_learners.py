"""Updates beside independent programs and the core's, faults that must be noticed, runs apart from each other."""

import copy
import functools

import numpy as np
import pytest
import torch
from plain_language import PlainGroupLearner
from torch.distributions import Categorical

from lecture_utils import Hyperparameters, Rollout, ppo
from lecture_utils.language import learners, policy, task
from lecture_utils.language.learners import GRPO, PPO, RLOO, Recipe, group_relative, leave_one_out
from lecture_utils.language.policy import contexts, sample, token_log_prob
from lecture_utils.networks import Adam

RUN = 1  # of two, the one that is compared
# Small clips and large steps, so that the band matters within three passes; KL that is felt.
BUSY = {"prompts": 2, "group": 4, "passes": 3, "lr": 1e-2, "clip": (0.05, 0.1), "beta": 0.3}


@functools.cache
def ref():
    return copy.deepcopy(policy.reference()).double()


def weights(learner, run):
    return torch.cat([x.detach()[run].flatten() for x in learner.policy.parameters()])


def as_strings(text):
    """One run's texts (N, W) as (prompt, completion)."""
    return [tuple(task.decode(x) for x in (row[:3], row[3:])) for row in text]


def differs_from_plain(algorithm, recipe, updates=2):
    """Largest difference of weights to the plain program's after some updates on the same texts."""
    torch.manual_seed(0)
    learner = algorithm(recipe, seeds=(3, 4), ref=ref())
    plain = PlainGroupLearner(learner, RUN)
    plain.leave_one_out = issubclass(algorithm, RLOO)
    for _ in range(updates):
        batch = learner.write()
        learner.learn(batch)
        plain.update(as_strings(batch["text"][RUN]))
    return plain.largest_difference(learner.policy, RUN)


VARIANTS = {
    "GRPO": (GRPO, {}),
    "Dr. GRPO": (GRPO, {"divide_by_std": False, "mean_over": "constant", "kl_in": "k2"}),
    "GSPO": (GRPO, {"ratio": "sequence", "kl_in": "reward"}),
    "product, tokens": (GRPO, {"ratio": "product", "mean_over": "token", "kl_in": "k1"}),
    "RLOO": (RLOO, {}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_update_equals_the_plain_program(name):
    algorithm, changes = VARIANTS[name]
    # Adam divides by the size of a gradient, so the rounding of the smallest ones counts most: up to 1.6e-10 here.
    assert differs_from_plain(algorithm, algorithm.default.replace(**BUSY, **changes)) < 1e-9


class MeanOfTheBatch(GRPO):
    def advantage(self, batch):
        score = group_relative(self.score(batch).flatten(1))  # (R, N): all prompts together
        return score[..., None].expand(batch["mask"].shape)


class PromptInTheLoss(GRPO):
    """The prompt's tokens are scored and learned too."""

    def write(self):
        batch = super().write()
        batch["mask"] = batch["text"] != task.PAD  # (R, N, W)
        batch["old_log_prob"], batch["ref_log_prob"] = (
            self.log_prob_of_all(x, batch["text"]).detach() for x in (self.policy, self.ref)
        )
        return batch

    @staticmethod
    def log_prob_of_all(network, text):
        seen = torch.ones(9, 9, dtype=torch.float64).tril(-1)[:, :, None]
        x = (policy.one_hot(text)[..., None, :, :] * seen).flatten(-2)
        log_prob = network(x.flatten(1, 2)).unflatten(1, (-1, 9))
        return log_prob.gather(-1, text[..., None].clamp(max=task.END)).squeeze(-1) * (text != task.PAD)

    def step(self, batch):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(learners, "token_log_prob", self.log_prob_of_all)
            return super().step(batch)


class PaddingInTheMean(GRPO):
    def write(self):
        batch = super().write()
        return batch | {"mask": torch.ones_like(batch["mask"])}


class EndNotLearned(GRPO):
    """Tokens after the first are learned only as far as no end is among them."""

    def write(self):
        batch = super().write()
        end = batch["text"][..., 3:] == task.END
        end[..., 0] = False  # or nothing is left of a text that ends at once
        return batch | {"mask": batch["mask"] & ~end}


class WrongDirection(GRPO):
    """KL(ref || pi) estimated where KL(pi || ref) is meant: the two log-probabilities change places."""

    def step(self, batch):
        with pytest.MonkeyPatch.context() as patch:
            right = learners.kl_estimate
            patch.setattr(learners, "kl_estimate", lambda kind, log_prob, ref: right(kind, ref, log_prob))
            return super().step(batch)


class ReferenceUpdated(GRPO):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ref = self.policy


class OldPolicyEveryStep(GRPO):
    def step(self, batch):
        batch["old_log_prob"] = token_log_prob(self.policy, batch["text"]).detach()
        return super().step(batch)


class BandTheWrongWayRound(GRPO):
    """(below, above) taken for (above, below)."""

    def step(self, batch):
        with pytest.MonkeyPatch.context() as patch:
            right = learners.clipped_surrogate
            patch.setattr(learners, "clipped_surrogate", lambda ratio, a, clip: right(ratio, a, clip[::-1]))
            return super().step(batch)


class MaximumOfBranches(GRPO):
    def step(self, batch):
        with pytest.MonkeyPatch.context() as patch:
            right = learners.clipped_surrogate
            patch.setattr(learners, "clipped_surrogate", lambda ratio, a, clip: -right(ratio, -a, clip))
            return super().step(batch)


class AnotherPromptsReward(GRPO):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.reward_table = self.reward_table.roll(1, 0)


FAULTS = [
    MeanOfTheBatch, PromptInTheLoss, PaddingInTheMean, EndNotLearned, WrongDirection, ReferenceUpdated,
    OldPolicyEveryStep, BandTheWrongWayRound, MaximumOfBranches, AnotherPromptsReward,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda x: x.__name__)
def test_a_planted_fault_is_noticed(fault):
    assert differs_from_plain(fault, GRPO.default.replace(**BUSY)) > 1e-6


def core_agent(learner, h):
    """The core's PPO with one run's networks of a learner, which acts by tokens."""
    recipe = Hyperparameters(
        gamma=1.0, gae_lambda=h.gae_lambda, clip=h.clip, entropy_coef=0.0, actor_lr=h.lr, critic_lr=h.critic_lr,
        minibatch_size=10_000, passes=h.passes, normalize_advantages="rollout",
    )  # fmt: skip
    agent = ppo.PPO(45, 1, recipe)
    for name, network in {"actor": learner.policy, "critic": learner.critic}.items():
        own = copy.deepcopy(network)
        for parameter in own.parameters():
            parameter.data = parameter.data[RUN : RUN + 1].clone()
        setattr(agent, name, own)
        setattr(agent, f"old_{name}", copy.deepcopy(own))
        setattr(agent, f"{name}_optimizer", Adam(own.parameters(), getattr(recipe, f"{name}_lr")))
    agent.policy = lambda actor, observation: Categorical(logits=actor(observation)[..., None, :])  # (R, B, 1)
    return agent


def as_rollout(batch, beta):
    """One run's texts as one episode after the other: a token is a step, KL is taken off its reward."""
    text, mask = batch["text"][RUN], batch["mask"][RUN]
    context, token = contexts(text).double()[mask].numpy(), text[:, 3:][mask].numpy()  # (tokens, 45), (tokens,)
    reward = (-beta * (batch["old_log_prob"] - batch["ref_log_prob"]))[RUN][mask].numpy()
    last = np.cumsum(mask.sum(-1).numpy()) - 1
    terminated = np.zeros(len(token), dtype=bool)
    terminated[last] = True
    reward[last] += batch["reward"][RUN].numpy()
    following = np.concatenate([context[1:], context[:1]])
    fields = {"observation": context, "action": token[:, None].astype(float), "log_prob": 0.0 * reward,
              "reward": reward, "next_observation": following, "terminated": terminated}  # fmt: skip
    return Rollout(**{name: x[None, None] for name, x in fields.items()})


def differs_from_core(algorithm, updates=2):
    """Largest difference of the policy's weights to those of the core's PPO, the texts taken as episodes."""
    h = Recipe(prompts=3, group=4, passes=3, lr=3e-3, clip=0.1, beta=0.2)
    learner = algorithm(h, seeds=(3, 4), ref=ref())
    agent = core_agent(learner, h)
    for _ in range(updates):
        batch = learner.write()
        log = learner.learn(batch)
        core = agent.update(as_rollout(batch, h.beta))
        assert algorithm is not PPO or core["clip_fraction"][0] == pytest.approx(log["clip_fraction"][RUN].item())
    pairs = [*zip(learner.policy.parameters(), agent.actor.parameters(), strict=True)]
    pairs += zip(learner.critic.parameters(), agent.critic.parameters(), strict=True)
    return max((ours[RUN] - theirs[0]).abs().max().item() for ours, theirs in pairs)


class PenaltyAtTheEnd(PPO):
    """KL of the whole text is taken off the last token's reward alone."""

    def advantage(self, batch):
        whole = self.recipe.beta * (batch["old_log_prob"] - batch["ref_log_prob"]).sum(-1)
        given = batch | {"reward": batch["reward"] - whole, "ref_log_prob": batch["old_log_prob"]}
        advantage = super().advantage(given)
        batch["returns"] = given["returns"]
        return advantage


class PenaltyWithTheWrongSign(PPO):
    def advantage(self, batch):
        given = batch | {"old_log_prob": batch["ref_log_prob"], "ref_log_prob": batch["old_log_prob"]}
        advantage = super().advantage(given)
        batch["returns"] = given["returns"]
        return advantage


class PaddingInTheCritic(PPO):
    """The critic learns values of what comes after the end."""

    def step(self, batch):
        everything = torch.ones_like(batch["mask"])
        error = (self.value(batch["text"]) - batch["returns"]).square()
        self.critic_optimizer.zero_grad()
        learners.mean(error, everything, "token").sum().backward()
        self.critic_optimizer.step()
        return GRPO.step(self, batch)


def test_ppo_by_tokens_equals_the_core():
    assert differs_from_core(PPO) < 1e-10


@pytest.mark.parametrize(
    "fault", [PenaltyAtTheEnd, PenaltyWithTheWrongSign, PaddingInTheCritic], ids=lambda x: x.__name__
)
def test_a_planted_fault_of_ppo_is_noticed(fault):
    assert differs_from_core(fault) > 1e-6


@pytest.mark.parametrize("algorithm", [PPO, GRPO, RLOO])
def test_runs_together_equal_runs_alone(algorithm):
    seeds, h = [3, 1, 4], algorithm.default.replace(passes=2, lr=3e-3)
    together = algorithm(h, seeds, ref=ref())
    logs = [together.update() for _ in range(2)]
    for run, seed in enumerate(seeds):
        alone = algorithm(h, [seed], ref=ref())
        for log in logs:
            for name, x in alone.update().items():
                assert x[0].item() == pytest.approx(log[name][run].item(), abs=1e-12)
        assert (weights(alone, 0) - weights(together, run)).abs().max() < 1e-12


@pytest.mark.parametrize("algorithm", [PPO, GRPO, RLOO])
def test_one_pass_never_clips_and_several_do(algorithm):
    for passes, clips in ((1, False), (4, True)):
        learner = algorithm(algorithm.default.replace(passes=passes, lr=1e-2, clip=0.05), seeds=range(2))
        log = [learner.update()["clip_fraction"] for _ in range(3)]
        assert (torch.stack(log) > 0).any().item() is clips


def test_groups_all_alike_teach_nothing():
    learner = GRPO(GRPO.default.replace(beta=0.0), ref=ref())
    before, batch = weights(learner, 0), learner.write()
    batch["reward"] = torch.ones_like(batch["reward"])
    assert learner.learn(batch)["alike"].tolist() == [1.0]
    assert torch.equal(weights(learner, 0), before)
    batch["reward"][0, 0] = 0  # in one of the four groups
    assert learner.learn(batch)["alike"].tolist() == [0.75]
    assert not torch.equal(weights(learner, 0), before)


def test_the_ratio_of_a_sequence_is_that_of_tokens_at_one_pass():
    """The geometric mean has the gradient of the mean over a sequence where all ratios are 1."""
    ends = []
    for ratio in ("token", "sequence"):
        learner = GRPO(GRPO.default.replace(ratio=ratio), ref=ref())
        learner.update()
        ends.append(weights(learner, 0))
    assert (ends[0] - ends[1]).abs().max() < 1e-12


def test_the_reference_stays():
    learner = GRPO(GRPO.default.replace(lr=1e-2), ref=ref())
    before = [x.clone() for x in learner.ref.parameters()]
    learner.update()
    assert all(torch.equal(x, y) for x, y in zip(learner.ref.parameters(), before, strict=True))
    assert not any(x.requires_grad for x in learner.ref.parameters())
    given = torch.cat([x[0].flatten() for x in ref().parameters()])
    assert not torch.equal(weights(learner, 0), given), "the policy itself has moved"


def test_advantages_by_hand():
    score = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    np.testing.assert_allclose(leave_one_out(score), [[2 / 3, -2 / 3, -2 / 3, 2 / 3], [0] * 4])
    np.testing.assert_allclose(group_relative(score, False), [[0.5, -0.5, -0.5, 0.5], [0] * 4])
    a = 0.5 / ((1 / 3) ** 0.5 + 1e-4)
    np.testing.assert_allclose(group_relative(score), [[a, -a, -a, a], [0] * 4])


BAD = {
    "prompts": (0, 2.5, True, None), "group": (1, "8"), "passes": (0, -1), "lr": (0, -1e-3, float("inf"), "fast"),
    "critic_lr": (0,), "clip": (-0.1, (0.1,), "no", float("nan")),
    "beta": (-1, float("nan"), float("inf"), "much", None), "gae_lambda": (1.5, -0.1), "kl_in": ("k4", 1, None),
    "ratio": ("text", 0), "mean_over": ("group", None),
    "divide_by_std": (1, 0, None, "yes"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_field_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        Recipe(**{name: value})


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match="recipe must be a Recipe or None, got"):
        GRPO(recipe={"passes": 2})
    with pytest.raises(ValueError, match="seeds must be"):
        GRPO(seeds=[-1])
    with pytest.raises(ValueError, match=r"prompt must be \(R, N\), R = 2 generators, got shape \(1, 3\)"):
        sample(ref(), torch.zeros(1, 3, dtype=torch.long), [torch.Generator(), torch.Generator()])
