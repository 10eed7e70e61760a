"""A program of a student's own, on a console that knows few signs, without a home folder."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import matplotlib
matplotlib.use("Agg")
from lecture_utils import PPO, evaluate, train
from lecture_utils.exercises import check_choice, check_gae
from lecture_utils.figures.loop import loop

for verdict in (check_gae(lambda *a, **k: 1.0), check_gae(...), check_choice(lambda *a: None)):
    print(verdict)
agent = PPO(3, 1)
log = train(agent, 2)  # with its bar
print(log.round(2).to_string(), evaluate(agent, 2).shape)
loop("learn")
try:
    PPO.load("missing.pt")
except FileNotFoundError as error:
    print(error)
print("through")
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_program_runs_on_any_console_and_without_a_home(encoding, tmp_path):
    kept = {name: x for name, x in os.environ.items() if name not in ("HOME", "MPLCONFIGDIR", "PYTHONIOENCODING")}
    kept |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=kept, cwd=tmp_path, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode(encoding, "replace")
    out = done.stdout.decode(encoding)
    assert out.rstrip().endswith("through")
    assert "2.1 GAE: wrong" in out
