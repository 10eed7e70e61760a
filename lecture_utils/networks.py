"""For R independent runs at once: networks, two policies (actions are numbers, or a choice), Adam, and files of agents.

A file holds plain tensors and numbers only, so that reading one never runs code.

Shapes as in ppo.py.
"""

import dataclasses
import math
import os
import pathlib

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Normal

from lecture_utils import checks, fast

STD_FLOOR = 1e-3  # added to the standard deviation, in units of the action: keeps it away from zero
FORMAT = 1  # of the files
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


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) for parameters (R, ...): one torch.optim.Adam a run, side by side.

    Each run has a count of steps of its own: one that sits out a step keeps its weights, its moments and its count.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.parameters, self.lr, self.betas, self.eps = list(parameters), lr, betas, eps
        self.steps = torch.zeros(len(self.parameters[0]), dtype=torch.float32, device=self.parameters[0].device)  # (R,)
        self.apart = False  # whether the counts may differ: from the first step on that some run sat out
        self.moments = []  # (first, second) for each parameter; the first step makes them, in its number format

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, max_norm=math.inf, sit_out=None):
        """One step downhill, after the gradients of each run were scaled down to a norm of at most `max_norm`.

        sit_out: a mask (R,), on the CPU, of the runs that take no step, or None.
        """
        if max_norm < math.inf:
            clip_gradients(self.parameters, max_norm)
        self.moments = self.moments or [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        if sit_out is not None and sit_out.all():
            return
        moving = None if sit_out is None or not sit_out.any() else ~sit_out
        self.steps += 1 if moving is None else moving.to(self.steps)
        self.apart = self.apart or moving is not None
        if fast.adam_step(self, moving):
            return
        k, (beta1, beta2) = slice(None) if moving is None else moving, self.betas
        for p, (m, v) in zip(self.parameters, self.moments, strict=True):
            n = self.steps[k].double().view(-1, *[1] * (p.dim() - 1))  # (R,) -> (R, 1, 1)
            m[k] = beta1 * m[k] + (1 - beta1) * p.grad[k]
            v[k] = beta2 * v[k] + (1 - beta2) * p.grad[k] ** 2
            size, root = (self.lr / (1 - beta1**n)).to(p), (1 - beta2**n).sqrt().to(p)
            p[k] -= size * m[k] / (v[k].sqrt() / root + self.eps)

    def state_dict(self):
        """What a checkpoint keeps, copied: {"steps": (R,), "moments": [(first, second), ...]}."""
        return {"steps": self.steps.clone(), "moments": [(m.clone(), v.clone()) for m, v in self.moments]}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave, in the parameters' number format; ValueError where shapes differ."""
        shapes = [tuple(p.shape) for p in self.parameters]
        for got in ([tuple(x.shape) for x in moments] for moments in zip(*state["moments"], strict=True)):
            if got != shapes:
                raise ValueError(f"moments must have shapes {shapes}, got {got}")
        self.steps = state["steps"].to(self.steps).expand_as(self.steps).clone()
        self.apart = bool((self.steps != self.steps[0]).any())
        pairs = zip(self.parameters, state["moments"], strict=bool(state["moments"]))
        self.moments = [(m.to(p, copy=True), v.to(p, copy=True)) for p, (m, v) in pairs]


def clip_gradients(parameters, max_norm):
    """Scale each run's gradients down, in place, to a norm of at most `max_norm` over all parameters (R, ...)."""
    gradients = [p.grad for p in parameters]
    norm = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)  # (R,)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)[:, None, None]
    for gradient in gradients:
        gradient *= factor


def save(agent, path, resumable=True):
    """Write the agent to a file, whole or not at all. Without `resumable` the optimisers' moments are left out."""
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: its folder {path.parent} does not exist")
    temporary = path.with_name(path.name + ".tmp")
    torch.save(_state(agent, resumable), temporary)
    os.replace(temporary, path)


def load(cls, path, device="cpu", remedy="agent.save writes such files"):
    """The agent that `save` wrote. A missing, damaged or foreign file is an error that names it; remedy ends it."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; {remedy}, and `make data` those of data/")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here, and which is no help to a reader
        raise ValueError(f"{path} is damaged or not a checkpoint ({type(error).__name__}); {remedy}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this package (format {FORMAT}); {remedy}")
    if (algorithm := state.get("algorithm")) != cls.__name__:
        raise ValueError(f"{path} holds an agent of {algorithm}, not {cls.__name__}: use {algorithm}.load")
    try:
        agent = _restore(cls, state, "cpu")
    except (KeyError, TypeError, RuntimeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a whole agent ({type(error).__name__}: {error}); {remedy}") from None
    return agent if device == "cpu" else _restore(cls, state, device)  # a device that is not there is no damaged file


def select(agent, runs):
    """A new agent that holds copies of these runs only; runs: a list of indices into the runs axis."""
    runs = checks.indices("runs", runs, agent.runs)
    state = _state(agent, resumable=True)
    for name, optimizer in state["optimizers"].items():
        state[name] = {key: x[runs] for key, x in state[name].items()}
        optimizer["steps"] = optimizer["steps"][runs]
        optimizer["moments"] = [(first[runs], second[runs]) for first, second in optimizer["moments"]]
    state["generators"] = state["generators"][runs]
    state["seeds"] = [agent.seeds[run] for run in runs]
    return _restore(type(agent), state, agent.device)


def _state(agent, resumable):
    names = ("obs_dim", "action_dim", "action_limit", "bounds", "choices", "updates", "episodes")
    state = {name: getattr(agent, name) for name in names} | {
        "format": FORMAT,
        "algorithm": type(agent).__name__,
        "hyperparameters": dataclasses.asdict(agent.hyperparameters),
        "seeds": list(agent.seeds),
        "actor": {name: x.cpu() for name, x in agent.actor.state_dict().items()},
        "critic": {name: x.cpu() for name, x in agent.critic.state_dict().items()},
        "generators": torch.stack([generator.get_state() for generator in agent.generators]),
    }
    if resumable:
        optimizers = {"actor": agent.actor_optimizer, "critic": agent.critic_optimizer}
        state["optimizers"] = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    return state


def _restore(cls, state, device):
    dims, recipe = (state["obs_dim"], state["action_dim"]), cls.default.replace(**state["hyperparameters"])
    limit = state.get("bounds") or state["action_limit"]  # older files lack bounds and choices
    agent = cls(*dims, recipe, state["seeds"], device, action_limit=limit, choices=state.get("choices", 0))
    agent.actor.load_state_dict(state["actor"])
    agent.critic.load_state_dict(state["critic"])
    agent.refresh()
    for name, optimizer in state.get("optimizers", {}).items():
        getattr(agent, f"{name}_optimizer").load_state_dict(optimizer)
    for generator, one in zip(agent.generators, state["generators"], strict=True):
        generator.set_state(one.clone())  # set_state reads a view from its storage's start
    agent.updates, agent.episodes = state["updates"], state["episodes"]
    return agent
