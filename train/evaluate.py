"""Measures a run on its test split: accuracy, confusion matrix, one window with its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from edge_runtime.runs.run_directory import Run
from train.fit import load_tensorflow
from train.loop import EVALUATION_BATCH
from train.pictures import plot_confusion, plot_window

CONFUSION_PICTURE = "confusion.png"
EXAMPLE_PICTURE = "example.png"
EXAMPLE_WINDOW = "example.npy"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result on the whole test split, and of one window of it."""

    accuracy: float
    """Fraction of the test windows whose class is predicted."""
    confusion: NDArray[np.int64]
    """`[classes, classes]`: rows are the actual classes, columns the predicted ones."""
    labels: tuple[str, ...]
    index: int
    """Position of the example in the test split."""
    logits: NDArray[np.float32]
    """The example's, `[classes]`."""
    actual: str
    predicted: str
    files: tuple[Path, ...]
    """What was written: the two pictures and the example as raw window."""

    def __str__(self) -> str:
        """Accuracy, confusion matrix as a table, and the example."""
        width = max(6, *(len(label) + 1 for label in self.labels))
        rows = [
            f"{label:>{width}}" + "".join(f"{count:>{width}}" for count in row)
            for label, row in zip(self.labels, self.confusion)
        ]
        logits = " ".join(f"{value:.2f}" for value in self.logits)
        return "\n".join(
            [
                f"test accuracy: {100 * self.accuracy:.2f} % of {self.confusion.sum():,} windows",
                "confusion matrix (rows: actual, columns: predicted)",
                " " * width + "".join(f"{label:>{width}}" for label in self.labels),
                *rows,
                f"test window {self.index}: expected {self.actual}, predicted {self.predicted}",
                f"  logits: {logits}",
                *(f"written: {path}" for path in self.files),
            ]
        )


def evaluate_run(run_directory: str | Path, index: int = 0) -> Evaluation:
    """Evaluate a run's model on its test split and write the pictures into the run directory.

        from train import evaluate_run

        print(evaluate_run("runs/mnist").accuracy)

    - `run_directory`: what `edge-rnn train --out` wrote.
    - `index`: the position of the test window to show as an example. It is also saved raw, for
      `edge-rnn predict`. Default: 0.

    Raises DataError for a directory that is not a run and for an index out of range, and
    MissingExtraError without TensorFlow.
    """
    run = Run.open(run_directory)
    test = run.test_windows()
    if not 0 <= index < len(test):
        raise DataError(f"--index: expected 0 to {len(test) - 1} of the test split, found {index}.")
    model = _load(run.model)
    normalized = run.record.normalization.apply(test.x)
    logits = np.asarray(model.predict(normalized, batch_size=EVALUATION_BATCH, verbose=0))
    predicted = logits.argmax(axis=1)
    labels = run.record.labels
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (test.y, predicted), 1)
    actual_label, predicted_label = labels[test.y[index]], labels[predicted[index]]
    pictures = (run.path / CONFUSION_PICTURE, run.path / EXAMPLE_PICTURE)
    plot_confusion(confusion, labels, pictures[0])
    title = f"expected {actual_label}, predicted {predicted_label}"
    pixels = run.record.normalization.dtype == "uint8"
    plot_window(normalized[index], title, pictures[1], pixels=pixels)
    np.save(run.path / EXAMPLE_WINDOW, test.x[index])
    return Evaluation(
        accuracy=float((predicted == test.y).mean()),
        confusion=confusion,
        labels=labels,
        index=index,
        logits=logits[index],
        actual=actual_label,
        predicted=predicted_label,
        files=(*pictures, run.path / EXAMPLE_WINDOW),
    )


def _load(path: Path) -> Any:
    tensorflow = load_tensorflow("edge-rnn evaluate")
    try:
        return tensorflow.keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds
        raise DataError(f"{path}: Keras cannot load the model ({reason(error)}).") from error
