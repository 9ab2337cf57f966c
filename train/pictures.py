"""Pictures of a run: training curves, confusion matrix, one window with its prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.host.optional_packages import needs_extra

DPI = 120

LEGEND_FEATURES = 10  # with more of them a legend would hide the curves


def plot_history(history: dict[str, list[float]], path: Path) -> None:
    """Loss and accuracy over iterations, training and validation, as a PNG."""
    figure, axes = subplots(1, 2, (10, 4))
    for axis, metric in zip(axes, ("loss", "accuracy")):
        axis.plot(history["iteration"], history[metric], marker=".", label="training")
        axis.plot(history["iteration"], history[f"val_{metric}"], marker=".", label="validation")
        axis.set_xlabel("iteration")
        axis.set_title(metric)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[0].set_yscale("log")
    figure.savefig(path, dpi=DPI)


def plot_confusion(matrix: NDArray[np.int64], labels: tuple[str, ...], path: Path) -> None:
    """The confusion matrix `[classes, classes]` (rows: actual, columns: predicted) as a PNG."""
    size = max(5.0, 0.55 * len(labels) + 1)
    figure, axis = subplots(1, 1, (size, size))
    # Mistakes are few: on a logarithmic scale a single one is still seen.
    axis.imshow(np.log1p(matrix), cmap="Blues")
    dark = np.log1p(matrix) > np.log1p(matrix.max()) / 2
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = "white" if dark[row, column] else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xlabel("predicted")
    axis.set_ylabel("actual")
    figure.savefig(path, dpi=DPI)


def plot_window(window: NDArray[np.float32], title: str, path: Path, *, pixels: bool) -> None:
    """One normalized window `[steps, features]` as a PNG: `pixels` as a picture, others as curves."""
    figure, axis = subplots(1, 1, (4, 4))
    if pixels:
        axis.imshow(window, cmap="gray", aspect="equal")
        axis.set_xlabel("feature")
        axis.set_ylabel("step")
    else:
        axis.plot(window, label=[f"feature {k}" for k in range(window.shape[1])])
        axis.set_xlabel("step")
        axis.set_ylabel("normalized value")
        if window.shape[1] <= LEGEND_FEATURES:
            axis.legend(fontsize=7)
    axis.set_title(title)
    figure.savefig(path, dpi=DPI)


def subplots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure that needs no screen, and its axes."""
    with needs_extra("workstation", "matplotlib", "a picture of a run"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns)
