"""The angle of the policy gradient: by hand, against sums in closed form, and the recorded numbers again."""

import numpy as np
import pytest
import torch

from lecture_utils import PPO, TUNED, train
from lecture_utils.experiments import gradient_angle
from lecture_utils.experiments.data_files import write_checksums
from lecture_utils.experiments.gradient_angle import angles, cosine, gradient, load_gradient_angle, reference, to_truth

SMALL = TUNED.replace(episodes_per_update=1, hidden=(4,))


def agent(seeds=(0, 1), **changes):
    return PPO(3, 1, SMALL.replace(**changes), seeds=seeds)


def test_cosines_by_hand():
    x, y = np.array([[3.0, 4.0], [1.0, 0.0], [2.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 5.0], [-1.0, 0.0]])
    np.testing.assert_allclose(cosine(x, y), [0.96, 0.0, -1.0])
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))


def test_the_gradient_by_hand():
    """Mean m = 2 b, standard deviation 2: d log pi / db = 2 (a - m) / 4, and d / d log std = (a - m)^2 / 4 - 1."""
    policy = agent(initial_std=2.0)
    for parameter in policy.actor.parameters():
        parameter.data.zero_()  # no weight, no hidden unit: the mean is the last bias times the limit, 0; the std is 2
    action = np.array([[[3.0], [-1.0]], [[1.0], [1.0]]])
    found = gradient(policy, np.ones((2, 2, 3)), action, np.array([[1.0, 2.0], [4.0, 0.0]]))
    free = [name for name, x in policy.actor.named_parameters() for _ in range(x[0].numel())]
    bias = [k for k, name in enumerate(free) if name == "body.layers.1.bias"]
    log_std = [k for k, name in enumerate(free) if name == "log_std"]
    # run 0: mean of 1 x 3/4 and 2 x -1/4, times 2 for the limit; mean of 1 x (9/4 - 1) and 2 x (1/4 - 1)
    np.testing.assert_allclose(found[:, bias].ravel(), [2 * (3 / 4 - 2 / 4) / 2, 2 * (4 / 4) / 2], atol=1e-6)
    np.testing.assert_allclose(found[:, log_std].ravel(), [(5 / 4 - 6 / 4) / 2, 4 * (-3 / 4) / 2], atol=1e-6)
    rest = np.delete(found, bias + log_std, axis=1)
    np.testing.assert_allclose(rest, 0, atol=1e-6)


def test_a_run_has_the_gradient_that_it_has_alone():
    both, rng = agent(), np.random.default_rng(0)
    observation, action, weight = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 1)), rng.normal(size=(2, 5))
    together = gradient(both, observation, action, weight)
    alone = gradient(both.select([1]), observation[1:], action[1:], weight[1:])
    np.testing.assert_allclose(together[1:], alone, atol=1e-6)


def test_the_reference_is_the_sum_of_rewards_times_scores(monkeypatch):
    """Two steps scored and one beyond, written out with Gymnasium's pendulum's numbers as they were collected."""
    monkeypatch.setattr(gradient_angle, "EPISODE_STEPS", 2)
    monkeypatch.setattr(gradient_angle, "HORIZON", 1)
    policy = agent(seeds=(0,), gamma=0.5, reward_scale=2.0)
    observation, action, reward = gradient_angle._long_episodes(policy, 4, np.random.default_rng(3))
    found = reference(policy, np.random.default_rng(3), episodes=4, rounds=1)
    assert observation.shape == (3, 1, 4, 3)
    after = [2 * (reward[0] + 0.5 * reward[1] + 0.25 * reward[2]), 2 * (reward[1] + 0.5 * reward[2])]
    with torch.no_grad():
        values = [policy.critic(torch.as_tensor(observation[t]))[..., 0].numpy() for t in (0, 1)]
    weight = np.concatenate([after[t] - values[t] for t in (0, 1)], axis=-1)
    weight = weight - weight.mean()
    scored = [np.concatenate([x[0], x[1]], axis=1) for x in (observation, action)]
    np.testing.assert_allclose(found, gradient(policy, *scored, weight), rtol=1e-4, atol=1e-4)


def test_long_episodes_are_of_the_policy_and_the_pendulum():
    policy = agent()
    observation, action, reward = gradient_angle._long_episodes(policy, 50, np.random.default_rng(0))
    theta = np.arctan2(observation[..., 1], observation[..., 0])
    torque = action[..., 0].clip(-2, 2)
    expected = -(theta**2 + 0.1 * observation[..., 2] ** 2 + 0.001 * torque**2)
    np.testing.assert_allclose(reward, expected, atol=1e-4)
    with torch.no_grad():
        mean, std = policy.actor(torch.as_tensor(observation[5]))
    z = (action[5] - mean.numpy()) / std.numpy()
    assert abs(z.mean()) < 0.4
    assert 0.75 < z.std() < 1.25


@pytest.mark.parametrize("share", [0.2, 1.0, 5.0])
def test_the_formula_for_the_reference_holds_where_the_truth_is_known(share):
    """Halves are truth plus noise of `share` times its length: the whole has the cosine to it that is claimed."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    halves = truth + share * rng.normal(size=(2, 4000))
    claimed = to_truth(cosine(*halves))
    assert claimed == pytest.approx(cosine(halves.mean(0), truth), abs=0.03)


def test_angles_grow_with_the_batch_and_say_nothing_where_advantages_are_dealt_at_random():
    learner = PPO(3, 1, TUNED, seeds=(0, 1))
    train(learner, episodes=64, progress=False)
    before = learner.hyperparameters
    true = reference(learner, np.random.default_rng(0), episodes=100, rounds=1)
    found = angles(learner, true, rollouts=12)
    assert found["cosine"].shape == (2, 5, 5, 2)
    assert found["together"].shape == (2, 5, 2)
    monte_carlo = found["cosine"][1, -1].mean(-1)
    assert monte_carlo[-1] > monte_carlo[0] + 0.3
    assert (found["together"][1, -1] > found["cosine"][1, -1, -1]).all()
    assert abs(found["shuffled"].mean()) < 0.2
    assert learner.hyperparameters == before
    with pytest.raises(ValueError, match="must score the sampled action"):
        angles(PPO(3, 1), true)


def test_what_is_written_is_read_back_in_its_place(tmp_path):
    how = {"seeds": (0, 1, 2), "updates": (1, 2), "rollouts": 2, "episodes": 4, "rounds": 2}
    gradient_angle.record(tmp_path, **how)
    write_checksums(tmp_path, [gradient_angle.FILE])
    table, references = load_gradient_angle(tmp_path)
    learner = PPO(3, 1, TUNED, seeds=how["seeds"])
    train(learner, episodes=32, progress=False)
    halves = [reference(learner, np.random.default_rng([2, k]), episodes=4, rounds=2) for k in range(2)]
    found = angles(learner, sum(halves) / 2, rollouts=2, seed=2)
    rows = table[(table.updates == 2) & table.normalized & (table["lambda"] == 0.6)]
    np.testing.assert_allclose(rows[rows.samples == 64].cosine, found["cosine"][1, 1, 1], atol=1e-3)
    np.testing.assert_allclose(rows[rows.samples == np.inf].cosine, found["together"][1, 1], atol=1e-3)
    here = references[references.updates == 2]
    np.testing.assert_allclose(here.halves, cosine(*halves), atol=1e-3)
    np.testing.assert_allclose(here.shuffled, found["shuffled"][-1].std(-1, ddof=1), atol=1e-3)


@pytest.fixture(scope="module")
def recorded():
    return load_gradient_angle()


def test_the_recorded_table_is_whole(recorded):
    cosines, references = recorded
    assert len(cosines) == 2 * 2 * 5 * 6 * 16
    assert cosines.cosine.between(-1, 1).all()
    assert set(cosines.samples) == {16, 64, 200, 800, 3200, np.inf}
    assert (references.parameters == sum(x[0].numel() for x in PPO(3, 1, TUNED).actor.parameters())).all()
    assert (references.to_truth >= references.halves).all()


def test_the_recorded_cosines_come_out_again_with_other_random_numbers(recorded):
    """Of two runs, from few rollouts: what is measured is a mean over rollouts, so the two agree within its noise."""
    cosines, _ = recorded
    learner = PPO(3, 1, TUNED, seeds=(0, 1))
    train(learner, episodes=gradient_angle.UPDATES[0] * TUNED.episodes_per_update, progress=False)
    again = angles(learner, reference(learner, np.random.default_rng(9), rounds=1), rollouts=12, seed=9)
    rows = cosines[(cosines.updates == gradient_angle.UPDATES[0]) & cosines.run.isin([0, 1]) & cosines.normalized]
    for k, gae_lambda in enumerate(gradient_angle.LAMBDAS):
        recorded_mean = rows[(rows["lambda"] == gae_lambda) & (rows.samples == 3200)].cosine.mean()
        assert again["cosine"][1, k, -1].mean() == pytest.approx(recorded_mean, abs=0.25)
