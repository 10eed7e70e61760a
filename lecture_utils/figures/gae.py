"""The figures of notebook 02: weights, an episode's advantages, the offset of a state, the angle of a gradient."""

import numpy as np

from lecture_utils import gae
from lecture_utils.figures.style import PALETTE, fixed_settings, new_figure

LOOKS = {  # of a lambda, the same in every figure: color, line style, marker
    0.0: ("orange", "-", "o"),
    0.6: ("yellow", (0, (5, 1, 1, 1)), "v"),
    0.85: ("purple", "--", "s"),
    0.95: ("blue", "-.", "^"),
    1.0: ("green", ":", "D"),
}


def _look(gae_lambda):
    color, style, marker = LOOKS.get(gae_lambda, ("grey", "-", "x"))
    return {"color": PALETTE[color], "linestyle": style, "marker": marker}


@fixed_settings()
def weights(gamma, lambdas, steps=30):
    """The weight (gamma lambda)^l of the l-th temporal-difference error, one curve a lambda."""
    figure, axes = new_figure(width=7.0, height=3.2)
    for gae_lambda in lambdas:
        weight = (gamma * gae_lambda) ** np.arange(steps + 1.0)
        axes.plot(weight, **_look(gae_lambda), markersize=4, label=rf"$\lambda$ = {gae_lambda:g}")
    axes.set(xlabel="$l$ (steps ahead)", ylabel=r"weight $(\gamma\lambda)^l$", ylim=(-0.03, 1.05))
    axes.legend(frameon=False)
    return figure


@fixed_settings()
def episode(rewards, values, next_values, *, gamma, lambdas):
    """Rewards and values of one episode (T,) above its advantages for each lambda; the episode was cut, not ended."""
    figure, rows = new_figure(1 + len(lambdas), width=7.5, height=2.1 + 1.5 * len(lambdas), sharex=True)
    axes = rows[0]
    axes.plot(values, color=PALETTE["green"], linestyle="--", label="value $V(s_t)$ of the critic")
    axes.plot(rewards, color=PALETTE["black"], label="reward $R_t$")
    axes.set_ylabel("reward,\ndiscounted rewards")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, frameon=False)
    for axes, gae_lambda in zip(rows[1:], lambdas, strict=True):
        _advantages(axes, rewards, values, next_values, gamma, gae_lambda)
        axes.set_title(rf"$\lambda$ = {gae_lambda:g}", loc="left", pad=3)
    rows[-1].set_xlabel("$t$ (steps of 0.05 s)")
    return figure


def _advantages(axes, rewards, values, next_values, gamma, gae_lambda):
    going_on = np.zeros(len(rewards))
    advantages = gae(rewards, values, next_values, going_on, gamma=gamma, gae_lambda=gae_lambda)
    steps = np.arange(len(rewards))
    axes.set_axisbelow(True)
    axes.axhline(0, color=PALETTE["grey"], linewidth=1)
    axes.fill_between(steps, advantages, where=advantages >= 0, color=PALETTE["blue"], interpolate=True, linewidth=0)
    axes.fill_between(steps, advantages, where=advantages <= 0, color=PALETTE["orange"], interpolate=True, linewidth=0)
    axes.plot(steps, advantages, color=PALETTE["black"], linewidth=0.8, linestyle="-")
    axes.set_ylabel("advantage")


@fixed_settings()
def offset(table):
    """The true advantage of one state's actions, and the mean of GAE's estimates with their scatter, a curve a lambda.

    table: DataFrame lambda, torque, advantage, estimate, scatter, as `true_advantages.by_action` returns it.
    """
    figure, ((axes,),) = new_figure(width=7.5, height=4.2, squeeze=False)
    lambdas = table.groupby("lambda", sort=False)
    truth = next(iter(lambdas))[1]
    axes.plot(truth["torque"], truth["advantage"], color=PALETTE["black"], linewidth=3, label="true advantage")
    for i, (gae_lambda, rows) in enumerate(lambdas):
        look = _look(gae_lambda) | {"label": rf"mean estimate, $\lambda$ = {gae_lambda:g}"}
        x = rows["torque"] + 0.04 * (i - 1)  # side by side, so that no bar hides another
        axes.errorbar(x, rows["estimate"], yerr=rows["scatter"], **look, markersize=6, elinewidth=1.2, capsize=3)
    ends = [rows[column].iloc[-2:].mean() for column in ("advantage", "estimate")]  # between the last two torques
    middle = rows["torque"].iloc[-2:].mean()
    axes.annotate("", (middle, ends[0]), (middle, ends[1]), arrowprops={"arrowstyle": "<->", "linewidth": 1.5})
    axes.annotate("offset ", (middle, 0.7 * ends[0] + 0.3 * ends[1]), rotation=90, ha="right", va="center")
    axes.axhline(0, color=PALETTE["grey"], linewidth=1)
    axes.set(xlabel="action (torque in N m)", ylabel="advantage\n(discounted rewards)")
    axes.set_xticks(truth["torque"])
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


@fixed_settings()
def gradient_angle(table):
    """Cosine between the policy gradient of a batch and the true one, over the size; a panel an age, a curve a lambda.

    table: DataFrame updates, lambda, samples, cosine, low, high. Rows with samples = inf, the mean of all rollouts, are
    drawn behind the largest batch, apart from the curves.
    """
    ages = list(dict.fromkeys(table["updates"]))
    figure, panels = new_figure(1, len(ages), width=9.0, height=3.8, sharey=True, squeeze=False)
    sizes = sorted(set(table["samples"]) - {np.inf})
    last = sizes[-1] * 5  # where "all" stands on the logarithmic axis
    for axes, age in zip(panels[0], ages, strict=True):
        lambdas = table[table["updates"] == age].groupby("lambda", sort=False)
        for i, (gae_lambda, rows) in enumerate(lambdas):
            curve, all_of_them = rows[rows["samples"] < np.inf], rows[rows["samples"] == np.inf]
            shift = 1.06 ** (i - 1)  # side by side, so that no interval hides another
            for part, look, x in (
                (curve, _look(gae_lambda) | {"label": rf"$\lambda$ = {gae_lambda:g}"}, curve["samples"] * shift),
                (all_of_them, _look(gae_lambda) | {"linestyle": "none"}, [last * shift] * len(all_of_them)),
            ):
                bars = part["cosine"] - part["low"], part["high"] - part["cosine"]
                axes.errorbar(x, part["cosine"], yerr=bars, **look, markersize=6, elinewidth=1.2, capsize=2)
        axes.axhline(0, color=PALETTE["grey"], linewidth=1)
        axes.set(xscale="log", xlabel="samples of the batch", title=f"after {age} updates", ylim=(-0.75, 1.05))
        axes.set_xticks([*sizes, last], [*(f"{size:,.0f}" for size in sizes), "all"])
        axes.minorticks_off()
    panels[0, 0].set_ylabel("cosine to the true gradient")
    panels[0, -1].legend(loc="lower center", frameon=False, ncols=2)
    return figure
