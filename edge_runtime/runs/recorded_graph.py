"""GraphRecord -> the quantized Graph whose file the converter writes.

Fine-tuning evaluates this graph in the numpy engine, and the converter serializes it. As both make it
here, an evaluation predicts the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.runs.graph_record import GraphRecord, RecordedTensor
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor
from edge_runtime.tflite.quantization import WEIGHT_LIMIT


def graph_of(record: GraphRecord) -> Graph:
    """The quantized graph of a record: constants rounded to nearest with the recorded scales."""
    operators = tuple(
        Operator(Op(item.op), item.inputs, item.outputs, item.axis, item.relu)
        for item in record.operators
    )
    graph = Graph({}, operators, record.inputs, record.outputs)
    weights = set(graph.matrices())
    for name, item in record.tensors.items():
        lowest = -WEIGHT_LIMIT if name in weights else None
        graph.tensors[name] = _tensor(name, item, record.constants.get(name), lowest)
    return graph


def _tensor(name: str, item: RecordedTensor, real: NDArray[Any] | None, lowest: int | None) -> Tensor:
    dtype = np.dtype(item.dtype)
    if not item.scale:
        return Tensor(name, item.shape, dtype, real, keep_float=real is None)
    data = None
    if real is not None:
        limits = np.iinfo(dtype)
        scale = scale_column(item.scale, real.ndim)
        q = np.rint(real.astype(np.float64) / scale) + item.zero_point
        data = np.clip(q, limits.min if lowest is None else lowest, limits.max).astype(dtype)
    return Tensor(name, item.shape, dtype, data, Quantization(item.scale, item.zero_point))


def scale_column(scale: tuple[float, ...], dimensions: int) -> NDArray[np.float64]:
    """The scales along axis 0 of an array with that many dimensions."""
    return np.array(scale, np.float64).reshape(-1, *(1,) * (dimensions - 1))
