"""LSTM, GRU and RNN nodes of ONNX -> recurrent layers.

Definitions, gate orders and defaults: https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and
onnx__RNN.html. ONNX stacks an LSTM's gates i, o, f, c; a GRU's z, r, h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.file import Node
from convert.readers.onnx.tracing import (
    Array,
    Positions,
    Sequence,
    Traced,
    Unsupported,
    Value,
    absorb,
    as_constant,
    as_sequence,
    as_traced,
    natural,
)
from convert.source_model.network import Bidirectional, Gru, Lstm, Recurrent, SimpleRnn

RECURRENT_NODES = {"LSTM", "GRU", "RNN"}

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_RNN_ACTIVATIONS = {"tanh", "relu"}


def recurrent_node(node: Node, values: list[Value]) -> list[Value]:
    """The node's outputs Y and Y_h; Y_c, the cell state, is None.

    Raises Unsupported for what changes the layer's definition: other activations, clipping, coupled
    gates, peepholes, initial states that are not zero, windows that are cut short.
    """
    given = dict(zip(_INPUTS, values))
    x = as_traced(given["X"])
    weights = {name: _constant(given.get(name), name) for name in _INPUTS[1:]}
    directions = _directions(node)
    activations = _check(node, weights, len(directions))
    layout = node.attributes.get("layout", 0)
    steps_first = x.positions if layout == 0 else np.swapaxes(x.positions, 0, 1)
    if steps_first.ndim != 3:
        raise Unsupported(f"has an input of shape {list(x.positions.shape)}. Expected three axes.")
    batch_first = np.swapaxes(steps_first, 0, 1)
    sequence = as_sequence(x, batch_first, either_way=len(directions) == 1)
    _check_lengths(weights["sequence_lens"], sequence.steps)
    cells = [
        _cell(node, weights, d, direction == "reverse", activations[d], sequence)
        for d, direction in enumerate(directions)
    ]
    layers, by_row = _joined(node, x, cells, sequence)
    return _outputs(layers, by_row, directions, layout)


def _constant(value: Value, name: str) -> Array | None:
    return None if value is None else as_constant(value, name)


def _directions(node: Node) -> tuple[str, ...]:
    direction = node.attributes.get("direction", "forward")
    return ("forward", "reverse") if direction == "bidirectional" else (direction,)


def _check(node: Node, weights: dict[str, Array | None], directions: int) -> list[str]:
    """Raises Unsupported for what the layers do not have; returns the activation per direction."""
    attributes = node.attributes
    if attributes.get("clip"):
        raise Unsupported(f"clips its gates at {attributes['clip']}. Expected no attribute clip.")
    if attributes.get("input_forget"):
        raise Unsupported("couples input and forget gate. Expected input_forget=0.")
    peepholes = weights["P"]
    if peepholes is not None and peepholes.any():
        raise Unsupported("has peephole weights P. Expected an LSTM without them.")
    for state in ("initial_h", "initial_c"):
        start = weights[state]
        if start is not None and start.any():
            raise Unsupported(f"starts from an {state} that is not zero. Expected zeros.")
    return _activations(node, directions)


def _activations(node: Node, directions: int) -> list[str]:
    default = _ACTIVATIONS[node.op] * directions
    found = tuple(node.attributes.get("activations", default))
    names = [name.lower() for name in found]
    if node.op == "RNN" and len(names) == directions and set(names) <= _RNN_ACTIVATIONS:
        return names
    if names != [name.lower() for name in default]:
        raise Unsupported(f"has activations {', '.join(found)}. Expected {', '.join(default)}.")
    return ["tanh"] * directions


def _check_lengths(lengths: Array | None, steps: int) -> None:
    if lengths is not None and not (lengths == steps).all():
        raise Unsupported(
            f"has sequence_lens {sorted(set(lengths.tolist()))}. Expected all windows to be used up to "
            f"their last row, {steps}."
        )


def _cell(
    node: Node,
    weights: dict[str, Array | None],
    direction: int,
    reverse: bool,
    activation: str,
    sequence: Sequence,
) -> Recurrent:
    """The layer of one direction, returning sequences."""
    kernel, recurrent_kernel = _weights(weights, "W", direction), _weights(weights, "R", direction)
    kernel = absorb(kernel, sequence.columns, sequence.width)
    both = np.zeros(2 * len(kernel), np.float32)
    if weights["B"] is not None:
        both = _weights(weights, "B", direction)
    bias, recurrent_bias = np.split(both, 2)
    common: dict[str, Any] = {
        "name": node.name,
        "return_sequences": True,
        "go_backwards": reverse != sequence.reversed,
    }
    if node.op == "LSTM":
        kernel, recurrent_kernel, bias = map(_ifgo, (kernel, recurrent_kernel, bias + recurrent_bias))
        return Lstm(kernel=kernel, recurrent_kernel=recurrent_kernel, bias=bias, **common)
    common.update(kernel=kernel, recurrent_kernel=recurrent_kernel)
    if node.op == "GRU":
        after = bool(node.attributes.get("linear_before_reset", 0))
        return Gru(bias=bias, recurrent_bias=recurrent_bias, reset_after=after, **common)
    return SimpleRnn(bias=bias + recurrent_bias, activation=activation, **common)


def _weights(weights: dict[str, Array | None], name: str, direction: int) -> NDArray[np.float32]:
    array = weights[name]
    if array is None:
        raise Unsupported(f"has no {name}. Expected a constant.")
    return np.ascontiguousarray(array[direction], np.float32)


def _ifgo(stacked: NDArray[np.float32]) -> NDArray[np.float32]:
    i, o, f, g = np.split(stacked, 4)
    return np.concatenate([i, f, g, o])


def _joined(
    node: Node, x: Traced, cells: list[Recurrent], sequence: Sequence
) -> tuple[Traced, Positions]:
    """The layer's value, and the positions `[batch, steps, directions * units]` of its h, each in the
    row that the node reads at that moment."""
    batch, steps, width = x.batch, sequence.steps, len(cells) * cells[0].units
    positions = natural(batch, steps, width)
    before = Traced(sequence.layers, batch, steps, sequence.width, positions)
    if len(cells) == 1:
        # Its h are in the order of reading, ONNX's in the order of the rows.
        reverse = cells[0].go_backwards != sequence.reversed
        by_row = positions[:, ::-1] if reverse else positions
        return before.then(cells[0], steps, width, positions), by_row
    layer = Bidirectional(node.name, cells[0], cells[1])
    return before.then(layer, steps, width, positions), positions


def _outputs(value: Traced, by_row: Positions, directions: tuple[str, ...], layout: int) -> list[Value]:
    batch, steps, _ = by_row.shape
    split = by_row.reshape(batch, steps, len(directions), -1)
    last = np.stack(
        [split[:, 0 if way == "reverse" else -1, d] for d, way in enumerate(directions)], axis=1
    )  # [batch, directions, units]
    if layout == 0:
        return [
            value.moved(split.transpose(1, 2, 0, 3)),
            value.moved(last.transpose(1, 0, 2)),
            None,
        ]
    return [value.moved(split), value.moved(last), None]
