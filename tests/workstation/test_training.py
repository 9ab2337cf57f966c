"""What `edge-rnn train` can train: cells, layers and settings. It computes what Keras computes."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tomllib

from edge_runtime.runs.run_directory import Run
from tests.support.command_server import edge_rnn, run_python, run_script
from tests.support.commands import CHILDREN, succeed

NETWORKS = [
    {"cell": cell, "units": units, "bidirectional": both, "dropout": dropout}
    for cell, units, both, dropout in itertools.product(
        ("lstm", "gru", "rnn"), ([5], [5, 4]), (False, True), (0.0, 0.4)
    )
]


def test_the_forward_pass_is_that_of_keras():
    answer = run_script(CHILDREN / "forward_child.py", input=json.dumps(NETWORKS))
    for case, (logits, gradients) in zip(NETWORKS, json.loads(succeed(answer))):
        assert logits < 1e-5, case
        assert gradients < 1e-5, case


# TensorBoard loads TensorFlow, which never runs in the test process.
EVENTS = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0}).Reload()
names = events.Tags()["tensors"]
print(json.dumps({name: [event.step for event in events.Tensors(name)] for name in names}))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Windows of three classes, of which the first is rare."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [12, 90, 90])
    x = np.sin(np.arange(10)[:, np.newaxis] * (1 + y)[:, np.newaxis, np.newaxis])
    path = tmp_path_factory.mktemp("data") / "waves.npz"
    np.savez(path, x=(x + rng.normal(0, 0.3, (192, 10, 3))).astype(np.float32), y=y)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        "--cell gru --layers 2 --bidirectional --dropout 0.2 --augment jitter,rotate --schedule step",
        "--cell rnn --epochs 5 --class-weights balanced --schedule constant --mixed-precision bfloat16",
        "--units 6,5,4 --schedule linear --mixed-precision float16 --augment timewarp,shift=0.2",
    ],
)
def test_settings_from_training_to_a_proven_file(data, tmp_path, settings):
    arguments = ["--units", 8, "--batch-size", 16, "--learning-rate", 0.01, "--quiet", *settings.split()]
    if "--epochs" not in arguments:
        arguments += ["--iterations", 120]
    run = tmp_path / "run"
    succeed(edge_rnn("train", "--data", data, "--out", run, *arguments))
    assert Run.open(run).record.metrics["validation_accuracy"] > 0.6
    printed = succeed(edge_rnn("convert", run, "--precision", "float32", "--out", tmp_path / "m.tflite"))
    assert "passed" in printed


def test_early_stopping_keeps_the_best_weights(tmp_path):
    """Classes that have nothing to do with the windows can only be learned by heart."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(90, 10, 3)).astype(np.float32)
    np.savez(tmp_path / "noise.npz", x=noise, y=rng.integers(0, 3, 90))
    arguments = ("--data", tmp_path / "noise.npz", "--units", 8, "--epochs", 60)
    stopping = ("--learning-rate", 0.02, "--schedule", "constant", "--early-stopping", 3)
    printed = succeed(edge_rnn("train", "--out", tmp_path / "r", *arguments, *stopping))
    losses = [float(row["val_loss"]) for row in csv.DictReader((tmp_path / "r/history.csv").open())]
    assert "stopped, as the validation loss did not fall in 3 reports" in printed
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 4
    kept = Run.open(tmp_path / "r").record.metrics["validation_loss"]
    assert kept == pytest.approx(min(losses), rel=1e-5)


def test_every_run_holds_the_settings_that_make_it_again(data, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f"data: {data}\npreset: sensor\nunits: [6, 4]\nlayers: 2\niterations: 30\naugment: jitter=0.02\n"
        "class-weights: none\nearly-stopping: 9\nshift: 1\n",
        "utf-8",
    )
    command = ("train", "--config", settings, "--cell", "gru", "--quiet")
    succeed(edge_rnn(*command, "--out", tmp_path / "a"))
    written = tomllib.loads((tmp_path / "a" / "config.toml").read_text("utf-8"))
    assert written["cell"] == "gru"
    assert written["units"] == [6, 4]
    assert written["augment"] == ["jitter=0.02"]
    assert written["dropout"] == 0.3
    again = ("train", "--config", tmp_path / "a" / "config.toml", "--quiet")
    succeed(edge_rnn(*again, "--out", tmp_path / "b"))
    first, second = (Run.open(tmp_path / name) for name in "ab")
    assert first.record.metrics == second.record.metrics
    assert first.record.hyperparameters == second.record.hyperparameters


def test_tensorboard_gets_every_report(data, tmp_path):
    arguments = ("--units", 4, "--iterations", 200, "--quiet", "--tensorboard", tmp_path / "board")
    succeed(edge_rnn("train", "--data", data, "--out", tmp_path / "r", *arguments))
    steps = json.loads(succeed(run_python(EVENTS, tmp_path / "board")))
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(steps)
    assert steps["val_loss"] == [100, 200]
