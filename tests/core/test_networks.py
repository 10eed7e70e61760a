"""Networks with a runs axis against torch.nn, and the standard deviation that cannot reach zero."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal

from lecture_utils import Hyperparameters, fast, networks
from lecture_utils.networks import MLP, STD_FLOOR, Adam, CategoricalPolicy, GaussianPolicy, RunsLinear, clip_gradients

HEADS = list(itertools.product(["tanh", "linear"], ["abs", "softplus", "free"], ["relu", "tanh"]))


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def policy(mean_head="tanh", std_head="abs", activation="relu", runs=3, action_dim=2):
    recipe = Hyperparameters(mean_head=mean_head, std_head=std_head, activation=activation)
    return GaussianPolicy((3, 16, 16), action_dim, generators(*range(runs)), recipe, 2.0)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_runs_linear_is_one_nn_linear_a_run(outputs):
    layer = RunsLinear(4, outputs, generators(0, 1, 2)).double()
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    for run in range(3):
        plain = nn.Linear(4, outputs).double()
        with torch.no_grad():
            plain.weight.copy_(layer.weight[run].T)
            plain.bias.copy_(layer.bias[run, 0])
        assert torch.allclose(layer(x)[run], plain(x[run]), rtol=0, atol=1e-14)


def test_default_start_is_distributed_as_that_of_nn_linear():
    layer, plain = RunsLinear(16, 500, generators(0)), nn.Linear(16, 500)
    for ours, theirs in [(layer.weight, plain.weight), (layer.bias, plain.bias)]:
        assert ours.abs().max() <= 1 / 4
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)


def test_orthogonal_start():
    weight = RunsLinear(8, 8, generators(0, 1), gain=math.sqrt(2)).weight
    assert torch.allclose(weight @ weight.mT, 2 * torch.eye(8).expand(2, 8, 8), atol=1e-5)


@pytest.mark.parametrize("gain", [None, 0.01])
def test_a_run_starts_alike_alone_and_among_others(gain):
    together, alone = (MLP((3, 8, 2), generators(*seeds), last_gain=gain) for seeds in [(5, 6, 7), (6,)])
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a[1:2], b)


@pytest.mark.parametrize("heads", HEADS, ids="-".join)
def test_on_arrays_equals_forward(heads, monkeypatch):
    network = policy(*heads)
    x = torch.randn(3, 5, 3)
    with torch.no_grad():
        expected = network(x)
    monkeypatch.setattr(fast, "LARGE_BATCH", 3)
    on_arrays = fast.on_arrays(network)
    monkeypatch.setattr(fast, "USED", set())
    for function in (on_arrays, fast.on_arrays(network)):
        for got, wanted in zip(function(x.numpy()), expected, strict=True):
            assert got == pytest.approx(wanted.numpy(), abs=1e-6)
            assert got.dtype == np.float32
    assert expected[0].shape == expected[1].shape == (3, 5, 2)


def test_on_arrays_sees_later_changes_of_the_weights():
    network = MLP((3, 8, 2), generators(0))
    on_arrays, x = fast.on_arrays(network), np.ones((1, 4, 3), dtype=np.float32)
    before = on_arrays(x)
    with torch.no_grad():
        network.layers[-1].bias += 1
    assert on_arrays(x) == pytest.approx(before + 1, abs=1e-6)


def drive_through_zero(network):
    """Move the bias of the second outputs until they cross zero, in small steps and onto zero itself."""
    x = torch.zeros(3, 1, 3)
    bias = network.body.layers[-1].bias
    for spread in [*np.linspace(-1e-3, 1e-3, 21), 0.0, 1e-38, -1e-45]:
        with torch.no_grad():
            bias[..., 2:] += spread - network.body(x)[..., 2:]
        yield network(x)


@pytest.mark.parametrize("std_head", ["abs", "softplus"])
def test_std_cannot_reach_zero(std_head):
    lowest = math.inf
    for mean, std in drive_through_zero(policy(std_head=std_head)):
        Normal(mean, std)  # which validates
        lowest = min(lowest, std.min().item())
        assert np.isfinite(Normal(mean, std).log_prob(mean + 1).detach().numpy()).all()
    assert lowest >= STD_FLOOR
    if std_head == "abs":
        assert lowest < 2 * STD_FLOOR


def test_a_plain_absolute_value_reaches_zero_and_normal_raises(monkeypatch):
    monkeypatch.setattr(networks, "STD_FLOOR", 0.0)
    with pytest.raises(ValueError, match="scale"):
        [Normal(mean, std) for mean, std in drive_through_zero(policy())]


def test_mean_stays_within_the_limit_only_with_tanh():
    for head, within in [("tanh", True), ("linear", False)]:
        network = policy(head)
        with torch.no_grad():
            network.body.layers[-1].bias += 10
        assert (network(torch.randn(3, 5, 3))[0].abs() <= 2).all().item() is within


def test_free_std_is_one_number_a_run_whatever_the_state():
    network = policy(std_head="free")
    with torch.no_grad():
        network.log_std[1] = math.log(0.25)
    std = network(torch.randn(3, 5, 3))[1]
    assert std[0].unique().tolist() == [2.0]
    assert std[1].unique().tolist() == [0.5]


def test_adam_equals_torchs_own():
    shapes = [(2, 4, 8), (2, 1, 3)]
    ours = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in shapes]
    theirs = [nn.Parameter(x.detach().clone()) for x in ours]
    optimizers = Adam(ours, 1e-2), torch.optim.Adam(theirs, lr=1e-2)
    for _ in range(5):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            sum((x**4).sum() for x in parameters).backward()
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_adam_goes_on_from_what_it_kept():
    ours = [nn.Parameter(torch.randn(2, 4, 8)), nn.Parameter(torch.randn(2, 1, 3))]
    theirs = [nn.Parameter(x.detach().clone()) for x in ours]
    optimizers = Adam(ours, 1e-2), Adam(theirs, 1e-2)

    def step(parameters, optimizer):
        optimizer.zero_grad()
        sum((x**4).sum() for x in parameters).backward()
        optimizer.step()

    for _ in range(3):
        step(ours, optimizers[0])
    kept = optimizers[0].state_dict()
    with torch.no_grad():
        for x, y in zip(ours, theirs, strict=True):
            y.copy_(x)
    optimizers[1].load_state_dict(kept)
    for _ in range(2):
        step(ours, optimizers[0])
        step(theirs, optimizers[1])
        assert all(torch.equal(x, y) for x, y in zip(ours, theirs, strict=True))
    with pytest.raises(ValueError, match=r"moments must have shapes \[\(2, 1, 3\)\]"):
        Adam(ours[1:], 1e-2).load_state_dict({**kept, "moments": kept["moments"][:1]})


def test_clip_gradients_equals_torchs_own_for_each_run():
    parameters = [nn.Parameter(torch.zeros(3, 4, 5)), nn.Parameter(torch.zeros(3, 1, 5))]
    scales = torch.tensor([0.01, 1.0, 100.0])[:, None, None]
    expected = []
    for p in parameters:
        p.grad = torch.randn(p.shape) * scales
    for run in range(3):
        plain = [nn.Parameter(p[run].detach()) for p in parameters]
        for p, q in zip(parameters, plain, strict=True):
            q.grad = p.grad[run].clone()
        nn.utils.clip_grad_norm_(plain, 0.5)
        expected.append([q.grad for q in plain])
    clip_gradients(parameters, 0.5)
    for run in range(3):
        for p, q in zip(parameters, expected[run], strict=True):
            assert torch.allclose(p.grad[run], q, rtol=1e-5)


def choice(runs=2, choices=3):
    return CategoricalPolicy((3, 8), 1, choices, generators(*range(runs)), Hyperparameters())


def test_a_choice_has_the_probabilities_of_its_softmax():
    network, x = choice(), torch.randn(2, 1, 3).expand(2, 20_000, 3)
    with torch.no_grad():
        (logits,) = network(x)
    assert logits.shape == (2, 20_000, 1, 3)
    noise = np.random.default_rng(0).standard_normal((2, 20_000, 1), dtype=np.float32)
    chosen = network.choose(noise, logits.numpy() * 9)
    shares = np.stack([(chosen == k).mean((1, 2)) for k in range(3)], axis=-1)
    assert shares == pytest.approx((logits[:, 0, 0] * 9).softmax(-1).numpy(), abs=0.015)
    assert (network.choose(None, logits.numpy()) == logits.argmax(-1).numpy()).all()
    ends = np.array([-40.0, 40.0], np.float32).reshape(1, 2, 1)
    assert network.choose(ends, logits[:1, :2].numpy()).ravel().tolist() == [0, 2]


def test_a_choice_is_scored_as_its_softmax_says():
    network, x = choice(), torch.randn(2, 5, 3)
    action = torch.tensor([0.0, 1, 2, 1, 0]).expand(2, 5)[..., None]  # (R, B, 1), as the update has it
    policy = network.distribution(*network(x))
    expected = network(x)[0][:, :, 0].log_softmax(-1).gather(-1, action.long())[..., 0]
    assert torch.allclose(policy.log_prob(action).sum(-1), expected)
    p = expected.new_tensor(network(x)[0][:, :, 0].softmax(-1).tolist())
    assert torch.allclose(policy.entropy().sum(-1), -(p * p.log()).sum(-1))


@pytest.mark.parametrize("used", [fast.USED, set()])
def test_a_choices_on_arrays_equals_forward(used, monkeypatch):
    monkeypatch.setattr(fast, "USED", used)
    network, x = choice(), torch.randn(2, 5, 3)
    with torch.no_grad():
        (expected,) = network(x)
    (got,) = fast.on_arrays(network)(x.numpy())
    assert got == pytest.approx(expected.numpy(), abs=1e-6)


@pytest.mark.parametrize("action_dim", [1, 3])
@pytest.mark.parametrize("head", ["abs", "softplus", "free"])
@pytest.mark.parametrize("width", [0.1, 0.5, 2.0])
def test_the_initial_std_is_that_of_every_state_before_training(width, head, action_dim):
    recipe = Hyperparameters(std_head=head, initial_std=width)
    mean, std = GaussianPolicy((3, 16), action_dim, generators(0, 1), recipe, 2.0)(torch.randn(2, 7, 3))
    assert mean.shape == std.shape == (2, 7, action_dim)
    torch.testing.assert_close(std, torch.full_like(std, width), rtol=1e-5, atol=0)
