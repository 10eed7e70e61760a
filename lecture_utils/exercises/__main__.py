"""`python -m lecture_utils.exercises NOTEBOOK...` sums up what a class has handed in."""

import sys

from lecture_utils.exercises.class_summary import main

if __name__ == "__main__":
    sys.exit(main())
