"""Whether one packed copy of each matrix can serve every step of a graph (engines.shared_weights).

XNNPACK's cache knows a packed matrix by its weights and its bias alone. What it packs of an integer
matmul holds the scales and the zero_point around it as well (XNNPACK, packing of qs8 and qc8w weights),
so a second matmul with the same weights and bias in other scales would silently compute with the first
one's.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization

_PACKED = (np.float32, np.int8)
"""Types of activations for which XNNPACK has a matmul; it has none for int16."""

_Around = tuple[Optional[Quantization], ...]


def can_share_weights(graph: Graph) -> bool:
    """Whether all matmuls with the same weights and bias have the same scales around them."""
    around: dict[tuple[str | bytes, ...], set[_Around]] = {}
    for operator in graph.operators:
        if operator.op is Op.FULLY_CONNECTED:
            if graph.tensors[operator.inputs[0]].dtype not in _PACKED:
                return False
            key = tuple(_identity(graph, name) for name in operator.inputs[1:])
            around.setdefault(key, set()).add(_quantizations(graph, operator))
    return all(len(found) == 1 for found in around.values())


def _identity(graph: Graph, name: str) -> str | bytes:
    """The file stores equal constants once; float16 weights are what a DEQUANTIZE gives."""
    data = graph.tensors[name].data
    return name if data is None else data.tobytes()


def _quantizations(graph: Graph, operator: Operator) -> _Around:
    names = (operator.inputs[0], operator.inputs[1], operator.outputs[0])
    return tuple(graph.tensors[name].quantization for name in names)
