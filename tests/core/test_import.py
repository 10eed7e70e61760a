"""The package imports without the plotting and notebook libraries, which are slow and not always wanted."""

import subprocess
import sys

import lecture_utils

CHECK = """
import sys, lecture_utils
slow = {"matplotlib", "IPython", "ipywidgets", "jupyterlab", "pygame", "scipy", "stable_baselines3"}
sys.exit(repr(loaded) if (loaded := slow & set(sys.modules)) else 0)
"""

TRAIN = """
import sys, lecture_utils
lecture_utils.train(lecture_utils.PPO(3, 1), 1, progress=False)
sys.exit("torch._dynamo" in sys.modules)
"""


def test_import_loads_no_plotting_and_no_notebook_library():
    subprocess.run([sys.executable, "-W", "error", "-c", CHECK], check=True)


def test_training_loads_no_compiler():
    """It would take more than a second and 70 MB in every kernel; torch.optim loads it."""
    subprocess.run([sys.executable, "-W", "error", "-c", TRAIN], check=True)


def test_all_is_there_and_sorted():
    assert all(hasattr(lecture_utils, name) for name in lecture_utils.__all__)
    assert len(set(lecture_utils.__all__)) == len(lecture_utils.__all__)
