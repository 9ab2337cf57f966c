"""Writes the files of a run: the model, its curves, its windows and its record."""

from __future__ import annotations

import csv
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import edge_runtime
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs import run_directory
from edge_runtime.runs.run_directory import RunRecord
from train.dataset import Dataset
from train.fitting.loop import loss_and_accuracy
from train.fitting.training_step import CLIP_NORM
from train.hyperparameters import Hyperparameters
from train.pictures import plot_history
from train.splitting.splits import HeldBack

WINDOWS_KEPT = 5000
"""The largest number of training windows that the run directory keeps for calibration, and of validation
windows for choices such as --precision auto."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a training ends in."""

    model: Any
    """The Keras model."""
    logits: Any
    """A function from normalized windows to its logits (train.fitting.loop.logits_function)."""
    normalization: Normalization
    """That of the data set."""
    history: dict[str, list[float]]
    """Name of the metric -> one value per report."""


def write_run(
    folder: Path,
    trained: TrainedModel,
    dataset: Dataset,
    held_back: HeldBack,
    chosen: Hyperparameters,
    versions: dict[str, str],
    *,
    test: bool,
) -> RunRecord:
    """Write every file of a run but its settings into `folder`; returns the record.

    - `held_back`: what trained, and what validated.
    - `versions`: those of libraries that only the caller knows.
    - `test`: measure the test split.
    """
    trained.model.save(folder / run_directory.MODEL)
    _write_history(folder, trained.history)
    run_directory.write_windows(
        folder,
        calibration=held_back.train.stratified_sample(WINDOWS_KEPT, chosen.seed),
        validation=held_back.validation.stratified_sample(WINDOWS_KEPT, chosen.seed),
        test=dataset.test,
    )
    _, steps, features = dataset.train.x.shape
    settings = asdict(chosen)
    seed = settings.pop("seed")
    record = RunRecord(
        dataset=_described(dataset, held_back),
        steps=steps,
        features=features,
        labels=dataset.labels,
        normalization=trained.normalization,
        hyperparameters={**settings, "optimizer": "adam", "clip_norm": CLIP_NORM},
        seed=seed,
        versions={**_versions(), **versions},
        metrics=_metrics(trained, dataset, held_back, test=test),
        model_sha256=run_directory.file_sha256(folder / run_directory.MODEL),
        windows_sha256=run_directory.file_sha256(folder / run_directory.WINDOWS),
    )
    run_directory.write_record(folder, record)
    return record


def _described(dataset: Dataset, held_back: HeldBack) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "train": len(held_back.train),
        "validation": len(held_back.validation),
        "test": len(dataset.test),
        **dataset.about,
        **held_back.about,
        **({"notes": list(dataset.notes)} if dataset.notes else {}),
    }


def _metrics(
    trained: TrainedModel, dataset: Dataset, held_back: HeldBack, *, test: bool
) -> dict[str, float]:
    splits = {"validation": held_back.validation, **({"test": dataset.test} if test else {})}
    metrics: dict[str, float] = {}
    for split, windows in splits.items():
        logits = trained.logits(trained.normalization.apply(windows.x))
        loss, accuracy = loss_and_accuracy(logits, windows.y)
        metrics |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
    return metrics


def _write_history(folder: Path, history: dict[str, list[float]]) -> None:
    with open(folder / run_directory.HISTORY, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(history)
        writer.writerows(zip(*history.values()))
    plot_history(history, folder / run_directory.CURVES)


def _versions() -> dict[str, str]:
    return {
        "edge-rnn": edge_runtime.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("keras", "numpy")},
    }
