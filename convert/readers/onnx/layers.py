"""Feed-forward nodes of ONNX -> layers for matmul, arithmetic, normalization, reductions and softmax.

Every function takes the node and its inputs, Traced or constant, and returns the Traced output. Raises
Unsupported. Definitions: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.branches import element_by_element, product
from convert.readers.onnx.choose import absorb, taken_rows
from convert.readers.onnx.file import OnnxNode
from convert.readers.onnx.functions import clip
from convert.readers.onnx.layouts import Rows, as_rows, as_single
from convert.readers.onnx.tracing import (
    Array,
    Positions,
    ShapedNode,
    Traced,
    Unsupported,
    Value,
    as_constant,
    as_traced,
    side_by_side,
)
from convert.source_model.network import (
    Activation,
    Affine,
    Dense,
    GlobalPooling,
    LayerNorm,
)

NOT_THE_STEPS = (
    "reduces something other than all steps. Expected the axis of the steps. A layer normalization is "
    "recognized as the node LayerNormalization, which opset 17 and later have."
)


def gemm(node: OnnxNode, values: list[Value]) -> Traced:
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


def matmul(node: OnnxNode, values: list[Value]) -> Traced:
    """A @ B with a constant matrix B, or of two values."""
    a, b = values
    if isinstance(a, Traced) and isinstance(b, Traced):
        return product(node, a, b)
    weights = as_constant(b, "B")
    if weights.ndim > 2 and weights.size == np.prod(weights.shape[-2:]):
        weights = weights.reshape(weights.shape[-2:])
    if weights.ndim != 2:
        raise Unsupported(f"multiplies by a constant of shape {list(weights.shape)}. Expected a matrix.")
    return _dense(node, as_traced(a), weights.T, np.zeros(weights.shape[1], np.float32))


def _dense(node: OnnxNode, x: Traced, weights: Array, bias: Array) -> Traced:
    rows = as_rows(x, x.positions)
    kernel = absorb(weights, rows.columns, rows.tensor.width)
    return _on_rows(rows, rows.tensor, Dense(node.name, kernel, bias.astype(np.float32)), len(kernel))


def _on_rows(rows: Rows, tensor: ShapedNode, layer: Any, width: int) -> Traced:
    """A layer that treats every row of `tensor` alike and gives `width` features."""
    return Traced((tensor.then(layer, tensor.steps, width),), rows.positions(np.arange(width), width))


def softmax(node: OnnxNode, values: list[Value], opset: int) -> tuple[Traced, Traced]:
    """Softmax or LogSoftmax along an axis; returns its input and its output."""
    x = as_traced(values[0])
    rank = x.positions.ndim
    axis = node.attributes.get("axis", -1 if opset >= 13 else 1) % rank
    if opset < 13 and axis != rank - 1:
        raise Unsupported(f"works on the axes from {axis} on. Expected the last axis, {rank - 1}.")
    x = x.moved(np.moveaxis(x.positions, axis, -1)).used()
    before, after = _softmax_of(node, x) if len(x.tensors) == 1 else _softmax_of_each(node, x)
    return _axis_back(before, axis), _axis_back(after, axis)


def _axis_back(value: Traced, axis: int) -> Traced:
    return value.moved(np.moveaxis(value.positions, -1, axis))


def _softmax_of(node: OnnxNode, x: Traced) -> tuple[Traced, Traced]:
    rows = as_rows(x, x.positions)
    tensor = rows.exact
    after = _on_rows(rows, tensor, Activation(node.name, node.op.lower()), tensor.width)
    return Traced((tensor,), after.positions), after


def _softmax_of_each(node: OnnxNode, x: Traced) -> tuple[Traced, Traced]:
    """Of several tensors, such as the scores of several heads, where no row mixes their elements."""
    owner = x.owners()
    if not (owner == owner[..., :1]).all():
        return _softmax_of(node, x)
    numbers = np.unique(owner)
    chosen = [owner[..., 0] == number for number in numbers]
    found = [
        _softmax_of(node, part.moved(part.positions[rows]))
        for part, rows in zip(map(x.of, numbers), chosen)
    ]
    back = np.argsort(np.concatenate([np.flatnonzero(rows) for rows in chosen]))
    before, after = (side_by_side(list(values), 0) for values in zip(*found))
    shape = x.positions.shape
    return (
        before.moved(before.positions[back].reshape(shape)),
        after.moved(after.positions[back].reshape(shape)),
    )


def arithmetic(node: OnnxNode, values: list[Value]) -> Traced:
    """Add, Sub, Mul, Div of a value and a constant; all but Div of two values, or of more with Sum."""
    a, b, *more = values
    if more:
        return arithmetic(node, [arithmetic(node, [a, b]), *more])
    if isinstance(a, Traced) and isinstance(b, Traced):
        return element_by_element(node, a, b)
    if node.op in ("Add", "Mul", "Sum", "Max") and isinstance(b, Traced):
        a, b = b, a
    if isinstance(b, Traced):
        if node.op == "Div":
            raise Unsupported("divides a constant by a value, which no layer does")
        return _affine(node, b, np.full_like(as_constant(a, "A"), -1), as_constant(a, "A"))
    x, constant = as_traced(a), as_constant(b, "B").astype(np.float64)
    if node.op == "Max":
        return clip(node, [x, constant])
    if node.op in ("Add", "Sub", "Sum"):
        offset = -constant if node.op == "Sub" else constant
        return _affine(node, x, np.ones_like(constant), offset)
    with np.errstate(divide="ignore"):
        scale = constant if node.op == "Mul" else 1 / constant
    return _affine(node, x, scale, np.zeros_like(constant))


def negation(node: OnnxNode, values: list[Value]) -> Traced:
    """Neg, which is a multiplication by -1."""
    return _affine(node, as_traced(values[0]), np.array(-1.0), np.array(0.0))


def batch_normalization(node: OnnxNode, values: list[Value]) -> Traced:
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


def _affine(node: OnnxNode, x: Traced, scale: Array, offset: Array) -> Traced:
    """scale * x + offset, both broadcast against the value's shape."""
    shape = np.broadcast_shapes(x.positions.shape, scale.shape, offset.shape)
    if int(np.prod(shape)) != x.positions.size:
        raise Unsupported(f"spreads a value of shape {list(x.positions.shape)} to {list(shape)}")
    x = x.moved(x.positions.reshape(shape)).used()  # axes of size 1 in front
    wide = [np.broadcast_to(array, shape) for array in (scale, offset)]
    tensors = _scaled_tensors(node, x, wide)
    if tensors is None:
        # Not the same in every row: features of the flattened sequence have values of their own.
        x = _as_plain_vector(as_single(x))
        tensors = _scaled_tensors(node, x, wide)
    if tensors is None:
        raise Unsupported("has values of its own for every row. Expected one value for each feature.")
    return Traced(tensors, x.positions)


def _scaled_tensors(node: OnnxNode, x: Traced, wide: list[Array]) -> tuple[ShapedNode, ...] | None:
    """Every tensor with its scale and offset; None if a tensor would need other ones for every row."""
    owner, result = x.owners(), []
    for number, tensor in enumerate(x.tensors):
        chosen = owner == number
        columns = x.of(number).positions[chosen] % tensor.width
        scale, offset = (_per_feature(columns, tensor.width, values[chosen]) for values in wide)
        if scale is None or offset is None:
            return None
        result.append(tensor.then(Affine(node.name, scale, offset), tensor.steps, tensor.width))
    return tuple(result)


def _per_feature(columns: Positions, width: int, values: Array) -> NDArray[np.float64] | None:
    """`values`, one for each element, as one for each feature; None where rows differ."""
    result = np.full(width, values[0], np.float64)
    result[columns] = values
    return result if np.array_equal(result[columns], values) else None


def _as_plain_vector(x: Traced) -> Traced:
    rows = as_rows(x, x.positions)
    if rows.tensor.steps is not None:
        raise Unsupported("has values of its own for every row. Expected one value for each feature.")
    return Traced((rows.tensor,), rows.positions(rows.columns, rows.tensor.width))


def layer_normalization(node: OnnxNode, values: list[Value]) -> Traced:
    """LayerNormalization along the features."""
    x, gamma, *beta = values
    x = as_traced(x)
    if node.attributes.get("axis", -1) not in (-1, x.positions.ndim - 1):
        raise Unsupported("normalizes several axes. Expected axis=-1.")
    rows = as_rows(x, x.positions)
    tensor = rows.exact
    scale = as_constant(gamma, "Scale").astype(np.float32).reshape(-1)
    offset = (
        np.zeros_like(scale) if not beta else as_constant(beta[0], "B").astype(np.float32).reshape(-1)
    )
    layer = LayerNorm(node.name, scale, offset, float(node.attributes.get("epsilon", 1e-5)))
    return _on_rows(rows, tensor, layer, tensor.width)


def reduction(kind: str) -> Callable[[OnnxNode, list[Value]], Traced]:
    """Mean, maximum or sum along the steps, for GlobalAveragePool, ReduceMean and similar nodes.

    A sum along the features is a dense layer of ones.
    """

    def handle(node: OnnxNode, values: list[Value]) -> Traced:
        x = as_single(as_traced(values[0]))
        axes, keep = _reduced_axes(node, values, x.positions.ndim)
        kept = [axis for axis in range(x.positions.ndim) if axis not in axes]
        groups = x.positions.transpose(*kept, *axes)
        lead = groups.shape[: len(kept)]
        groups = groups.reshape(int(np.prod(lead)), -1)
        found = _over_steps(node, x, groups, kind)
        if found is None and kind == "sum" and x.tensor.width == groups.shape[1] > 1:
            found = _dense(node, x.moved(groups), np.ones((1, groups.shape[1])), np.zeros(1))
        if found is None:
            raise Unsupported(NOT_THE_STEPS)
        positions = found.positions.reshape(lead)
        return found.moved(np.expand_dims(positions, tuple(axes)) if keep else positions)

    return handle


def _reduced_axes(node: OnnxNode, values: list[Value], rank: int) -> tuple[list[int], bool]:
    if node.op.startswith("Global"):
        return list(range(2, rank)), True
    axes = node.attributes.get("axes")
    if len(values) > 1 and values[1] is not None:
        axes = as_constant(values[1], "axes").tolist()
    if not axes:
        raise Unsupported("reduces all axes. Expected the axis of the steps.")
    return sorted(axis % rank for axis in axes), bool(node.attributes.get("keepdims", 1))


def _over_steps(node: OnnxNode, x: Traced, groups: Positions, kind: str) -> Traced | None:
    """The reduction of every row of `groups` `[n, steps]`; None if that is not one over the steps."""
    tensor, columns = x.tensor, x.moved(groups).columns()
    if tensor.steps is None:
        return None
    row = np.sort(groups // tensor.width, axis=1)
    windows, steps = row[:, :1] // tensor.steps, row[0] % tensor.steps
    if not (
        (columns == columns[:, :1]).all()
        and (np.diff(steps) > 0).all()
        and (row == windows * tensor.steps + steps).all()
    ):
        return None
    taken = taken_rows(tensor, steps.tolist())
    result = taken.then(GlobalPooling(node.name, kind), None, tensor.width)
    return Traced((result,), windows[:, 0] * tensor.width + columns[:, 0])
