"""Time per run and episode of the lecture's recipe: the plain loop, `train` with 1 to 64 runs, and the floor."""

import collections
import itertools
import statistics

import pytest
import torch
from record import in_turn, medians, print_table, record

from lecture_utils import PPO, Hyperparameters, fast, train
from lecture_utils.experiments.plain_loop import PlainPPO, plain_train
from lecture_utils.pendulum import EPISODE_STEPS

ROUNDS = 25  # short ones: a machine that others use too keeps its speed for a second, not for a minute
EPISODES = {1: 4, 4: 2, 16: 1, 64: 1}  # a round, by number of runs
PLAIN_EPISODES = 2

# The floor is the time of the products alone, each at its own shape. The other one has all operations at the rate of
# the fastest shape, which no order of the same products could reach: acting is products of one row.
FLOORS = ("GFLOP/s", "floor, ms", "share", "all at best rate, ms", "share of that")


def products(h):
    """The products of an episode and its update, for one run: (rows, inner, columns) -> how many of them."""
    actor, critic = (3, *h.hidden, 2), (3, *h.hidden, 1)

    def forward(sizes, rows):
        return [(rows, *layer) for layer in itertools.pairwise(sizes)]

    def learn(sizes, rows):  # the gradients of all weights, and of all inputs but the observations
        layers = forward(sizes, rows)
        weights = [(inputs, rows, outputs) for _, inputs, outputs in layers]
        return layers + weights + [(rows, outputs, inputs) for _, inputs, outputs in layers[1:]]

    count = collections.Counter(forward(actor, 1) * EPISODE_STEPS)
    count.update(forward(actor, EPISODE_STEPS) + 2 * forward(critic, EPISODE_STEPS))  # log-probabilities, two values
    for start in range(0, EPISODE_STEPS, h.minibatch_size):
        rows = min(h.minibatch_size, EPISODE_STEPS - start)
        count.update((learn(actor, rows) + learn(critic, rows)) * h.passes)
    return count


def operations(shapes):
    """Floating-point operations of `products`: a multiplication and an addition for each number that meets another."""
    return sum(2 * rows * inner * columns * n for (rows, inner, columns), n in shapes.items())


def multiply(runs, shapes):
    """A function that does each of `products` as often as it counts, for all runs, by torch.baddbmm."""
    jobs = [
        (
            torch.randn(runs, 1, columns),
            torch.randn(runs, rows, inner),
            torch.randn(runs, inner, columns),
            torch.empty(runs, rows, columns),
            count,
        )
        for (rows, inner, columns), count in shapes.items()
    ]

    def work():
        for bias, x, weight, out, count in jobs:
            for _ in range(count):
                torch.baddbmm(bias, x, weight, out=out)

    return work


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays")
def test_training_against_the_plain_loop_and_the_floor(capsys):
    assert torch.get_num_threads() == 1
    torch.manual_seed(0)
    h, plain = Hyperparameters(), PlainPPO()
    agents = {runs: PPO(3, 1, h, seeds=range(runs)) for runs in EPISODES}
    shapes, fastest = products(h), {(h.minibatch_size, *h.hidden): 20}
    contestants = {"plain loop": lambda: plain_train(plain, PLAIN_EPISODES)}
    for runs, episodes in EPISODES.items():
        contestants[f"train, R = {runs}"] = lambda a=agents[runs], n=episodes: train(a, n, progress=False)
        contestants[f"products, R = {runs}"] = multiply(runs, shapes)
        contestants[f"fastest, R = {runs}"] = multiply(runs, fastest)
    in_turn(contestants, 1)  # warm up
    times = in_turn(contestants, ROUNDS)

    median = {name: 1000 * seconds for name, seconds in medians(times).items()}
    rows = {"plain loop": {"ms": median["plain loop"] / PLAIN_EPISODES, "times as fast": 1.0, **dict.fromkeys(FLOORS)}}
    for runs, episodes in EPISODES.items():
        ms = median[f"train, R = {runs}"] / (runs * episodes)
        floor = median[f"products, R = {runs}"] / runs
        best = median[f"fastest, R = {runs}"] / runs * operations(shapes) / operations(fastest)
        floors = operations(shapes) / floor / 1e6, floor, floor / ms, best, best / ms
        pairs = zip(times["plain loop"], times[f"train, R = {runs}"], strict=True)
        faster = statistics.median(p / t for p, t in pairs) * runs * episodes / PLAIN_EPISODES
        rows[f"train, R = {runs}"] = {"ms": ms, "times as fast": faster, **dict(zip(FLOORS, floors, strict=True))}
    with capsys.disabled():  # shown without -s too
        print_table(f"ms of processor per run and episode, one thread, medians of {ROUNDS} rounds in turn", rows)
    record("training", {"unit": "ms per run and episode", "median": rows, "all, s a round": times})

    assert rows["train, R = 1"]["times as fast"] >= 2.5
    assert rows["train, R = 16"]["times as fast"] >= 12 or rows["train, R = 16"]["ms"] <= 5
    assert rows["train, R = 64"]["share"] >= 0.3


def test_what_each_piece_of_fast_saves(capsys):
    """Training with all of fast.py, and without one piece of it: "threads" saves only where torch has several,
    "denormals" only late in a long training, when units have died, and "memory" once, for the rest of the process.
    """
    agents = {runs: PPO(3, 1, seeds=range(runs)) for runs in (1, 16)}
    pieces = {"all of it in use": set(), **{f"without {name}": {name} for name in sorted(fast.USED)}}
    pieces["without all of it"] = set(fast.USED)

    def trained(runs, left_out):
        used = set(fast.USED)
        fast.USED -= left_out
        try:
            train(agents[runs], EPISODES[runs], progress=False)
        finally:
            fast.USED |= used

    contestants = {
        (name, runs): lambda r=runs, x=left_out: trained(r, x) for name, left_out in pieces.items() for runs in agents
    }
    in_turn(contestants, 1)  # warm up
    times = in_turn(contestants, ROUNDS)
    median = medians(times)
    rows = {
        name: {f"R = {runs}, ms": 1000 * median[name, runs] / (runs * EPISODES[runs]) for runs in agents}
        | {f"R = {runs}, times": median[name, runs] / median["all of it in use", runs] for runs in agents}
        for name in pieces
    }  # fmt: skip
    with capsys.disabled():
        print_table("ms of processor per run and episode without a piece of fast.py, one thread", rows)
    record("pieces of fast.py", {"unit": "ms per run and episode", "median": rows})
    assert all(rows["without all of it"][f"R = {runs}, times"] > 1.2 for runs in agents)
