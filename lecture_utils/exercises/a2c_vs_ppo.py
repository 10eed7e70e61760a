"""The exercises of notebook 04: write an interval, read one, and say how many runs tell two algorithms apart."""

import numpy as np
from scipy.stats import ttest_ind

from lecture_utils import checks
from lecture_utils.exercises.choices import judge_choices
from lecture_utils.exercises.judge import Refused, Task, Word, judge, plain
from lecture_utils.exercises.verdict import checker
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


@checker
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


@checker
def check_reading(answers, show=False):
    """Exercise 4.2: {sentence of QUESTIONS: True or False}, all measured on the recorded runs.

    show: whether the right answers are told, with what was measured.
    """
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
        measured=dict(zip(QUESTIONS, measured, strict=True)), show=show,
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


@checker
def check_number_of_runs(answer, show=False):
    """Exercise 4.3: the smallest of NUMBERS_OF_RUNS with which at least 80% of experiments find the difference.

    show: whether the right answer is told, with the measured shares.
    """
    answer = checks.plain(answer)
    # Many experiments, the same in every call: 16 runs come close to POWER, and a verdict must not hang on the draw.
    found = {runs: share_found(runs, 40_000, np.random.default_rng(0)) for runs in NUMBERS_OF_RUNS}
    enough = [runs for runs, share in found.items() if share >= POWER]
    question = "number of runs"
    measured = "found in this share of experiments: " + ", ".join(
        f"{n} runs: {share:.2f}" for n, share in found.items()
    )
    pairs = []
    if isinstance(answer, int | float) and enough:
        name = "too few: most such experiments end undecided" if answer < enough[0] else "more than are needed"
        pairs = [(name, {question: {n for n in NUMBERS_OF_RUNS if n != enough[0]}})]
    answers = answer if answer is ... or answer is None else {question: answer}
    return judge_choices(
        "4.3", answers, {question: set(enough[:1])}, NUMBERS_OF_RUNS,
        "Thirty-two of each, for a difference that looks large: runs differ so much that a handful decides nothing.",
        measured={question: measured}, mistakes=pairs, show=show,
    )  # fmt: skip


@checker
def check_verdicts(answer):
    """Exercise 4.4: answer(low, high, claim_low, claim_high) -> "supported", "contradicted" or "undecided".

    low, high: the ends of an interval for a number. The claim says that the number is from claim_low to claim_high.
    """
    return judge(THREE_VERDICTS, answer)


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


def _of(change):
    """Ends made from (scores, resampled means, share left out at each end)."""
    return lambda scores, rows, confidence: tuple(change(scores, scores[rows].mean(1), (1 - confidence) / 2))


def _spread(scores, means, tail):
    low, high = np.quantile(means, [tail, 1 - tail])
    return scores.mean(), (high - low) / 2


def _reflected(scores, means, tail):
    low, high = np.quantile(means, [tail, 1 - tail])
    return 2 * scores.mean() - high, 2 * scores.mean() - low


def _interval_cases(rng):
    cases, sizes = [], ((2, 4), (4, 9), (16, 200), (5, 300), (12, 400))
    confidences = rng.permutation([0.6, 0.8, 0.9, 0.6, 0.8])  # at 0.9 the outermost of few scores are their quantiles
    for (runs, resamples), confidence in zip(sizes, confidences.tolist(), strict=True):
        scores = rng.uniform(-600, -200, runs).round()
        cases.append({"scores": scores, "rows": rng.integers(0, runs, (resamples, runs)), "confidence": confidence})
    return cases


def _between_neighbours(case, name, got):
    """Any definition of a quantile is right: all lie between neighbours among the sorted resampled means."""
    scores, rows, confidence = case.values()
    means, tail = np.sort(scores[rows].mean(1)), (1 - confidence) / 2
    places = np.array([tail, 1 - tail]) * len(means)
    low, high = (means[np.clip(x, 0, len(means) - 1).astype(int)] for x in (np.ceil(places) - 2, np.floor(places) + 1))
    got, rounding = np.array([float(x) for x in got]), 1e-4 * np.abs(means).max()
    return (got >= low - rounding) & (got <= high + rounding)


INTERVAL = Task(
    "4.1", _percentiles(), _interval_cases, plain(), agrees=_between_neighbours,
    mistakes={
        "low and high are exchanged": _percentiles(swapped=True),
        "the tail is not halved: each side leaves out all of it": _percentiles(tail=lambda c: 1 - c),
        "the share left out is taken for the share inside": _percentiles(tail=lambda c: c / 2),
        "one end only: the other is the extreme of the resampled means":
            [_of(lambda s, m, t: (np.quantile(m, 2 * t), m.max())),
             _of(lambda s, m, t: (m.min(), np.quantile(m, 1 - 2 * t)))],
        "the extremes of the resampled means: confidence is not used": _of(lambda s, m, t: (m.min(), m.max())),
        "np.percentile counts to 100, and gets a share here":
            _of(lambda s, m, t: np.percentile(m, [t, 1 - t])),
        "the quantiles of the scores, not of resampled means": _of_the_scores,
        "the resampled scores are pooled: the mean of each resample is missing": _pooled,
        "the mean goes over the resamples, not over the runs": _wrong_axis,
        "median for mean": _percentiles(np.median),
        "sums of the resampled scores, not means": _percentiles(np.sum),
        "the standard deviation of each resample, not its mean": [_percentiles(np.std)],
        "the extremes of the scores": lambda scores, rows, confidence: (scores.min(), scores.max()),
        "the argument confidence is not used: a number stands in the code":
            [lambda scores, rows, confidence, fixed=c: _percentiles()(scores, rows, fixed) for c in (0.95, 0.99)],
        "mean and half width, not the two ends": _of(_spread),
        "the reflected bootstrap: the percentiles themselves are asked for": _of(_reflected),
        "the ends are measured from the mean of the scores": _of(
            lambda s, m, t: np.quantile(m, [t, 1 - t]) - s.mean()),
        "1.96 standard errors: that is not a bootstrap":
            [_normal(True), lambda scores, rows, confidence: scores.mean() + np.array([-1.96, 1.96])
             * scores[rows].mean(1).std()],
        "1.96 standard deviations of the runs: the width does not fall with their number": _normal(False),
        "the mean of the scores twice: no spread": lambda scores, rows, confidence: (scores.mean(), scores.mean()),
    },
    partly={"right for two runs only": lambda case: len(case["scores"]) == 2},
    learned="Whole runs are drawn again, each resample gives a mean, and the middle of these means is the interval.",
)  # fmt: skip

VERDICTS = ("contradicted", "undecided", "supported")


def _verdict(inside="supported", outside="contradicted", both="undecided", contains=None, **replaced):
    """The rule with words exchanged. contains: for an interval that reaches beyond both ends of a claim."""

    def function(low, high, claim_low, claim_high):
        if claim_low <= low and high <= claim_high:
            return inside
        if high < claim_low:
            return replaced.get("below", outside)
        if claim_high < low:
            return replaced.get("above", outside)
        if low < claim_low and claim_high < high:
            return contains or both
        return both

    return function


def _by(point):
    """Whether a single number of the interval is in the claim's range."""

    def function(low, high, claim_low, claim_high):
        return "supported" if claim_low <= point(low, high) <= claim_high else "contradicted"

    return function


def _of_the_middle(low, high, claim_low, claim_high):
    inside = claim_low <= (low + high) / 2 <= claim_high
    return "undecided" if _verdict()(low, high, claim_low, claim_high) == "undecided" and not inside else (
        "supported" if inside else "contradicted")  # fmt: skip


def _verdict_cases(rng):
    """The interval inside the claim, below, above, across its lower end, its upper end, around it; then one-sided.

    Where it lies across an end of the claim, its middle is inside in the first half and outside in the second.
    """
    cases = []
    for inside in (True, False):
        a, b, c, d = _four(rng)
        while ((a + c) / 2 > b, (b + d) / 2 < c) != (inside, inside):
            a, b, c, d = _four(rng)
        for low, high, claim_low, claim_high in ((b, c, a, d), (a, b, c, d), (c, d, a, b), (a, c, b, d), (b, d, a, c),
                                                 (a, d, b, c), (b, c, a, np.inf), (a, b, -np.inf, c),
                                                 (a, c, b, np.inf), (a, b, c, np.inf)):  # fmt: skip
            cases.append({"low": low, "high": high, "claim_low": claim_low, "claim_high": claim_high})
    return [cases[i] for i in rng.permutation(len(cases))]


def _four(rng):
    return np.sort(rng.choice(np.arange(-500, 500), 4, replace=False)).astype(float)


def _as_a_number(function, inputs):
    word = function(*inputs.values())
    if word is ... or word is None:
        return {"result": word}
    word = word.strip().casefold() if isinstance(word, str) else word
    if not isinstance(word, str) or word not in VERDICTS:
        raise Refused(f"none of the three verdicts ({', '.join(VERDICTS)}): {word!r:.40}")
    return {"result": Word(word, VERDICTS)}


THREE_VERDICTS = Task(
    "4.4", _verdict(), _verdict_cases, _as_a_number,
    mistakes={
        "undecided is taken for contradicted": _verdict(both="contradicted"),
        "undecided is taken for supported: a part inside the claim is not enough": _verdict(both="supported"),
        "contradicted is taken for undecided": _verdict(outside="undecided"),
        "supported and contradicted are exchanged": _verdict("contradicted", "supported"),
        "never supported: an interval inside the claim is enough": _verdict(inside="undecided"),
        "an interval that holds all of the claim supports nothing: it is too wide": _verdict(contains="supported"),
        "an interval that holds all of the claim does not contradict it": _verdict(contains="contradicted"),
        "only the middle of the interval is looked at": [_by(lambda low, high: (low + high) / 2), _of_the_middle],
        "only the lower end of the interval is looked at": _by(lambda low, high: low),
        "only the upper end of the interval is looked at": _by(lambda low, high: high),
        "an interval below the claim is not told from one across its end": _verdict(below="undecided"),
        "an interval above the claim is not told from one across its end": _verdict(above="undecided"),
        "an interval below the claim is taken to support it": _verdict(below="supported"),
        "an interval above the claim is taken to support it": _verdict(above="supported"),
        "interval and claim are exchanged": lambda a, b, c, d: _verdict()(c, d, a, b),
        "always the same verdict": [lambda *x, word=word: word for word in VERDICTS],
    },
    learned="Inside the claim: supported. Wholly outside: contradicted. Across its end: these data do not decide.",
)  # fmt: skip
