"""What 8 bits must cost a network: every tensor rounded by itself, in an otherwise float run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.compiler.float_graph.unroll import unroll
from convert.compiler.scales.calibrate import Range, affine, calibrate
from convert.compiler.scales.shared_scales import FIXED, MOVING_OPERATORS
from convert.source_model.network import Network
from edge_runtime.numpy_engine.interpret import rounding_observer, run
from edge_runtime.tflite.graph import Graph, Op, Quantization


def rounded_logits(network: Network, calibration: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Logits `[N, classes]`, float, with 8 bits for each tensor and nothing else lost.

    Every activation has its own scale, by all of its values on the calibration windows, or LOGISTIC's
    and TANH's, which the format fixes; every matrix is rounded to nearest with a scale per row.
    """
    graph = unroll(network)
    ranges = calibrate(graph, calibration)
    observer = rounding_observer(_own_scales(graph, ranges))
    return run(_rounded_matrices(graph), windows, observer)


def _own_scales(graph: Graph, ranges: dict[str, Range]) -> dict[str, Quantization]:
    made_by = {name: operator.op for operator in graph.operators for name in operator.outputs}
    # What only moves was rounded before; what is concatenated has to have one scale.
    moved = set(MOVING_OPERATORS) - {Op.CONCATENATION}
    return {
        name: FIXED.get(made_by.get(name)) or affine(found.low, found.high)
        for name, found in ranges.items()
        if made_by.get(name) not in moved
    }


def _rounded_matrices(graph: Graph) -> Graph:
    tensors = dict(graph.tensors)
    for name in graph.matrices():
        weights = tensors[name].values
        scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        tensors[name] = replace(tensors[name], data=np.rint(weights / scale) * scale)
    return replace(graph, tensors=tensors)
