"""The fair experiment of notebook 04 repeated on CartPole-v1: do its verdicts hold where actions are discrete?

`python -m lecture_utils.experiments.cartpole` (that is `make data-cartpole`) records it in data/cartpole, one file a
setting; it can be stopped, and then goes on where it was.
"""

import math

from lecture_utils import TUNED
from lecture_utils.experiments.data_files import DATA, ROOT, write_checksums
from lecture_utils.experiments.fair_experiment import ALGORITHMS, SEEDS, ThreeAlgorithms
from lecture_utils.experiments.sweep import Setting, load_recorded, sweep

CARTPOLE = TUNED.replace(
    gamma=0.98, minibatch_size=256, initial_std=0.0, episodes_per_update=32, rollout_steps=32, reward_scale=0.1,
    normalize_advantages="minibatch", anneal_updates=60, target_kl=math.inf,
)  # fmt: skip
CARTPOLE_STEPS = CARTPOLE.anneal_updates * CARTPOLE.episodes_per_update * CARTPOLE.rollout_steps  # 61,440 a run
FOLDER = DATA / "cartpole"
PASSES = (10, 5, 2, 1)  # the longest first
BLOCK = 5 * CARTPOLE.episodes_per_update  # rollouts of one environment: five updates, 5,120 steps a run


def settings():
    """Name -> Setting, such as "passes_2": the recipe that solves the task, but for its passes."""
    rollouts = CARTPOLE.anneal_updates * CARTPOLE.episodes_per_update
    return {
        f"passes_{count}": Setting(
            ThreeAlgorithms, CARTPOLE.replace(passes=count), rollouts, BLOCK, scored_every=4 * BLOCK, env="CartPole-v1"
        )
        for count in PASSES
    }


def load_cartpole(folder=FOLDER):
    """The experiment as one DataFrame: algorithm, passes, run (0 to 15), steps (before the block), then as a sweep's.

    Raises FileNotFoundError or ValueError for a file that is missing, changed or of another recipe.
    """
    log = load_recorded(settings(), folder, seeds=[*SEEDS] * len(ALGORITHMS), command="make data-cartpole")
    log.insert(0, "algorithm", log.run.floordiv(len(SEEDS)).map(dict(enumerate(ALGORITHMS))))
    log.insert(1, "passes", log.pop("setting").str.removeprefix("passes_").astype(int))
    return log.assign(run=log.run % len(SEEDS), steps=log.episode * CARTPOLE.rollout_steps)


def main():
    sweep(settings(), FOLDER, seeds=[*SEEDS] * len(ALGORITHMS), workspace=ROOT / "build" / "cartpole")
    write_checksums(names=[f"cartpole/{name}.csv" for name in settings()])


if __name__ == "__main__":
    main()
