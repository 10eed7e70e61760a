"""The fair experiment of notebook 04: three algorithms, by passes over the same data and by the action that is scored.

Everything else is the lecture's. `python -m lecture_utils.experiments.fair_experiment` (that is `make data-passes`)
records it in data/passes, one file a setting; it takes hours of processor time, can be stopped, and then goes on where
it was.
"""

import pandas as pd
import torch

from lecture_utils import PPO, Hyperparameters, clipped_surrogate, policy_gradient, probability_ratio, surrogate
from lecture_utils.experiments.data_files import DATA, ROOT, write_checksums
from lecture_utils.experiments.sweep import Setting, load_recorded, sweep

FOLDER = DATA / "passes"
ALGORITHMS = ("A2C", "unclipped", "PPO")
SEEDS = range(16)  # of each algorithm
PASSES = {"abs": (10, 5, 2, 1), "softplus": (5, 2)}  # by head of the standard deviation, the longest first
SCORED = {"drawn": "sampled", "cut": "clipped"}  # the action as it was drawn, or cut to the motor's limits before
FAR = 1.0  # nats: an update that moves the policy further has little left to do with the surrogate


class WatchedPPO(PPO):
    """PPO whose log also tells which way a rollout pushes the standard deviation of the policy that collected it.

    Over the rollout's samples, before the update: the means of the advantage A ("advantage"), of the slope of
    log pi(a|s) in log sigma, ((a - mu) / sigma)^2 - 1 ("score"), and of the product of the two ("score_x_advantage"),
    which is the slope of A2C's objective; and the product of the means ("means_product"). The mean score is 0 in
    expectation where the action that was drawn is scored. "cut": the share of actions on or beyond the motor's limits.
    After the update, "far": 1 where kl_after is above FAR, otherwise 0.
    """

    def prepare(self, rollout):
        batch = super().prepare(rollout)
        advantage = batch["advantage"]
        score = ((batch["action"] - self.old_policy.mean) / self.old_policy.stddev).square().sum(-1) - self.action_dim
        means = advantage.mean(-1), score.mean(-1), (score * advantage).mean(-1)
        cut = (batch["action"].abs() >= self.action_limit).any(-1).to(advantage).mean(-1)
        names = "advantage", "score", "score_x_advantage", "means_product", "cut"
        self.told = dict(zip(names, (*means, means[0] * means[1], cut), strict=True))
        return batch

    def update(self, rollout):
        log = super().update(rollout)
        log |= {name: x.cpu().numpy() for name, x in self.told.items()}
        return log | {"far": (log["kl_after"] > FAR).astype(float)}


class ThreeAlgorithms(WatchedPPO):
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
    """Name -> Setting, such as "abs_2_drawn": head of the standard deviation, passes, action that is scored."""
    return {
        f"{head}_{count}_{scored}": Setting(
            ThreeAlgorithms, Hyperparameters(passes=count, std_head=head, score_action=value)
        )
        for head, counts in PASSES.items()
        for scored, value in SCORED.items()
        for count in counts
    }


def control():
    """Name -> Setting of PPO alone: the cut action scored, but advantages whose mean is 0 in every rollout."""
    recipe = Hyperparameters(passes=10, score_action="clipped", normalize_advantages="rollout")
    return {"normalised_10_cut": Setting(WatchedPPO, recipe)}


def load_passes(folder=FOLDER):
    """The experiment as one DataFrame: algorithm, std_head, passes, scored, run (0 to 15), then as sweep.run_setting.

    algorithm: one of ALGORITHMS; scored: "drawn" or "cut". The control is PPO with std_head "normalised". Raises
    FileNotFoundError or ValueError for a file that is missing, changed or of another recipe.
    """
    command = "make data-passes"
    log = load_recorded(settings(), folder, seeds=[*SEEDS] * len(ALGORITHMS), command=command)
    log.insert(0, "algorithm", log.run.floordiv(len(SEEDS)).map(dict(enumerate(ALGORITHMS))))
    alone = load_recorded(control(), folder, seeds=SEEDS, command=command)
    log = pd.concat([log, alone.assign(algorithm="PPO")], ignore_index=True)
    log[["std_head", "passes", "scored"]] = log.pop("setting").str.split("_", expand=True)
    return log.assign(run=log.run % len(SEEDS), passes=log.passes.astype(int))


def by_run(passes, column, first=0, last=3000, how="mean"):
    """One row a run and setting of load_passes(): its mean of a column over the episodes from `first` to before `last`.

    Returns a DataFrame: std_head, scored, passes, algorithm, run and the column. how: another name of pandas, "median".
    """
    rows = passes[(passes.episode >= first) & (passes.episode < last)]
    return rows.groupby(["std_head", "scored", "passes", "algorithm", "run"], as_index=False)[column].agg(how)


def main():
    workspace = ROOT / "build" / "passes"
    sweep(settings(), FOLDER, seeds=[*SEEDS] * len(ALGORITHMS), workspace=workspace)
    sweep(control(), FOLDER, seeds=SEEDS, workspace=workspace)
    write_checksums(names=[f"passes/{name}.csv" for name in settings() | control()])


if __name__ == "__main__":
    main()
