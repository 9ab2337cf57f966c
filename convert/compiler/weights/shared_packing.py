"""Tells whether one packed copy of each matrix can serve every step (see engines.shared_weights).

XNNPACK's cache finds a packed matrix by its weights and its bias alone. The packed form of an integer
matmul also holds the scales and the zero_point of its input and output (XNNPACK, packing of qs8 and qc8w
weights). A second matmul with the same weights and bias but other scales would therefore silently
compute with those of the first.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from edge_runtime.tflite.graph import Graph, Operator, Quantization

_PACKED = (np.float32, np.int8)
"""Types of activations for which XNNPACK has a matmul."""

_Around = tuple[Optional[Quantization], ...]


def can_share_weights(graph: Graph) -> bool:
    """Whether all matmuls with the same weights and bias have the same scales around them."""
    around: dict[tuple[str | bytes, ...], set[_Around]] = {}
    for operator in graph.matmuls():
        if graph.tensors[operator.inputs[0]].dtype not in _PACKED:
            return False
        key = tuple(_identity(graph, name) for name in operator.inputs[1:])
        around.setdefault(key, set()).add(_quantizations(graph, operator))
    return all(len(found) == 1 for found in around.values())


def _identity(graph: Graph, name: str) -> str | bytes:
    """Equal for equal constants, which the file stores once; float16 weights come from a DEQUANTIZE."""
    data = graph.tensors[name].data
    return name if data is None else data.tobytes()


def _quantizations(graph: Graph, operator: Operator) -> _Around:
    names = (operator.inputs[0], operator.inputs[1], operator.outputs[0])
    return tuple(graph.tensors[name].quantization for name in names)
