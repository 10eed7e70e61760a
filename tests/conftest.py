"""One thread for every test, the two algorithms in turn, and the order of the tests for two workers."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is first imported

import hypothesis
import pytest
import torch

from lecture_utils import A2C, PPO

torch.set_num_threads(1)
hypothesis.settings.register_profile("lecture", deadline=None)  # what else the machine does fails no test
hypothesis.settings.load_profile("lecture")


@pytest.fixture(params=[PPO, A2C], ids=["PPO", "A2C"])
def algorithm(request):
    """Both agent classes in turn."""
    return request.param


# Files with tests that take long, in the order in which they begin: a long test begun last keeps a worker waiting.
LONG = ["test_notebooks_run_twice", "test_exercises_summary", "test_pages", "test_order", "test_interruption_kernel"]
LONG += ["test_style"]
ONE_BY_ONE = {"test_notebooks_run_twice", "test_order"}  # the other files' tests share what they build, and so a worker


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return nodeid if any(name in file for name in ONE_BY_ONE) else file

    return Scheduling(config, log)
