"""Networks with a leading runs axis: R independent copies, each with its own weights, in one product."""

import math

import numpy as np
import torch
from torch import nn

STD_FLOOR = 1e-3  # added to the standard deviation, in units of the action: keeps it away from zero

SMALL_BATCH = 16  # rows up to which NumPy does a product on one thread
LARGE_BATCH = 4096  # rows that are taken at once where nothing has to be kept for gradients

ACTIVATIONS = {"relu": torch.relu_, "tanh": torch.tanh_}
ARRAY_ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0, out=x), "tanh": lambda x: np.tanh(x, out=x)}


class RunsLinear(nn.Module):
    """R affine maps side by side: (R, B, in) -> (R, B, out).

    weight is (R, in, out), bias (R, 1, out). `generators` are R torch.Generators, one a run, so that a run starts with
    the same weights whether it is alone or among others. Without `gain` the start is that of nn.Linear; with `gain`
    the weight is orthogonal (Saxe et al. 2014, arXiv 1312.6120), scaled by it, and the bias zero.
    """

    def __init__(self, in_features, out_features, generators, gain=None):
        super().__init__()
        runs = len(generators)
        self.weight = nn.Parameter(torch.empty(runs, in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(runs, 1, out_features))
        bound = 1 / math.sqrt(in_features)
        with torch.no_grad():
            for weight, bias, generator in zip(self.weight, self.bias, generators, strict=True):
                if gain is None:
                    nn.init.uniform_(weight, -bound, bound, generator=generator)
                    nn.init.uniform_(bias, -bound, bound, generator=generator)
                else:
                    nn.init.orthogonal_(weight, gain, generator=generator)

    def forward(self, x):
        if self.weight.shape[-1] == 1:
            # Batched matrix-vector products are slow, and rounded otherwise for one run than for many; this is neither.
            return (x * self.weight.mT).sum(-1, keepdim=True) + self.bias
        return torch.baddbmm(self.bias, x, self.weight)


class MLP(nn.Module):
    """A multilayer perceptron for each run: (R, B, sizes[0]) -> (R, B, sizes[-1]).

    gains: None for the start of nn.Linear, or one orthogonal gain for each layer.
    """

    def __init__(self, sizes, generators, activation="relu", gains=None):
        super().__init__()
        gains = gains or [None] * (len(sizes) - 1)
        pairs = zip(sizes[:-1], sizes[1:], gains, strict=True)
        self.layers = nn.ModuleList(RunsLinear(inputs, outputs, generators, gain) for inputs, outputs, gain in pairs)
        self.activation = activation

    def forward(self, x):
        activate = ACTIVATIONS[self.activation]
        *hidden, last = self.layers
        for layer in hidden:
            x = activate(layer(x))
        return last(x)

    def on_arrays(self):
        """The same function of arrays, for networks on the CPU. It shares the weights' memory."""
        activate = ARRAY_ACTIVATIONS[self.activation]
        *hidden, last = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in self.layers]

        def forward(x):
            for weight, bias in hidden:
                x = activate(np.matmul(x, weight) + bias)
            return np.matmul(x, last[0]) + last[1]

        return forward


class GaussianPolicy(nn.Module):
    """Observation (R, B, O) -> mean and standard deviation of the action, each (R, B, A), in units of the action.

    The mean is `action_limit` times tanh of the network's first outputs ("tanh" in `mean_head`) or times the output
    itself ("linear"). The standard deviation, by `std_head`:
      "abs"       the absolute value of the second outputs, as the lecture has it (it calls it var), plus STD_FLOOR;
      "softplus"  softplus of the second outputs, plus STD_FLOOR;
      "free"      action_limit times exp(log_std), one learned number a run and action dimension, whatever the state.
    """

    def __init__(self, sizes, action_dim, generators, *, action_limit, mean_head, std_head, activation, gains):
        super().__init__()
        self.action_limit, self.mean_head, self.std_head = action_limit, mean_head, std_head
        outputs = action_dim if std_head == "free" else 2 * action_dim
        self.body = MLP([*sizes, outputs], generators, activation, gains)
        if std_head == "free":
            self.log_std = nn.Parameter(torch.zeros(len(generators), 1, action_dim))

    def forward(self, observation):
        output = self.body(observation)
        if self.std_head == "free":
            std = self.action_limit * self.log_std.exp().expand_as(output)
        else:
            output, spread = output.chunk(2, dim=-1)
            std = (spread.abs() if self.std_head == "abs" else nn.functional.softplus(spread)) + STD_FLOOR
        mean = self.action_limit * (output.tanh() if self.mean_head == "tanh" else output)
        return mean, std

    def on_arrays(self):
        """The same function of arrays: (R, B, O) -> mean and std, each (R, B, A).

        For acting, 200 products an episode: small ones on the CPU take NumPy a fifth of torch's time. Large ones NumPy
        would spread over threads that nothing here limits, so they go through torch, as does every other device.
        """
        on_cpu = self.body.layers[0].weight.device.type == "cpu"
        body, limit = self.body.on_arrays() if on_cpu else None, self.action_limit
        to_std = {"abs": np.abs, "softplus": lambda x: np.logaddexp(x, 0 * x)}
        free_std = limit * self.log_std.detach().exp().cpu().numpy() if self.std_head == "free" else None

        def forward(observation):
            if body is None or observation.shape[1] > SMALL_BATCH:
                return self._on_arrays_through_torch(observation)
            output = body(observation)
            if free_std is None:
                half = output.shape[-1] // 2
                output, spread = output[..., :half], output[..., half:]
                std = to_std[self.std_head](spread) + STD_FLOOR
            else:
                std = np.broadcast_to(free_std, output.shape)
            return limit * (np.tanh(output) if self.mean_head == "tanh" else output), std

        return forward

    def _on_arrays_through_torch(self, observation):
        weight, blocks = self.body.layers[0].weight, []
        with torch.inference_mode():
            for start in range(0, observation.shape[1], LARGE_BATCH):
                block = observation[:, start : start + LARGE_BATCH]
                mean, std = self(torch.as_tensor(block, dtype=weight.dtype, device=weight.device))
                blocks.append((mean.cpu().numpy(), std.cpu().numpy()))
        return tuple(np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True))
