"""Measures a run on its test split, or on its validation split; one window with its prediction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, InputError, reason
from edge_runtime.host.atomic_file import replacing
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.run_directory import READ_BY_CONVERT, Run
from train.evaluation.evaluation_picture import plot_metrics
from train.evaluation.metrics import Metrics, measure_logits
from train.evaluation.metrics_text import metrics_lines
from train.fitting.fit import load_tensorflow
from train.fitting.loop import EVALUATION_BATCH
from train.pictures import plot_confusion, plot_window

MEASURED_SPLITS = ("test", "validation")

EVALUATION = "evaluation.json"
EVALUATION_PICTURE = "evaluation.png"
CONFUSION_PICTURE = "confusion.png"
EXAMPLE_PICTURE = "example.png"
EXAMPLE_WINDOW = "example.npy"

EVALUATION_VERSION = 1
"""`schema` of evaluation.json. It rises when a field disappears or changes its meaning."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result on a whole split, and of one window of it."""

    dataset: str
    """The name of the run's data set."""
    model_sha256: str
    """SHA-256 of the run's model.keras, hexadecimal."""
    split: str
    """test or validation."""
    metrics: Metrics
    """All figures."""
    split_logits: NDArray[np.float32]
    """The model's outputs for the whole split, `[N, classes]`."""
    index: int
    """Position of the example in the split."""
    logits: NDArray[np.float32]
    """The example's, `[classes]`."""
    actual: str
    predicted: str
    files: tuple[Path, ...]
    """What was written: evaluation.json, the three pictures and the example as raw window."""

    @property
    def accuracy(self) -> float:
        """The fraction of the windows whose class is predicted."""
        return self.metrics.accuracy.value

    @property
    def confusion(self) -> NDArray[np.int64]:
        """`[classes, classes]`: rows are the actual classes, columns the predicted ones."""
        return self.metrics.confusion

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.metrics.labels

    def __str__(self) -> str:
        """The tables, and the example."""
        logits = " ".join(f"{value:.2f}" for value in self.logits)
        return "\n".join(
            [
                *metrics_lines(self.metrics, self.split, self.files[0].name),
                "",
                f"{self.split} window {self.index}: expected {self.actual}, predicted {self.predicted}",
                f"  logits: {logits}",
                *(f"written: {path}" for path in self.files),
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """The content of evaluation.json, a JSON object (docs/guides/evaluation.md)."""
        return {
            "schema": EVALUATION_VERSION,
            "dataset": self.dataset,
            "model_sha256": self.model_sha256,
            "split": self.split,
            **self.metrics.to_json(),
            "example": {
                "index": self.index,
                "expected": self.actual,
                "predicted": self.predicted,
                "logits": [float(value) for value in self.logits],
            },
        }


def evaluate_run(run_directory: str | Path, index: int = 0, split: str = "test") -> Evaluation:
    """Evaluate a run's model on one of its splits. Writes figures and pictures into the run directory.

        from train import evaluate_run

        evaluation = evaluate_run("runs/mnist")
        print(evaluation.accuracy, evaluation.metrics.classes)

    - `run_directory`: what `edge-rnn train --out` wrote.
    - `index`: the position in the split of the window to show as an example. It is also saved raw, for
      `edge-rnn predict`. Default: 0.
    - `split`: test or validation. The run keeps at most 5,000 validation windows. Names of the files
      for validation end in `-validation`. Default: test.

    Raises DataError for a directory that is not a run, InputError for an index out of range and an
    unknown split, and MissingExtraError without TensorFlow.
    """
    run = Run.open(run_directory)
    windows = _windows(run, split)
    if not 0 <= index < len(windows):
        raise InputError(
            f"--index: expected 0 to {len(windows) - 1} of the {split} split, found {index}."
        )
    model = _load(run.model)
    normalized = run.record.normalization.apply(windows.x)
    logits = np.asarray(model.predict(normalized, batch_size=EVALUATION_BATCH, verbose=0))
    labels = run.record.labels
    metrics = measure_logits(logits, windows.y, labels, windows.groups)
    actual, predicted = labels[windows.y[index]], labels[logits[index].argmax()]
    evaluation = Evaluation(
        dataset=str(run.record.dataset["name"]),
        model_sha256=run.record.model_sha256,
        split=split,
        metrics=metrics,
        split_logits=logits,
        index=index,
        logits=logits[index],
        actual=actual,
        predicted=predicted,
        files=tuple(
            run.path / _of_split(name, split)
            for name in (
                *(EVALUATION, EVALUATION_PICTURE, CONFUSION_PICTURE),
                *(EXAMPLE_PICTURE, EXAMPLE_WINDOW),
            )
        ),
    )
    _write(evaluation, run, windows.x[index], normalized[index])
    return evaluation


def _windows(run: Run, split: str) -> LabelledWindows:
    if split not in MEASURED_SPLITS:
        raise InputError(f"--split: cannot be {split!r}. Choose {', '.join(MEASURED_SPLITS)}.")
    windows = run.test_windows() if split == "test" else run.validation_windows()
    if windows is None:
        raise DataError(f"{run.path}: keeps no validation windows. Train again, or use --split test.")
    return windows


def _of_split(name: str, split: str) -> str:
    path = Path(name)
    return name if split == "test" else f"{path.stem}-{split}{path.suffix}"


def _write(evaluation: Evaluation, run: Run, raw: NDArray[Any], normalized: NDArray[np.float32]) -> None:
    """Write the five files."""
    record, picture, confusion, example, window = evaluation.files
    metrics = evaluation.metrics
    write_json(evaluation.to_json(), record)
    title = (
        f"{run.path.resolve().name}: {evaluation.split} accuracy {100 * evaluation.accuracy:.2f} % "
        f"of {metrics.accuracy.windows:,} windows"
    )
    plot_metrics(metrics, title, picture)
    plot_confusion(metrics.confusion, metrics.labels, confusion)
    title = f"expected {evaluation.actual}, predicted {evaluation.predicted}"
    pixels = run.record.normalization.dtype == "uint8"
    plot_window(normalized, title, example, pixels=pixels)
    np.save(window, raw)


def check_json_path(path: str, run: str | Path) -> None:
    """Raises InputError for a --json that would replace a file which the run needs, or a folder."""
    if Path(path).is_dir():
        raise InputError(f"--json: {path} is a folder. Name the file to write.")
    if Path(path).resolve() in {Path(run).resolve() / name for name in READ_BY_CONVERT}:
        raise InputError(f"--json: {path} is a part of the run. Choose another file.")


def write_json(content: dict[str, Any], path: str | Path) -> None:
    """Write a JSON object, whole or not at all. Raises DataError where nothing can be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot write the file ({error.strerror}).") from None


def _load(path: Path) -> Any:
    tensorflow = load_tensorflow("edge-rnn evaluate")
    try:
        return tensorflow.keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds
        raise DataError(f"{path}: Keras cannot load the model ({reason(error)}).") from error
