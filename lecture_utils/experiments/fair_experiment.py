"""The fair experiment of notebook 04: three algorithms by passes over the same data, everything else the lecture's.

`python -m lecture_utils.experiments.fair_experiment` (that is `make data-passes`) records it in data/passes, one file a
setting; it takes hours of processor time, can be stopped, and then goes on where it was.
"""

import torch

from lecture_utils import PPO, Hyperparameters, clipped_surrogate, policy_gradient, probability_ratio, surrogate
from lecture_utils.experiments.data_files import DATA, ROOT, write_checksums
from lecture_utils.experiments.sweep import Setting, load_recorded, sweep

FOLDER = DATA / "passes"
ALGORITHMS = ("A2C", "unclipped", "PPO")
SEEDS = range(16)  # of each algorithm
PASSES = {"abs": (10, 5, 2, 1), "softplus": (5, 2)}  # by head of the standard deviation, the longest first


class ThreeAlgorithms(PPO):
    """A2C, the unclipped ratio and PPO side by side: a third of the runs each, which differ in the objective alone.

    As one agent because 48 runs take less time than three times 16. A run is what it would be alone, and so are its
    diagnostics: the clip fraction of an algorithm that does not clip is the share of samples outside PPO's band.
    """

    def actor_loss(self, log_prob, batch):
        ratio, advantage = probability_ratio(log_prob, batch["old_log_prob"]), batch["advantage"]
        first, second, third = slice(0, self.third), slice(self.third, 2 * self.third), slice(2 * self.third, None)
        objective = [
            policy_gradient(log_prob[first], advantage[first]),
            surrogate(ratio[second], advantage[second]),
            clipped_surrogate(ratio[third], advantage[third], self.hyperparameters.clip),
        ]
        return -torch.cat(objective).mean(-1)

    @property
    def third(self):
        return self.runs // len(ALGORITHMS)

    def select(self, runs):
        raise NotImplementedError("the runs of three algorithms are told apart by their places: none can leave")


def settings():
    """Name -> Setting, such as "abs_2": head of the standard deviation, passes."""
    return {
        f"{head}_{count}": Setting(ThreeAlgorithms, Hyperparameters(passes=count, std_head=head))
        for head, counts in PASSES.items()
        for count in counts
    }


def load_passes(folder=FOLDER):
    """The experiment as one DataFrame: algorithm, std_head, passes, run (0 to 15), then as in sweep.run_setting.

    Raises FileNotFoundError or ValueError for a file that is missing, changed or of another recipe.
    """
    log = load_recorded(settings(), folder, seeds=[*SEEDS] * len(ALGORITHMS), command="make data-passes")
    log.insert(0, "algorithm", log.run.floordiv(len(SEEDS)).map(dict(enumerate(ALGORITHMS))))
    log[["std_head", "passes"]] = log.pop("setting").str.split("_", expand=True)
    return log.assign(run=log.run % len(SEEDS), passes=log.passes.astype(int))


def main():
    seeds = [*SEEDS] * len(ALGORITHMS)
    sweep(settings(), FOLDER, seeds=seeds, workspace=ROOT / "build" / "passes")
    write_checksums(names=[f"passes/{name}.csv" for name in settings()])


if __name__ == "__main__":
    main()
