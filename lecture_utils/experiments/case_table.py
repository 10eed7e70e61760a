"""The surrogate-objective table: what min and clip do, by the sign of A and the place of r, every entry computed."""

import pandas as pd
import torch

from lecture_utils import checks, clipped_surrogate, surrogate

# The lecture's rows: the sign of A and the interval of r, each end as (offset, how many epsilons).
LECTURE_ROWS = (
    ("Good action, already much more likely", +1, "r > 1 + ε", (1, +1), (3, 0)),
    ("Good action, still below old policy", +1, "r < 1", (0, 0), (1, 0)),
    ("Bad action, already much less likely", -1, "r < 1 - ε", (0, 0), (1, -1)),
    ("Bad action, still above old policy", -1, "r > 1", (1, 0), (3, 0)),
)
SIGNS = {1: "A > 0", -1: "A < 0", 0: "A = 0"}
SIGN = {name: sign for sign, name in SIGNS.items()}
PLACES = ("below", "lower edge", "inside", "upper edge", "above")


def case_table(clip=0.2):
    """The complete table: A = +1, -1 and 0 by r below, on the lower edge, inside, on the upper edge and above.

    clip: epsilon, in (0, 1). Returns a DataFrame of 15 rows: advantage (its sign), position and ratio; unclipped,
    clipped and objective (equation 7 of Schulman et al. 2017, arXiv 1707.06347); branch, the one that the min takes
    ("tie" where they are equal); gradient, d objective / d ratio by autograd; clip_alone, the gradient of
    clip(r) A without the min; and what becomes of the action. Raises ValueError for another clip.
    """
    _check(clip)
    half = (1 + clip) / 2  # puts the outer two points halfway between 0 and the band, and as far on the other side
    ratios = dict(zip(PLACES, (1 - half, 1 - clip, 1.0, 1 + clip, 1 + half), strict=True))
    rows = [
        {"advantage": SIGNS[sign], "position": place, **_case(sign, ratio, clip)}
        for sign in SIGNS
        for place, ratio in ratios.items()
    ]
    table = pd.DataFrame(rows)
    table["action"] = [_what_happens(row, clip) for row in rows]
    return table


def lecture_cases(clip=0.2):
    """The lecture's four rows, each computed at many ratios of its interval (up to r = 3).

    Returns a DataFrame: case and condition, as the lecture has them; the objective at both ends; branch, gradient and
    clip_alone, every value that occurs in the interval, from the band outwards; and what becomes of the action. Raises
    ValueError for a clip outside (0, 1).
    """
    _check(clip)
    rows = []
    for name, sign, condition, *ends in LECTURE_ROWS:
        low, high = (offset + epsilons * clip for offset, epsilons in ends)
        ratios = torch.linspace(low, high, 201, dtype=torch.float64)[1:-1].tolist()
        cases = [_case(sign, ratio, clip) for ratio in sorted(ratios, key=lambda ratio: abs(ratio - 1))]
        seen = {key: list(dict.fromkeys(case[key] for case in cases)) for key in ("branch", "gradient", "clip_alone")}
        first, last = (f"{cases[i]['objective']:.1f}" for i in (0, -1))
        row = {"case": name, "condition": f"{SIGNS[sign]}, {condition}"}
        row["objective"] = first if first == last else f"{first} to {last}"
        row |= {key: ", then ".join(v if key == "branch" else f"{v:g}" for v in values) for key, values in seen.items()}
        rows.append(row | {"action": _lecture_effect(seen)})
    return pd.DataFrame(rows)


def _check(clip):
    if not isinstance(checks.plain(clip), (int, float)) or not 0 < clip < 1:
        raise ValueError(
            f"clip must be a number in (0, 1), so that the band has a below, an inside and an above, got {clip!r}"
        )


def _case(sign, ratio, clip):
    """The numbers of one row, at one ratio."""
    advantage = torch.tensor(float(sign), dtype=torch.float64)
    r = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    unclipped = surrogate(r, advantage)
    clipped = surrogate(r.clamp(1 - clip, 1 + clip), advantage)
    objective = clipped_surrogate(r, advantage, clip)
    taken = [name for name, x in {"unclipped": unclipped, "clipped": clipped}.items() if x == objective]
    branch = "tie" if len(taken) == 2 else "".join(taken)
    slope, alone = (torch.autograd.grad(x, r, retain_graph=True)[0].item() + 0.0 for x in (objective, clipped))
    values = {"unclipped": unclipped.item() + 0.0, "clipped": clipped.item() + 0.0, "objective": objective.item() + 0.0}
    return {"ratio": ratio, **values, "branch": branch, "gradient": slope, "clip_alone": alone}


def _what_happens(row, clip):
    before, after = (_case(SIGN[row["advantage"]], row["ratio"] + step, clip)["gradient"] for step in (-1e-9, 1e-9))
    if before != after:
        return f"{_effect(row['gradient'])} (a corner)"
    if row["gradient"] != 0 and row["clip_alone"] == 0:
        return f"{_effect(row['gradient'])}, thanks to the min"
    return _effect(row["gradient"])


def _lecture_effect(seen):
    (gradient,) = seen["gradient"]
    if gradient != 0 and 0 in seen["clip_alone"]:
        return f"{_effect(gradient)}; outside the band thanks to the min"
    return _effect(gradient)


def _effect(gradient):
    if gradient == 0:
        return "left alone"
    return "made likelier" if gradient > 0 else "made less likely"
