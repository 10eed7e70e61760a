"""The ladder begins at the lecture's recipe, ends at TUNED, and every step of it is one detail."""

import dataclasses
import itertools

import numpy as np
import torch

from lecture_utils import PPO, TUNED, TUNED_EPISODES, Hyperparameters
from lecture_utils.experiments.ladder import (
    BUG_RECIPES,
    DETAILS,
    FORM_RECIPES,
    FORMS,
    LADDER,
    LEAVE_ONE_OUT,
    STARTS_AT,
    settings,
)
from lecture_utils.experiments.museum import BUGS


def changed(a, b):
    a, b = dataclasses.asdict(a), dataclasses.asdict(b)
    return {name for name in a if a[name] != b[name]}


def test_the_ladder_leads_from_the_lectures_recipe_to_tuned():
    rungs = list(LADDER.values())
    assert (rungs[0], rungs[-1]) == (Hyperparameters(), TUNED)
    steps = [changed(a, b) for a, b in itertools.pairwise(rungs)]
    assert all(steps)
    assert [step <= set(fields) for step, fields in zip(steps, DETAILS.values(), strict=True)] == [True] * len(steps)


def test_every_detail_is_left_out_alone():
    assert list(LEAVE_ONE_OUT) == ["nothing", *DETAILS]
    for name, fields in DETAILS.items():
        also = {"anneal_updates"} if "episodes_per_update" in fields else set()
        assert changed(LEAVE_ONE_OUT[name], TUNED) <= set(fields) | also
        # The lecture's own start has no one number, and 0 would be TUNED's.
        lecture = Hyperparameters(initial_std=STARTS_AT[0])
        assert changed(LEAVE_ONE_OUT[name], lecture).isdisjoint(fields)


def test_steps_shrink_to_the_end_of_the_training_and_not_before():
    """Left out, the episodes an update make sixteen times as many updates: none of them may have no step at all."""
    for recipe in [*LADDER.values(), *LEAVE_ONE_OUT.values()]:
        if recipe.anneal_updates:
            assert recipe.anneal_updates * recipe.episodes_per_update == TUNED_EPISODES


def test_every_setting_can_be_run():
    named = settings()
    assert len(named) == len(LADDER) + len(LEAVE_ONE_OUT) + len(BUGS) + 1 + len(FORM_RECIPES) * 3 * 3
    assert {setting.episodes for setting in named.values()} == {TUNED_EPISODES}
    for setting in named.values():
        assert setting.block % setting.hyperparameters.episodes_per_update == 0
    assert BUG_RECIPES["EntropySign"].entropy_coef > 0


def test_form_and_start_are_crossed_and_nothing_else_differs():
    crossed = {name: setting.hyperparameters for name, setting in settings().items() if name.startswith("std_")}
    for k, recipe in enumerate(FORM_RECIPES.values()):
        for form, start in itertools.product(FORMS, STARTS_AT):
            found = crossed.pop(f"std_{k}_{form}_{start:g}")
            assert found == recipe.replace(std_head=form, initial_std=start)
    assert not crossed


def test_the_lectures_networks_start_about_as_narrow_as_the_narrowest():
    agent = PPO(3, 1, Hyperparameters(), seeds=range(16))
    angle, speed = np.random.default_rng(0).uniform(-1, 1, (2, 16, 500)) * [[[np.pi]], [[8]]]
    states = np.stack([np.cos(angle), np.sin(angle), speed], axis=-1)
    with torch.no_grad():
        std = agent.actor(torch.as_tensor(states, dtype=torch.float32))[1]
    assert STARTS_AT[0] / 2 < std.median().item() < 4 * STARTS_AT[0]
