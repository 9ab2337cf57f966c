"""`edge-rnn train --resume`: a training that is killed ends in the weights of one that is not."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.runs.run_directory import Run
from tests.support.command_server import edge_rnn, server_children
from tests.support.commands import succeed
from tests.support.stream_process import heed_ctrl_c

# Everything that a training draws at random: order, dropout, augmentation.
SETTINGS = (
    *("--data", "DATA", "--iterations", 600, "--units", "5,4", "--batch-size", 16, "--quiet"),
    *("--dropout", 0.2, "--augment", "jitter,timewarp,shift", "--early-stopping", 40, "--seed", 3),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Short windows of three classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    x = np.sin(np.arange(8)[:, np.newaxis] * (1 + y)[:, np.newaxis, np.newaxis]) + rng.normal(
        0, 0.3, (150, 8, 2)
    )
    path = tmp_path_factory.mktemp("data") / "waves.npz"
    np.savez(path, x=x.astype(np.float32), y=y)
    return path


def settings(data: Path) -> list[object]:
    return [data if item == "DATA" else item for item in SETTINGS]


def weights(run: Path) -> bytes:
    """The weights' file inside model.keras. The archive around it contains dates."""
    with zipfile.ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory) -> Path:
    """A run that nobody killed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    succeed(edge_rnn("train", "--out", out, *settings(data)))
    return out


def killed(arguments: tuple[object, ...], checkpoint: Path, changes: int, seconds: float) -> bool:
    """Run the command, and kill it `seconds` after so many changes of the checkpoint.

    Returns whether it was still running.
    """
    thread = threading.Thread(target=edge_rnn, args=arguments)
    last = stamp(checkpoint)
    thread.start()
    while thread.is_alive() and changes:
        time.sleep(0.001)
        changes, last = changes - (stamp(checkpoint) != last), stamp(checkpoint)
    thread.join(seconds)
    running = thread.is_alive()
    for child in server_children():
        os.kill(child, signal.SIGKILL)
    thread.join()
    return running


def stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 4), *(pytest.param(n, 12, marks=pytest.mark.nightly) for n in range(1, 9))]
)
def test_killed_at_random_moments(uninterrupted, data, tmp_path, seed, kills):
    """The moments lie anywhere from the start to the writing of the run."""
    out, moments = tmp_path / "run", random.Random(seed)
    checkpoint = tmp_path / "run.training" / "checkpoint.npz"
    command = ("train", "--out", out, *settings(data), "--resume")
    died = 0
    while died < kills:
        changes = moments.randint(0, 2)
        seconds = moments.uniform(0, 0.05 if changes or stamp(checkpoint) else 2)
        died += killed(command, checkpoint, changes, seconds)
        assert {path.name for path in tmp_path.iterdir()} <= {"run.training", "run"}
        if (out / "run.json").exists():  # the training was faster
            assert weights(out) == weights(uninterrupted)
            shutil.rmtree(out)
    succeed(edge_rnn(*command))
    print(f"{died} kills")
    assert weights(out) == weights(uninterrupted)
    assert (out / "history.csv").read_text() == (uninterrupted / "history.csv").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.fixture(scope="module")
def interrupted(data, tmp_path_factory) -> Path:
    """A folder with what a killed training of `run` leaves."""
    folder = tmp_path_factory.mktemp("interrupted")
    arguments = ("train", "--out", folder / "run", *settings(data), "--iterations", 4000)
    thread = threading.Thread(target=edge_rnn, args=arguments)
    thread.start()
    while thread.is_alive() and not (folder / "run.training" / "checkpoint.npz").exists():
        time.sleep(0.002)
    for child in server_children():
        os.kill(child, signal.SIGKILL)
    thread.join()
    assert [path.name for path in folder.iterdir()] == ["run.training"]
    return folder


@pytest.fixture
def left(interrupted, tmp_path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(interrupted, tmp_path / "left")


def test_a_resumed_training_takes_its_settings_from_the_checkpoint(left):
    # Shorter than it was, it would not be the same training.
    result = edge_rnn("train", "--out", left / "run", "--resume", "--iterations", 5)
    assert result.returncode == 2
    assert not (left / "run").exists()
    succeed(edge_rnn("train", "--out", left / "run", "--resume", "--quiet"))
    record = Run.open(left / "run").record
    assert record.hyperparameters["iterations"] == 4000
    assert record.hyperparameters["units"] == [5, 4]
    assert [path.name for path in left.iterdir()] == ["run"]
    printed = succeed(edge_rnn("train", "--out", left / "run", "--resume", "--quiet"))
    assert "test accuracy" in printed  # complete: nothing is trained again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "run.training: holds the checkpoint of an interrupted training. Continue it with --resume"),
        (("--resume", "--units", "6"), "the interrupted training has units [5, 4], and this one [6]."),
        (("--resume", "--data", "digits"), "the interrupted training has data with SHA-256 "),
    ],
)
def test_a_checkpoint_is_neither_lost_nor_used_for_another_training(left, data, arguments, words):
    others = settings(data) + ["--iterations", 4000, *arguments]
    before = (left / "run.training" / "checkpoint.npz").read_bytes()
    result = edge_rnn("train", "--out", left / "run", *others)
    assert result.returncode == 2
    assert words in result.stderr
    assert (left / "run.training" / "checkpoint.npz").read_bytes() == before
    assert not (left / "run").exists()


@pytest.mark.parametrize("content", [b"", b"PK", None])
def test_a_checkpoint_that_cannot_be_read_is_named(left, content):
    path = left / "run.training" / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:-2000] if content is None else content)
    result = edge_rnn("train", "--out", left / "run", "--resume")
    assert result.returncode == 2
    assert "checkpoint.npz: not a checkpoint of a training" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_says_how_to_continue(data, tmp_path):
    """The command is a process of its own: in a fork the signal could be ignored."""
    command = [Path(sys.executable).with_name("edge-rnn"), "train", "--out", tmp_path / "run"]
    process = subprocess.Popen(
        [*map(str, [*command, *settings(data), "--iterations", 100_000])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    while not (tmp_path / "run.training" / "checkpoint.npz").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "run.training: holds what was trained so far. Continue it with --resume." in errors
    assert "Aborted" in errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["run.training"]


def test_overwrite_begins_anew(left, data, uninterrupted):
    succeed(edge_rnn("train", "--out", left / "run", *settings(data), "--overwrite"))
    assert weights(left / "run") == weights(uninterrupted)


def test_an_older_run_is_not_taken_for_the_interrupted_training(left, uninterrupted):
    """It was to be overwritten, and is until the continued training ends."""
    shutil.copytree(uninterrupted, left / "run")
    checkpoint = left / "run.training" / "checkpoint.npz"
    before = checkpoint.read_bytes()
    result = edge_rnn("train", "--out", left / "run", "--resume")
    assert result.returncode == 2
    assert "run: already holds a run. Choose another --out, or pass --overwrite." in result.stderr
    assert checkpoint.read_bytes() == before
    succeed(edge_rnn("train", "--out", left / "run", "--resume", "--overwrite", "--quiet"))
    assert Run.open(left / "run").record.hyperparameters["iterations"] == 4000
    assert [path.name for path in left.iterdir()] == ["run"]


def test_nothing_to_resume(tmp_path):
    result = edge_rnn("train", "--out", tmp_path / "run", "--resume")
    assert result.returncode == 2
    assert "run: no training to continue" in result.stderr
    assert not list(tmp_path.iterdir())


def test_two_processes_do_not_train_into_one_run(left, data):
    with open(left / "run.training" / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = edge_rnn("train", "--out", left / "run", "--resume")
    assert result.returncode == 2
    assert "run.training: another process trains there." in result.stderr


@pytest.mark.parametrize("name", [".checkpoint.npz.k3j.npz", ".config.toml.k3j.toml"])
def test_half_a_file_of_a_killed_process_is_in_nobodys_way(tmp_path, data, uninterrupted, name):
    (tmp_path / "run.training").mkdir()
    (tmp_path / "run.training" / name).write_text("half")
    succeed(edge_rnn("train", "--out", tmp_path / "run", *settings(data)))
    assert weights(tmp_path / "run") == weights(uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_of_another_kind_is_left_alone(tmp_path, data):
    (tmp_path / "run.training").mkdir()
    (tmp_path / "run.training" / "notes.txt").write_text("mine")
    result = edge_rnn("train", "--out", tmp_path / "run", *settings(data), "--overwrite")
    assert result.returncode == 2
    assert "run.training: exists and is no folder of a training." in result.stderr
    assert (tmp_path / "run.training" / "notes.txt").read_text() == "mine"
