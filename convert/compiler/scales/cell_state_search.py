"""Searches the limits of the cell states' int8 ranges: where to clip so that the logits err least.

A wide range rounds every state coarsely, a narrow one clips the few large ones; which is better differs
between models. So the limits are searched for the smallest mean squared logit error on calibration
windows: first the same one for both sides, then the lower and the upper one in turn.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from convert.compiler.reproducible_run import run_reproducibly
from convert.compiler.scales.calibrate import Range, affine
from edge_runtime.numpy_engine.interpret import rounding_observer
from edge_runtime.tflite.graph import Graph, Quantization

LIMITS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, float("inf"))
"""Candidates for the largest magnitude on a side of the states' ranges."""

WINDOWS = 256
"""Calibration windows on which the candidates are compared."""


def state_quantizations(
    graph: Graph, ranges: dict[str, Range], windows: NDArray[np.float32], names: set[str]
) -> dict[str, Quantization]:
    """The quantizations of the states `names` (with the products they are sums of) of the float `graph`.

    `ranges`: of every activation; `windows`: normalized calibration windows `[N, steps, features]`.
    """
    if not names:
        return {}
    ordered = [name for name in ranges if name in names]
    windows = windows[:WINDOWS]
    exact = run_reproducibly(graph, windows)
    errors: dict[tuple[float, float], float] = {}

    def error(limits: tuple[float, float]) -> float:
        if limits not in errors:
            observer = rounding_observer(state_candidate(ranges, ordered, *limits))
            errors[limits] = float(np.mean((run_reproducibly(graph, windows, observer) - exact) ** 2))
        return errors[limits]

    both = min(((limit, limit) for limit in LIMITS), key=error)
    lower = min(((limit, both[1]) for limit in LIMITS), key=error)
    best = min(((lower[0], limit) for limit in LIMITS), key=error)
    return state_candidate(ranges, ordered, *best)


def state_candidate(
    ranges: dict[str, Range], names: Iterable[str], below: float, above: float
) -> dict[str, Quantization]:
    """The quantization of the tensors `names` by their central ranges, clipped to -`below`..`above`."""
    return {
        name: affine(max(ranges[name].central_low, -below), min(ranges[name].central_high, above))
        for name in names
    }
