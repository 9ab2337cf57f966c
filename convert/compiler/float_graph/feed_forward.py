"""Layers without state as operators: dense, convolution, normalization, pooling and activations.

The arithmetic of layer normalization has no good integer form: its tensors stay float32 in integer
graphs (Tensor.keep_float).
"""

from __future__ import annotations

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.source_model.network import (
    Activation,
    Affine,
    Conv1d,
    Dense,
    Flatten,
    GlobalPooling,
    LayerNorm,
)
from edge_runtime.tflite.graph import Op

_ACTIVATIONS = {"relu": Op.RELU, "sigmoid": Op.LOGISTIC, "softmax": Op.SOFTMAX, "tanh": Op.TANH}


def add_dense(builder: GraphBuilder, layer: Dense, prefix: str, row: str, t: str) -> str:
    """A row `[1, inputs]` to `[1, outputs]`; `t` is the number of the row, or "" for a single one."""
    kernel = builder.shared_constant(f"{prefix}kernel", layer.kernel)
    bias = builder.shared_constant(f"{prefix}bias", layer.bias)
    return _matmul(builder, [row, kernel, bias], layer.activation, f"{prefix}y{t}")


def add_conv1d(builder: GraphBuilder, layer: Conv1d, prefix: str, rows: list[str]) -> list[str]:
    """One FULLY_CONNECTED for every position of the kernel; it reads the covered rows as one row."""
    filters, width, features = layer.kernel.shape
    kernel = builder.constant(f"{prefix}kernel", layer.kernel.reshape(filters, width * features))
    bias = builder.constant(f"{prefix}bias", layer.bias)
    padded = _padded(builder, layer, prefix, rows)
    reach = (width - 1) * layer.dilation
    result = []
    for t, start in enumerate(range(0, len(padded) - reach, layer.stride), start=1):
        covered = [padded[start + k * layer.dilation] for k in range(width)]
        patch = _side_by_side(builder, covered, f"{prefix}p{t}")
        result.append(_matmul(builder, [patch, kernel, bias], layer.activation, f"{prefix}y{t}"))
    return result


def _padded(builder: GraphBuilder, layer: Conv1d, prefix: str, rows: list[str]) -> list[str]:
    before, after = layer.padding
    if not before + after:
        return rows
    zeros = np.zeros((1, builder.width(rows[0])), np.float32)
    zero = builder.constant(f"{prefix}zeros", zeros)
    return [zero] * before + rows + [zero] * after


def _side_by_side(builder: GraphBuilder, rows: list[str], name: str) -> str:
    if len(rows) == 1:
        return rows[0]
    shape = (1, sum(builder.width(row) for row in rows))
    return builder.operator(Op.CONCATENATION, rows, name, shape, axis=1)


def _matmul(builder: GraphBuilder, inputs: list[str], activation: str, name: str) -> str:
    shape = (1, builder.tensors[inputs[1]].shape[0])
    if activation in ("linear", "relu"):
        relu = activation == "relu"
        return builder.operator(Op.FULLY_CONNECTED, inputs, name, shape, relu=relu)
    product = builder.operator(Op.FULLY_CONNECTED, inputs, f"{name}_a", shape)
    return _activation(builder, activation, product, name)


def add_activation(builder: GraphBuilder, layer: Activation, prefix: str, row: str, t: str) -> str:
    """The activation function applied to every element of `[1, n]`."""
    return (
        row if layer.function == "linear" else _activation(builder, layer.function, row, f"{prefix}y{t}")
    )


def _activation(builder: GraphBuilder, function: str, row: str, name: str) -> str:
    shape = builder.tensors[row].shape
    return builder.operator(_ACTIVATIONS[function], [row], name, shape)


def add_affine(builder: GraphBuilder, layer: Affine, prefix: str, row: str, t: str) -> str:
    """scale * x + offset, for an Affine that could not be folded (convert.source_model.fold)."""
    shape = builder.tensors[row].shape
    scale = builder.shared_constant(f"{prefix}scale", layer.scale[np.newaxis])
    offset = builder.shared_constant(f"{prefix}offset", layer.offset[np.newaxis])
    scaled = builder.operator(Op.MUL, [row, scale], f"{prefix}m{t}", shape)
    return builder.operator(Op.ADD, [scaled, offset], f"{prefix}y{t}", shape)


def add_layer_norm(builder: GraphBuilder, layer: LayerNorm, prefix: str, row: str, t: str) -> str:
    """(x - mean) / sqrt(variance + epsilon); gamma and beta have become an Affine (see fold)."""
    shape = builder.tensors[row].shape
    axis = builder.shared_constant("feature_axis", np.array([1], np.int32))
    epsilon = np.full((1, 1), layer.epsilon, np.float32)
    builder.shared_constant(f"{prefix}epsilon", epsilon)

    def add(op: Op, inputs: list[str], name: str, width: int, where: int | None = None) -> str:
        name = f"{prefix}{name}{t}"
        return builder.operator(op, inputs, name, (1, width), where, keep_float=True)

    mean = add(Op.MEAN, [row, axis], "mean", 1, 1)
    squares = add(Op.SQUARED_DIFFERENCE, [row, mean], "sq", shape[1])
    variance = add(Op.MEAN, [squares, axis], "var", 1, 1)
    above_zero = add(Op.ADD, [variance, f"{prefix}epsilon"], "vare", 1)
    factor = add(Op.RSQRT, [above_zero], "rsqrt", 1)
    centered = add(Op.SUB, [row, mean], "dev", shape[1])
    return builder.operator(Op.MUL, [centered, factor], f"{prefix}y{t}", shape)


def add_flatten(builder: GraphBuilder, layer: Flatten, prefix: str, rows: list[str]) -> str:
    """The rows as one row, in their order."""
    return _side_by_side(builder, rows, f"{prefix}y")


def add_pooling(builder: GraphBuilder, layer: GlobalPooling, prefix: str, rows: list[str]) -> str:
    """The average or the maximum of every feature along the rows."""
    width = builder.width(rows[0])
    axis = builder.shared_constant("step_axis", np.array([1], np.int32))
    packed = builder.operator(Op.PACK, rows, f"{prefix}rows", (1, len(rows), width), axis=1)
    if layer.kind == "max":
        return builder.operator(Op.REDUCE_MAX, [packed, axis], f"{prefix}y", (1, width), axis=1)
    return builder.operator(Op.MEAN, [packed, axis], f"{prefix}y", (1, width), axis=1)
