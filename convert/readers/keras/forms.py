"""Layers and operations that only arrange numbers: Flatten, Reshape, Permute, RepeatVector, indexing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.layer_config import named, require
from convert.readers.keras.masks import passed_mask
from convert.readers.keras.values import KerasValue, Shape
from convert.source_model.network import Dense, TakeRows
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError


def read_reshape(call: KerasCall) -> list[KerasValue]:
    """A Flatten or Reshape, which both keep the order of the numbers."""
    value = call.source
    call.require_nothing_else()
    require(call.layer, {"data_format": ("channels_last",)})
    shape = tuple(call.layer.compute_output_shape((None, *value.shape)))[1:]
    result = value.reshaped(tuple(int(size) for size in shape), call.name)
    return [replace(result, mask=passed_mask(call.layer, value))]


def read_repeat(call: KerasCall) -> list[KerasValue]:
    """A RepeatVector."""
    call.require_nothing_else()
    value = call.source
    if len(value.shape) != 1:
        raise DataError(f"{named(call.layer)} gets {list(value.shape)}. Expected a vector.")
    count = int(call.layer.n)
    if count == 1:
        return [value.reshaped((1, *value.shape), call.name)]
    vector = value.vector(call.name)
    return [KerasValue(vector, value.shape, (count, *value.shape), copies=count)]


def read_permute(call: KerasCall) -> list[KerasValue]:
    """A Permute."""
    call.require_nothing_else()
    return [permuted(call, call.source, tuple(call.layer.dims))]


def permuted(call: KerasCall, value: KerasValue, dims: Shape) -> KerasValue:
    """The axes in another order, `dims` in Keras's way of counting, which begins at 1.

    Raises DataError where numbers would change their places.
    """
    if dims == tuple(range(1, len(dims) + 1)):
        return replace(value, mask=None)
    if dims == (2, 1):
        rows, width = value.shape
        if value.copies > 1:
            return KerasValue(value.node, value.stored, (width, rows), columns=rows)
        if value.columns > 1:
            vector = replace(value, shape=(rows,), columns=1).vector(call.name)
            return KerasValue(vector, (rows,), (width, rows), copies=width)
        if 1 in value.shape:
            return value.reshaped((width, rows), call.name)
    raise DataError(
        f"{named(call.layer)} has dims={dims}, and a converted model does not transpose "
        f"{list(value.shape)}. Give the model transposed windows instead, or use the layer Attention."
    )


def indexed(call: KerasCall, value: KerasValue, key: Any) -> KerasValue:
    """value[key], where the key counts the batch: whole numbers and slices.

    Raises DataError for another key.
    """
    parts = _key(call, key, len(value.shape))
    shape, taken = [], []
    for part, size in zip(parts, value.shape):
        numbers = np.arange(size)[part]
        taken.append(np.atleast_1d(numbers))
        shape += [] if numbers.ndim == 0 else [numbers.size]
    if not shape or 0 in shape:
        raise DataError(f"{named(call.layer)} takes {key!r} of {list(value.shape)}. Expected rows.")
    result = _rows_taken(call, value, taken)
    return replace(result, shape=tuple(shape), mask=None, weighted=None)


def _rows_taken(call: KerasCall, value: KerasValue, taken: list[Any]) -> KerasValue:
    name = call.name
    result = replace(value.settled(name), shape=value.shape)
    if len(taken) == 3:
        if len(taken[1]) < value.shape[1]:
            raise DataError(f"{named(call.layer)} takes rows of each part. Expected whole parts.")
        steps = value.shape[1]
        taken = [
            np.concatenate([np.arange(part * steps, (part + 1) * steps) for part in taken[0]]),
            taken[2],
        ]
    width = value.shape[-1]
    if len(taken) == 2:
        node, count = result.rows(name), int(np.prod(value.shape[:-1]))
        if not np.array_equal(taken[0], np.arange(count)):
            node = Node(TakeRows(name, tuple(int(row) for row in taken[0])), node)
        result = replace(result, node=node, stored=(len(taken[0]), width))
    if np.array_equal(taken[-1], np.arange(width)):
        return result
    kernel = np.eye(width, dtype=np.float32)[taken[-1]]
    layer = Dense(f"{name}_features", kernel, np.zeros(len(kernel), np.float32))
    if len(taken) == 1:
        return replace(result, node=Node(layer, result.vector(name)), stored=(len(kernel),))
    return replace(result, node=Node(layer, result.node), stored=(len(taken[0]), len(kernel)))


def _key(call: KerasCall, key: Any, rank: int) -> list[Any]:
    """One whole number or slice for each axis but the batch."""
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    parts = [_slice(part) for part in parts]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (rank + 2 - len(parts))
    whole = parts and parts[0] == slice(None)
    if not whole or len(parts) > rank + 1 or not all(isinstance(p, (int, slice)) for p in parts):
        raise DataError(
            f"operation {call.name!r} takes {key!r}. Expected every window, and whole numbers or slices "
            "for steps and features."
        )
    return parts[1:] + [slice(None)] * (rank + 1 - len(parts))


def _slice(part: Any) -> Any:
    if isinstance(part, dict):  # in Keras 2
        return slice(part.get("start"), part.get("stop"), part.get("step"))
    return int(part) if isinstance(part, np.integer) else part
