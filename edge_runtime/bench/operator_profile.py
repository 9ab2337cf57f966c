"""The time of the numpy engine, operator by operator.

The TFLite engines have profilers, but Python cannot reach them: neither tflite-runtime's nor
ai-edge-litert's Interpreter has a method for one, nor has LiteRT's CompiledModel (up to 2.3.0).
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bench.report import OperatorTime
from edge_runtime.numpy_engine.interpret import PreparedGraph, zeros
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.tflite.graph import Graph, Tensor


class _Stopwatch:
    """Observes the tensors of a graph as they are computed, and records the time since the last one."""

    def __init__(self, graph: Graph) -> None:
        self._kind = {
            name: f"{operator.op.value} -> {list(graph.tensors[operator.outputs[0]].shape)}"
            for operator in graph.operators
            for name in operator.outputs
        }
        self.operators = Counter(self._kind[operator.outputs[0]] for operator in graph.operators)
        self.nanoseconds: Counter[str] = Counter()
        self._last = 0

    def __call__(self, tensor: Tensor, values: NDArray[Any]) -> None:
        """Called when the `values` of `tensor` have been computed or given."""
        kind = self._kind.get(tensor.name)  # None for an input
        if kind is not None:
            self.nanoseconds[kind] += time.perf_counter_ns() - self._last
        self._last = time.perf_counter_ns()


def profile(flatbuffer: bytes, normalized: NDArray[np.float32], seconds: float) -> list[OperatorTime]:
    """The mean time of each operator in one run, by its output's shape, the longest first.

    `normalized`: a window `[steps, features]`; a step file gets its first row. Runs for `seconds`.
    """
    graph = read_graph(flatbuffer)
    first, *states = (graph.tensors[name] for name in graph.inputs)
    rows = normalized if len(first.shape) == normalized.ndim + 1 else normalized[0]
    inputs = [first.encode(rows[np.newaxis]), *(zeros(state, 1) for state in states)]
    prepared, stopwatch, runs = PreparedGraph(graph), _Stopwatch(graph), 0
    end = time.perf_counter() + seconds
    while runs == 0 or time.perf_counter() < end:
        prepared.run(inputs, stopwatch)
        runs += 1
    return [
        OperatorTime(kind, stopwatch.operators[kind], total / runs / 1e3)
        for kind, total in stopwatch.nanoseconds.most_common()
    ]
