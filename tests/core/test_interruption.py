"""Training that is interrupted, and training that diverges."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from helpers import networks, weights

from lecture_utils import A2C, PPO, Hyperparameters, TrainingDiverged, train
from lecture_utils.training import LOG_COLUMNS

SMALL = Hyperparameters(hidden=(8,), passes=1)


def check_goes_on(agent, log, first=0):
    """The log holds whole updates, the agent acts, and training continues its numbering."""
    runs, per_update = agent.runs, agent.hyperparameters.episodes_per_update
    assert tuple(log.columns) == LOG_COLUMNS
    assert {dtype.kind for dtype in log.dtypes} == {"i", "f"}  # numbers even where no update was finished
    assert len(log) == runs * (agent.episodes - first)
    assert agent.updates * per_update - agent.episodes in (0, per_update)  # at most the interrupted update is not told
    assert sorted(log.episode.unique()) == list(range(first, agent.episodes))
    assert np.isfinite(weights(agent)).all()
    assert np.isfinite(agent(np.zeros((runs, 3)))).all()
    before = agent.episodes
    more = train(agent, 2 * per_update, progress=False)
    assert sorted(more.episode.unique()) == list(range(before, before + 2 * per_update))


@pytest.mark.parametrize("method", ["update", "prepare", "step", "noise", "take_step"])
def test_interrupted_in_a_random_call(algorithm, method, monkeypatch):
    agent = algorithm(3, 1, SMALL, seeds=[0, 1])
    train(agent, 3, progress=False)
    calls = np.random.default_rng(len(method)).integers(1, 60 if method in ("step", "take_step") else 9)
    original = getattr(agent, method)
    left = iter(range(calls, -1, -1))

    def interrupted(*args, **kwargs):
        if next(left) == 0:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(agent, method, interrupted)
        log = train(agent, 40, progress=False)
    assert 3 <= agent.episodes < 40
    check_goes_on(agent, log, first=3)


class InterruptAtLine:
    """Raises KeyboardInterrupt before the n-th line that the package executes inside train's loop."""

    def __init__(self, n=None):
        self.n, self.count, self.started = n, 0, False

    def __call__(self, frame, event, arg):
        name = frame.f_code.co_name
        self.started = (self.started or name == "collect_episodes") and name != "_frame"
        if "lecture_utils" not in frame.f_code.co_filename:
            return None
        if event == "line" and self.started:
            self.count += 1
            if self.count == self.n:
                raise KeyboardInterrupt
        return self

    def run(self, agent, episodes):
        before = sys.gettrace()
        sys.settrace(self)
        try:
            return train(agent, episodes, progress=False)
        finally:
            sys.settrace(before)


@pytest.mark.parametrize("h", [SMALL, SMALL.replace(episodes_per_update=2, shuffle=True)])
def test_interrupted_at_a_random_line(h):
    episodes = 2 * h.episodes_per_update
    counter = InterruptAtLine()
    counter.run(PPO(3, 1, h, seeds=[0, 1]), episodes)
    lines = np.random.default_rng(0).integers(1, counter.count - 30, 10).tolist()
    # All those around the end of an update, where the log and the agent's count of episodes change.
    lines += range(counter.count - 25, counter.count - 8)
    for line in lines:
        agent = PPO(3, 1, h, seeds=[0, 1])
        check_goes_on(agent, InterruptAtLine(line).run(agent, episodes))


SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may have it ignored
import numpy as np
from lecture_utils import PPO, train
agent = PPO(3, 1, seeds=[0, 1])
train(agent, 1, progress=False)
print("ready", flush=True)
log = train(agent, 100_000, progress=False)
assert len(log) == 2 * (agent.episodes - 1) < 200_000, (len(log), agent.episodes)
assert np.isfinite(agent(np.zeros((2, 3)))).all()
more = train(agent, 2, progress=False)
assert more.episode.max() == agent.episodes - 1
print("went on", len(log))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process only")
def test_a_real_ctrl_c():
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.3)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert output.startswith("went on"), errors


def plant_nan(agent, network, run, after):
    """Let one weight of one run be NaN after so many more updates; returns the weights at that moment."""
    update, at_that_time = agent.update, {}

    def then_plant(rollout):
        log = update(rollout)
        then_plant.calls += 1
        if then_plant.calls == after:
            layers = networks(agent)[network]
            with torch.no_grad():
                next(layers.parameters())[run, 0, 0] = torch.nan
            at_that_time.update({k: weights(agent, k) for k in range(agent.runs)})
        return log

    then_plant.calls = 0
    agent.update = then_plant
    return at_that_time


@pytest.mark.parametrize("network", ["actor", "critic"])
def test_a_nan_in_one_run_is_named_and_leaves_the_others(algorithm, network):
    agent = algorithm(3, 1, SMALL, seeds=[10, 11, 12, 13])
    train(agent, 2, progress=False)
    before = plant_nan(agent, network, run=2, after=3)
    with pytest.raises(TrainingDiverged, match=r"run 2 \(seed 12\) diverged in episode 5") as caught:
        train(agent, 10, progress=False)
    error = caught.value
    assert (error.run, error.episode) == (2, 5)
    assert error.log.groupby("run").episode.apply(list).tolist() == [[2, 3, 4]] * 4
    assert np.isfinite(error.log.to_numpy()).all()
    for run in (0, 1, 3):
        assert np.array_equal(weights(agent, run), before[run])
    del agent.update
    healthy = agent.select([0, 1, 3])
    check_goes_on(healthy, train(healthy, 1, progress=False), first=5)
    with pytest.raises(TrainingDiverged, match="run 2 "):
        train(agent, 1, progress=False)


def test_a_loss_that_stops_being_finite_does_not_reach_the_others(algorithm, monkeypatch):
    h = SMALL.replace(max_grad_norm=0.5)
    clean, agent = (algorithm(3, 1, h, seeds=[10, 11, 12]) for _ in range(2))
    actor_loss = agent.actor_loss

    def poisoned(log_prob, batch):
        factor = torch.tensor([1.0, torch.nan if agent.updates == 3 else 1.0, 1.0])
        return actor_loss(log_prob, batch) * factor

    monkeypatch.setattr(agent, "actor_loss", poisoned)
    with pytest.raises(
        TrainingDiverged, match=r"run 1 \(seed 11\) diverged in episode 3: loss_act is not finite"
    ) as caught:
        train(agent, 10, progress=False)
    train(clean, 4, progress=False)
    assert np.array_equal(weights(agent, 0), weights(clean, 0))
    assert np.array_equal(weights(agent, 2), weights(clean, 2))
    log = caught.value.log
    assert np.isfinite(log[log.run != 1].to_numpy()).all()
    assert log[(log.run == 1) & log.loss_act.isna()].episode.tolist() == [3]
    assert agent.episodes == 4


def test_a_learning_rate_that_is_far_too_large_ends_as_divergence():
    agent = A2C(3, 1, Hyperparameters(actor_lr=1e30, critic_lr=1e30), seeds=[0])
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged, match=r"Try a smaller actor_lr or critic_lr"):
        train(agent, 20, progress=False)
