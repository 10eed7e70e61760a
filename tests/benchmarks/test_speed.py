"""Time per run and episode of the lecture's recipe: the plain loop, `train` with 1 to 64 runs, and the floor."""

import itertools

import torch
from plain_loop import PlainPPO, plain_train
from record import in_turn, medians, print_table, record

from lecture_utils import PPO, Hyperparameters, train
from lecture_utils.pendulum import EPISODE_STEPS

ROUNDS = 9
EPISODES = {1: 8, 4: 4, 16: 2, 64: 1}  # a round, by number of runs
PLAIN_EPISODES, PRODUCTS = 4, 20


def operations(h):
    """Floating-point operations of the products of an episode and its update, for one run."""
    actor, critic = (3, *h.hidden, 2), (3, *h.hidden, 1)

    def forward(sizes):
        return 2 * sum(inputs * outputs for inputs, outputs in itertools.pairwise(sizes))

    def learn(sizes):  # forward, and backward for weights and inputs; observations need no gradient
        return 3 * forward(sizes) - 2 * sizes[0] * sizes[1]

    collected = forward(actor)
    prepared = forward(actor) + 2 * forward(critic)  # old log-probabilities, values and next values
    return EPISODE_STEPS * (collected + prepared + h.passes * (learn(actor) + learn(critic)))


def products(runs, h):
    """PRODUCTS times the one that nearly all operations are in, the second layer's; and their operations."""
    width = h.hidden[0]
    x, out = torch.randn(2, runs, h.minibatch_size, width)
    weight, bias = torch.randn(runs, width, width), torch.randn(runs, 1, width)

    def multiply():
        for _ in range(PRODUCTS):
            torch.baddbmm(bias, x, weight, out=out)

    return multiply, PRODUCTS * 2 * runs * h.minibatch_size * width**2


def test_training_against_the_plain_loop_and_the_floor(capsys):
    assert torch.get_num_threads() == 1
    torch.manual_seed(0)
    h, plain = Hyperparameters(), PlainPPO()
    agents = {runs: PPO(3, 1, h, seeds=range(runs)) for runs in EPISODES}
    multiply = {runs: products(runs, h) for runs in EPISODES}
    contestants = {"plain loop": lambda: plain_train(plain, PLAIN_EPISODES)}
    for runs, episodes in EPISODES.items():
        contestants[f"train, R = {runs}"] = lambda a=agents[runs], n=episodes: train(a, n, progress=False)
        contestants[f"products, R = {runs}"] = multiply[runs][0]
    in_turn(contestants, 1)  # warm up
    times = in_turn(contestants, ROUNDS)

    median, rows = medians(times), {}
    rate = {runs: count / median[f"products, R = {runs}"] for runs, (_, count) in multiply.items()}
    plain_ms = 1000 * median["plain loop"] / PLAIN_EPISODES
    rows["plain loop"] = {"ms": plain_ms, "times as fast": 1.0, "GFLOP/s": None, "floor, ms": None, "share": None}
    for runs, episodes in EPISODES.items():
        ms = 1000 * median[f"train, R = {runs}"] / (runs * episodes)
        floor = 1000 * operations(h) / rate[runs]
        rows[f"train, R = {runs}"] = {
            "ms": ms,
            "times as fast": plain_ms / ms,
            "GFLOP/s": rate[runs] / 1e9,
            "floor, ms": floor,
            "share": floor / ms,
        }
    with capsys.disabled():  # shown without -s too
        print_table(f"ms of processor per run and episode, one thread, medians of {ROUNDS} rounds in turn", rows)
    record("training", {"unit": "ms per run and episode", "median": rows, "all, s a round": times})

    assert rows["train, R = 1"]["times as fast"] >= 2.5
    assert rows["train, R = 16"]["times as fast"] >= 12 or rows["train, R = 16"]["ms"] <= 5
    assert rows["train, R = 64"]["share"] >= 0.3
