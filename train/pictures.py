"""Pictures of a run: training curves, confusion matrix, one window with its prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import printable
from edge_runtime.host.optional_packages import needs_extra

DPI = 120

MOST_LETTERS = 32
"""Longer names are cut."""

LARGEST_MATRIX = 16.0
"""Inches of a confusion matrix, however many classes it has."""

MANY_CLASSES = 24
"""With more of them, figures and names are small."""

MOST_FIGURES = 80
"""With more classes, a cell is too small for its figure."""

NAME_INCHES = 0.08
"""Inches of a letter in a name."""

DARK = 0.7
"""From here on a cell's figure is white."""

LEGEND_FEATURES = 10  # with more of them a legend would hide the curves


def plot_history(history: dict[str, list[float]], path: Path) -> None:
    """Loss and accuracy over iterations, training and validation, as a PNG."""
    figure, axes = new_figure(1, 2, (10, 4))
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
    """The confusion matrix `[classes, classes]` (rows: actual, columns: predicted) as a PNG.

    A cell is as dark as its share of the row: right ones in blue, mistakes in orange.
    """
    names = [picture_name(label) for label in labels]
    size = min(max(5.0, 0.55 * len(names) + 1), LARGEST_MATRIX)
    room = NAME_INCHES * max(map(len, names))  # for the names beside and below
    figure, axis = new_figure(1, 1, (size + room, size + room))
    rows = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    share = np.sqrt(matrix / rows)  # the root makes a single mistake visible
    diagonal = np.eye(len(names), dtype=bool)
    for cells, colors in ((diagonal, "Blues"), (~diagonal, "Oranges")):
        shown = np.where(cells & (matrix > 0), share, np.nan)
        axis.imshow(shown, cmap=colors, vmin=0, vmax=1)
    letters = 8 if len(names) <= MANY_CLASSES else 5
    for (row, column), count in np.ndenumerate(matrix):
        if count and len(names) <= MOST_FIGURES:
            color = "white" if share[row, column] > DARK else "black"
            text = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
            axis.text(column, row, text, ha="center", va="center", color=color, fontsize=letters)
    across = {"rotation": 90} if max(map(len, names)) * NAME_INCHES > size / len(names) else {}
    axis.set_xticks(range(len(names)), names, fontsize=max(letters, 6), **across)
    axis.set_yticks(range(len(names)), names, fontsize=max(letters, 6))
    axis.set_xlabel("predicted")
    axis.set_ylabel("actual")
    figure.savefig(path, dpi=DPI)


def plot_window(window: NDArray[np.float32], title: str, path: Path, *, pixels: bool) -> None:
    """One normalized window `[steps, features]` as a PNG: `pixels` as a picture, others as curves."""
    figure, axis = new_figure(1, 1, (4, 4))
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
    axis.set_title(picture_text(title))
    figure.savefig(path, dpi=DPI)


def picture_name(name: str) -> str:
    """A name as a picture shows it, short."""
    return picture_text(short_name(name))


def picture_text(text: str) -> str:
    """A text that matplotlib shows as it is. Between two dollar signs it would see a formula."""
    return text.replace("$", r"\$")


def new_figure(rows: int, columns: int, size: tuple[float, float], **grid: Any) -> tuple[Any, Any]:
    """A figure that needs no screen, and its axes."""
    with needs_extra("workstation", "matplotlib", "a picture of a run"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **grid)


def short_name(name: str) -> str:
    """The name, printable; one that is longer than MOST_LETTERS loses its middle."""
    name = printable(name)
    if len(name) <= MOST_LETTERS:
        return name
    end = (MOST_LETTERS - 3) // 2
    return f"{name[: MOST_LETTERS - 3 - end]}...{name[-end:]}"
