"""What a training tells while it runs: a progress bar or lines, and TensorBoard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edge_runtime.host.optional_packages import needs_extra

METRICS = {
    "loss": "loss",
    "accuracy": "accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}
"""Names in the history -> as they are printed."""


class TrainingProgress:
    """Prints to standard output: a bar on a terminal unless `quiet`, else a line for each report.

    `silent`: prints nothing.
    """

    def __init__(self, keras: Any, iterations: int, *, quiet: bool, silent: bool = False) -> None:
        self._iterations, self._silent = iterations, silent
        self._bar = None
        if not quiet and not silent and sys.stdout.isatty():
            self._bar = keras.utils.Progbar(iterations, stateful_metrics=list(METRICS.values()))

    def advance(self, iteration: int, loss: float, accuracy: float) -> None:
        """Called often. `loss` and `accuracy`: means since the last report."""
        if self._bar is not None:
            self._bar.update(
                min(iteration, self._iterations - 1), [("loss", loss), ("accuracy", accuracy)]
            )

    def report(self, iteration: int, metrics: dict[str, float]) -> None:
        """Called after each validation. `metrics`: by the names of METRICS."""
        named = [(METRICS[name], value) for name, value in metrics.items() if name in METRICS]
        if self._bar is not None:
            self._bar.update(iteration, named, finalize=iteration == self._iterations)
            return
        if self._silent:
            return
        values = ", ".join(f"{name}: {value:.4f}" for name, value in named)
        print(f"{iteration:>6} of {self._iterations} iterations: {values}", flush=True)

    def stopped(self, iteration: int, reports: int) -> None:
        """Called when training ends before its last iteration."""
        if self._silent:
            return
        if self._bar is not None:
            print()
        print(
            f"{iteration:>6} iterations: stopped, as the validation loss did not fall in {reports} "
            "reports. The weights of the best report are kept.",
            flush=True,
        )


class TensorBoard:
    """Writes every report as scalars that TensorBoard shows. Without a folder it writes nothing."""

    def __init__(self, tf: Any, folder: str | Path | None) -> None:
        self._tf, self._writer = tf, None
        if folder is not None:
            with needs_extra("tensorboard", "tensorboard", "--tensorboard"):
                import tensorboard  # noqa: F401  # tf.summary loads it on first use
            self._writer = tf.summary.create_file_writer(str(folder))

    def report(self, iteration: int, metrics: dict[str, float]) -> None:
        """Write the metrics, each under its name, at this iteration."""
        if self._writer is None:
            return
        with self._writer.as_default():
            for name, value in metrics.items():
                self._tf.summary.scalar(name, value, step=iteration)
        self._writer.flush()
