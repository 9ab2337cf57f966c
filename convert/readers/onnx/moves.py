"""ONNX nodes that compute nothing new: nodes of constants or shapes, and those that move elements."""

from __future__ import annotations

import numpy as np

from convert.readers.onnx.file import OnnxFile, OnnxNode
from convert.readers.onnx.tracing import PADDING, Positions, Traced, Unsupported, Value, as_constant
from edge_runtime.errors import reason

SHAPE_NODES = {"Shape", "Size"}

UNCHANGED_NODES = {"Cast", "CastLike", "Dropout", "Identity"}

MOVING_NODES = {
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Pad",
    "Reshape",
    "ReverseSequence",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
}

FLOATS = (1, 10, 11, 16)
"""float, float16, double and bfloat16 in onnx.TensorProto.DataType."""


def computed(file: OnnxFile, node: OnnxNode, given: list[Value]) -> list[Value]:
    """A node's outputs for constants; a traced input is replaced by its positions."""
    arrays = [value.positions if isinstance(value, Traced) else value for value in given]
    try:
        return list(file.evaluate(node, arrays))
    except Exception as error:  # the reference implementation raises many kinds
        raise Unsupported(f"cannot be computed ({reason(error)})") from None


def moved(file: OnnxFile, node: OnnxNode, given: list[Value]) -> list[Value]:
    """A node that only moves elements: the same node, applied to positions."""
    traced = given[0]
    if not isinstance(traced, Traced) or any(isinstance(value, Traced) for value in given[1:]):
        raise Unsupported("takes elements at places that depend on the window")
    if node.op == "Pad":
        return [traced.moved(_padded(node, traced.positions, given[1:]))]
    return [traced.moved(np.asarray(result)) for result in computed(file, node, given)]


def unchanged(node: OnnxNode, given: list[Value]) -> list[Value]:
    """Identity, a cast between floating point types, or Dropout at inference (its mask has no value)."""
    training = given[2] if node.op == "Dropout" and len(given) > 2 else None
    if training is not None and as_constant(training, "training_mode").any():
        raise Unsupported("is in training mode. Export the model for inference, with model.eval().")
    if node.op == "Cast" and node.attributes["to"] not in FLOATS:
        raise Unsupported("turns values into integers. Expected a floating point type.")
    return [given[0], *[None] * (len(node.outputs) - 1)]


def _padded(node: OnnxNode, positions: Positions, given: list[Value]) -> Positions:
    """The positions with PADDING around them, for a Pad with zeros."""
    arrays = [None if value is None else np.asarray(value) for value in given]
    first, constant, axes = [*arrays, None, None, None][:3]
    pads = [int(size) for size in (node.attributes.get("pads", ()) if first is None else first)]
    fill = node.attributes.get("value", 0.0) if constant is None else constant.max()
    if node.attributes.get("mode", "constant") != "constant" or fill != 0 or min(pads) < 0:
        raise Unsupported("pads with something other than zeros. Expected mode constant and value 0.")
    chosen = range(positions.ndim) if axes is None else axes.tolist()
    around = [(0, 0)] * positions.ndim
    for k, axis in enumerate(chosen):
        around[axis] = (pads[k], pads[k + len(pads) // 2])
    return np.pad(positions, around, constant_values=PADDING)
