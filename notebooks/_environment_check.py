"""`%run _environment_check.py`: the check of lecture_utils, which this starts without importing the package."""

import pathlib
import runpy

CHECK = pathlib.Path(__file__).resolve().parents[1] / "lecture_utils" / "figures" / "environment_check.py"

if __name__ == "__main__":
    runpy.run_path(str(CHECK), run_name="__main__")
