"""The checkers of the exercises. `python -m lecture_utils.exercises FOLDER` grades what a class has handed in."""

from lecture_utils.exercises.a2c_vs_ppo import (
    INTERVAL,
    THREE_VERDICTS,
    check_interval,
    check_number_of_runs,
    check_reading,
    check_verdicts,
    final_scores,
)
from lecture_utils.exercises.details_that_matter import (
    NORMALIZE,
    SCORED_ACTION,
    check_bug,
    check_normalize,
    check_probes,
    check_scored_action,
    plant_bug,
)
from lecture_utils.exercises.gae import GAE, MENDED_GAE, check_gae, check_lambdas, check_mended_gae
from lecture_utils.exercises.language import (
    GROUP_ADVANTAGE,
    TWO_CLIPS,
    check_estimators,
    check_group_advantage,
    check_two_clips,
    hidden_losses,
)
from lecture_utils.exercises.ppo_training import LOSS, UPDATE, check_diagnosis, check_ppo_loss, check_update, sick_runs
from lecture_utils.exercises.ratio_and_clip import (
    CLIPPED_SURROGATE,
    ENUMERATED,
    MENDED_LOSS,
    check_cases,
    check_clipped_surrogate,
    check_enumerated_surrogate,
    check_mended_loss,
)
from lecture_utils.exercises.start_here import RETURNS, check_moves, check_returns
from lecture_utils.exercises.your_own_task import ACROSS, CHOICE, check_across_episodes, check_choice

# Of every exercise that asks for a function: what it is judged by.
TASKS = {
    task.exercise: task
    for task in (
        *(RETURNS, CLIPPED_SURROGATE, MENDED_LOSS, ENUMERATED, GAE, MENDED_GAE, LOSS, UPDATE, INTERVAL, THREE_VERDICTS),
        *(SCORED_ACTION, NORMALIZE, CHOICE, ACROSS, GROUP_ADVANTAGE, TWO_CLIPS),
    )
}

__all__ = [
    "TASKS",
    "check_across_episodes",
    "check_bug",
    "check_cases",
    "check_choice",
    "check_clipped_surrogate",
    "check_diagnosis",
    "check_enumerated_surrogate",
    "check_estimators",
    "check_gae",
    "check_group_advantage",
    "check_interval",
    "check_lambdas",
    "check_mended_gae",
    "check_mended_loss",
    "check_moves",
    "check_normalize",
    "check_number_of_runs",
    "check_ppo_loss",
    "check_probes",
    "check_reading",
    "check_returns",
    "check_scored_action",
    "check_two_clips",
    "check_update",
    "check_verdicts",
    "final_scores",
    "hidden_losses",
    "plant_bug",
    "sick_runs",
]
