"""ONNX nodes that join the two directions of a bidirectional layer: Concat, Add and Mul."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.readers.onnx.file import Node
from convert.readers.onnx.tracing import (
    Positions,
    Traced,
    Unsupported,
    Value,
    as_traced,
    as_vector,
)
from convert.source_model.network import RECURRENT_LAYERS, Bidirectional

STEP_BY_STEP = (
    "A recurrence that is written out step by step or as a loop is not recognized. Export it as an "
    "LSTM, GRU or RNN node (in PyTorch with torch.onnx.export(..., dynamo=False))."
)
BRANCHES = f"joins branches of the model. Expected one chain of layers. {STEP_BY_STEP}"


def concatenation(node: Node, values: list[Value]) -> Traced:
    """Concat of values of the same layers, or of a forward and a backward layer over the same input."""
    parts = [as_traced(value) for value in values]
    axis = node.attributes["axis"]
    first = parts[0]
    if any(part.layers != first.layers for part in parts):
        if len(parts) != 2:
            raise Unsupported(BRANCHES)
        parts = list(_as_bidirectional(node, parts[0], parts[1]))
        first = parts[0]
    return first.moved(np.concatenate([part.positions for part in parts], axis))


def _as_bidirectional(node: Node, a: Traced, b: Traced) -> tuple[Traced, Traced]:
    """Two recurrent layers over the same input as one bidirectional layer."""
    forward, backward = (value.layers[-1] if value.layers else None for value in (a, b))
    if not (
        a.layers[:-1] == b.layers[:-1]
        and isinstance(forward, RECURRENT_LAYERS)
        and isinstance(backward, RECURRENT_LAYERS)
        and type(forward) is type(backward)
        and forward.go_backwards != backward.go_backwards
    ):
        raise Unsupported(BRANCHES)
    if forward.go_backwards:
        backward, forward = forward, backward
    layer = Bidirectional(node.name, forward, backward)
    steps, width = a.steps or 1, a.width + b.width
    both = Traced(a.layers[:-1], a.batch, None, 0, a.positions).then(layer, steps, width, a.positions)
    return (
        both.moved(_in_both(a, layer, both)),
        both.moved(_in_both(b, layer, both)),
    )


def _in_both(value: Traced, layer: Bidirectional, both: Traced) -> Positions:
    """The positions of one direction's elements in the output of both directions."""
    row, column = value.positions // value.width, value.columns()
    if value.layers[-1] is layer.forward:
        return row * both.width + column
    steps = value.steps or 1
    window, read = row // steps, row % steps
    return (window * steps + steps - 1 - read) * both.width + layer.forward.units + column


def merged_directions(node: Node, a: Traced, b: Traced) -> Traced:
    """Sum or product of the two directions of a bidirectional layer."""
    if node.op not in ("Add", "Mul"):
        raise Unsupported(BRANCHES)
    if a.layers != b.layers:
        a, b = _as_bidirectional(node, a, b)
    for value in (a, b):
        as_vector(value, value.positions)  # refuses parts of several windows
    last = a.layers[-1] if a.layers else None
    if not isinstance(last, Bidirectional) or last.merge != "concat":
        raise Unsupported(BRANCHES)
    merge = {"Add": "sum", "Mul": "mul"}[node.op]
    return _merged(a, b, last, merge)


def _merged(a: Traced, b: Traced, layer: Bidirectional, merge: str) -> Traced:
    units = layer.forward.units
    if (a.positions % a.width >= units).any():
        a, b = b, a
    (row, column), (other, opposite) = ((v.positions // v.width, v.positions % v.width) for v in (a, b))
    steps = a.steps or 1
    front = Traced(a.layers[:-1], a.batch, None, 0, a.positions)
    if not np.array_equal(opposite, column + units):
        raise Unsupported("adds other elements than the two directions of a bidirectional layer")
    if np.array_equal(row, other):
        return front.then(replace(layer, merge=merge), steps, units, row * units + column)
    window = row // steps
    if (row % steps == steps - 1).all() and np.array_equal(other, window * steps):
        return front.then(replace(layer.last_outputs, merge=merge), None, units, window * units + column)
    raise Unsupported("adds other elements than the two directions of a bidirectional layer")
