"""Masking and Embedding, which make masks, and the layers that need more than a chain of layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.layer_config import float32, named
from convert.readers.keras.masks import passed_mask
from convert.readers.keras.operations import softmax_value
from convert.readers.keras.values import KerasValue
from convert.source_model.network import Affine, Embedding, GlobalPooling, Join, Mask
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError


def read_masking(call: KerasCall) -> list[KerasValue]:
    """A Masking: the rows that differ from its value count, and the others become zeros."""
    call.require_nothing_else()
    value = call.source
    if len(value.shape) != 2:
        raise DataError(f"{named(call.layer)} gets {list(value.shape)}. Expected [steps, features].")
    rows, width = value.rows(call.name), value.shape[1]
    number = float32(call.layer.mask_value)
    if number.size not in (1, width):
        raise DataError(
            f"{named(call.layer)} has a mask_value of shape {list(number.shape)}. Expected one number, "
            f"or one for each of the {width} features."
        )
    numbers = np.broadcast_to(number.reshape(-1), (width,)).astype(np.float32)
    mask = Node(Mask(f"{call.name}_mask", numbers), rows)
    node = Node(Join(call.name, "multiply"), rows, mask)
    return [KerasValue(node, value.shape, value.shape, mask)]


def read_embedding(call: KerasCall) -> list[KerasValue]:
    """An Embedding of the tokens; with mask_zero token 0 does not count."""
    call.require_nothing_else()
    value = call.source
    table = float32(call.layer.embeddings)
    count = int(np.prod(value.shape))
    tokens = value.reshaped((count, 1), call.name).rows(call.name)
    mask = None
    if call.layer.mask_zero:
        if len(value.shape) != 1:
            raise DataError(
                f"{named(call.layer)} has mask_zero=True for tokens of shape {list(value.shape)}. "
                "Expected one token for each step: keras.Input((steps,))."
            )
        mask = Node(Mask(f"{call.name}_mask", np.zeros(1, np.float32)), tokens)
    width = table.shape[1]
    node = Node(Embedding(call.name, table), tokens)
    return [KerasValue(node, (count, width), (*value.shape, width), mask)]


def read_global_average(call: KerasCall) -> list[KerasValue]:
    """A GlobalAveragePooling1D, over the rows that count."""
    call.require_nothing_else(("mask",))
    value = call.source
    if len(value.shape) != 2 or call.layer.data_format != "channels_last":
        raise DataError(f"{named(call.layer)} gets {list(value.shape)}. Expected [steps, features].")
    masks = () if value.mask is None else (value.mask,)
    node = Node(GlobalPooling(call.name, "average"), value.rows(call.name), *masks)
    width = value.shape[1]
    return [KerasValue(node, (width,), (1, width) if call.layer.keepdims else (width,))]


def read_softmax(call: KerasCall) -> list[KerasValue]:
    """A Softmax along the features, or the steps of a single column."""
    call.require_nothing_else()
    value = call.source
    if value.mask is not None:
        raise DataError(
            f"{named(call.layer)} gets masked rows, which it would leave out. Use "
            "Activation('softmax'), or the layer Attention, whose mask can be converted."
        )
    return [softmax_value(call, value, call.layer.axis)]


def read_leaky_relu(call: KerasCall) -> list[KerasValue]:
    """A LeakyReLU: the larger of x and slope * x, for a slope from 0 to 1."""
    call.require_nothing_else()
    value, config = call.source, call.layer.get_config()
    slope = float(
        np.asarray(config["negative_slope"] if "negative_slope" in config else config["alpha"])
    )
    if not 0 <= slope <= 1:
        raise DataError(f"{named(call.layer)} has the slope {slope}. Expected one from 0 to 1.")
    width, vector = value.shape[-1], len(value.shape) == 1
    x = value.vector(call.name) if vector else value.rows(call.name)
    factors = np.full(width, slope, np.float32)
    less = Node(Affine(f"{call.name}_slope", factors, np.zeros(width, np.float32)), x)
    node = Node(Join(call.name, "maximum"), x, less)
    stored = (width,) if vector else (int(np.prod(value.shape[:-1])), width)
    mask = passed_mask(call.layer, value)
    return [
        replace(
            value, node=node, stored=stored, mask=mask, copies=1, columns=1, pending=None, weighted=None
        )
    ]
