"""Masks that a layer's call names.

Keras 3 writes the mask that a tensor carries into the call of the next layer, as operations on tensors.
A user's `mask=layer.compute_mask(x)` looks alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from convert.readers.keras.values import KerasValue
from convert.source_model.network import Mask, Weights
from convert.source_model.nodes import Node

KERAS_MAKES = (
    "NotEqual",
    "Any",
    "LogicalOr",
    "ExpandDims",
    "ZerosLike",
    "OnesLike",
    "Concatenate",
    "Squeeze",
)
"""Operations of the masks that Keras makes itself (compute_mask of its layers)."""


def with_given_mask(value: KerasValue, mask: Any, lookup: Callable[[Any], Any]) -> KerasValue | None:
    """The value with the mask that a call names, or None if the mask cannot be read.

    `mask`: a tensor of the model. `lookup`: a tensor -> its KerasValue.
    """
    operations = list(_operations(mask))
    if any(type(operation).__name__ not in KERAS_MAKES for operation in operations):
        return None
    compared = _comparison(mask)
    if compared is None:  # a mask that Keras joined from several, as masks.py does
        return value if value.mask is not None else None
    tensor, number = compared
    source = lookup(tensor)
    if not isinstance(source, KerasValue):
        return None
    rows = source if len(source.shape) == 2 else replace(source, shape=(*source.shape, 1))
    width = rows.shape[-1]
    numbers = np.full(width, number, np.float32)
    if _is_mask_of(value.mask, source.node, numbers):
        return value
    node = Node(Mask("mask", numbers), rows.rows("mask"))
    return replace(value, mask=node)


def tensors_in(argument: Any) -> Iterator[Any]:
    """Every tensor of the model in an argument."""
    if hasattr(argument, "_keras_history"):
        yield argument
    elif isinstance(argument, (list, tuple)):
        for item in argument:
            yield from tensors_in(item)
    elif isinstance(argument, dict):
        yield from tensors_in(list(argument.values()))


def _is_mask_of(mask: Node | None, rows: Node, numbers: Weights) -> bool:
    if mask is None or not isinstance(mask.layer, Mask) or mask.sources[0] is not rows:
        return False
    return np.array_equal(mask.layer.value, numbers)


def _made_by(tensor: Any) -> tuple[Any, Any]:
    """The operation that made a tensor of Keras 3, and its call."""
    operation, call, _ = tensor._keras_history
    return operation, operation._inbound_nodes[call]


def _operations(mask: Any) -> Iterator[Any]:
    """The operations from the comparison to the mask."""
    operation, node = _made_by(mask)
    yield operation
    if type(operation).__name__ in ("NotEqual", "ZerosLike", "OnesLike") or not hasattr(
        node, "arguments"
    ):
        return
    for tensor in node.input_tensors:
        yield from _operations(tensor)


def _comparison(mask: Any) -> tuple[Any, float] | None:
    """The tensor and the number of `any(tensor != number, -1)` or `tensor != number`."""
    operation, node = _made_by(mask)
    if type(operation).__name__ == "Any":
        operation, node = _made_by(node.arguments.args[0])
    if type(operation).__name__ != "NotEqual":
        return None
    tensor, number = node.arguments.args
    return None if hasattr(number, "_keras_history") else (tensor, float(number))
