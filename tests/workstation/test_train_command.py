"""`edge-rnn train` and `edge-rnn evaluate` on real data."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.runs.run_directory import Run
from tests.support import commands
from tests.support.command_server import edge_rnn
from tests.support.commands import OFFERED, succeed


def weights(run) -> bytes:
    """The weights' file inside model.keras. The archive around it contains dates."""
    with zipfile.ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


def test_mnist_defaults_reach_99_percent(mnist_run):
    assert mnist_run.run.record.metrics["test_accuracy"] >= 0.99
    assert mnist_run.run.record.dataset["validation"] == 5000
    assert mnist_run.run.record.dataset["test"] == 10_000


def test_mnist_seed_preset_beats_the_notebook(mnist_seed_run):
    record = mnist_seed_run.record
    assert record.hyperparameters["iterations"] == 1000
    assert record.hyperparameters["batch_size"] == 100
    assert record.metrics["test_accuracy"] > 0.975


def test_run_directory(digits_run):
    record = json.loads((digits_run.path / "run.json").read_text())
    assert record["dataset"]["name"] == "digits"
    assert len(record["dataset"]["digest"]) == 64
    assert (record["steps"], record["features"], len(record["labels"])) == (28, 28, 10)
    assert record["normalization"] == {"mean": [0.0], "std": [255.0], "dtype": "uint8"}
    assert record["hyperparameters"]["shift"] == 2
    assert record["seed"] == 0
    assert {"edge-rnn", "tensorflow", "keras", "numpy", "python"} <= set(record["versions"])
    assert record["metrics"]["test_accuracy"] > 0.95
    rows = list(csv.DictReader((digits_run.path / "history.csv").open()))
    assert {"iteration", "loss", "accuracy", "val_loss", "val_accuracy"} <= set(rows[0])
    assert int(rows[-1]["iteration"]) == record["hyperparameters"]["iterations"]
    with Image.open(digits_run.path / "training.png") as picture:
        assert picture.width > 600


def test_calibration_windows_are_not_test_windows(digits_run):
    calibration = {window.tobytes() for window in digits_run.run.calibration_windows().x}
    assert not calibration & {window.tobytes() for window in digits_run.run.test_windows().x}


def test_same_seed_same_weights_and_another_seed_others(tmp_path):
    arguments = ("train", "--data", "digits", "--iterations", 30, "--units", 16, "--quiet")
    succeed(commands.edge_rnn(*arguments, "--seed", 5, "--out", tmp_path / "a"))
    for name, seed in (("b", 5), ("c", 6)):
        succeed(edge_rnn(*arguments, "--seed", seed, "--out", tmp_path / name))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_iterations_that_no_report_divides_are_all_run_and_no_more(tmp_path):
    arguments = ("--data", "digits", "--iterations", 203, "--units", 8, "--quiet")
    succeed(edge_rnn("train", "--out", tmp_path / "r", *arguments))
    rows = list(csv.DictReader((tmp_path / "r" / "history.csv").open()))
    assert [int(row["iteration"]) for row in rows] == [101, 202, 203]


def test_overwriting_through_a_link_keeps_the_new_run(tmp_path):
    arguments = ("train", "--data", "digits", "--iterations", 5, "--units", 8, "--quiet")
    succeed(edge_rnn(*arguments, "--out", tmp_path / "real"))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    before = weights(tmp_path / "real")
    succeed(edge_rnn(*arguments, "--out", tmp_path / "link", "--overwrite", "--seed", 7))
    assert weights(tmp_path / "real") != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_diverged_training_leaves_nothing(tmp_path):
    arguments = ("--data", "digits", "--iterations", 40, "--units", 8, "--learning-rate", "1e39")
    result = edge_rnn("train", "--out", tmp_path / "r", "--quiet", *arguments)
    assert result.returncode == 2
    assert "training diverged" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_pipe_gets_one_line_for_each_report(tmp_path):
    arguments = ("train", "--data", "digits", "--iterations", 203, "--units", 8)
    printed = succeed(edge_rnn(*arguments, "--out", tmp_path / "r"))
    assert not set(printed) & {"\r", "\b", "\x1b"}
    *reports, last = printed.splitlines()
    assert [line.split(" iterations: ")[0].strip() for line in reports] == [
        "101 of 203",
        "202 of 203",
        "203 of 203",
    ]
    assert all("loss: " in line and "validation accuracy: " in line for line in reports)
    assert "test accuracy" in last


def test_a_terminal_gets_a_progress_bar_unless_quiet(tmp_path):
    arguments = ("--data", "digits", "--iterations", 20, "--units", 8, "--out", tmp_path / "r")
    bar = on_a_terminal("train", *arguments)
    assert "accuracy:" in bar
    assert "loss:" in bar
    assert "\b" in bar or "\r\x1b" in bar
    quiet = on_a_terminal("train", *arguments, "--overwrite", "--quiet")
    assert len(quiet.splitlines()) == 2
    assert "accuracy:" in quiet


def on_a_terminal(*arguments: object) -> str:
    """The text that the command prints to a terminal."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("edge-rnn")), *map(str, arguments)],
        stdout=its,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(its)
        printed = b""
        while chunk := read_or_end(ours):
            printed += chunk
    os.close(ours)
    assert process.returncode == 0
    return printed.decode()


def read_or_end(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux raises this when the other end is closed
        return b""


def test_a_run_is_replaced_only_when_asked(digits_run):
    before = (digits_run.path / "run.json").read_bytes()
    result = edge_rnn("train", "--data", "digits", "--out", digits_run.path)
    assert result.returncode == 2
    assert "already holds a run. Choose another --out, or pass --overwrite." in result.stderr
    assert (digits_run.path / "run.json").read_bytes() == before


def test_evaluate(digits_run, tmp_path):
    json_path = tmp_path / "e.json"
    arguments = ("evaluate", digits_run.path, "--index", 3, "--json", json_path)
    printed = succeed(commands.edge_rnn(*arguments))
    test = digits_run.run.test_windows()
    accuracy = (digits_run.full_logits.argmax(1) == test.y).mean()
    assert f"test accuracy: {100 * accuracy:.2f} % of 1,000 windows (95 % interval " in printed
    content = json.loads(json_path.read_text())
    assert json_path.read_text() == (digits_run.path / "evaluation.json").read_text()
    confusion = np.array(content["confusion"])
    assert confusion.sum() == content["windows"] == 1000
    assert confusion.trace() == content["correct"] == round(accuracy * 1000)
    assert content["accuracy_low"] < content["accuracy"] < content["accuracy_high"]
    head = printed.splitlines().index("confusion matrix (rows: actual, columns: predicted)")
    rows = [line.split() for line in printed.splitlines()[head + 2 : head + 12]]
    np.testing.assert_array_equal(np.array(rows, int)[:, 1:], confusion)
    assert f"test window 3: expected {test.y[3]}, predicted" in printed
    np.testing.assert_array_equal(np.load(digits_run.path / "example.npy"), test.x[3])
    for name in ("confusion.png", "evaluation.png", "example.png"):
        with Image.open(digits_run.path / name) as picture:
            assert picture.width > 200
    for path, sentence in (
        (digits_run.path / "model.keras", "is a part of the run"),
        (".", "is a folder"),
    ):
        result = edge_rnn("evaluate", digits_run.path, "--json", path)
        assert (result.returncode, result.stdout) == (2, "")
        assert sentence in result.stderr
    result = edge_rnn("evaluate", digits_run.path, "--index", 1000)
    assert result.returncode == 2
    assert "--index: expected 0 to 999 of the test split, found 1000." in result.stderr


def test_evaluate_on_the_validation_split(digits_run):
    arguments = ("evaluate", digits_run.path, "--split", "validation", "--json", "-")
    content = json.loads(succeed(edge_rnn(*arguments)))
    assert content["split"] == "validation"
    assert content["windows"] == digits_run.run.record.dataset["validation"]
    recorded = digits_run.run.record.metrics["validation_accuracy"]
    assert content["accuracy"] == pytest.approx(recorded, abs=1e-6)
    assert (digits_run.path / "evaluation-validation.json").exists()


def test_arrays_that_train_would_ignore_are_refused(tmp_path):
    arrays = {"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "people": np.arange(9)}
    np.savez(tmp_path / "s.npz", **arrays)
    result = edge_rnn("train", "--data", tmp_path / "s.npz", "--out", tmp_path / "run")
    assert result.returncode == 2
    assert f"Error: {tmp_path / 's.npz'}: no use for people." in result.stderr
    assert not (tmp_path / "run").exists()


def test_npz_of_a_sensor_from_training_to_prediction(tmp_path):
    """Windows that are not pictures: float features of different size, steps unequal to features."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    time = np.arange(20)[np.newaxis, :, np.newaxis]
    x = np.sin(time * (0.2 + 0.3 * y[:, np.newaxis, np.newaxis])) * [1, 50] + rng.normal(
        0, 0.2, (600, 20, 2)
    )
    np.savez(
        tmp_path / "s.npz",
        x=x[120:] + [9.8, 1000],
        y=y[120:],
        test_x=x[:120] + [9.8, 1000],
        test_y=y[:120],
        labels=["idle", "walk", "run"],
    )
    run = tmp_path / "run"
    arguments = ("--iterations", 300, "--batch-size", 32, "--units", 16, "--quiet")
    succeed(edge_rnn("train", "--data", tmp_path / "s.npz", "--out", run, *arguments))
    record = Run.open(run).record
    np.testing.assert_array_equal(Run.open(run).test_windows().y, y[:120])
    assert record.hyperparameters["shift"] == 0
    assert record.metrics["test_accuracy"] > 0.9
    printed = succeed(edge_rnn("evaluate", run))
    assert "confusion matrix" in printed
    with Image.open(run / "example.png") as picture:
        assert picture.width > 200
    printed = succeed(edge_rnn("convert", run, "--precision", "all", "--out", tmp_path))
    assert printed.count("passed") == len(OFFERED)
    assert printed.count("Weak proof on 120 windows") == len(OFFERED)
    window = " ".join(str(value) for value in (x[5] + [9.8, 1000]).ravel())
    answer = edge_rnn("predict", tmp_path / "run-int8.tflite", "-", input=window)
    assert json.loads(succeed(answer))["label"] == record.labels[y[5]]
