"""Attention, weighted sums and masks as operators. All of it is float32, also in integer graphs.

softmax(scale * query @ key^T) @ value (Luong et al. 2015, arXiv 1508.04025) needs a matmul of two
activations, which no 8-bit kernel of the engines has. Products and means of whole sequences do the same:

    scores  = MEAN(MUL(keys [1, T, n], query [1, 1, n]) over n) * (n * scale)     [1, T]
    weights = SOFTMAX(scores)
    result  = MEAN(MUL(values [1, T, n], weights [1, T, 1]) over T) * T           [1, n]
"""

from __future__ import annotations

from functools import partial

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.feed_forward import add_side_by_side
from convert.compiler.float_graph.recurrent_cells import add_complement
from convert.compiler.float_graph.rows import add_number, add_packed, step_axis
from convert.source_model.network import Attention, Mask
from edge_runtime.tflite.graph import Op

MASKED = -1e9
"""What is added to the scores of masked rows, as in Keras."""

MAGNIFIED = 1e12
"""Differences from a mask's value are multiplied by it, so that the least of them counts as 1."""


def add_attention(
    builder: GraphBuilder,
    layer: Attention,
    prefix: str,
    queries: list[str],
    values: list[str],
    keys: list[str],
    mask: list[str] | None,
) -> list[str]:
    """One row for each query."""
    packed_values = add_packed(builder, values, f"{prefix}values")
    packed_keys = packed_values if keys is values else add_packed(builder, keys, f"{prefix}keys")
    bias = None if mask is None else _mask_bias(builder, mask, prefix)
    result = []
    for t, query in enumerate(queries, start=1):
        weights = _weights(builder, query, packed_keys, bias, layer.scale, f"{prefix}{t}_")
        result.append(add_weighted_sum(builder, weights, packed_values, f"{prefix}y{t}"))
    return result


def _weights(
    builder: GraphBuilder, query: str, keys: str, bias: str | None, scale: float, name: str
) -> str:
    """softmax of the scaled products of one query with all keys, `[1, T]`."""
    (_, steps, width), add = builder.tensors[keys].shape, partial(builder.operator, keep_float=True)
    row = reshaped(builder, query, (1, 1, width), f"{name}query")
    products = add(Op.MUL, [keys, row], f"{name}products", (1, steps, width))
    axis = builder.shared_constant("feature_axis_of_steps", np.array([2], np.int32))
    means = add(Op.MEAN, [products, axis], f"{name}means", (1, steps), axis=2)
    scores = add(Op.MUL, [means, add_number(builder, width * scale)], f"{name}scores", (1, steps))
    if bias is not None:
        scores = add(Op.ADD, [scores, bias], f"{name}scores_masked", (1, steps))
    return add(Op.SOFTMAX, [scores], f"{name}weights", (1, steps))


def _mask_bias(builder: GraphBuilder, mask: list[str], prefix: str) -> str:
    """0 for each row that counts, and MASKED for the others, `[1, T]`."""
    off = [add_complement(builder, m) for m in mask]
    row = add_side_by_side(builder, off, f"{prefix}off")
    factor = add_number(builder, MASKED)
    return builder.operator(Op.MUL, [row, factor], f"{prefix}bias", (1, len(mask)), keep_float=True)


def add_weighted_sum(builder: GraphBuilder, weights: str, values: str, name: str) -> str:
    """The sum over T of weights `[1, T]` times the rows of values `[1, T, n]`."""
    (_, steps, width), add = builder.tensors[values].shape, partial(builder.operator, keep_float=True)
    column = reshaped(builder, weights, (1, steps, 1), f"{name}_column")
    products = add(Op.MUL, [values, column], f"{name}_products", (1, steps, width))
    mean = add(Op.MEAN, [products, step_axis(builder)], f"{name}_mean", (1, width), axis=1)
    return builder.operator(Op.MUL, [mean, add_number(builder, steps)], name, (1, width))


def reshaped(builder: GraphBuilder, x: str, shape: tuple[int, ...], name: str) -> str:
    """The same values in another shape."""
    sizes = builder.constant(f"{name}_shape", np.array(shape, np.int32))
    keep_float = builder.tensors[x].keep_float
    return builder.operator(Op.RESHAPE, [x, sizes], name, shape, keep_float=keep_float)


def add_mask(builder: GraphBuilder, layer: Mask, prefix: str, row: str, t: str) -> str:
    """1 if any feature of the row differs from the value, otherwise 0, `[1, 1]`.

    min(1, max((1e12 x - 1e12 value)^2)) is exact: features that differ by 1e-12 or more give 1.
    """
    shape, add = builder.tensors[row].shape, partial(builder.operator, keep_float=True)
    factor, name = add_number(builder, MAGNIFIED), f"{prefix}{{}}{t}".format
    magnified = builder.shared_constant(
        f"{prefix}value", layer.value[np.newaxis] * np.float32(MAGNIFIED)
    )
    large = add(Op.MUL, [row, factor], name("large"), shape)
    apart = add(Op.SQUARED_DIFFERENCE, [large, magnified], name("apart"), shape)
    axis = builder.shared_constant("feature_axis", np.array([1], np.int32))
    most = add(Op.REDUCE_MAX, [apart, axis], name("most"), (1, 1), axis=1)
    one = builder.shared_constant("one", np.ones((1, 1), np.float32))
    return builder.mask(builder.operator(Op.MINIMUM, [most, one], name("m"), (1, 1)))
