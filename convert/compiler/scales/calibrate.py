"""Ranges of every activation, measured by running the float graph on calibration windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.reproducible_run import run_reproducibly
from edge_runtime.tflite.graph import Graph, Op, Quantization, Tensor

QUANTILE = 0.999
"""Fraction of a tensor's values that its calibrated range holds; the rest saturates."""


@dataclass(frozen=True)
class Range:
    """The values a tensor takes: all of them, and the central `QUANTILE` of them.

    The central range is measured for the window, sums and products, where a range may leave out what is
    rare; for all other tensors it is the whole range.
    """

    low: float
    high: float
    central_low: float
    central_high: float

    @classmethod
    def of(cls, values: NDArray[Any], *, central: bool) -> Range:
        """The range of an array of any shape; `central`: measure the central one, exactly."""
        flat = values.reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        if not central:
            return cls(low, high, low, high)
        below = int((1 - QUANTILE) / 2 * (len(flat) - 1))
        above = len(flat) - 1 - below
        # np.quantile would copy to float64 and interpolate, at three times the cost.
        ordered = np.partition(flat, [below, above])
        return cls(low, high, float(ordered[below]), float(ordered[above]))

    def joined(self, other: Range | None) -> Range:
        """The range that holds both."""
        if other is None:
            return self
        return Range(
            min(self.low, other.low),
            max(self.high, other.high),
            min(self.central_low, other.central_low),
            max(self.central_high, other.central_high),
        )


def calibrate(graph: Graph, windows: NDArray[np.float32]) -> dict[str, Range]:
    """Tensor name -> Range, for every activation of the float `graph`.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, N >= 1. They come from
    the training split only.
    """
    ranges: dict[str, Range] = {}
    combined = {op.outputs[0] for op in graph.operators if op.op in (Op.ADD, Op.MUL)}
    # A state before a row is the one after the row before it: both are measured alike.
    combined |= {before for before, after in graph.states if after in combined}

    def observe(tensor: Tensor, values: NDArray[Any]) -> None:
        central = tensor.name in combined or tensor.name == graph.input
        found = Range.of(values, central=central)
        # The graph of a single step is run for every row: one range for all of them.
        ranges[tensor.name] = found.joined(ranges.get(tensor.name))

    run_reproducibly(graph, windows, observe)
    for before, after in graph.states:
        ranges[before] = ranges[after] = ranges[after].joined(ranges[before])
    return ranges


def affine(low: float, high: float) -> Quantization:
    """The int8 scale and zero_point that cover [low, high] and represent 0 exactly.

    Source: Jacob et al. 2018, section 3: the range is widened to include 0, and 0 falls on an integer.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255)) or 1.0
    return Quantization((scale,), int(np.clip(round(-128 - low / scale), -128, 127)))
