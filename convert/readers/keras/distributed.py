"""TimeDistributed: a layer or a model for each row, or for each part of a window of parts.

A window `[parts, steps, features]` is the network's sequence of parts * steps rows. The layers for each
part are put off until a vector for each part, or all rows, are needed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.layer_config import named
from convert.readers.keras.masks import passed_mask
from convert.readers.keras.values import KerasValue
from convert.source_model.network import (
    Activation,
    Affine,
    Dense,
    Flatten,
    Layer,
    LayerNorm,
    TimeDistributed,
)
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

LAYERS_OF_ROWS = (Dense, Activation, Affine, LayerNorm)
"""Layers that treat every row of a sequence alike."""


def read_time_distributed(call: KerasCall) -> list[KerasValue]:
    """A TimeDistributed of a layer, a Sequential or a functional model."""
    call.require_nothing_else(("mask",))
    value = call.source
    inner = call.layer.layer
    if len(value.shape) == 2:
        result = _on_rows(call, inner, value)
        return [replace(result, mask=passed_mask(call.layer, value))]
    return [on_parts(call, inner, value)]


def _on_rows(call: KerasCall, inner: Any, value: KerasValue) -> KerasValue:
    steps, width = value.shape
    row = Node()
    result = call.apply(inner, KerasValue(row, (width,), (width,)))
    chain = _chain(call, row, result.vector(call.name) if len(result.shape) == 1 else result.node)
    if len(result.shape) == 1 and all(isinstance(layer, LAYERS_OF_ROWS) for layer in chain):
        node = value.rows(call.name)
        for layer in chain:
            node = Node(layer, node)
        return KerasValue(node, (steps, *result.shape), (steps, *result.shape))
    one_row = replace(value.settled(call.name), shape=(steps, 1, width))
    part = KerasValue(row, (1, width), (width,))
    return _distributed(call, one_row, row, call.apply(inner, part))


def on_parts(call: KerasCall, inner: Any, value: KerasValue) -> KerasValue:
    """The layer `inner` for each part of `[parts, steps, features]`."""
    if len(value.shape) != 3:
        raise DataError(
            f"{named(call.layer)} gets {list(value.shape)}. Expected [steps, features], or [parts, "
            "steps, features]."
        )
    rows = Node()
    part = KerasValue(rows, value.shape[1:], value.shape[1:])
    return _distributed(call, value, rows, call.apply(inner, part))


def _distributed(call: KerasCall, value: KerasValue, part: Node, result: KerasValue) -> KerasValue:
    parts = value.shape[0]
    if value.pending is None:
        value = KerasValue(value.rows(call.name), (), value.shape, pending=())
    before = value.pending or ()
    if len(result.shape) == 1:
        chain = (*before, *_chain(call, part, result.vector(call.name)))
        node = Node(TimeDistributed(call.name, parts, chain), value.node)
        return KerasValue(node, (parts, *result.shape), (parts, *result.shape))
    chain = (*before, *_chain(call, part, result.rows(call.name)))
    return KerasValue(value.node, (), (parts, *result.shape), pending=chain)


def _chain(call: KerasCall, start: Node, end: Node) -> list[Layer]:
    """The layers from one node to another, named after the TimeDistributed if it is only one."""
    found: list[Layer] = []
    node = end
    while node is not start:
        if node.layer is None or len(node.sources) != 1:
            raise DataError(
                f"{named(call.layer)} holds a model with branches. Expected a chain of layers, each "
                "applied to the output of the one before."
            )
        found.append(node.layer)
        (node,) = node.sources
    if len(found) == 1 and not isinstance(found[0], Flatten):
        return [replace(found[0], name=call.name)]
    return found[::-1]
