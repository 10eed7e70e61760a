"""Probe environments: five tasks of one or two steps whose right answer is known, to try a program on in seconds.

A wrong answer says more than a bad curve does: each probe asks one question of the critic or of the policy. After an
idea of Andy Jones 2021, Debugging Reinforcement Learning Without the Agonizing Pain. `python -m
lecture_utils.experiments.probes` (part of `make data-details`) tries every bug of the museum on every probe.
"""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from lecture_utils import PPO, Hyperparameters, Rollout, fast
from lecture_utils.experiments.data_files import DATA, checked, read_table, write_checksums, write_table
from lecture_utils.experiments.museum import BUGS
from lecture_utils.training import scored_action

RECIPE = Hyperparameters(
    gamma=0.5, gae_lambda=0.95, entropy_coef=0.0, actor_lr=0.04, critic_lr=0.04, minibatch_size=256, passes=4,
    episodes_per_update=128, mean_head="linear", std_head="free", initial_std=1.0, score_action="sampled", shuffle=True,
    hidden=(16,), activation="tanh", initialization="orthogonal",
)  # fmt: skip
# With small steps and large batches chance moves the policy little, and a drift shows.
STILL = RECIPE.replace(initial_std=2.0, episodes_per_update=256, passes=1, actor_lr=0.01, critic_lr=0.003)
LIMIT = 2.0  # of the actions
SEEDS = range(16)
ENOUGH = 10  # runs of sixteen that must answer right
FILE = "probes.csv"
COLUMNS = ("algorithm", "probe", "right", "seconds")


@dataclasses.dataclass(frozen=True)
class Probe:
    """A task. `coin` is +1 or -1, drawn for each episode; the observation is (coin, time), as far as it `sees` them.

    reward: a function of coin (R, E), the step t and the applied action (R, E, A), which gives (R, E).
    right: a function of `ask`, which gives the (R,) runs that answer right; ask(coin, t) gives the mean action (R, A),
    the standard deviation (R, A) and the value (R,) there.
    ends: whether the task itself ends after its last step; otherwise the clock cuts it there, and it would go on.
    """

    question: str
    answer: str
    reward: Callable
    right: Callable
    steps: int = 1
    action_dim: int = 1
    sees: tuple = (False, False)
    ends: bool = True
    recipe: Hyperparameters = RECIPE
    updates: int = 22

    def observation(self, coin, t):
        """(..., 2); a task that goes on begins again after its last step."""
        sees_coin, sees_time = self.sees
        return np.stack([coin * sees_coin, np.full(coin.shape, t % self.steps * sees_time)], axis=-1).astype(np.float32)


def near(value, target, tolerance):
    return np.abs(value - target) < tolerance


def _as_before(ask):
    _, std, value = ask(1, 0)
    return near(value, 1, 0.2) & near(np.log(std[:, 0] / STILL.initial_std), 0, 0.28)


def _each_by_its_coin(ask):
    return near(ask(1, 0)[2], 1, 0.2) & near(ask(-1, 0)[2], -1, 0.2)


def _two_steps(ask):
    later = 1 / (1 - RECIPE.gamma**2)  # V(1) = 1 + gamma V(0), V(0) = gamma V(1)
    return near(ask(1, 1)[2], later, 0.1) & near(ask(1, 0)[2], RECIPE.gamma * later, 0.1)


def _one_action(ask):
    mean, std, _ = ask(1, 0)
    return near(mean[:, 0], 1, 0.15) & near(np.log(std[:, 0]), math.log(WIDTH), 0.25)


def _each_action_by_coin_and_time(ask):
    cases = [(coin, t) for coin in (1, -1) for t in (0, 1)]
    return np.all([near(ask(*case)[0], target(*case), 0.3).all(axis=-1) for case in cases], axis=0)


def target(coin, t):
    """The best action (..., 2) of the last probe: (1, -1) times the coin, and the opposite in the second step."""
    return np.multiply.outer(coin * (-1.0) ** t, [1.0, -1.0])


BONUS = 0.18  # weight of the entropy; against a reward of -(a - 1)^2 the best standard deviation is sqrt(BONUS / 2)
WIDTH = math.sqrt(BONUS / 2)
PROBES = {
    "nothing matters": Probe(
        "Every episode pays 1 after its only step, whatever one does.",
        f"The critic says 1, and the standard deviation stays at {STILL.initial_std:g}.",
        lambda coin, t, action: np.ones(coin.shape),
        _as_before,
        recipe=STILL,
        updates=60,
    ),
    "the state matters": Probe(
        "The state is a coin, +1 or -1, and the only step pays what it shows.",
        "The critic says +1 and -1.",
        lambda coin, t, action: coin,
        _each_by_its_coin,
        sees=(True, False),
    ),
    "time matters": Probe(
        "Two states take turns, the second one pays 1, and the clock cuts after two steps of a task that would go on.",
        f"With gamma = {RECIPE.gamma} the critic says 2/3 and 4/3.",
        lambda coin, t, action: np.full(coin.shape, float(t)),
        _two_steps,
        steps=2,
        sees=(False, True),
        ends=False,
    ),
    "the action matters": Probe(
        f"The only step pays -(a - 1)^2, with an entropy bonus of {BONUS}.",
        f"The mean action is 1 and the standard deviation sqrt({BONUS} / 2) = {WIDTH:.1f}.",
        lambda coin, t, action: -((action[..., 0] - 1) ** 2),
        _one_action,
        recipe=RECIPE.replace(entropy_coef=BONUS),
    ),
    "everything matters": Probe(
        "Two steps, an action of two numbers. Each step pays at once, -|a - target|^2, with target (1, -1) times the "
        "coin in the first step, and the opposite in the second.",
        "The mean actions are the four targets.",
        lambda coin, t, action: -((action - target(coin, t)) ** 2).sum(-1),
        _each_action_by_coin_and_time,
        steps=2,
        action_dim=2,
        sees=(True, True),
    ),
}


def play(agent, probe):
    """The rollout of `episodes_per_update` episodes of a probe for each run, with the runs' own random numbers."""
    episodes = agent.hyperparameters.episodes_per_update
    coin = np.stack([torch.randint(2, (episodes,), generator=g).numpy() for g in agent.generators]) * 2.0 - 1
    noise, policy, steps = agent.noise(probe.steps, episodes, probe.action_dim), fast.on_arrays(agent.actor), []
    for t in range(probe.steps):
        observation = probe.observation(coin, t)
        mean, std = policy(observation)
        action = mean + std * noise[:, t]
        ended = np.full(coin.shape, probe.ends and t == probe.steps - 1)
        scored, log_prob = scored_action(agent, action, mean, std)
        reward = probe.reward(coin, t, action.clip(-LIMIT, LIMIT))
        steps.append((observation, scored, log_prob, reward, probe.observation(coin, t + 1), ended))
    return Rollout(*(np.stack(column, axis=2) for column in zip(*steps, strict=True)))  # (R, E, T, ...)


@fast.torch_threads(1)
def answers(algorithm, probe, seeds=SEEDS):
    """Train `algorithm` (PPO or a subclass), one run a seed, on a probe; returns the mask (R,) of right answers."""
    agent = algorithm(2, probe.action_dim, probe.recipe, seeds=seeds, action_limit=LIMIT)
    with fast.training(agent):
        for _ in range(probe.updates):
            agent.update(play(agent, probe))

    @torch.no_grad()
    def ask(coin, t):
        observation = torch.as_tensor(probe.observation(np.full((agent.runs, 1), float(coin)), t))
        mean, std = agent.actor(observation)
        return mean[:, 0].numpy(), std[:, 0].numpy(), agent.critic(observation)[:, 0, 0].numpy()

    return probe.right(ask)


def verdicts(algorithms, seeds=SEEDS):
    """Each algorithm (PPO or a subclass) on each probe: a DataFrame of COLUMNS.

    right: how many of the runs answer right. seconds: of processor time for all of them together.
    """
    rows = []
    for algorithm in algorithms:
        for name, probe in PROBES.items():
            start = time.process_time()
            right = int(answers(algorithm, probe, seeds).sum())
            rows.append((algorithm.__name__, name, right, time.process_time() - start))
    return pd.DataFrame(rows, columns=COLUMNS)


def probe_table(rows):
    """What `verdicts` returned, as a table: a row an algorithm, a column a probe, "passed" or "caught".

    Caught is what fewer than ENOUGH runs answer right. The last column counts the probes that catch the algorithm.
    """
    right = rows.pivot_table(index="algorithm", columns="probe", values="right")
    right = right.loc[rows.algorithm.unique(), list(PROBES)]
    table = right.ge(ENOUGH).replace({True: "passed", False: "caught"}).rename_axis(None).rename_axis(None, axis=1)
    return table.assign(**{"caught by": table.eq("caught").sum(axis=1)})


def load_probes(folder=DATA):
    """The recorded verdicts on PPO and the bugs of the museum. FileNotFoundError or ValueError name a damaged file."""
    return read_table(checked(FILE, folder, "make data-details"), COLUMNS, "make data-details")


def main():
    write_table(verdicts([PPO, *BUGS]), DATA / FILE, float_format="%.3g")
    write_checksums(names=[FILE])


if __name__ == "__main__":
    main()
