"""Keras's Attention and AdditiveAttention -> nodes.

Sources: keras/src/layers/attention/attention.py and additive_attention.py (Luong et al. 2015; Bahdanau
et al. 2015).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.layer_config import float32, named
from convert.readers.keras.values import KerasValue
from convert.source_model.network import Activation, Affine, Attention, Dense, Join, WeightedSum, Weights
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError


def read_attention(call: KerasCall) -> list[KerasValue]:
    """An Attention: by the dot product, or by score_mode="concat" for a query of one row."""
    query, value, key = _inputs(call)
    scale = getattr(call.layer, "scale", None)
    number = 1.0 if scale is None else float(np.asarray(scale))
    if call.layer.score_mode == "concat":
        width = query.shape[-1]
        weight = np.full((1, width), float(np.asarray(call.layer.concat_score_weight)), np.float32)
        return [_additive(call, query, value, key, number, weight)]
    layer = Attention(call.name, number)
    masked = value.mask is not None
    sources = [value.rows(call.name)]
    if key is not value or masked:
        sources.append(key.rows(call.name))
    if value.mask is not None:
        sources.append(value.mask)
    width = value.shape[1]
    if query.shape[0] == 1:
        result = KerasValue(Node(layer, query.vector(call.name), *sources), (width,), (1, width))
    else:
        stored = (query.shape[0], width)
        result = KerasValue(Node(layer, query.rows(call.name), *sources), stored, stored)
    return [_query_masked(call, result, query)]


def read_additive_attention(call: KerasCall) -> list[KerasValue]:
    """An AdditiveAttention whose query is one row."""
    query, value, key = _inputs(call)
    width = query.shape[-1]
    weight = np.ones((1, width), np.float32)
    if call.layer.use_scale:
        weight = float32(call.layer.scale).reshape(1, width)
    return [_additive(call, query, value, key, 1.0, weight)]


def _inputs(call: KerasCall) -> tuple[KerasValue, KerasValue, KerasValue]:
    """Query, value and key, after checks."""
    call.require_nothing_else(("mask",))
    values = call.sources
    for value in values:
        if len(value.shape) != 2:
            raise DataError(
                f"{named(call.layer)} gets {list(value.shape)}. Expected [steps, features]; make a row "
                "of a vector with Reshape((1, units))."
            )
    query, value = values[0], values[1]
    return query, value, values[2] if len(values) > 2 else value


def _additive(
    call: KerasCall, query: KerasValue, value: KerasValue, key: KerasValue, scale: float, weight: Weights
) -> KerasValue:
    """softmax(weight @ tanh(scale * (query + key))) times the rows of `value`."""
    if query.shape[0] != 1 or value.mask is not None:
        reason = "masked rows" if query.shape[0] == 1 else f"a query of {query.shape[0]} rows"
        raise DataError(
            f"{named(call.layer)} adds query and key, and has {reason}. Expected a query of one row "
            "without a mask, or Attention() with the dot product."
        )
    name = call.name
    node = Node(Join(f"{name}_sum", "add"), key.rows(name), query.vector(name))
    if scale != 1:
        width = query.shape[-1]
        factor = np.full(width, scale, np.float32)
        node = Node(Affine(f"{name}_scale", factor, np.zeros(width, np.float32)), node)
    node = Node(Activation(f"{name}_tanh", "tanh"), node)
    node = Node(Dense(f"{name}_scores", weight, np.zeros(1, np.float32)), node)
    steps, width = value.shape
    scores = KerasValue(node, (steps, 1), (steps,)).vector(f"{name}_scores")
    weights = Node(Activation(f"{name}_softmax", "softmax"), scores)
    result = KerasValue(Node(WeightedSum(name), weights, value.rows(name)), (width,), (1, width))
    return _query_masked(call, result, query)


def _query_masked(call: KerasCall, result: KerasValue, query: KerasValue) -> KerasValue:
    """Keras gives zeros for the rows of the query that its mask leaves out."""
    if query.mask is None:
        return result
    node = Node(Join(f"{call.name}_masked", "multiply"), result.rows(call.name), query.mask)
    return replace(result, node=node, stored=result.shape, mask=query.mask)
