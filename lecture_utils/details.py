"""The experiments of notebook 05: the ladder, its top without each detail, and the bugs.

`python -m lecture_utils.details` (that is `make data-details`) records them in data/details, one file a setting; it
takes about half an hour on two cores, can be stopped, and then goes on where it was.
"""

from lecture_utils.data_files import DATA, ROOT, write_checksums
from lecture_utils.hyperparameters import TUNED, TUNED_EPISODES, Hyperparameters
from lecture_utils.museum import BUGS
from lecture_utils.settings import Setting
from lecture_utils.sweep import load_recorded, sweep

FOLDER = DATA / "details"
SEEDS = range(16)
STARTS = 100  # fixed starts that a score is the mean of

# Rungs in order: each takes these fields from TUNED, on top of those before it.
DETAILS = {
    "sampled action scored": ("score_action",),
    "one standard deviation for all states": ("std_head",),
    "minibatches shuffled": ("shuffle",),
    "advantages normalised": ("normalize_advantages",),
    "many episodes an update, large minibatches": ("episodes_per_update", "minibatch_size"),
    "more passes": ("passes",),
    "larger steps": ("actor_lr", "critic_lr"),
    "rewards scaled": ("reward_scale",),
    "a longer view": ("gamma", "gae_lambda"),
    "tanh networks, a quarter as wide": ("hidden", "activation"),
    "orthogonal start": ("initialization",),
    "linear mean": ("mean_head",),
    "no entropy bonus": ("entropy_coef",),
    "steps that shrink to zero": ("anneal_updates",),
    "gradients clipped": ("max_grad_norm",),
    "early stop on KL": ("target_kl",),
}


def fields_of(recipe, names):
    """Some fields of a recipe, as a dict."""
    return {name: getattr(recipe, name) for name in names}


def _ladder():
    rungs = {"the lecture's recipe": Hyperparameters()}
    for name, fields in DETAILS.items():
        below = list(rungs.values())[-1]
        rungs[name] = below.replace(**fields_of(TUNED, fields))
    return rungs


def _without(fields):
    """TUNED with the lecture's values of `fields`; steps that shrink do so to the end of the training, as in TUNED."""
    recipe = TUNED.replace(**fields_of(Hyperparameters(), fields))
    updates = TUNED_EPISODES // recipe.episodes_per_update
    return recipe.replace(anneal_updates=updates) if recipe.anneal_updates else recipe


LADDER = _ladder()  # name -> Hyperparameters; the last is TUNED
LEAVE_ONE_OUT = {"nothing": TUNED} | {name: _without(fields) for name, fields in DETAILS.items()}
# A bug shows where its line matters: the sign of the entropy only where there is an entropy bonus.
BUG_RECIPES = {bug.__name__: TUNED for bug in BUGS} | {"EntropySign": TUNED.replace(entropy_coef=0.01)}


def settings():
    """Name -> Setting: "ladder_00", ... by rung, "without_00", ... by detail left out, and "bug_" with its name."""
    length = {"episodes": TUNED_EPISODES, "block": TUNED.episodes_per_update, "scored_on": STARTS}
    length["scored_every"] = length["block"]
    ladder = {f"ladder_{k:02}": Setting(hyperparameters=h, **length) for k, h in enumerate(LADDER.values())}
    without = {f"without_{k:02}": Setting(hyperparameters=h, **length) for k, h in enumerate(LEAVE_ONE_OUT.values())}
    bugs = {f"bug_{bug.__name__}": Setting(bug, BUG_RECIPES[bug.__name__], **length) for bug in BUGS}
    bugs["bug_none_with_entropy"] = Setting(hyperparameters=BUG_RECIPES["EntropySign"], **length)
    return ladder | without | bugs


def load_details(folder=FOLDER):
    """Everything recorded, as sweep.load_sweep returns it: `setting`, then the columns of settings.run_setting.

    Raises FileNotFoundError or ValueError for a file that is missing, changed or of another recipe.
    """
    return load_recorded(settings(), folder, seeds=SEEDS, command="make data-details")


def main():
    workspace = ROOT / "build" / "details"
    sweep(settings(), FOLDER, seeds=SEEDS, workspace=workspace, report=lambda line: print(line, flush=True))
    write_checksums(names=[f"details/{name}.csv" for name in settings()])


if __name__ == "__main__":
    main()
