"""The checkers of the exercises. `python -m lecture_utils.exercises NOTEBOOK...` sums up what a class has handed in."""

import sys

from lecture_utils.exercises_clip import check_cases, check_clipped_surrogate, check_mended_loss
from lecture_utils.exercises_details import check_normalize, check_scored_action
from lecture_utils.exercises_gae import check_gae, check_lambdas, check_mended_gae
from lecture_utils.exercises_interval import check_interval, check_number_of_runs, check_reading, final_scores
from lecture_utils.exercises_runs import check_bug, check_diagnosis, plant_bug, sick_runs
from lecture_utils.exercises_training import check_ppo_loss, check_update

__all__ = [
    "check_bug",
    "check_cases",
    "check_clipped_surrogate",
    "check_diagnosis",
    "check_gae",
    "check_interval",
    "check_lambdas",
    "check_mended_gae",
    "check_mended_loss",
    "check_normalize",
    "check_number_of_runs",
    "check_ppo_loss",
    "check_reading",
    "check_scored_action",
    "check_update",
    "final_scores",
    "plant_bug",
    "sick_runs",
]

if __name__ == "__main__":
    from lecture_utils.exercises_summary import main

    sys.exit(main())
