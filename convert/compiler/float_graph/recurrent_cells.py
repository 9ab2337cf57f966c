"""One step of each recurrent layer as operators: the constants it reads, and the copy for step t.

The state of a layer is a tuple of tensor names, h first: (h, c) of an LSTM, (h,) of the others.

LSTM, eleven operators (docs/internals/graph.md says what others were measured):

    i, f, o = SPLIT(LOGISTIC(FULLY_CONNECTED([x_t, h])))
    g       = TANH(FULLY_CONNECTED([x_t, h]))
    c       = f * c + i * g
    h       = o * TANH(c)

LSTM in float32, over rows that have been through the input's matmul all at once, twelve:

    i, f, o, g = SPLIT(p_t + FULLY_CONNECTED(h)), LOGISTIC of i, f and o, TANH of g; c and h as above

GRU, twelve (reset after the matmul) or eleven (before):

    z, r = SPLIT(LOGISTIC(FULLY_CONNECTED([x_t, h])))
    n    = TANH(FULLY_CONNECTED(x_t) + r * FULLY_CONNECTED(h))    after
           TANH(FULLY_CONNECTED([x_t, r * h]))                    before
    h    = n + z * (h - n)
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.source_model.network import Gru, Lstm, Recurrent, SimpleRnn, Weights
from edge_runtime.tflite.graph import Op

State = tuple[str, ...]


def add_constants(builder: GraphBuilder, layer: Recurrent, prefix: str) -> None:
    """Declare the weights that every step of `layer` reads; their names start with `prefix`."""
    if isinstance(layer, Lstm):
        _lstm_constants(builder, layer, prefix)
    elif isinstance(layer, Gru):
        _gru_constants(builder, layer, prefix)
    else:
        _side_by_side(builder, prefix, layer.kernel, layer.recurrent_kernel, layer.bias)


def add_step(
    builder: GraphBuilder, layer: Recurrent, prefix: str, x: str, state: State | None, t: int
) -> State:
    """Add step `t` on the row `x`; returns the new state. `state` None: the state is zero."""
    if state is None:
        zeros = np.zeros((1, layer.units), np.float32)
        state = (builder.constant(f"{prefix}h0", zeros),)
    if isinstance(layer, Lstm):
        return _lstm_step(builder, layer, prefix, x, state, t)
    if isinstance(layer, Gru):
        step = _gru_step_after if layer.reset_after else _gru_step_before
        return step(builder, layer, prefix, x, state, t)
    return _simple_step(builder, layer, prefix, x, state, t)


def state_names(layer: Recurrent) -> tuple[str, ...]:
    """The layer's states in the order of State."""
    return ("h", "c") if isinstance(layer, Lstm) else ("h",)


def gate_names(layer: Recurrent) -> tuple[str, ...]:
    """What the activated gates' tensors are called, before the number of the step."""
    if isinstance(layer, Lstm):
        return ("i", "f", "o", "g")
    return ("z", "r", "n") if isinstance(layer, Gru) else ("h",)


def _side_by_side(
    builder: GraphBuilder, prefix: str, kernel: Weights, recurrent_kernel: Weights, bias: Weights
) -> None:
    """The matrix for [x_t, h]."""
    builder.constant(f"{prefix}kernel", np.hstack([kernel, recurrent_kernel]))
    builder.constant(f"{prefix}bias", bias)


def _joined(builder: GraphBuilder, name: str, x: str, h: str) -> str:
    """[x_t, h] as one row."""
    shape = (1, builder.width(x) + builder.width(h))
    return builder.operator(Op.CONCATENATION, [x, h], name, shape, axis=1)


def _lstm_constants(builder: GraphBuilder, lstm: Lstm, prefix: str) -> None:
    parts = [np.split(part, 4) for part in (lstm.kernel, lstm.recurrent_kernel, lstm.bias)]
    gates = [np.concatenate([i, f, o]) for i, f, _, o in parts]
    candidate = [g for _, _, g, _ in parts]
    _side_by_side(builder, prefix, *gates)
    _side_by_side(builder, f"{prefix}new_", *candidate)
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _lstm_step(builder: GraphBuilder, lstm: Lstm, prefix: str, x: str, state: State, t: int) -> State:
    def name(tensor: str) -> str:
        return f"{prefix}{tensor}{t}"

    def matmul(source: str, part: str, output: str, width: int) -> str:
        inputs = [source, f"{prefix}{part}kernel", f"{prefix}{part}bias"]
        return builder.operator(Op.FULLY_CONNECTED, inputs, name(output), (1, width))

    units, shape = lstm.units, (1, lstm.units)
    xh = _joined(builder, name("xh"), x, state[0])
    gates = matmul(xh, "", "gates", 3 * units)
    sigmoids = builder.operator(Op.LOGISTIC, [gates], name("sig"), (1, 3 * units))
    i, f, o = builder.fan_out(
        Op.SPLIT, ["gate_axis", sigmoids], [name(gate) for gate in "ifo"], shape, axis=1
    )
    g = builder.operator(Op.TANH, [matmul(xh, "new_", "new", units)], name("g"), shape)
    return _lstm_update(builder, name, (i, f, o, g), state)


def _lstm_update(
    builder: GraphBuilder, name: Callable[[str], str], gates: tuple[str, ...], state: State
) -> State:
    """The new h and c from the activated gates i, f, o, g."""
    i, f, o, g = gates
    shape = builder.tensors[g].shape
    if len(state) == 1:  # the first step: nothing to keep
        c = builder.operator(Op.MUL, [i, g], name("c"), shape)
    else:
        new = builder.operator(Op.MUL, [i, g], name("u"), shape)
        kept = builder.operator(Op.MUL, [f, state[1]], name("k"), shape)
        c = builder.operator(Op.ADD, [kept, new], name("c"), shape)
    squashed = builder.operator(Op.TANH, [c], name("t"), shape)
    return builder.operator(Op.MUL, [o, squashed], name("h"), shape), c


def add_projection(builder: GraphBuilder, lstm: Lstm, prefix: str, window: str, steps: int) -> list[str]:
    """The input's part of all pre-activations, i, f, o, g, as one matmul over the window; its rows.

    Also declares what `add_projected_step` reads.
    """
    kernel, recurrent, bias = (
        np.concatenate([i, f, o, g])
        for i, f, g, o in (np.split(part, 4) for part in (lstm.kernel, lstm.recurrent_kernel, lstm.bias))
    )
    names = [
        builder.constant(f"{prefix}input_kernel", kernel),
        builder.constant(f"{prefix}bias", bias),
    ]
    builder.constant(f"{prefix}kernel", recurrent)
    builder.constant(f"{prefix}no_bias", np.zeros_like(bias))
    builder.shared_constant("gate_axis", np.array(1, np.int32))
    shape = (1, steps, len(bias))
    projected = builder.operator(Op.FULLY_CONNECTED, [window, *names], f"{prefix}projected", shape)
    rows = [f"{prefix}p{t}" for t in range(1, steps + 1)]
    return builder.fan_out(Op.UNPACK, [projected], rows, (1, len(bias)), axis=1)


def add_projected_step(
    builder: GraphBuilder, lstm: Lstm, prefix: str, row: str, state: State | None, t: int
) -> State:
    """Add step `t` on a row of `add_projection`; the first step's h is zero and costs no matmul."""

    def name(tensor: str) -> str:
        return f"{prefix}{tensor}{t}"

    shape, wide = (1, lstm.units), (1, 4 * lstm.units)
    if state is not None:
        inputs = [state[0], f"{prefix}kernel", f"{prefix}no_bias"]
        recurrent = builder.operator(Op.FULLY_CONNECTED, inputs, name("r"), wide)
        row = builder.operator(Op.ADD, [row, recurrent], name("gates"), wide)
    parts = builder.fan_out(
        Op.SPLIT, ["gate_axis", row], [name(f"{gate}_in") for gate in "ifog"], shape, axis=1
    )
    tables = (Op.LOGISTIC, Op.LOGISTIC, Op.LOGISTIC, Op.TANH)
    gates = tuple(
        builder.operator(table, [part], name(gate), shape)
        for table, part, gate in zip(tables, parts, "ifog")
    )
    return _lstm_update(builder, name, gates, state or ("",))


def _gru_constants(builder: GraphBuilder, gru: Gru, prefix: str) -> None:
    gates = slice(0, 2 * gru.units)
    candidate = slice(2 * gru.units, None)
    both = gru.bias + gru.recurrent_bias
    _side_by_side(builder, prefix, gru.kernel[gates], gru.recurrent_kernel[gates], both[gates])
    if gru.reset_after:
        builder.constant(f"{prefix}new_kernel", gru.kernel[candidate])
        builder.constant(f"{prefix}new_bias", gru.bias[candidate])
        builder.constant(f"{prefix}old_kernel", gru.recurrent_kernel[candidate])
        builder.constant(f"{prefix}old_bias", gru.recurrent_bias[candidate])
    else:
        _side_by_side(
            builder,
            f"{prefix}new_",
            gru.kernel[candidate],
            gru.recurrent_kernel[candidate],
            both[candidate],
        )
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _gru_gates(builder: GraphBuilder, gru: Gru, prefix: str, x: str, h: str, t: int) -> list[str]:
    """z and r."""
    xh = _joined(builder, f"{prefix}xh{t}", x, h)
    inputs = [xh, f"{prefix}kernel", f"{prefix}bias"]
    shape = (1, 2 * gru.units)
    gates = builder.operator(Op.FULLY_CONNECTED, inputs, f"{prefix}gates{t}", shape)
    sigmoids = builder.operator(Op.LOGISTIC, [gates], f"{prefix}sig{t}", shape)
    names = [f"{prefix}z{t}", f"{prefix}r{t}"]
    return builder.fan_out(Op.SPLIT, ["gate_axis", sigmoids], names, (1, gru.units), axis=1)


def _gru_step_after(builder: GraphBuilder, gru: Gru, prefix: str, x: str, state: State, t: int) -> State:
    (h,), shape = state, (1, gru.units)
    z, r = _gru_gates(builder, gru, prefix, x, h, t)
    parts = {}
    for part, source in (("new", x), ("old", h)):
        inputs = [source, f"{prefix}{part}_kernel", f"{prefix}{part}_bias"]
        parts[part] = builder.operator(Op.FULLY_CONNECTED, inputs, f"{prefix}{part}{t}", shape)
    kept = builder.operator(Op.MUL, [r, parts["old"]], f"{prefix}k{t}", shape)
    a = builder.operator(Op.ADD, [parts["new"], kept], f"{prefix}a{t}", shape)
    return _gru_mix(builder, prefix, a, z, h, t)


def _gru_step_before(
    builder: GraphBuilder, gru: Gru, prefix: str, x: str, state: State, t: int
) -> State:
    (h,), shape = state, (1, gru.units)
    z, r = _gru_gates(builder, gru, prefix, x, h, t)
    kept = builder.operator(Op.MUL, [r, h], f"{prefix}k{t}", shape)
    xk = _joined(builder, f"{prefix}xk{t}", x, kept)
    inputs = [xk, f"{prefix}new_kernel", f"{prefix}new_bias"]
    a = builder.operator(Op.FULLY_CONNECTED, inputs, f"{prefix}a{t}", shape)
    return _gru_mix(builder, prefix, a, z, h, t)


def _gru_mix(builder: GraphBuilder, prefix: str, a: str, z: str, h: str, t: int) -> State:
    """n + z * (h - n) with n = tanh(a)."""
    shape = builder.tensors[a].shape
    n = builder.operator(Op.TANH, [a], f"{prefix}n{t}", shape)
    difference = builder.operator(Op.SUB, [h, n], f"{prefix}e{t}", shape)
    share = builder.operator(Op.MUL, [z, difference], f"{prefix}m{t}", shape)
    return (builder.operator(Op.ADD, [n, share], f"{prefix}h{t}", shape),)


def _simple_step(
    builder: GraphBuilder, layer: SimpleRnn, prefix: str, x: str, state: State, t: int
) -> State:
    shape = (1, layer.units)
    xh = _joined(builder, f"{prefix}xh{t}", x, state[0])
    inputs = [xh, f"{prefix}kernel", f"{prefix}bias"]
    if layer.activation == "relu":
        name = f"{prefix}h{t}"
        return (builder.operator(Op.FULLY_CONNECTED, inputs, name, shape, relu=True),)
    a = builder.operator(Op.FULLY_CONNECTED, inputs, f"{prefix}a{t}", shape)
    return (builder.operator(Op.TANH, [a], f"{prefix}h{t}", shape),)
