"""Environment steps a second: Gymnasium's own vector environments beside PendulumVectorEnv."""

import functools

import gymnasium
import numpy as np
import pytest
from record import in_turn, medians, print_table, record

from lecture_utils import PendulumVectorEnv

ROUNDS = 5
NUMBERS = (1, 16, 256, 4096)
LEAST = 100  # times SyncVectorEnv's steps, at the largest number


def environments():
    """name -> (function of num_envs, environment steps a round; None: 200 for each environment)."""
    made = {
        "SyncVectorEnv": (functools.partial(gymnasium.make_vec, "Pendulum-v1", vectorization_mode="sync"), 4096),
        "PendulumVectorEnv": (PendulumVectorEnv, None),  # its reset after an episode is in the time
    }
    try:
        import jax  # noqa: F401
    except ImportError:
        return made
    return made | {"phys2d (JAX)": (functools.partial(gymnasium.make_vec, "phys2d/Pendulum-v0"), None)}


def stepping(envs, steps):
    envs.reset(seed=0)
    action = np.full((envs.num_envs, 1), 0.5, dtype=np.float32)

    def step():
        for _ in range(steps):
            envs.step(action)

    return step


@pytest.mark.filterwarnings("ignore")
def test_steps_a_second(capsys):
    rows = {name: {} for name in environments()}
    for number in NUMBERS:
        steps = {name: 200 if count is None else -(-count // number) for name, (_, count) in environments().items()}
        contestants = {name: stepping(make(num_envs=number), steps[name]) for name, (make, _) in environments().items()}
        in_turn(contestants, 1)  # warm up
        for name, seconds in medians(in_turn(contestants, ROUNDS)).items():
            rows[name][f"{number} env" + "s" * (number > 1)] = steps[name] * number / seconds
    times = {x: rows["PendulumVectorEnv"][x] / rows["SyncVectorEnv"][x] for x in rows["SyncVectorEnv"]}
    with capsys.disabled():  # shown without -s too
        title = f"environment steps a second of processor, medians of {ROUNDS} rounds in turn"
        print_table(title, rows | {"times SyncVectorEnv": times})
    record("environments", {"unit": "environment steps per s", "median": rows, "times_SyncVectorEnv": times})
    assert list(times.values())[-1] >= LEAST
