"""The experiments of notebook 05 as dicts of recipes: the ladder, its top without each detail, and the bugs."""

from lecture_utils.hyperparameters import TUNED, TUNED_EPISODES, Hyperparameters
from lecture_utils.museum import BUGS
from lecture_utils.settings import Setting

# Rungs in order: each takes these fields from TUNED, on top of those before it.
DETAILS = {
    "sampled action scored": ("score_action",),
    "one standard deviation for all states": ("std_head",),
    "minibatches shuffled": ("shuffle",),
    "advantages normalised": ("normalize_advantages",),
    "many episodes an update": ("episodes_per_update", "minibatch_size"),
    "more passes": ("passes",),
    "larger steps": ("actor_lr", "critic_lr"),
    "rewards scaled": ("reward_scale",),
    "a longer view": ("gamma", "gae_lambda"),
    "tanh networks, a quarter as wide": ("hidden", "activation"),
    "orthogonal start": ("initialization",),
    "linear mean": ("mean_head",),
    "no entropy bonus": ("entropy_coef",),
    "steps that shrink to zero": ("anneal_updates",),
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


LADDER = _ladder()  # name -> Hyperparameters; the last is TUNED
LEAVE_ONE_OUT = {"nothing": TUNED} | {
    name: TUNED.replace(**fields_of(Hyperparameters(), fields)) for name, fields in DETAILS.items()
}
# A bug shows where its line matters: the sign of the entropy only where there is an entropy bonus.
BUG_RECIPES = {bug.__name__: TUNED for bug in BUGS} | {"EntropySign": TUNED.replace(entropy_coef=0.01)}


def settings():
    """Every setting of the notebook, name of its file -> Setting, for sweep.sweep."""
    length = {"episodes": TUNED_EPISODES, "block": TUNED.episodes_per_update, "scored_on": 300}
    length["scored_every"] = length["block"]
    ladder = {f"ladder_{k:02}": Setting(hyperparameters=h, **length) for k, h in enumerate(LADDER.values())}
    without = {f"without_{k:02}": Setting(hyperparameters=h, **length) for k, h in enumerate(LEAVE_ONE_OUT.values())}
    bugs = {f"bug_{bug.__name__}": Setting(bug, BUG_RECIPES[bug.__name__], **length) for bug in BUGS}
    bugs["bug_none_with_entropy"] = Setting(hyperparameters=BUG_RECIPES["EntropySign"], **length)
    return ladder | without | bugs
