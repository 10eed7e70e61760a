"""What PPO, GRPO and leave-one-out make of a language model that can be enumerated, for notebook 07.

`make data-language` trains sixteen runs of each setting and writes data/language/*.csv, a file an experiment of
EXPERIMENTS; stopped, it goes on with the settings that are missing. A row a run and every EVERY updates, the first
before all updates; the columns, all exact but the last two:

setting        which of the experiment's settings
run, update    run k has seed k; updates so far
reward         expected reward of the kind that the setting learns from, a mean over the prompts
true_reward    probability of a right completion, a mean over the prompts
kl, kl_ref_pi  KL(pi || ref) and KL(ref || pi) of whole completions, in nats, means over the prompts
entropy        of whole completions, in nats, a mean over the prompts
alike          share of the groups whose completions all had one reward, since the row before (NaN in the first)
clip_fraction  share of the tokens outside the band, a mean over the gradient steps since the row before (NaN likewise)

One file more, gradients.csv, is of what the KL estimates pull at along trainings: `record_gradients` names its columns.
"""

import concurrent.futures
import copy
import hashlib
import math
import os

import numpy as np
import pandas as pd
import scipy.stats
import torch
from tqdm.auto import tqdm

from lecture_utils import checks
from lecture_utils.experiments.data_files import DATA, ROOT, checked, kept, read_table, write_checksums, write_table
from lecture_utils.experiments.statistics import interval
from lecture_utils.language import task
from lecture_utils.language.learners import GRPO, PPO, RLOO, Recipe, kl_estimate
from lecture_utils.language.policy import completion_log_probs, for_runs, prefix_log_probs, reference

COMMAND = "make data-language"
EXACT = ("reward", "true_reward", "kl", "kl_ref_pi", "entropy")
COLUMNS = ("run", "update", *EXACT, "alike", "clip_fraction")
SEEDS, UPDATES, EVERY = range(16), 200, 20

# What is learned from, and by whom: the settings of an experiment differ from its first line as their names say.
NO_STD = Recipe(kl_in="reward", mean_over="constant")  # GRPO without std and length: the unbiased gradient
FAST = NO_STD.replace(beta=0.0, lr=3e-3)  # no KL and large steps: what the clip alone holds


def _methods():
    found = {"PPO": (PPO, PPO.default), "GRPO": (GRPO, GRPO.default), "RLOO": (RLOO, RLOO.default)}
    found["GRPO without std"] = GRPO, GRPO.default.replace(divide_by_std=False)
    for std in (True, False):  # where the group's std divides the penalty too
        h = GRPO.default.replace(kl_in="reward", divide_by_std=std)
        found[f"GRPO {'with' if std else 'without'} std, KL in the reward"] = GRPO, h
    return found


def _learning_rates():
    methods = {name: how for name, how in _methods().items() if "reward" not in name}
    return {f"{name}, lr {lr:g}": (a, h.replace(lr=lr)) for name, (a, h) in methods.items() for lr in (3e-4, 3e-3)}


def _passes():
    clips = {"clipped": 0.2, "unclipped": math.inf}
    return {
        f"{n} passes, {name}": (GRPO, FAST.replace(passes=n, clip=c)) for n in (1, 4, 8) for name, c in clips.items()
    }


def _clip_higher():
    bands = {"0.2": 0.2, "0.2 and 0.28": (0.2, 0.28), "0.2 and 0.5": (0.2, 0.5), "0.28 and 0.2": (0.28, 0.2)}
    h = GRPO.default.replace(beta=0.0, mean_over="token", passes=8)  # as DAPO: no KL, the mean over tokens
    return {f"clip {name}": (GRPO, h.replace(clip=clip)) for name, clip in bands.items()}


def _kl():
    found = {"beta 0": (GRPO, NO_STD.replace(beta=0.0))}
    places = {"the reward": "reward", "the loss, k1": "k1", "the loss, k2": "k2", "the loss, k3": "k3"}
    for beta in (0.05, 0.2):
        h = NO_STD.replace(beta=beta)
        found |= {f"beta {beta}, in {name}": (GRPO, h.replace(kl_in=kind)) for name, kind in places.items()}
    return found


def _ratio():
    h, found = FAST.replace(mean_over="sequence", passes=8), {}
    for ratio, clips in {"token": (0.2, 0.05), "sequence": (0.2, 0.05), "product": (0.2,)}.items():
        found |= {f"{ratio}, clip {clip}": (GRPO, h.replace(ratio=ratio, clip=clip)) for clip in clips}
    return found


def _imperfect():
    h = NO_STD.replace(lr=2e-3)
    return {f"beta {beta:g}": (GRPO, h.replace(beta=beta)) for beta in (0.3, 0.1, 0.03, 0.01, 0.0)}


def _prices():
    """GRPO at other prices; and prices in the loss as dear as in the reward, whose score the group's mean shrinks."""
    found = {f"GRPO, beta {b:g}": (GRPO, GRPO.default.replace(beta=b)) for b in (0.0125, 0.025, 0.1, 0.2)}
    found["GRPO without std, beta 0.025"] = GRPO, GRPO.default.replace(divide_by_std=False, beta=0.025)
    h = NO_STD.replace(beta=0.2 * (NO_STD.group - 1) / NO_STD.group)
    return found | {f"beta {h.beta:g}, in the loss, {k}": (GRPO, h.replace(kl_in=k)) for k in ("k2", "k3")}


EXPERIMENTS = {
    "methods": _methods(), "imperfect": _imperfect(), "kl": _kl(), "passes": _passes(), "clip_higher": _clip_higher(),
    "ratio": _ratio(), "learning_rates": _learning_rates(), "prices": _prices(),
    "stopping": {name: _imperfect()[name] for name in ("beta 0", "beta 0.1")},
}  # fmt: skip
FILES = (*EXPERIMENTS, "gradients")  # in data/language
REWARDS = dict.fromkeys(("imperfect", "stopping"), task.pairs_reward)  # the other experiments learn from the parser
OFTEN = {"stopping": 4}  # updates between two rows, where they are not EVERY
# Where gradients are looked at: trainings of these experiments, after so many updates.
GRADIENTS = {"GRPO": "methods"} | {f"beta 0.2, in the {x}": "kl" for x in ("reward", "loss, k2", "loss, k3")}
GRADIENTS_AT = (10, 50, 200)
GRADIENT_COLUMNS = ("run", "update", "level", "estimator", "size", "cosine", "cosine_ref_pi", "apart")


@torch.no_grad()
def exact(learner, ref=None):
    """What enumeration says of a learner's policy: a dict of (R,) tensors named as EXACT, the columns above.

    ref: the reference's completion_log_probs, (R, P, C) or (1, P, C), where they are known already.
    """
    log_prob = completion_log_probs(learner.policy)
    ref = completion_log_probs(learner.ref) if ref is None else ref
    rewards = (task.expected(log_prob, x) for x in (learner.reward_table, task.reward_table()))
    found = (*rewards, task.kl(log_prob, ref), task.kl(ref, log_prob), task.entropy(log_prob))
    return dict(zip(EXACT, found, strict=True))


def train(learner, updates=UPDATES, every=EVERY):
    """Update a learner of lecture_utils.language. Returns a DataFrame of COLUMNS, a row a run and `every` updates."""
    updates, every = checks.whole("updates", updates, 0), checks.whole("every", every, 1)
    with torch.no_grad():
        ref = completion_log_probs(learner.ref)  # it never changes
    rows, logs = [], []
    for n in range(updates + 1):
        if n:
            logs.append(learner.update())
        if n % every == 0 or n == updates:
            since = {name: torch.stack([x[name] for x in logs]).mean(0) for name in logs[0]} if logs else {}
            numbers = {name: x.numpy() for name, x in (exact(learner, ref) | since).items()}
            rows.append(pd.DataFrame({"run": range(len(learner.seeds)), "update": n} | numbers))
            logs = []
    return pd.concat(rows, ignore_index=True).reindex(columns=COLUMNS)


def record(experiment, setting, seeds=SEEDS, updates=UPDATES, every=None):
    """Train the runs of one setting of an experiment: a DataFrame of "setting" and COLUMNS."""
    torch.set_num_threads(1)
    algorithm, recipe = EXPERIMENTS[experiment][setting]
    learner = algorithm(recipe, seeds, reward=REWARDS.get(experiment, task.is_right))
    table = train(learner, updates, every or OFTEN.get(experiment, EVERY))
    table.insert(0, "setting", setting)
    return table


def compare_gradients(learner, level):
    """The mean gradients of k1, k2, k3 as losses, by listing all texts, beside those of both directions of KL.

    Returns a DataFrame, a row a run and estimator: size, in units of the size of KL(pi || ref)'s gradient; cosine and
    cosine_ref_pi, with the gradients of KL(pi || ref) and of KL(ref || pi) (NaN for k1, which has none); apart, the
    size of the difference to KL(pi || ref)'s gradient in its own units. level: as `estimator_gradient` takes it.
    """
    policy, ref = (copy.deepcopy(x).double() for x in (learner.policy, learner.ref))
    ours, theirs = completion_log_probs(policy.requires_grad_()), completion_log_probs(ref).detach()
    wanted, other = (task.gradient(x, policy.parameters()) for x in (task.kl(ours, theirs), task.kl(theirs, ours)))
    tables = []
    for kind in ("k1", "k2", "k3"):
        found = estimator_gradient(kind, policy, ref, level)  # (R, D)
        size = found.norm(dim=1) / wanted.norm(dim=1)
        cosines = [torch.cosine_similarity(found, x).where(size > 1e-6, math.nan) for x in (wanted, other)]
        apart = (found - wanted).norm(dim=1) / wanted.norm(dim=1)
        numbers = zip(GRADIENT_COLUMNS[-4:], (size, *cosines, apart), strict=True)
        tables.append(pd.DataFrame({"run": range(len(size)), "level": level, "estimator": kind} | dict(numbers)))
    return pd.concat(tables)


def record_gradients(setting, seeds=SEEDS, at=GRADIENTS_AT):
    """`compare_gradients` along the training of a key of GRADIENTS: a DataFrame of "setting" and GRADIENT_COLUMNS.

    update: gradient steps so far. level: "text" or "token".
    """
    torch.set_num_threads(1)
    algorithm, recipe = EXPERIMENTS[GRADIENTS[setting]][setting]
    learner, tables = algorithm(recipe, seeds), []
    for n in range(1, max(at) + 1):
        learner.update()
        if n in at:
            tables += [compare_gradients(learner, level).assign(update=n) for level in ("text", "token")]
    table = pd.concat(tables).reindex(columns=GRADIENT_COLUMNS)
    table.insert(0, "setting", setting)
    return table


def load_language(experiment, folder=DATA):
    """What was recorded of a key of EXPERIMENTS: a DataFrame of "setting" and COLUMNS; "gradients": GRADIENT_COLUMNS.

    ValueError or FileNotFoundError name a file that is wrong, and what mends it.
    """
    if experiment not in FILES:
        raise ValueError(f"experiment must be one of {', '.join(map(repr, FILES))}, got {experiment!r}")
    columns = "setting", *(GRADIENT_COLUMNS if experiment == "gradients" else COLUMNS)
    return read_table(checked(f"language/{experiment}.csv", folder, COMMAND), columns, COMMAND)


def at_update(table, columns, update=UPDATES):
    """A row a setting, after so many updates: of each column the mean of the runs, its 95 % interval, the worst runs.

    Returns columns setting, and for each name: name, "name low", "name high" (of the mean), "name min", "name max".
    """
    rows = []
    for setting, runs in table[table["update"] == update].groupby("setting", sort=False):
        row = {"setting": setting}
        for name in columns:
            low, high = interval(runs[name])
            row |= {name: runs[name].mean(), f"{name} low": low, f"{name} high": high}
            row |= {f"{name} min": runs[name].min(), f"{name} max": runs[name].max()}
        rows.append(row)
    return pd.DataFrame(rows)


def run_by_run(table, column, setting, base, update=UPDATES):
    """By how much a setting is above another in each run, seed by seed: (R,) numbers."""
    runs = table[table["update"] == update].set_index(["setting", "run"])[column]
    return (runs[setting] - runs[base]).to_numpy()


def difference(table, column, setting, base, update=UPDATES):
    """Of `run_by_run`: (mean, low, high) with its 95 % interval."""
    change = run_by_run(table, column, setting, base, update)
    return change.mean(), *interval(change)


def estimator_gradient(kind, policy, ref, level):
    """The exact mean, over texts that pi writes, of the gradient of a KL estimate used as a loss: (R, D).

    kind: as kl_estimate takes it. level: "text", log-probabilities of whole completions; or "token", as losses have it:
    the sum over tokens of estimates, in which what a token does to the tokens after it is left out.
    """
    if level == "token":
        log_prob, reached = prefix_log_probs(policy)  # (R, P, S, V), (R, P, S)
        weight, ref_log_prob = (reached[..., None] + log_prob).exp(), prefix_log_probs(ref)[0]
    else:
        log_prob, ref_log_prob = completion_log_probs(policy), completion_log_probs(ref)  # (R, P, C)
        weight = log_prob.exp()
    estimate = weight.detach() * kl_estimate(kind, log_prob, ref_log_prob.detach())
    return task.gradient(estimate.flatten(2).sum(-1).mean(-1), policy.parameters())


def std_weight(probability, group):
    """How much GRPO's std weighs a prompt, by the probability p that a completion is right: an array like p.

    The mean over groups of the gradient of GRPO without its std is (G - 1) / G times that of p; with it, what is
    returned. Exact: a sum over the numbers k of right ones among G, (k/G)(1 - k/G) / std / (p (1 - p)).
    """
    p, k = np.asarray(probability, dtype=float)[..., None], np.arange(1, group)
    std = np.sqrt(k * (group - k) / group / (group - 1))  # of k ones and G - k zeros, as torch.std
    mean = (scipy.stats.binom.pmf(k, group, p) * (k / group) * (1 - k / group) / std).sum(-1)
    return mean / (p * (1 - p))[..., 0]


def length_weights(over):
    """How much that which a loss is a mean over weighs the prompts, at the reference, without std: two arrays (P,).

    over: as `learners.mean` takes it; with "token" the length of all of a batch is taken for the same in all batches.
    The mean gradient of a prompt is that of E[(r - p) s(y) log pi(y|x)], s = 1 / T_i for "sequence", else 1. First
    array: its part along the gradient of the prompt's p, in units of it. Second: the cosine of the two.
    """
    policy = for_runs(reference(), 1).double().requires_grad_()
    log_prob = completion_log_probs(policy)[0]  # (P, C)
    length = (task.COMPLETION_TOKENS != task.PAD).sum(-1)  # (C,)
    share = 1 / length.double() if over == "sequence" else torch.ones(len(length), dtype=torch.float64)
    right, probability = task.reward_table(), log_prob.exp()
    p = (probability * right).sum(-1)  # (P,)
    pull = (probability.detach() * (right - p.detach()[:, None]) * share * log_prob).sum(-1)  # (P,)
    found, wanted = ([task.gradient(x[None], policy.parameters())[0] for x in xs] for xs in (pull, p))
    weights = [(a @ b / b.square().sum()).item() for a, b in zip(found, wanted, strict=True)]
    cosines = [torch.cosine_similarity(a, b, dim=0).item() for a, b in zip(found, wanted, strict=True)]
    return np.array(weights), np.array(cosines)


def all_alike(probability, group):
    """Probability that a group is all right or all wrong, by that of a right completion: p^G + (1 - p)^G."""
    p = np.asarray(probability, dtype=float)
    return p**group + (1 - p) ** group


def main(names=FILES):
    jobs, parts = {}, []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:

        def submit(name, setting, recipe, function, *arguments):
            # A part is known by its recipe: one that was changed in between is recorded anew.
            key = hashlib.sha256(repr((name, setting, recipe, SEEDS, UPDATES, EVERY)).encode()).hexdigest()[:16]
            parts.append(ROOT / "build" / "language" / f"{name}-{key}.csv")
            jobs.setdefault(name, []).append(pool.submit(kept, parts[-1], function, *arguments))

        for name in names:
            if name == "gradients":
                for setting, where in GRADIENTS.items():
                    how = EXPERIMENTS[where][setting], GRADIENTS_AT
                    submit(name, setting, how, record_gradients, setting)
            else:
                for setting, how in EXPERIMENTS[name].items():
                    submit(name, setting, how, record, name, setting)
        (DATA / "language").mkdir(exist_ok=True)
        for name in names:  # each file as soon as its settings are there
            table = pd.concat([job.result() for job in tqdm(jobs[name], desc=name)])
            write_table(table, DATA / "language" / f"{name}.csv", float_format="%.5g")
            write_checksums(names=[f"language/{name}.csv"])
    for part in parts:
        part.unlink()


if __name__ == "__main__":
    main()
