"""Layers without state that read rows: dense, convolution, normalization and activations.

The arithmetic of layer normalization has no good integer form: its tensors stay float32 in integer
graphs (Tensor.keep_float). `t` is the number of a row in the names of its tensors, or "" for a vector.
"""

from __future__ import annotations

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.functions import add_behind, add_function, scaled
from convert.source_model.network import Activation, Affine, Conv1d, Dense, LayerNorm, Weights
from edge_runtime.tflite.graph import Op


def add_dense(builder: GraphBuilder, layer: Dense, prefix: str, row: str, t: str) -> str:
    """A row `[1, inputs]` to `[1, outputs]`."""
    weights = _weights(builder, layer, layer.kernel, prefix)
    name = f"{prefix}y{t}"
    return add_behind(builder, layer.activation, [row, *weights], name, product=f"{name}_a")


def add_conv1d(
    builder: GraphBuilder, layer: Conv1d, prefix: str, rows: list[str], part: str
) -> list[str]:
    """One FULLY_CONNECTED for every position of the kernel; it reads the covered rows as one row.

    `part`: in front of the numbers of rows, where several sequences go through the same layer.
    """
    filters, width, features = layer.kernel.shape
    weights = _weights(builder, layer, layer.kernel.reshape(filters, width * features), prefix)
    padded = _padded(builder, layer, prefix, rows)
    reach = (width - 1) * layer.dilation
    result = []
    for t, start in enumerate(range(0, len(padded) - reach, layer.stride), start=1):
        covered = [padded[start + k * layer.dilation] for k in range(width)]
        patch = add_side_by_side(builder, covered, f"{prefix}p{part}{t}")
        name = f"{prefix}y{part}{t}"
        inputs = [patch, *weights]
        result.append(add_behind(builder, layer.activation, inputs, name, product=f"{name}_a"))
    return result


def _weights(builder: GraphBuilder, layer: Dense | Conv1d, kernel: Weights, prefix: str) -> list[str]:
    matrix, bias = scaled(layer.activation, kernel, layer.bias)
    return [
        builder.shared_constant(f"{prefix}kernel", matrix),
        builder.shared_constant(f"{prefix}bias", bias),
    ]


def _padded(builder: GraphBuilder, layer: Conv1d, prefix: str, rows: list[str]) -> list[str]:
    before, after = layer.padding
    if not before + after:
        return rows
    zeros = np.zeros((1, builder.width(rows[0])), np.float32)
    zero = builder.shared_constant(f"{prefix}zeros", zeros)
    return [zero] * before + rows + [zero] * after


def add_side_by_side(builder: GraphBuilder, rows: list[str], name: str) -> str:
    """Rows `[1, n]` as one row, in their order."""
    if len(rows) == 1:
        return rows[0]
    shape = (1, sum(builder.width(row) for row in rows))
    return builder.operator(Op.CONCATENATION, rows, name, shape, axis=1)


def add_activation(builder: GraphBuilder, layer: Activation, prefix: str, row: str, t: str) -> str:
    """The activation function applied to every element of `[1, n]`."""
    return add_function(builder, layer.function, row, f"{prefix}y{t}")


def add_affine(builder: GraphBuilder, layer: Affine, prefix: str, row: str, t: str) -> str:
    """scale * x + offset, for an Affine that could not be folded (convert.source_model.fold)."""
    shape = builder.tensors[row].shape
    scale = builder.shared_constant(f"{prefix}scale", layer.scale[np.newaxis].astype(np.float32))
    offset = builder.shared_constant(f"{prefix}offset", layer.offset[np.newaxis].astype(np.float32))
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
