"""The figures of a page, from the record's numbers to SVG. A phone shows each in full width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convert.evidence.figures import Calibration, Drift, LayerDrift, Margins, Proportion, Reliability
from convert.evidence.page.svg import (
    BAD_INK,
    GRID_INK,
    INK,
    MODEL_INK,
    MUTED_INK,
    REFERENCE_INK,
    SERIES_INKS,
    drawing,
    plain_text,
)
from convert.explain.loss_by_step import DIVERGED

PLOT_WIDTH = 400
"""CSS pixels. On a phone the letters then keep nine tenths of their size."""

LINES = ("-", "--", "-.", ":", *("-",) * (len(SERIES_INKS) - 4))
"""Beside the colours, for those who see them alike."""


def margins_plot(name: str, margins: Margins) -> str:
    """How many windows have which margin, and below, on how many of them the classes differ."""
    title = "Histogram of the margins of both models, and of the windows with different classes"
    with drawing(name, title, PLOT_WIDTH, 300) as drawn:
        upper, lower = drawn.figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        upper.stairs(
            margins.reference, margins.edges, color=REFERENCE_INK, linewidth=1.6, label="reference"
        )
        upper.stairs(
            margins.model, margins.edges, color=MODEL_INK, linewidth=1.6, linestyle="--", label="model"
        )
        upper.set(ylabel="windows", ylim=(0, None))
        upper.legend()
        lower.stairs(margins.disagreements, margins.edges, color=BAD_INK, fill=True)
        most = max(1, *margins.disagreements)
        lower.set(
            ylabel="different", xlabel="margin of the reference's best logit", ylim=(0, 1.15 * most)
        )
        _whole_numbers(lower)
    return drawn.svg


def calibration_plot(name: str, calibration: Calibration) -> str:
    """Accuracy by confidence. On the diagonal a probability means what it says."""
    with drawing(name, "Accuracy by confidence, of both models", PLOT_WIDTH, 300) as drawn:
        axis = drawn.figure.subplots()
        axis.plot((0, 1), (0, 1), color=MUTED_INK, linewidth=1, linestyle=":")
        both = (
            (calibration.reference, REFERENCE_INK, "reference", "-"),
            (calibration.model, MODEL_INK, "model", "--"),
        )
        for reliability, color, label, dashes in both:
            points = _known_points(reliability)
            x, y = [point[0] for point in points], [point[1] for point in points]
            axis.plot(x, y, dashes, color=color, linewidth=1, alpha=0.7, label=label)
            axis.scatter(x, y, [point[2] for point in points], color=color, alpha=0.8)
        axis.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.05), ylim=(-0.05, 1.05))
        axis.grid(visible=True, axis="both")
        axis.legend(loc="upper left")
    return drawn.svg


def _known_points(reliability: Reliability) -> list[tuple[float, float, float]]:
    """Confidence, accuracy and the area of the point, which grows with the windows."""
    most = max([1, *(item.windows for item in reliability.bins)])
    return [
        (item.confidence, item.accuracy, 6 + 90 * item.windows / most)
        for item in reliability.bins
        if item.confidence is not None and item.accuracy is not None
    ]


def drift_plots(name: str, drift: Drift) -> list[tuple[str, str]]:
    """A caption and a figure for the states of each layer, and for its gates."""
    plots = []
    for index, layer in enumerate(drift.layers):
        of_layer = f" of {layer.layer}" if layer.layer else ""
        plots.append((f"States{of_layer}", _states_plot(f"{name}-states-{index}", layer)))
        if layer.gates:
            plots.append((f"Gates{of_layer}", _gates_plot(f"{name}-gates-{index}", layer)))
    return plots


def _states_plot(name: str, layer: LayerDrift) -> str:
    with drawing(name, "Error of the states by time step", PLOT_WIDTH, 250) as drawn:
        axis = drawn.figure.subplots()
        axis.axhline(100 * DIVERGED, color=MUTED_INK, linewidth=1, linestyle=":")
        for (state, errors), color, dashes in zip(layer.errors.items(), SERIES_INKS, LINES):
            largest = max(layer.spread.get(state, ()), default=0.0) or 1.0
            shares = [100 * error / largest for error in errors]
            _by_step(axis, shares, color=color, linestyle=dashes, label=plain_text(state))
        axis.set(xlabel="time step", ylabel="error, % of the largest spread", ylim=(0, None))
        axis.legend()
    return drawn.svg


def _gates_plot(name: str, layer: LayerDrift) -> str:
    with drawing(name, "Error that each gate adds, by time step", PLOT_WIDTH, 250) as drawn:
        axis = drawn.figure.subplots()
        axis.axhline(1, color=MUTED_INK, linewidth=1, linestyle=":")
        for (gate, errors), color, dashes in zip(layer.gates.items(), SERIES_INKS, LINES):
            _by_step(axis, errors, color=color, linestyle=dashes, label=plain_text(gate))
        axis.set(xlabel="time step", ylabel="units of 8-bit rounding", ylim=(0, None))
        axis.legend(ncols=2)
    return drawn.svg


def _by_step(axis: Any, values: Any, **options: Any) -> None:
    axis.plot(range(1, len(values) + 1), values, linewidth=1.5, **options)


def intervals_plot(name: str, title: str, rows: Sequence[tuple[str, Proportion | None, str]]) -> str:
    """Shares with their 95 % intervals, one row for each; "reference" rows have its colour.

    `rows`: label, share, and `reference` or `model`.
    """
    shown = [row for row in rows if row[1] is not None]
    with drawing(name, title, PLOT_WIDTH, 60 + 22 * len(shown)) as drawn:
        axis = drawn.figure.subplots()
        for place, (_, share, kind) in enumerate(shown):
            assert share is not None
            color = REFERENCE_INK if kind == "reference" else MODEL_INK
            axis.plot((100 * share.low, 100 * share.high), (place, place), color=color, linewidth=2)
            axis.plot(100 * share.share, place, "o", color=color, markersize=6)
        axis.set_yticks(range(len(shown)), [plain_text(row[0], 22) for row in shown])
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.spines.left.set_visible(False)
        axis.set(xlabel="%, with limits at 95 %", ylim=(len(shown) - 0.5, -0.5))
        axis.grid(visible=False)
        axis.grid(visible=True, axis="x", color=GRID_INK)
    return drawn.svg


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
