"""`edge-rnn train` under TF_CONFIG: two workers on this machine."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support.command_server import edge_rnn, run_script
from tests.support.commands import CHILDREN, succeed

# Everything that a training draws at random: order, dropout, augmentation.
SETTINGS = (
    *("--iterations", 300, "--units", 4, "--batch-size", 16, "--quiet"),
    *("--dropout", 0.2, "--augment", "jitter,shift", "--early-stopping", 40, "--seed", 3),
)


def trained(folder: Path, victim: int) -> Path:
    """The folder of tests/support/children/training_workers.py."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    x = np.sin(np.arange(6)[:, np.newaxis] * (1 + y)[:, np.newaxis, np.newaxis])
    x = (x + rng.normal(0, 0.3, (150, 6, 2))).astype(np.float32)
    np.savez(folder / "waves.npz", x=x, y=y)
    program = CHILDREN / "training_workers.py"
    succeed(run_script(program, folder, victim, "--data", folder / "waves.npz", *SETTINGS))
    return folder


@pytest.fixture(scope="module")
def workers(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("workers"), victim=1)


def weights(run: Path) -> dict[str, np.ndarray]:
    """The arrays in model.keras."""
    found = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.array(item)

    with (
        zipfile.ZipFile(run / "model.keras") as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file,
    ):
        file.visititems(keep)
    return found


def test_two_workers_train_the_weights_of_one(workers):
    """Sums over the batch are in another order, no more.

    So a gradient differs by some 1e-7 of the largest terms of its sum. Adam divides by the gradient's
    own size: where the terms nearly cancel, a step of at most 0.004 differs by up to 0.004 * 1e-5. 300
    steps that all did would differ by 1.2e-5. Measured: 1.2e-7, the last bit of a weight.
    """
    alone, whole = weights(workers / "alone"), weights(workers / "whole")
    assert alone.keys() == whole.keys()
    differences = {name: abs(alone[name] - whole[name]).max(initial=0) for name in alone}
    assert max(differences.values()) < 1e-5, differences
    assert max(differences.values()) > 0  # two workers have trained


def test_both_workers_end_well_and_only_the_chief_writes(workers):
    endings = json.loads((workers / "endings.json").read_text())
    assert endings["alone"] == 0
    assert endings["whole"] == endings["resumed"] == [0, 0]
    expected = {"alone", "whole", "cut", "waves.npz", "endings.json"}
    assert {path.name for path in workers.iterdir() if path.suffix != ".log"} == expected
    chief, other = (workers / f"whole-{index}.log" for index in range(2))
    assert len(re.findall("iterations: loss", chief.read_text())) == 3
    assert re.fullmatch(
        r"worker 1 \(127.0.0.1:\d+\) is done\. worker 0 \(127.0.0.1:\d+\) has written the run\.",
        messages(other),
    )


def messages(log: Path) -> str:
    """What edge-rnn printed, without what TensorFlow says when it starts in a fork."""
    lines = [
        line for line in log.read_text().splitlines() if not re.match(r"[IWE]\d{4} |WARNING:", line)
    ]
    return "\n".join(lines)


def check_death(folder: Path, victim: int) -> None:
    endings = json.loads((folder / "endings.json").read_text())
    assert endings["cut"][victim] == -9, "the training was over before it could be killed"
    assert endings["cut"][1 - victim] == 1
    lines = messages(folder / f"cut-{1 - victim}.log").splitlines()
    assert re.fullmatch(
        rf"Error: TF_CONFIG: worker {victim} \(127.0.0.1:\d+\) has ended\. Start the training again on "
        r"every machine, with --resume to continue from its checkpoint\.",
        lines[-1],
    )
    assert all(re.match(r" +\d+ of 300 iterations: |Note: ", line) for line in lines[:-1])


def test_when_one_is_killed_the_other_ends_with_a_sentence(workers):
    check_death(workers, victim=1)


def test_resumed_workers_end_in_the_weights_of_an_uninterrupted_training(workers):
    check_resumed(workers)


def check_resumed(folder: Path) -> None:
    whole, resumed = weights(folder / "whole"), weights(folder / "cut")
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values)
    rows = [list(csv.reader((folder / run / "history.csv").open())) for run in ("whole", "cut")]
    assert rows[0] == rows[1]


@pytest.mark.nightly
def test_the_chief_may_be_killed_too(tmp_path):
    folder = trained(tmp_path, victim=0)
    check_death(folder, victim=0)
    check_resumed(folder)


def train_under(config: str, *arguments: object, **variables: str):
    environment = {**os.environ, "TF_CONFIG": config, **variables}
    return edge_rnn("train", "--data", "digits", *arguments, env=environment)


def test_a_broken_variable_ends_with_a_sentence(tmp_path):
    result = train_under("{", "--out", tmp_path / "run")
    assert result.returncode == 2
    assert result.stderr.startswith("Error: TF_CONFIG: is not JSON (")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_never_comes_is_named(tmp_path):
    cluster = {"worker": ["127.0.0.1:47101", "127.0.0.1:47102"]}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    result = train_under(config, "--out", tmp_path / "run", EDGE_RNN_WORKER_SECONDS="0.5")
    assert result.returncode == 1
    assert "no answer from worker 1 (127.0.0.1:47102) in 0.5 seconds" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "value"), [("--finetune", "runs/a"), ("--folds", 3)])
def test_some_trainings_are_for_one_machine(tmp_path, option, value):
    cluster = {"worker": ["a:1", "b:1"]}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    out = tmp_path / "run"
    result = edge_rnn("train", option, value, "--out", out, env={**os.environ, "TF_CONFIG": config})
    assert result.returncode == 2
    assert f"{option}: trains on one machine only. Unset TF_CONFIG." in result.stderr
