"""The error that 8 bits cause at least: every tensor is rounded by itself in a float run."""

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
    """Float logits `[N, classes]` when each tensor has 8 bits and nothing else is lost.

    The scale of every activation comes from all of its values on the calibration windows. LOGISTIC and
    TANH have the scales that the format fixes. Every matrix is rounded to nearest with a scale per row.
    """
    graph = unroll(network)
    ranges = calibrate(graph, calibration)
    observer = rounding_observer(_own_scales(graph, ranges))
    return run(_rounded_matrices(graph), windows, observer)


def _own_scales(graph: Graph, ranges: dict[str, Range]) -> dict[str, Quantization]:
    made_by = {name: operator.op for operator in graph.operators for name in operator.outputs}
    # An operator that moves bytes gets rounded values. Concatenated tensors need one scale.
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
