"""Feed-forward nodes of ONNX -> layers for matmul, convolution, normalization, pooling, activations.

Every function takes the node and its inputs, Traced or constant, and returns the Traced output. Raises
Unsupported. Definitions: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.bidirectional import merged_directions
from convert.readers.onnx.file import Node
from convert.readers.onnx.tracing import (
    PADDING,
    Array,
    Positions,
    Rows,
    Traced,
    Unsupported,
    Value,
    absorb,
    as_constant,
    as_rows,
    as_sequence,
    as_traced,
    in_order,
    natural,
)
from convert.source_model.network import (
    Activation,
    Affine,
    Conv1d,
    Dense,
    GlobalPooling,
    LayerNorm,
)

NOT_THE_STEPS = (
    "reduces something other than all steps. Expected the axis of the steps. A layer normalization is "
    "recognized as the node LayerNormalization, which opset 17 and later have."
)


def gemm(node: Node, values: list[Value]) -> Traced:
    """alpha * A @ B + beta * C."""
    a, b, *rest = values
    if node.attributes.get("transA", 0):
        raise Unsupported("has transA=1. Expected 0.")
    b = as_constant(b, "B")
    weights = b if node.attributes.get("transB", 0) else b.T
    weights = weights * np.float32(node.attributes.get("alpha", 1.0))
    bias = np.zeros(len(weights), np.float32)
    if rest and rest[0] is not None:
        bias = bias + as_constant(rest[0], "C") * np.float32(node.attributes.get("beta", 1.0))
    return _dense(node, as_traced(a), weights, bias.reshape(-1))


def matmul(node: Node, values: list[Value]) -> Traced:
    """A @ B with a constant matrix B."""
    a, b = values
    if isinstance(b, Traced):
        raise Unsupported(
            "multiplies by a matrix that depends on the window (attention is not supported)"
        )
    weights = as_constant(b, "B")
    if weights.ndim != 2:
        raise Unsupported(f"multiplies by a constant of shape {list(weights.shape)}. Expected a matrix.")
    return _dense(node, as_traced(a), weights.T, np.zeros(weights.shape[1], np.float32))


def _dense(node: Node, x: Traced, weights: Array, bias: Array) -> Traced:
    rows = as_rows(x, x.positions)
    kernel = absorb(weights, rows.columns, rows.width)
    layer = Dense(node.name, kernel, bias.astype(np.float32))
    width = len(kernel)
    return _after(x, rows).then(layer, rows.steps, width, rows.positions(np.arange(width), width))


def _after(x: Traced, rows: Rows) -> Traced:
    """The value that `rows` were taken from."""
    return Traced(rows.layers, x.batch, rows.steps, rows.width, x.positions)


def softmax(node: Node, values: list[Value], opset: int) -> tuple[Traced, Traced]:
    """Softmax or LogSoftmax along the features; returns its input and its output."""
    x = as_traced(values[0])
    rank = x.positions.ndim
    axis = node.attributes.get("axis", -1 if opset >= 13 else 1) % rank
    if opset < 13 and axis != rank - 1:
        raise Unsupported(f"works on the axes from {axis} on. Expected the last axis, {rank - 1}.")
    last = np.moveaxis(x.positions, axis, -1)
    rows = as_rows(x, last)
    if len(set(rows.columns.tolist())) != rows.width or len(rows.columns) != rows.width:
        raise Unsupported("works on some of the features. Expected all of them.")
    positions = np.moveaxis(rows.positions(rows.columns, rows.width), -1, axis)
    before = _after(x, rows).moved(positions)
    layer = Activation(node.name, node.op.lower())
    return before, before.then(layer, rows.steps, rows.width, positions)


def activation(function: str) -> Callable[[Node, list[Value]], Traced]:
    """An activation function, element by element."""

    def handle(node: Node, values: list[Value]) -> Traced:
        x = as_traced(values[0])
        x.columns()
        return x.then(Activation(node.name, function), x.steps, x.width, x.positions)

    return handle


def clip(node: Node, values: list[Value]) -> Traced:
    """Clip with the lower bound zero and no upper bound, which is RELU."""
    x, *bounds = values
    low, high = node.attributes.get("min"), node.attributes.get("max")
    for k, value in enumerate(bounds):
        bound = None if value is None else float(as_constant(value, "bound").reshape(()))
        low, high = (bound, high) if k == 0 else (low, bound)
    if low != 0 or (high is not None and high < np.finfo(np.float32).max):
        raise Unsupported(f"clips to {low} .. {high}. Expected 0 as the lower bound and no upper bound.")
    return activation("relu")(node, [x])


def arithmetic(node: Node, values: list[Value]) -> Traced:
    """Add, Sub, Mul, Div of a value and a constant; Add and Mul of the directions of a bidirectional."""
    a, b = values
    if isinstance(a, Traced) and isinstance(b, Traced):
        return merged_directions(node, a, b)
    if node.op in ("Add", "Mul") and isinstance(b, Traced):
        a, b = b, a
    if isinstance(b, Traced):
        if node.op == "Div":
            raise Unsupported("divides a constant by a value, which no layer does")
        return _affine(node, b, np.full_like(as_constant(a, "A"), -1), as_constant(a, "A"))
    x, constant = as_traced(a), as_constant(b, "B").astype(np.float64)
    if node.op in ("Add", "Sub"):
        offset = constant if node.op == "Add" else -constant
        return _affine(node, x, np.ones_like(constant), offset)
    with np.errstate(divide="ignore"):
        scale = constant if node.op == "Mul" else 1 / constant
    return _affine(node, x, scale, np.zeros_like(constant))


def negation(node: Node, values: list[Value]) -> Traced:
    """Neg, which is a multiplication by -1."""
    return _affine(node, as_traced(values[0]), np.array(-1.0), np.array(0.0))


def batch_normalization(node: Node, values: list[Value]) -> Traced:
    """scale * (x - mean) / sqrt(variance + epsilon) + offset along axis 1, at inference."""
    if node.attributes.get("training_mode", 0):
        raise Unsupported("is in training mode. Export the model for inference, with model.eval().")
    x = as_traced(values[0])
    gamma, beta, mean, variance = (
        as_constant(value, "parameter").astype(np.float64) for value in values[1:]
    )
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    shape = (-1, *[1] * (x.positions.ndim - 2))
    return _affine(node, x, scale.reshape(shape), (beta - mean * scale).reshape(shape))


def _affine(node: Node, x: Traced, scale: Array, offset: Array) -> Traced:
    """scale * x + offset, both broadcast against the value's shape."""
    shape = np.broadcast_shapes(x.positions.shape, scale.shape, offset.shape)
    if int(np.prod(shape)) != x.positions.size:
        raise Unsupported(f"spreads a value of shape {list(x.positions.shape)} to {list(shape)}")
    x = x.moved(x.positions.reshape(shape))  # axes of size 1 in front
    wide = [np.broadcast_to(array, shape) for array in (scale, offset)]
    found = [_per_feature(x, array) for array in wide]
    if any(array is None for array in found):
        # Not the same in every row: features of the flattened sequence have values of their own.
        x = _as_plain_vector(x)
        found = [_per_feature(x, array) for array in wide]
    per_scale, per_offset = found
    if per_scale is None or per_offset is None:
        raise Unsupported("has values of its own for every row. Expected one value for each feature.")
    layer = Affine(node.name, per_scale, per_offset)
    return x.then(layer, x.steps, x.width, x.positions)


def _per_feature(x: Traced, values: Array) -> NDArray[np.float64] | None:
    """`values`, one for each element, as one for each feature; None where rows differ."""
    columns = x.columns().reshape(-1)
    result = np.ones(x.width)
    result[columns] = values.reshape(-1)
    same = np.array_equal(result[columns], values.reshape(-1))
    return result if same else None


def _as_plain_vector(x: Traced) -> Traced:
    rows = as_rows(x, x.positions)
    if rows.steps is not None:
        raise Unsupported("has values of its own for every row. Expected one value for each feature.")
    return _after(x, rows).moved(rows.positions(rows.columns, rows.width))


def layer_normalization(node: Node, values: list[Value]) -> Traced:
    """LayerNormalization along the features."""
    x, gamma, *beta = values
    x = as_traced(x)
    if node.attributes.get("axis", -1) not in (-1, x.positions.ndim - 1):
        raise Unsupported("normalizes several axes. Expected axis=-1.")
    rows = as_rows(x, x.positions)
    if not in_order(rows):
        raise Unsupported("normalizes some of the features. Expected all of them, in their order.")
    scale = as_constant(gamma, "Scale").astype(np.float32).reshape(-1)
    offset = (
        np.zeros_like(scale) if not beta else as_constant(beta[0], "B").astype(np.float32).reshape(-1)
    )
    layer = LayerNorm(node.name, scale, offset, float(node.attributes.get("epsilon", 1e-5)))
    positions = rows.positions(rows.columns, rows.width)
    return _after(x, rows).then(layer, rows.steps, rows.width, positions)


def pooling(kind: str) -> Callable[[Node, list[Value]], Traced]:
    """Mean or maximum along the steps, for GlobalAveragePool, ReduceMean and similar nodes."""

    def handle(node: Node, values: list[Value]) -> Traced:
        x = as_traced(values[0])
        axes, keep = _reduced_axes(node, values, x.positions.ndim)
        kept = [axis for axis in range(x.positions.ndim) if axis not in axes]
        groups = x.positions.transpose(*kept, *axes)
        lead = groups.shape[: len(kept)]
        rows = _pooled(x, groups.reshape(int(np.prod(lead)), -1))
        positions = rows.reshape(lead)
        if keep:
            positions = np.expand_dims(positions, tuple(axes))
        return x.then(GlobalPooling(node.name, kind), None, x.width, positions)

    return handle


def _reduced_axes(node: Node, values: list[Value], rank: int) -> tuple[list[int], bool]:
    if node.op.startswith("Global"):
        return list(range(2, rank)), True
    axes = node.attributes.get("axes")
    if len(values) > 1 and values[1] is not None:
        axes = as_constant(values[1], "axes").tolist()
    if not axes:
        raise Unsupported("reduces all axes. Expected the axis of the steps.")
    return sorted(axis % rank for axis in axes), bool(node.attributes.get("keepdims", 1))


def _pooled(x: Traced, groups: Positions) -> Positions:
    """Positions in the pooled `[batch, width]`: every row of `groups` `[n, steps]` becomes one."""
    columns = x.moved(groups).columns()
    row = np.sort(groups // x.width, axis=1)
    if x.steps is None or groups.shape[1] != x.steps:
        raise Unsupported(NOT_THE_STEPS)
    windows = row[:, :1] // x.steps
    if not ((columns == columns[:, :1]).all() and (row == windows * x.steps + np.arange(x.steps)).all()):
        raise Unsupported(NOT_THE_STEPS)
    result: Positions = windows[:, 0] * x.width + columns[:, 0]
    return result


def convolution(node: Node, values: list[Value]) -> Traced:
    """Conv along the steps; also a 2-D Conv whose other axis has size 1."""
    x, weights, *bias = values
    x, kernel = as_traced(x), as_constant(weights, "W")
    if node.attributes.get("group", 1) != 1:
        raise Unsupported(f"has group={node.attributes['group']}. Expected 1.")
    axis = _long_axis(x.positions, kernel)
    single = tuple(k for k in range(2, x.positions.ndim) if k != axis)
    positions = np.squeeze(x.positions, single).transpose(0, 2, 1)
    kernel = np.squeeze(kernel, single).transpose(0, 2, 1)  # [filters, width, inputs]
    at = axis - 2
    stride, dilation = (node.attributes.get(k, [1, 1])[at] for k in ("strides", "dilations"))
    padding = _padding(node, at, positions.shape[1], kernel.shape[1], stride, dilation)
    before, after, positions = _unpadded(positions)
    sequence = as_sequence(x, positions)
    padding = (padding[0] + before, padding[1] + after)
    filters = len(kernel)
    zeros = np.zeros(filters, np.float32)
    layer = Conv1d(
        node.name,
        absorb(kernel, sequence.columns, sequence.width),
        zeros + as_constant(bias[0], "B").astype(np.float32) if bias and bias[0] is not None else zeros,
        stride,
        dilation,
        padding,
    )
    reach = (kernel.shape[1] - 1) * dilation
    steps = (sequence.steps + sum(padding) - reach - 1) // stride + 1
    if steps < 1:
        raise Unsupported(f"is wider than the {sequence.steps} rows it reads")
    result = natural(x.batch, steps, filters).transpose(0, 2, 1)
    return Traced(sequence.layers, x.batch, sequence.steps, sequence.width, positions).then(
        layer, steps, filters, np.expand_dims(result, single)
    )


def _long_axis(positions: Positions, kernel: Array) -> int:
    """The axis of the steps, which is the only spatial axis or the only one whose size is not 1."""
    spatial = range(2, positions.ndim)
    long = [k for k in spatial if positions.shape[k] != 1 or kernel.shape[k] != 1]
    if len(long) > 1 or not spatial:
        raise Unsupported("convolves along several axes. Expected the steps only.")
    return long[0] if long else 2


def _padding(node: Node, at: int, steps: int, width: int, stride: int, dilation: int) -> tuple[int, int]:
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = max(0, (-(-steps // stride) - 1) * stride + (width - 1) * dilation + 1 - steps)
        small, large = total // 2, total - total // 2
        return (small, large) if auto == "SAME_UPPER" else (large, small)
    pads = node.attributes.get("pads")
    if auto == "VALID" or pads is None:
        return 0, 0
    return pads[at], pads[at + len(pads) // 2]


def _unpadded(positions: Positions) -> tuple[int, int, Positions]:
    """Numbers of padding rows before and after, and the positions `[batch, steps, features]` between."""
    real = np.flatnonzero(~(positions == PADDING).all(axis=(0, 2)))
    if not len(real):
        raise Unsupported("reads nothing but padding")
    first, last = int(real[0]), int(real[-1])
    return first, positions.shape[1] - 1 - last, positions[:, first : last + 1]
