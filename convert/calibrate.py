"""Ranges of every activation, measured by running the float graph on calibration windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.graph import Graph, Tensor
from convert.interpret import run

QUANTILE = 0.999
"""Fraction of a tensor's values that its calibrated range holds; the rest saturates."""


@dataclass(frozen=True)
class Range:
    """The values a tensor takes: all of them, and the central `QUANTILE` of them."""

    low: float
    high: float
    central_low: float
    central_high: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Range:
        """The range of an array of any shape, exact order statistics."""
        flat = values.reshape(-1)
        below = int((1 - QUANTILE) / 2 * (len(flat) - 1))
        above = len(flat) - 1 - below
        # np.quantile would copy to float64 and interpolate, at three times the cost.
        ordered = np.partition(flat, [below, above])
        return cls(float(flat.min()), float(flat.max()), float(ordered[below]), float(ordered[above]))


def calibrate(graph: Graph, windows: NDArray[np.float32]) -> dict[str, Range]:
    """Tensor name -> Range, for every activation of the float `graph`.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, N >= 1. They come from
    the training split only.
    """
    ranges: dict[str, Range] = {}

    def observe(tensor: Tensor, values: NDArray[Any]) -> None:
        ranges[tensor.name] = Range.of(values)

    run(graph, windows, observe)
    return ranges
