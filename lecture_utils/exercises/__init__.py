"""The checkers of the exercises. `python -m lecture_utils.exercises NOTEBOOK...` sums up what a class has handed in."""

from lecture_utils.exercises.a2c_vs_ppo import check_interval, check_number_of_runs, check_reading, final_scores
from lecture_utils.exercises.details_that_matter import check_bug, check_normalize, check_scored_action, plant_bug
from lecture_utils.exercises.gae import check_gae, check_lambdas, check_mended_gae
from lecture_utils.exercises.language import check_estimators, check_group_advantage, check_two_clips, hidden_losses
from lecture_utils.exercises.ppo_training import check_diagnosis, check_ppo_loss, check_update, sick_runs
from lecture_utils.exercises.ratio_and_clip import check_cases, check_clipped_surrogate, check_mended_loss

__all__ = [
    "check_bug",
    "check_cases",
    "check_clipped_surrogate",
    "check_diagnosis",
    "check_estimators",
    "check_gae",
    "check_group_advantage",
    "check_interval",
    "check_lambdas",
    "check_mended_gae",
    "check_mended_loss",
    "check_normalize",
    "check_number_of_runs",
    "check_ppo_loss",
    "check_reading",
    "check_scored_action",
    "check_two_clips",
    "check_update",
    "final_scores",
    "hidden_losses",
    "plant_bug",
    "sick_runs",
]
