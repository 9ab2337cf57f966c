"""Integer tokens of a window, and the table that an Embedding looks them up in."""

from __future__ import annotations

import numpy as np

from convert.readers.onnx.file import OnnxNode
from convert.readers.onnx.layouts import as_rows
from convert.readers.onnx.tracing import Traced, Unsupported, Value, as_constant, as_traced
from convert.source_model.network import Embedding

INTEGERS = (6, 7)
"""int32 and int64 in onnx.TensorProto.DataType."""


def integers(node: OnnxNode, values: list[Value]) -> bool:
    """Whether a Cast turns a window of one column, which may be tokens, into integers."""
    value = values[0]
    if node.op != "Cast" or not isinstance(value, Traced) or node.attributes["to"] not in INTEGERS:
        return False
    return all(tensor.layer is None and tensor.width == 1 for tensor in value.tensors)


def embedded(node: OnnxNode, values: list[Value]) -> Traced:
    """Gather of rows of a constant table by the window's tokens."""
    table, tokens = as_constant(values[0], "data"), as_traced(values[1])
    if table.ndim != 2 or node.attributes.get("axis", 0) != 0 or table.dtype.kind != "f":
        raise Unsupported(f"looks up a table of shape {list(table.shape)}. Expected [tokens, units].")
    rows = as_rows(tokens, tokens.positions[..., None])
    tensor, units = rows.tensor, table.shape[1]
    if tensor.layer is not None or tensor.width != 1 or tensor.static or tensor.steps is None:
        raise Unsupported(
            "looks up something other than the window's tokens. Expected windows of one column, a token "
            "in every row."
        )
    layer = Embedding(node.name, table.astype(np.float32))
    return Traced((tensor.then(layer, tensor.steps, units),), rows.positions(np.arange(units), units))
