"""Agents in files: plain tensors and numbers only, so that reading one never runs code."""

import dataclasses
import os
import pathlib

import torch

from lecture_utils import checks

FORMAT = 1


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
