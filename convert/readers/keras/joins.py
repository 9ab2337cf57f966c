"""Several values as one: Add, Multiply, Concatenate, Dot, and the operators + - * of Keras's tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.layer_config import named, require
from convert.readers.keras.masks import added_mask, rows_mask
from convert.readers.keras.values import KerasValue, Shape, placed
from convert.source_model.network import Affine, Dense, Join, WeightedSum
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

KIND_OF_JOIN = {
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Average": "average",
    "Maximum": "maximum",
}
"""Keras's layer -> kind of Join."""


def read_merge(call: KerasCall) -> list[KerasValue]:
    """An Add, Subtract, Multiply, Average or Maximum."""
    call.require_nothing_else(("mask",))
    values = call.sources
    result = joined_values(call, KIND_OF_JOIN[call.kind], values)
    return [replace(result, mask=added_mask(call.layer, values))]


def read_concatenate(call: KerasCall) -> list[KerasValue]:
    """A Concatenate along the features or the steps."""
    call.require_nothing_else(("mask",))
    return [concatenated(call, call.sources, call.layer.axis)]


def joined_values(call: KerasCall, kind: str, values: list[KerasValue]) -> KerasValue:
    """The values element by element, with numpy's rules of broadcasting and those of Keras's layers.

    Raises DataError for shapes that the network cannot join.
    """
    if len(values) == 1:
        return values[0]
    shape = _common_shape(call, values)
    if len(shape) == 3:
        flat = [value.reshaped((shape[0] * shape[1], shape[2]), call.name) for value in values]
        return joined_values(call, kind, flat).reshaped(shape, call.name)
    nodes = [_spread(call, value, values, shape, kind) for value in values]
    result = placed(Node(Join(call.name, kind), *nodes), shape)
    return replace(result, weighted=_weights(kind, values, shape))


def concatenated(call: KerasCall, values: list[KerasValue], axis: int) -> KerasValue:
    """The values side by side along an axis of Keras's, which counts the batch."""
    rank = len(values[0].shape)
    along = axis % (rank + 1)
    if len(values) == 1:
        return values[0]
    if rank == 1 or (rank == 2 and along == 2):
        width = sum(value.shape[-1] for value in values)
        nodes = [_beside(call, value, values) for value in values]
        mask = added_mask(call.layer, values) if rank == 2 else None
        return placed(Node(Join(call.name, "concat"), *nodes), (*values[0].shape[:-1], width), mask)
    if rank == 2 and along == 1:
        rows = sum(value.shape[0] for value in values)
        node = Node(Join(call.name, "rows"), *(value.rows(call.name) for value in values))
        return placed(node, (rows, values[0].shape[1]), rows_mask(call.layer, values))
    raise DataError(
        f"{named(call.layer)} joins {[list(value.shape) for value in values]} along axis {axis}. "
        "Expected vectors, or the features or the steps of sequences."
    )


def read_dot(call: KerasCall) -> list[KerasValue]:
    """A Dot: weights times rows, or rows times a vector."""
    call.require_nothing_else()
    require(call.layer, {"normalize": (False,)})
    values = call.sources
    axes = call.layer.axes
    pair = [axes, axes] if isinstance(axes, int) else list(axes)
    first, second = (
        _operand(call, value, axis % (len(value.shape) + 1)) for value, axis in zip(values, pair)
    )
    return [dot_product(call, first, second)]


Operand = tuple[KerasValue, bool]
"""A value, and whether its rows are summed instead of its features."""


def dot_product(call: KerasCall, first: Operand, second: Operand) -> KerasValue:
    """The sum of the products along one axis of each; one of the values has to be a single vector."""
    (a, a_rows), (b, b_rows) = first, second
    shape = tuple(
        size
        for value, over_rows in (first, second)
        for size in (value.shape[1:] if over_rows else value.shape[:-1])
    )
    if _single(a, a_rows) is None:
        a, a_rows, b, b_rows = b, b_rows, a, a_rows
    vector = _single(a, a_rows)
    if vector is None:
        raise DataError(
            f"{named(call.layer)} multiplies {list(first[0].shape)} by {list(second[0].shape)}, two "
            "matrices that depend on the window. Expected one of them to be a single vector, or the "
            "layer Attention."
        )
    if b_rows and len(b.shape) == 2:
        node = Node(WeightedSum(call.name), vector.vector(call.name), b.rows(call.name))
        return KerasValue(node, (b.shape[1],), shape)
    width = b.shape[-1]
    times = Join(f"{call.name}_products", "multiply")
    rows = b.rows(call.name) if len(b.shape) == 2 else b.vector(call.name)
    ones = Dense(call.name, np.ones((1, width), np.float32), np.zeros(1, np.float32))
    node = Node(ones, Node(times, rows, vector.vector(call.name)))
    return KerasValue(node, (b.shape[0], 1) if len(b.shape) == 2 else (1,), shape or (1,))


def affine_value(call: KerasCall, value: KerasValue, scale: Any, offset: Any) -> KerasValue:
    """scale * value + offset, each one number or one for each feature."""
    width = value.shape[-1]
    numbers = []
    for constant in (scale, offset):
        array = np.asarray(constant, np.float64)
        if array.size not in (1, width) or (array.size > 1 and array.shape[-1] != width):
            raise DataError(
                f"{named(call.layer)} has a constant of shape {list(array.shape)}. Expected one number, "
                f"or one for each of the {width} features."
            )
        numbers.append(np.broadcast_to(array.reshape(-1), (width,)).astype(np.float32))
    layer = Affine(call.name, *numbers)
    if len(value.shape) == 1:
        return placed(Node(layer, value.vector(call.name)), value.shape)
    node = Node(layer, value.rows(call.name))
    return KerasValue(node, (int(np.prod(value.shape[:-1])), width), value.shape)


def _operand(call: KerasCall, value: KerasValue, axis: int) -> Operand:
    if len(value.shape) > 2:
        raise DataError(f"{named(call.layer)} gets {list(value.shape)}. Expected [steps, features].")
    return value, axis == 1 and len(value.shape) == 2


def _single(value: KerasValue, over_rows: bool) -> KerasValue | None:
    """The value if it is one vector along the axis that is summed."""
    other = value.shape[1:] if over_rows else value.shape[:-1]
    return value if other in ((), (1,)) else None


def _common_shape(call: KerasCall, values: list[KerasValue]) -> Shape:
    try:
        shape = np.broadcast_shapes(*(_raised(value.shape, values) for value in values))
    except ValueError:
        shape = ()
    if not 1 <= len(shape) <= 3 or (len(shape) == 3 and {value.shape for value in values} != {shape}):
        shapes = " and ".join(str(list(value.shape)) for value in values)
        raise DataError(f"{named(call.layer)} joins {shapes}. Expected shapes that go together.")
    return tuple(shape)


def _raised(shape: Shape, values: list[KerasValue]) -> Shape:
    """Keras's merging layers take a vector beside sequences for a single row."""
    rank = max(len(value.shape) for value in values)
    return (1,) * (rank - len(shape)) + shape


def _spread(
    call: KerasCall, value: KerasValue, values: list[KerasValue], shape: Shape, kind: str
) -> Node:
    """The value for a Join whose result has `shape`."""
    narrow = kind in ("add", "multiply")
    if narrow and value.columns > 1:
        return value.narrow(call.name)
    wide = value
    if value.shape[-1] == 1 and shape[-1] > 1 and not narrow:
        wide = replace(value.settled(call.name), shape=(*value.shape[:-1], shape[-1]), columns=shape[-1])
    if len(shape) == 1:
        return wide.vector(call.name)
    if len(wide.shape) == 1 or (wide.shape[0] == 1 and shape[0] > 1):
        return wide.vector(call.name)
    return _beside(call, wide, values)


def _beside(call: KerasCall, value: KerasValue, values: list[KerasValue]) -> Node:
    """The value as a source of a Join: a vector stands for equal rows, if there are others."""
    if len(value.shape) == 1:
        return value.vector(call.name)
    if value.copies > 1 and any(other.copies == 1 and len(other.shape) == 2 for other in values):
        return value.node
    return value.rows(call.name)


def _weights(kind: str, values: list[KerasValue], shape: Shape) -> tuple[KerasValue, KerasValue] | None:
    """Weights and rows, if the product is one of these."""
    if kind != "multiply" or len(shape) != 2 or len(values) != 2 or shape[0] < 2:
        return None
    for weights, rows in (values, values[::-1]):
        one = weights.columns > 1 or (weights.shape[-1] == 1 and rows.shape[-1] > 1)
        if one and rows.shape == shape and rows.columns == 1 and weights.shape[0] == shape[0]:
            flat = replace(weights, shape=(shape[0],), columns=1)
            return flat, rows
    return None
