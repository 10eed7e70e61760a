"""Agents in files: plain tensors and numbers only, so that reading one never runs code."""

import dataclasses
import os
import pathlib

import numpy as np
import torch

from lecture_utils.hyperparameters import Hyperparameters

FORMAT = 1


def save(agent, path, resumable=True):
    """Write `agent` to `path`, under a temporary name first. Raises FileNotFoundError where its folder is missing."""
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: its folder {path.parent} does not exist")
    temporary = path.with_name(path.name + ".tmp")
    torch.save(_state(agent, resumable), temporary)
    os.replace(temporary, path)


def load(cls, path, device="cpu", remedy="agent.save writes such files"):
    """The agent of class `cls` in `path`; FileNotFoundError or ValueError says what is wrong with the file.

    remedy: ends the message.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; {remedy}, and `make data` those of data/")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here, and which is no help to a reader
        raise ValueError(f"{path} is damaged or not a checkpoint ({type(error).__name__}); {remedy}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this package (format {FORMAT}); {remedy}")
    algorithm = state.get("algorithm")
    if algorithm != cls.__name__:
        raise ValueError(f"{path} holds an agent of {algorithm}, not {cls.__name__}: use {algorithm}.load")
    try:
        agent = _restore(cls, state, "cpu")
    except (KeyError, TypeError, RuntimeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a whole agent ({type(error).__name__}: {error}); {remedy}") from None
    return agent if device == "cpu" else _restore(cls, state, device)


def select(agent, runs):
    """A copy of `agent` with only the runs of these indices."""
    runs = list(runs) if np.iterable(runs) else runs
    if not isinstance(runs, list) or not runs or not all(_is_index(r, agent.runs) for r in runs):
        raise ValueError(f"runs must be a list of indices in [0, {agent.runs}), got {runs!r}")
    runs = [int(r) for r in runs]
    state = _state(agent, resumable=True)

    def rows(x):
        return x[runs] if x.ndim else x

    for name in ("actor", "critic"):
        state[name] = {key: rows(x) for key, x in state[name].items()}
        moments = state["optimizers"][name]["moments"]
        state["optimizers"][name]["moments"] = [(rows(first), rows(second)) for first, second in moments]
    state["generators"] = state["generators"][runs]
    state["seeds"] = [agent.seeds[r] for r in runs]
    return _restore(type(agent), state, agent.device)


def _is_index(x, count):
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool) and 0 <= x < count


def _state(agent, resumable):
    state = {
        "format": FORMAT,
        "algorithm": type(agent).__name__,
        "hyperparameters": dataclasses.asdict(agent.hyperparameters),
        "obs_dim": agent.obs_dim,
        "action_dim": agent.action_dim,
        "action_limit": agent.action_limit,
        "seeds": list(agent.seeds),
        "updates": agent.updates,
        "episodes": agent.episodes,
        "actor": {name: x.cpu() for name, x in agent.actor.state_dict().items()},
        "critic": {name: x.cpu() for name, x in agent.critic.state_dict().items()},
        "generators": torch.stack([generator.get_state() for generator in agent.generators]),
    }
    if resumable:
        state["optimizers"] = {
            "actor": agent.actor_optimizer.state_dict(),
            "critic": agent.critic_optimizer.state_dict(),
        }
    return state


def _restore(cls, state, device):
    agent = cls(
        state["obs_dim"],
        state["action_dim"],
        Hyperparameters(**state["hyperparameters"]),
        seeds=state["seeds"],
        device=device,
        action_limit=state["action_limit"],
    )
    agent.actor.load_state_dict(state["actor"])
    agent.critic.load_state_dict(state["critic"])
    agent.refresh()
    for name in state.get("optimizers", {}):
        getattr(agent, f"{name}_optimizer").load_state_dict(state["optimizers"][name])
    for generator, one in zip(agent.generators, state["generators"], strict=True):
        generator.set_state(one.clone())  # set_state reads a view from its storage's start
    agent.updates, agent.episodes = state["updates"], state["episodes"]
    return agent
