"""One thread for every test, and the two algorithms in turn."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is first imported

import pytest
import torch

from lecture_utils import A2C, PPO

torch.set_num_threads(1)


@pytest.fixture(params=[PPO, A2C], ids=["PPO", "A2C"])
def algorithm(request):
    """Both agent classes in turn."""
    return request.param
