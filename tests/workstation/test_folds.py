"""`edge-rnn train --folds` on windows of six people."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.runs.run_directory import Run
from tests.support.command_server import edge_rnn
from tests.support.commands import succeed

PEOPLE = ("ann", "bob", "carl", "dora", "emil", "fay")
SMALL = ("--iterations", 12, "--units", 4, "--batch-size", 16, "--quiet")


@dataclass(frozen=True)
class Validated:
    data: Path
    out: Path
    printed: str


@pytest.fixture(scope="module")
def validated(tmp_path_factory) -> Validated:
    folder = tmp_path_factory.mktemp("folds")
    random = np.random.default_rng(0)
    y, person = random.integers(0, 3, 180), random.integers(0, len(PEOPLE), 180)
    x = random.normal(0, 0.5, (180, 6, 2)) + y[:, None, None]
    arrays = {"x": x, "y": y, "groups": np.array(PEOPLE)[person], "labels": ["sit", "walk", "run"]}
    np.savez(folder / "s.npz", **arrays)
    command = ("train", "--data", folder / "s.npz", "--folds", 3, "--out", folder / "cv", *SMALL)
    return Validated(folder / "s.npz", folder / "cv", succeed(edge_rnn(*command)))


def record_of(out: Path) -> dict:
    return json.loads((out / "folds.json").read_text())


def test_each_group_is_tested_once_by_a_model_that_has_not_seen_it(validated):
    record = record_of(validated.out)
    assert sorted(name for fold in record["folds"] for name in fold["groups"]) == [*PEOPLE]
    assert record["pooled"]["windows"] == sum(fold["windows"] for fold in record["folds"]) == 180
    assert record["pooled"]["correct"] == sum(fold["correct"] for fold in record["folds"])
    for fold in record["folds"]:
        run = Run.open(validated.out / fold["run"])
        assert set(run.test_windows().groups) == set(fold["groups"])
        assert not set(run.calibration_windows().groups) & set(fold["groups"])
        assert run.record.metrics["test_accuracy"] == pytest.approx(fold["accuracy"], abs=1e-6)
        evaluation = json.loads((run.path / "evaluation.json").read_text())
        assert evaluation["accuracy"] == fold["accuracy"]
        assert evaluation["macro_f1"] == fold["macro_f1"]


def test_mean_and_spread_are_those_of_the_folds(validated):
    record = record_of(validated.out)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "calibration_error"):
        values = [fold[name] for fold in record["folds"]]
        assert record["mean"][name] == pytest.approx(np.mean(values))
        assert record["standard_deviation"][name] == pytest.approx(np.std(values, ddof=1))
    groups = record["pooled"]["groups"]
    assert [item["accuracy"] for item in groups] == sorted(item["accuracy"] for item in groups)
    lines = validated.printed.splitlines()
    assert any(line.split()[:2] == ["mean", f"{100 * record['mean']['accuracy']:.2f}"] for line in lines)
    assert any(line.split()[:1] == [groups[0]["group"]] for line in lines)


def test_the_folder_has_runs_and_nothing_of_the_work(validated):
    names = {"config.toml", "fold-1", "fold-2", "fold-3", "folds.json", "folds.png"}
    assert {path.name for path in validated.out.iterdir()} == names
    assert {path.name for path in validated.out.parent.iterdir()} == {"cv", "s.npz"}
    with Image.open(validated.out / "folds.png") as picture:
        assert picture.width > 800


def test_complete_folds_are_kept_when_it_continues(validated, tmp_path):
    """As if the process had been killed between the second fold and the third."""
    left = tmp_path / "cv.folds"
    shutil.copytree(validated.out, left)
    for name in ("folds.json", "folds.png"):
        (left / name).unlink()
    shutil.rmtree(left / "fold-3")
    trained = os.stat(left / "fold-1" / "model.keras").st_mtime_ns
    command = ("train", "--folds", 3, "--out", tmp_path / "cv", "--quiet")
    refused = edge_rnn(*command, "--data", validated.data)
    assert "holds an interrupted cross-validation. Continue it with --resume" in refused.stderr
    refused = edge_rnn(*command, "--resume", "--data", validated.data, "--units", 5)
    assert "was begun with other settings." in refused.stderr
    succeed(edge_rnn(*command, "--resume"))
    assert record_of(tmp_path / "cv") == record_of(validated.out)
    assert os.stat(tmp_path / "cv" / "fold-1" / "model.keras").st_mtime_ns == trained
    assert not left.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--folds", 1), "--folds: expected at least 2, found 1."),
        (("--folds", 7), "--folds: 7 is more than the 6 groups"),
        (("--folds", 3, "--resume"), "no cross-validation to continue"),
        (("--folds", 3, "--finetune", "run"), "--folds: has no meaning with --finetune."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(validated, tmp_path, arguments, sentence):
    data = () if "--finetune" in arguments or "--resume" in arguments else ("--data", validated.data)
    result = edge_rnn("train", "--out", tmp_path / "cv", *data, *arguments)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert not list(tmp_path.iterdir())


def test_other_folders_are_never_replaced(validated, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    command = ("train", "--data", validated.data, "--folds", 3, "--overwrite", "--out")
    for out, sentence in (
        (tmp_path, "exists and is not a cross-validation. Choose another --out."),
        (validated.out / "fold-1", "exists and is not a cross-validation."),
    ):
        assert sentence in edge_rnn(*command, out).stderr
    again = edge_rnn(*command[:-2], "--out", validated.out)
    assert "already holds a cross-validation. Choose another --out, or pass --overwrite." in again.stderr
