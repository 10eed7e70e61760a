"""The stop button: a kernel is interrupted ten times while a cell trains, each time at a random moment."""

import time

import numpy as np
import psutil
import pytest
from jupyter_client.manager import start_new_kernel

SETUP = """
import numpy as np
from lecture_utils import PPO, train
agent = PPO(3, 1, seeds=[0, 1])
log = train(agent, 1, progress=False)
"""
TRAIN = """
before = agent.episodes
print("begun")
log = train(agent, 100_000)
"""
NEXT = """
assert len(log) == 2 * (agent.episodes - before) < 200_000, (len(log), before, agent.episodes)
assert sorted(log.episode.unique()) == list(range(before, agent.episodes))
assert np.isfinite(log.drop(columns="explained_variance").to_numpy()).all()
assert np.isfinite(agent(np.zeros((2, 3)))).all()
more = train(agent, 1, progress=False)
assert more.episode.tolist() == [agent.episodes - 1] * 2
"""
TOO_LONG = 300  # seconds


def until_begun(client, message):
    """Wait for what the cell prints before it trains."""
    while True:
        found = client.get_iopub_msg(timeout=TOO_LONG)
        if found["parent_header"].get("msg_id") == message and found["content"].get("text") == "begun\n":
            return


def reply(client, message):
    while (found := client.get_shell_msg(timeout=TOO_LONG))["parent_header"].get("msg_id") != message:
        pass
    return found["content"]


def run(client, code):
    content = reply(client, client.execute(code))
    assert content["status"] == "ok", content.get("traceback")


@pytest.mark.slow
def test_ten_interrupts_of_a_training_cell():
    manager, client = start_new_kernel()
    try:
        process = psutil.Process(manager.provisioner.pid)
        run(client, SETUP)
        for moment in np.random.default_rng(0).uniform(0.02, 1.0, 10):
            training = client.execute(TRAIN)
            until_begun(client, training)
            time.sleep(moment)
            manager.interrupt_kernel()
            content = reply(client, training)
            assert content["status"] == "ok", content.get("traceback")
            run(client, NEXT)
        assert process.children(recursive=True) == []
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)
    psutil.wait_procs([process], timeout=TOO_LONG)
    assert not process.is_running()
