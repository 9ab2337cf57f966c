"""`edge-rnn sweep` from end to end: killed, continued by two processes, and a trial chosen."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from edge_runtime.runs.run_directory import Run
from tests.support.command_server import edge_rnn
from tests.support.commands import succeed
from train.sweep.liveness import join_workers
from train.sweep.run_sweep import plan_of
from train.sweep.spec import read_spec
from train.sweep.study import open_study

TRIALS = 2
SPEC = f"""
[data]
path = "windows.npz"
[train]
preset = "sensor"
iterations = 30
[search]
cell = ["gru", "rnn"]
units = [4, 6]
[convert]
precision = "float32"
[sweep]
trials = {TRIALS}
cost = "size"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The spec, and windows of six persons whose classes differ by the sign of a feature."""
    path = tmp_path_factory.mktemp("sweep")
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    x = rng.standard_normal((240, 6, 2)).astype(np.float32) + (2 * y - 1)[:, np.newaxis, np.newaxis]
    groups = np.array([f"p{k}" for k in np.arange(240) // 40])
    np.savez(path / "windows.npz", x=x.astype(np.float32), y=y, groups=groups)
    (path / "SPEC.toml").write_text(SPEC)
    return path


def start(folder) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_runtime", "sweep", "SPEC.toml", "--out", "out"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def swept(folder) -> list[str]:
    """What two processes print that continue a sweep whose process was killed in its first trial."""
    killed = start(folder)
    journal = folder / "out" / "study.journal"
    deadline = time.monotonic() + 300
    while not (journal.exists() and '"cell"' in journal.read_text()):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    processes = [start(folder), start(folder)]
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return outputs


def test_two_processes_share_the_trials_of_one_that_was_killed(folder, swept):
    out = folder / "out"
    states = [trial.state.name for trial in study_of(folder).get_trials()]
    assert sorted(states) == ["COMPLETE"] * TRIALS + ["FAIL"]
    assert states[0] == "FAIL"
    assert {path.name for path in out.iterdir()} == {
        *("front.json", "front.md", "front.png", "study.journal", "workers")
    }
    assert list((out / "workers").iterdir()) == []
    record = json.loads((out / "front.json").read_text())
    point = record["front"][0]
    assert 0.5 < point["accuracy"] <= 1
    assert point["worst_group"][0].startswith("p")
    assert point["cost"] is None
    for output in swept:
        assert "test" not in output
        assert f"trial {point['trial']}: {100 * point['accuracy']:.2f} % of {point['windows']}" in output
    assert "test" not in (out / "front.json").read_text()
    assert "test" not in (out / "study.journal").read_text()


def study_of(folder):
    with join_workers(folder / "out") as worker:
        return open_study(plan_of(read_spec(folder / "SPEC.toml")), worker, create=False)


def test_the_test_split_is_looked_at_for_the_chosen_trial_only(folder, swept):
    point = json.loads((folder / "out" / "front.json").read_text())["front"][0]
    number = point["trial"]
    said = succeed(edge_rnn("sweep", "SPEC.toml", "--out", "out", "--choose", number, cwd=folder))
    run = Run.open(folder / "out" / f"trial-{number}")
    assert f"trial {number}, accuracy on the test split" in said
    assert f"of {len(run.test_windows())} windows" in said
    # The commands make the very model that was measured.
    assert f"on the validation split {100 * point['accuracy']:.2f} %" in said
    assert (folder / "out" / f"trial-{number}.tflite").stat().st_size > 0
    train, _ = map(shlex.split, point["commands"])
    assert train[1:4] == ["train", "--out", f"trial-{number}"]
    assert run.record.hyperparameters["cell"] == train[train.index("--cell") + 1]
    assert "has been looked at" not in said
    study = study_of(folder)
    study.set_user_attr("test look 1970", 99)  # as if another trial had been chosen first
    said = succeed(edge_rnn("sweep", "SPEC.toml", "--out", "out", "--choose", number, cwd=folder))
    assert f"has been looked at 3 times (trials 99, {number}, {number}). The best of several" in said


def test_trials_that_cannot_be_chosen(folder, swept):
    result = edge_rnn("sweep", "SPEC.toml", "--out", "out", "--choose", 0, cwd=folder)
    assert result.returncode == 2
    assert "--choose: trial 0 is not complete. Complete trials: 1, 2." in result.stderr
    result = edge_rnn("sweep", "SPEC.toml", "--out", "elsewhere", "--choose", 0, cwd=folder)
    assert result.returncode == 2
    assert "holds no sweep named SPEC. Run 'edge-rnn sweep' first." in result.stderr
