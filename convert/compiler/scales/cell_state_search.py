"""Searches the limits of the cell states' int8 ranges that give the smallest error of the logits.

A wide range rounds every state coarsely, a narrow one clips the few large ones; which is better differs
between models. So several limits are tried, and those with the smallest mean squared logit error on
calibration windows are taken: first the same limit for both sides, then the lower and the upper one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.compiler.reproducible_run import run_reproducibly
from convert.compiler.scales.calibrate import Range, affine
from edge_runtime.numpy_engine.interpret import rounding_observer, run
from edge_runtime.tflite.graph import Graph, Quantization

STATE_LIMITS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, float("inf"))
"""Candidates for the largest magnitude on a side of the states' ranges."""

SEARCH_WINDOWS = 256
"""Calibration windows on which the candidates are compared."""

ALIKE = 1.02
"""A range takes that of another tensor which includes it and is wider by up to this factor. Each scale
with its zero_point takes 40 bytes of the file, and the products of most steps differ by less than a
hundredth."""

CLOSE = 1.05
"""Errors up to this factor above the smallest may change places on another computer."""

GraphRun = Callable[..., "NDArray[np.float32]"]


def state_quantizations(
    graph: Graph, ranges: dict[str, Range], windows: NDArray[np.float32], names: set[str]
) -> dict[str, Quantization]:
    """The quantizations of the states `names` (with the products they are sums of) of the float `graph`.

    `ranges`: of every activation; `windows`: normalized calibration windows `[N, steps, features]`.
    """
    if not names:
        return {}
    ordered = [name for name in ranges if name in names]
    errors = _Errors(graph, windows[:SEARCH_WINDOWS])

    def best(limits: list[tuple[float, float]]) -> tuple[float, float]:
        candidates = [state_candidate(ranges, ordered, *pair) for pair in limits]
        return limits[errors.least(candidates)]

    both, _ = best([(limit, limit) for limit in STATE_LIMITS])
    lower, _ = best([(limit, both) for limit in STATE_LIMITS])
    return state_candidate(ranges, ordered, *best([(lower, limit) for limit in STATE_LIMITS]))


class _Errors:
    """Mean squared logit errors of candidates, on the same windows."""

    def __init__(self, graph: Graph, windows: NDArray[np.float32]) -> None:
        self._graph, self._windows = graph, windows
        self._logits: dict[GraphRun, NDArray[np.float32]] = {}
        self._known: dict[tuple[GraphRun, tuple[Quantization, ...]], float] = {}

    def least(self, candidates: list[dict[str, Quantization]]) -> int:
        """Index of the candidate with the smallest error, the first one of equals.

        The errors of all are estimated with the fast run; where several are close to the smallest, the
        reproducible run decides.
        """
        estimates = [self._error(run, candidate) for candidate in candidates]
        limit = CLOSE * min(estimates)
        close = [k for k, estimate in enumerate(estimates) if estimate <= limit]
        if len({tuple(candidates[k].values()) for k in close}) == 1:
            return close[0]
        return min(close, key=lambda k: self._error(run_reproducibly, candidates[k]))

    def _error(self, run: GraphRun, candidate: dict[str, Quantization]) -> float:
        key = (run, tuple(candidate.values()))
        if key not in self._known:
            if run not in self._logits:
                self._logits[run] = run(self._graph, self._windows)
            logits = run(self._graph, self._windows, rounding_observer(candidate))
            self._known[key] = float(np.mean((logits - self._logits[run]) ** 2))
        return self._known[key]


def state_candidate(
    ranges: dict[str, Range], names: Iterable[str], below: float, above: float
) -> dict[str, Quantization]:
    """The quantization of the tensors `names` by their central ranges, clipped to -`below`..`above`.

    Ranges that hardly differ become one (ALIKE).
    """
    limits = {
        name: (max(ranges[name].central_low, -below), min(ranges[name].central_high, above))
        for name in names
    }
    widest_first = sorted(limits, key=lambda name: limits[name][0] - limits[name][1])
    taken: list[tuple[float, float]] = []
    result = {}
    for name in widest_first:
        low, high = limits[name]
        widest = ALIKE * (high - low)
        alike = [one for one in taken if one[0] <= low and high <= one[1] and one[1] - one[0] <= widest]
        if not alike:
            taken.append((low, high))
        result[name] = affine(*(alike[0] if alike else (low, high)))
    return {name: result[name] for name in limits}
