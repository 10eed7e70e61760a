"""The exercises of notebook 04: write an interval, read one, and say how many runs tell two algorithms apart."""

import numpy as np
from scipy.stats import ttest_ind

from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Task, judge, plain
from lecture_utils.experiments.recordings import load_log
from lecture_utils.experiments.statistics import interval

NUMBERS_OF_RUNS = (2, 4, 8, 16, 32)
POWER = 0.8  # share of experiments that should find the difference
QUESTIONS = (
    "The mean of PPO is above that of A2C, as far as these runs can tell.",
    "About 95 of 100 single runs of PPO end inside its interval.",
    "One run of each algorithm would show the same order in at least 95 of 100 cases.",
    "With four times as many runs the interval would be about half as wide.",
)


def check_interval(answer):
    """Exercise 4.1: answer(scores (R,), rows (resamples, R), confidence) -> (low, high), the percentile bootstrap."""
    return judge(INTERVAL, answer)


def final_scores(episodes=250):
    """Mean return of the last `episodes` of every recorded run: {"PPO": (16,), "A2C": (16,)}."""
    scores = {}
    for name in ("ppo", "a2c"):
        log = load_log(name)
        last = log[log.episode > log.episode.max() - episodes]
        scores[name.upper()] = last.groupby("run").reward.mean().to_numpy()
    return scores


def check_reading(answers):
    """Exercise 4.2: {sentence of QUESTIONS: True or False}, all measured on the recorded runs."""
    scores, rng = final_scores(), np.random.default_rng()
    ppo, a2c = scores["PPO"], scores["A2C"]
    low, high = interval((ppo, a2c), statistic=_difference, seed=int(rng.integers(2**31)))
    own_low, own_high = interval(ppo)
    inside = ((ppo >= own_low) & (ppo <= own_high)).mean()
    pairs = rng.choice(ppo, 20_000) > rng.choice(a2c, 20_000)
    width = {n: np.diff(np.quantile(rng.choice(ppo, (4000, n)).mean(1), (0.025, 0.975)))[0] for n in (16, 64)}
    ratio = width[64] / width[16]
    truth = (low > 0, abs(inside - 0.95) < 0.05, pairs.mean() >= 0.95, abs(ratio - 0.5) < 0.1)
    measured = (
        f"95% interval of the difference of the means: {low:.0f} to {high:.0f}",
        f"interval of the mean: {own_low:.0f} to {own_high:.0f}; {inside:.0%} of the runs are inside",
        f"PPO is ahead in {pairs.mean():.0%} of the pairs",
        f"width with 64 runs: {ratio:.2f} of that with 16",
    )
    accepted = {question: {bool(answer)} for question, answer in zip(QUESTIONS, truth, strict=True)}
    runs_for_means = {**accepted, QUESTIONS[1]: {not truth[1]}}
    return judge_choices(
        "4.2", answers, accepted, (True, False),
        "An interval of the mean says where the mean is, not where single runs are; and a clear difference of means "
        "can be an unclear one between two runs.",
        measured=dict(zip(QUESTIONS, measured, strict=True)),
        mistakes=[
            ("the interval of the mean is taken for the range of the runs", runs_for_means),
            ("a clear difference of means is taken for one of any two runs",
             {**accepted, QUESTIONS[2]: {not truth[2]}}),
            ("the width is taken to fall with the number of runs, not with its root",
             {**accepted, QUESTIONS[3]: {not truth[3]}}),
            ("overlapping intervals, or the worst run, are taken for no difference",
             {**accepted, QUESTIONS[0]: {not truth[0]}}),
        ],
    )  # fmt: skip


def share_found(runs, experiments=4000, rng=None):
    """In what share of experiments with so many runs of each algorithm the t-test (Welch) finds PPO better, p < 0.05.

    Runs are drawn again from the recorded ones. rng: a NumPy generator, or None for fresh draws.
    """
    if runs not in NUMBERS_OF_RUNS:
        raise ValueError(f"runs must be one of {NUMBERS_OF_RUNS}, got {runs!r}")
    rng = np.random.default_rng() if rng is None else rng
    ppo, a2c = (rng.choice(x, (experiments, runs)) for x in final_scores().values())
    # A little noise: one run drawn twice has no spread, and the test would not be defined.
    ppo, a2c = (x + rng.normal(0, 0.1, x.shape) for x in (ppo, a2c))
    test = ttest_ind(ppo, a2c, axis=1, equal_var=False)
    return float(((test.pvalue < 0.05) & (test.statistic > 0)).mean())


def check_number_of_runs(answer):
    """Exercise 4.3: the smallest of NUMBERS_OF_RUNS with which at least 80% of experiments find the difference."""
    # Many experiments, the same in every call: 16 runs come close to POWER, and a verdict must not hang on the draw.
    found = {runs: share_found(runs, 40_000, np.random.default_rng(0)) for runs in NUMBERS_OF_RUNS}
    enough = [runs for runs, share in found.items() if share >= POWER]
    question = "number of runs"
    measured = "found in this share of experiments: " + ", ".join(
        f"{n} runs: {share:.2f}" for n, share in found.items()
    )
    pairs = []
    if isinstance(answer, int) and enough:
        name = "too few: most such experiments end undecided" if answer < enough[0] else "more than are needed"
        pairs = [(name, {question: {n for n in NUMBERS_OF_RUNS if n != enough[0]}})]
    answers = answer if answer is ... or answer is None else {question: answer}
    return judge_choices(
        "4.3", answers, {question: set(enough[:1])}, NUMBERS_OF_RUNS,
        "Thirty-two of each, for a difference that looks large: runs differ so much that a handful decides nothing.",
        measured={question: measured}, mistakes=pairs,
    )  # fmt: skip


def _difference(x, y, axis=-1):
    return x.mean(axis) - y.mean(axis)


def _percentiles(statistic=np.mean, tail=lambda c: (1 - c) / 2, swapped=False):
    def function(scores, rows, confidence):
        statistics = statistic(scores[rows], axis=1)
        low, high = np.quantile(statistics, [tail(confidence), 1 - tail(confidence)])
        return (high, low) if swapped else (low, high)

    return function


def _of_the_scores(scores, rows, confidence):
    return tuple(np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2]))


def _pooled(scores, rows, confidence):
    return tuple(np.quantile(scores[rows], [(1 - confidence) / 2, (1 + confidence) / 2]))


def _normal(divide):
    def function(scores, rows, confidence):
        half = 1.96 * scores.std(ddof=1) / (np.sqrt(len(scores)) if divide else 1)
        return scores.mean() - half, scores.mean() + half

    return function


def _wrong_axis(scores, rows, confidence):
    return tuple(np.quantile(scores[rows].mean(0), [(1 - confidence) / 2, (1 + confidence) / 2]))


def _interval_cases(rng):
    cases = []
    for runs, resamples in ((2, 4), (4, 9), (16, 200), (5, 300)):
        scores = rng.uniform(-600, -200, runs).round()
        confidence = float(rng.choice([0.5, 0.8, 0.9]))
        cases.append({"scores": scores, "rows": rng.integers(0, runs, (resamples, runs)), "confidence": confidence})
    return cases


INTERVAL = Task(
    "4.1", _percentiles(), _interval_cases, plain(),
    mistakes={
        "low and high are exchanged": _percentiles(swapped=True),
        "the tail is not halved: each side leaves out all of it": _percentiles(tail=lambda c: 1 - c),
        "the quantiles of the scores, not of resampled means": _of_the_scores,
        "the resampled scores are pooled: the mean of each resample is missing": _pooled,
        "the mean goes over the resamples, not over the runs": _wrong_axis,
        "median for mean": _percentiles(np.median),
        "the argument confidence is not used: 0.95 stands in the code":
            lambda scores, rows, confidence: _percentiles()(scores, rows, 0.95),
        "1.96 standard errors: that is not a bootstrap": _normal(True),
        "1.96 standard deviations of the runs: the width does not fall with their number": _normal(False),
        "the mean of the scores twice: no spread": lambda scores, rows, confidence: (scores.mean(), scores.mean()),
    },
    partly={"right for two runs only": lambda case: len(case["scores"]) == 2},
    learned="Whole runs are drawn again, each resample gives a mean, and the middle of these means is the interval.",
)  # fmt: skip
