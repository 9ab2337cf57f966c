"""Draws an Explanation: errors by step above, each gate's own error below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convert.explain.loss_by_step import DIVERGED, Explanation, LayerErrors
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.optional_packages import needs_extra


def draw_explanation(explanation: Explanation, path: str | Path) -> None:
    """Write a PNG. Raises MissingExtraError without matplotlib."""
    with needs_extra("workstation", "matplotlib", "edge-rnn convert --explain"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    count = len(explanation.layers)
    figure = Figure(figsize=(9, 5.5 * count), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 * count, 1, squeeze=False)[:, 0]
    for number, layer in enumerate(explanation.layers):
        _errors(axes[2 * number], layer)
        _gates(figure, axes[2 * number + 1], layer)
    title = f"Loss of {explanation.precision} by step, {explanation.windows} windows"
    figure.suptitle(f"{title}\n{explanation.verdict}", fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _errors(axis: Any, layer: LayerErrors) -> None:
    steps = np.arange(1, len(layer.errors["h"]) + 1)
    for name, values in layer.errors.items():
        relative = np.array(values) / max(*layer.spread[name], 1e-12)
        axis.plot(
            steps, 100 * relative, marker="o", markersize=3, label=f"{name}, earlier errors included"
        )
    axis.axhline(100 * DIVERGED, color="gray", linestyle="--", linewidth=1, label="diverged")
    axis.set(ylabel="error, % of the largest spread", xlim=(0.5, len(steps) + 0.5), ylim=(0, None))
    axis.set_title(layer.layer, loc="left", fontsize=10)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)


def _gates(figure: Any, axis: Any, layer: LayerErrors) -> None:
    values = np.array(list(layer.gates.values()))
    image = axis.imshow(
        values,
        aspect="auto",
        cmap="magma_r",
        vmin=0,
        extent=(0.5, values.shape[1] + 0.5, len(values) - 0.5, -0.5),
    )
    axis.set(xlabel="step", ylabel="gate")
    axis.set_yticks(range(len(values)), list(layer.gates))
    figure.colorbar(image, ax=axis, label="own error, units of\n8-bit rounding", pad=0.01)
