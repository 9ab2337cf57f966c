"""LSTM, GRU and RNN nodes of ONNX -> recurrent layers.

Definitions, gate orders and defaults: https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and
onnx__RNN.html. ONNX stacks an LSTM's gates i, o, f, c; a GRU's z, r, h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.choose import absorb
from convert.readers.onnx.file import OnnxNode
from convert.readers.onnx.functions import named_hard_sigmoid
from convert.readers.onnx.layouts import Sequence, as_sequence
from convert.readers.onnx.parts import Cut
from convert.readers.onnx.tracing import (
    Array,
    Traced,
    Unsupported,
    Value,
    as_constant,
    as_traced,
    natural,
    side_by_side,
)
from convert.source_model.network import GATE_FUNCTIONS, Gru, Lstm, Recurrent, SimpleRnn

RECURRENT_NODES = {"LSTM", "GRU", "RNN"}

INPUTS_OF_RECURRENT = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_FUNCTIONS = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu"}
_SLOPES = {"elu": (1.0, 0.0), "hardsigmoid": (0.2, 0.5), "affine": (1.0, 0.0), "leakyrelu": (0.01, 0.0)}
"""Functions of ONNX that take an alpha, and their default alpha and beta."""
_BETAS = ("hardsigmoid", "affine", "scaledtanh")

STATE_GIVEN = (
    "starts from a state that depends on the window, such as another layer's last one. A converted "
    "layer starts every window from zeros. Train the layers without passing the state on."
)


def recurrent_node(node: OnnxNode, values: list[Value]) -> list[Value]:
    """The node's outputs Y and Y_h; Y_c, the cell state, is None.

    Raises Unsupported for what changes the layer's definition: clipping, coupled gates, peepholes,
    activations that the layer does not have, initial states that are not zero, windows cut short.
    """
    given = dict(zip(INPUTS_OF_RECURRENT, values))
    x = as_traced(given["X"])
    weights = {name: _constant(given.get(name), name) for name in INPUTS_OF_RECURRENT[1:]}
    directions = _directions(node)
    _check(node, weights)
    functions = _functions(node, len(directions))
    layout = node.attributes.get("layout", 0)
    steps_first = x.positions if layout == 0 else np.swapaxes(x.positions, 0, 1)
    if steps_first.ndim != 3:
        raise Unsupported(f"has an input of shape {list(x.positions.shape)}. Expected three axes.")
    sequence = as_sequence(x, np.swapaxes(steps_first, 0, 1), either_way=True)
    if isinstance(sequence.tensor.layer, Cut) and sequence.steps == 1:
        raise Unsupported(
            "reads every row as a sequence of its own, as if rows were windows. In PyTorch set "
            "batch_first=True."
        )
    _check_lengths(weights["sequence_lens"], sequence.steps)
    by_row = [
        _direction(_cell(node, weights, d, direction == "reverse", functions[d], sequence), sequence)
        for d, direction in enumerate(directions)
    ]
    return _outputs(by_row, directions, layout)


def check_known(node: OnnxNode, values: list[Value]) -> None:
    """Raises Unsupported for an input without a value, and an initial state that is no constant."""
    for number, (name, value) in enumerate(zip(node.inputs, values)):
        place = INPUTS_OF_RECURRENT[number] if node.op in RECURRENT_NODES else ""
        if place in ("initial_h", "initial_c") and name and not isinstance(value, np.ndarray):
            raise Unsupported(STATE_GIVEN)
    if any(name and value is None for name, value in zip(node.inputs, values)):
        raise Unsupported("reads a cell state Y_c or a mask. Only Y and Y_h of a layer have a value.")


def _constant(value: Value, name: str) -> Array | None:
    return None if value is None else as_constant(value, name)


def _directions(node: OnnxNode) -> tuple[str, ...]:
    direction = node.attributes.get("direction", "forward")
    return ("forward", "reverse") if direction == "bidirectional" else (direction,)


def _check(node: OnnxNode, weights: dict[str, Array | None]) -> None:
    """Raises Unsupported for what the layers do not have."""
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


def _functions(node: OnnxNode, directions: int) -> list[tuple[str, ...]]:
    """The functions of each direction by the Network's names, as ONNX orders them."""
    default = _ACTIVATIONS[node.op]
    found = tuple(node.attributes.get("activations", default * directions))
    alphas, betas = (list(node.attributes.get(f"activation_{k}", ())) for k in ("alpha", "beta"))
    if len(found) != len(default) * directions:
        raise Unsupported(f"has {len(found)} activations. Expected {len(default) * directions}.")
    names = []
    for function in (name.lower() for name in found):
        alpha, beta = _SLOPES.get(function, (0.0, 0.0))
        if function in _SLOPES and alphas:
            alpha = alphas.pop(0)
        if function in _BETAS and betas:
            beta = betas.pop(0)
        names.append(_function(function, alpha, beta))
    count = len(default)
    result = [tuple(names[k : k + count]) for k in range(0, len(names), count)]
    for direction in result:
        gates, states = direction[: count > 1], direction[count > 1 :]
        if not set(gates) <= set(GATE_FUNCTIONS) or len(set(states)) > 1:
            expected = "Sigmoid or HardSigmoid for the gates, and one function for the states"
            raise Unsupported(f"has activations {', '.join(found)}. Expected {expected}.")
    return result


def _function(function: str, alpha: float, beta: float) -> str:
    if function == "hardsigmoid":
        return named_hard_sigmoid(alpha, beta)
    if function == "elu" and alpha == 1:
        return "elu"
    if function == "affine" and (alpha, beta) == (1, 0):
        return "linear"
    if function not in _FUNCTIONS:
        expected = "Sigmoid, Tanh, Relu, HardSigmoid, Elu with alpha 1, Affine with alpha 1 and beta 0"
        slopes = f" with alpha={alpha:g}, beta={beta:g}" if function in _SLOPES else ""
        raise Unsupported(f"has the activation {function}{slopes}. Expected {expected}.")
    return _FUNCTIONS[function]


def _check_lengths(lengths: Array | None, steps: int) -> None:
    if lengths is not None and not (lengths == steps).all():
        raise Unsupported(
            f"has sequence_lens {sorted(set(lengths.tolist()))}. Expected all windows to be used up to "
            f"their last row, {steps}."
        )


def _cell(
    node: OnnxNode,
    weights: dict[str, Array | None],
    direction: int,
    reverse: bool,
    functions: tuple[str, ...],
    sequence: Sequence,
) -> Recurrent:
    """The layer of one direction, returning sequences."""
    kernel, recurrent_kernel = _weights(weights, "W", direction), _weights(weights, "R", direction)
    kernel = absorb(kernel, sequence.columns, sequence.tensor.width)
    both = np.zeros(2 * len(kernel), np.float32)
    if weights["B"] is not None:
        both = _weights(weights, "B", direction)
    bias, recurrent_bias = np.split(both, 2)
    common: dict[str, Any] = {
        "name": node.name,
        "return_sequences": True,
        "go_backwards": reverse != sequence.reversed,
        "activation": functions[-1],
    }
    if len(functions) > 1:
        common["recurrent_activation"] = functions[0]
    if node.op == "LSTM":
        kernel, recurrent_kernel, bias = map(_ifgo, (kernel, recurrent_kernel, bias + recurrent_bias))
        return Lstm(kernel=kernel, recurrent_kernel=recurrent_kernel, bias=bias, **common)
    common.update(kernel=kernel, recurrent_kernel=recurrent_kernel)
    if node.op == "GRU":
        after = bool(node.attributes.get("linear_before_reset", 0))
        return Gru(bias=bias, recurrent_bias=recurrent_bias, reset_after=after, **common)
    return SimpleRnn(bias=bias + recurrent_bias, **common)


def _weights(weights: dict[str, Array | None], name: str, direction: int) -> NDArray[np.float32]:
    array = weights[name]
    if array is None:
        raise Unsupported(f"has no {name}. Expected a constant.")
    return np.ascontiguousarray(array[direction], np.float32)


def _ifgo(stacked: NDArray[np.float32]) -> NDArray[np.float32]:
    i, o, f, g = np.split(stacked, 4)
    return np.concatenate([i, f, g, o])


def _direction(layer: Recurrent, sequence: Sequence) -> Traced:
    """The layer's h `[batch, steps, units]`, each in the row that the node reads at that moment."""
    tensor = sequence.tensor.then(layer, sequence.steps, layer.units)
    positions = natural(tensor.batch, sequence.steps, layer.units)
    # The layer's h are in the order of reading, ONNX's in the order of the rows.
    reverse = layer.go_backwards != sequence.reversed
    return Traced((tensor,), positions[:, ::-1] if reverse else positions)


def _outputs(by_row: list[Traced], directions: tuple[str, ...], layout: int) -> list[Value]:
    """Y and Y_h from the h of each direction."""
    y = side_by_side([h.moved(h.positions[:, :, None]) for h in by_row], 2)
    ends = [0 if way == "reverse" else -1 for way in directions]
    y_h = side_by_side([h.moved(h.positions[:, end, None]) for h, end in zip(by_row, ends)], 1)
    if layout == 0:
        return [
            y.moved(y.positions.transpose(1, 2, 0, 3)),
            y_h.moved(y_h.positions.transpose(1, 0, 2)),
            None,
        ]
    return [y, y_h, None]
