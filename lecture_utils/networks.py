"""Networks for R independent runs at once (shapes as in ppo.py), and two policies: actions are numbers, or a choice."""

import math

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Normal

STD_FLOOR = 1e-3  # added to the standard deviation, in units of the action: keeps it away from zero
ACTIVATIONS = {"relu": torch.relu_, "tanh": torch.tanh_}  # in place: nothing asks for what was there


class RunsLinear(nn.Module):
    """R affine maps side by side: (R, B, in) -> (R, B, out). generators: one torch.Generator a run draws its weights.

    Without `gain` they start as those of nn.Linear, with it orthogonal and scaled by it (arXiv 1312.6120), biases zero.
    """

    def __init__(self, in_features, out_features, generators, gain=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(generators), in_features, out_features, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, out_features, dtype=torch.float32))
        bound = 1 / math.sqrt(in_features)
        for weight, bias, generator in zip(self.weight.data, self.bias.data, generators, strict=True):
            if gain is None:
                nn.init.uniform_(weight, -bound, bound, generator=generator)
                nn.init.uniform_(bias, -bound, bound, generator=generator)
            else:
                nn.init.orthogonal_(weight, gain, generator=generator)

    def forward(self, x):
        if self.weight.shape[-1] == 1:  # torch rounds matrix-vector products otherwise for one run than for many
            return (x * self.weight.mT).sum(-1, keepdim=True) + self.bias
        return torch.baddbmm(self.bias, x, self.weight)


class MLP(nn.Module):
    """A multilayer perceptron a run: (R, B, sizes[0]) -> (R, B, sizes[-1]). last_gain: for an orthogonal start."""

    def __init__(self, sizes, generators, activation="relu", last_gain=None):
        super().__init__()
        gains = [None if last_gain is None else math.sqrt(2)] * (len(sizes) - 2) + [last_gain]
        layers = zip(sizes[:-1], sizes[1:], gains, strict=True)
        self.layers = nn.ModuleList(RunsLinear(inputs, outputs, generators, gain) for inputs, outputs, gain in layers)
        self.activation = activation

    def forward(self, x):
        *hidden, last = self.layers
        for layer in hidden:
            x = ACTIVATIONS[self.activation](layer(x))
        return last(x)


class GaussianPolicy(nn.Module):
    """Observation (R, B, O) -> mean and standard deviation of the action, each (R, B, A), in units of the action.

    The mean is limit times the network's first outputs, or their tanh (mean_head). The standard deviation, by std_head:
    "abs" |z| of the second outputs z, as in the lecture (which calls it var), or "softplus" of z, both plus STD_FLOOR;
    or "free", limit times exp(log_std), whatever the state.
    """

    def __init__(self, sizes, action_dim, generators, hyperparameters, limit, last_gain=None):
        super().__init__()
        h, free = hyperparameters, hyperparameters.std_head == "free"
        self.mean_head, self.std_head, self.std_floor, self.limit = h.mean_head, h.std_head, STD_FLOOR, limit
        self.body = MLP((*sizes, action_dim if free else 2 * action_dim), generators, h.activation, last_gain)
        if free:
            log_std, shape = math.log((h.initial_std or limit) / limit), (len(generators), 1, action_dim)
            self.log_std = nn.Parameter(torch.full(shape, log_std, dtype=torch.float32))
        elif h.initial_std:
            z, last = h.initial_std - STD_FLOOR, self.body.layers[-1]
            last.weight.data[..., action_dim:] = 0  # (R, in, 2 A): the second half makes z, which no state changes yet
            last.bias.data[..., action_dim:] = z if h.std_head == "abs" else z + math.log(-math.expm1(-z))

    def forward(self, observation):
        output = self.body(observation)
        if self.std_head == "free":
            std = self.limit * self.log_std.exp().expand_as(output)
        else:
            output, z = output.chunk(2, dim=-1)  # (R, B, 2 A) -> twice (R, B, A)
            std = (z.abs() if self.std_head == "abs" else nn.functional.softplus(z)) + self.std_floor
        return self.limit * (output.tanh() if self.mean_head == "tanh" else output), std

    @staticmethod
    def distribution(mean, std):
        return Normal(mean, std, validate_args=False)

    @staticmethod
    def choose(noise, mean, std):
        """An action (R, B, A), of arrays; noise: standard normal numbers (R, B, A), or None for the mean."""
        return mean if noise is None else mean + std * noise


class CategoricalPolicy(nn.Module):
    """Observation (R, B, O) -> logits (R, B, A, choices), in a tuple of one: the choice is drawn by their softmax.

    A is 1. The axis makes a choice an action (R, B, A) like any other: what a Gaussian sums over it is summed here too.
    """

    def __init__(self, sizes, action_dim, choices, generators, hyperparameters, last_gain=None):
        super().__init__()
        self.shape = action_dim, choices
        self.body = MLP((*sizes, action_dim * choices), generators, hyperparameters.activation, last_gain)

    def forward(self, observation):
        return (self.body(observation).unflatten(-1, self.shape),)

    @staticmethod
    def distribution(logits):
        return Categorical(logits=logits, validate_args=False)

    @staticmethod
    def choose(noise, logits):
        """An action (R, B, A), of arrays; noise as the Gaussian policy's, None for the likeliest choice.

        The share of normal numbers below `noise` is uniform: it lies in the part of [0, 1] that belongs to the choice.
        """
        if noise is None:
            return logits.argmax(-1)
        cumulative = np.exp(logits - logits.max(-1, keepdims=True)).cumsum(-1)
        uniform = torch.special.ndtr(torch.as_tensor(noise)).numpy()
        return (cumulative < uniform[..., None] * cumulative[..., -1:]).sum(-1)
