"""One step of each recurrent layer as operators: the constants it reads, and the copy for step t.

The state of a layer is a tuple of tensor names, h first: (h, c/2) of an LSTM, (h,) of the others.

LSTM, eleven operators (docs/graph.md):

    gates = FULLY_CONNECTED([x_t, h])          one matmul for input and state, four gates
    i, s, f, o = SPLIT(LOGISTIC(gates))        one LOGISTIC for all gates, the candidate included:
                                               tanh(a) = 2 sigmoid(2a) - 1, its weights are doubled
    c/2 = f * c/2 + i * (s - 0.5)              the state is kept halved, so that no doubling is needed
    h   = o * tanh(c/2 + c/2)

GRU, twelve (reset after the matmul) or eleven (before):

    z, r = SPLIT(LOGISTIC(FULLY_CONNECTED([x_t, h])))
    n    = TANH(FULLY_CONNECTED(x_t) + r * FULLY_CONNECTED(h))    after
           TANH(FULLY_CONNECTED([x_t, r * h]))                    before
    h    = n + z * (h - n)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.graph import GraphBuilder, Op
from convert.network import Gru, Lstm, Recurrent, SimpleRnn, Weights

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
    _side_by_side(
        builder,
        prefix,
        _gate_layout(lstm.kernel),
        _gate_layout(lstm.recurrent_kernel),
        _gate_layout(lstm.bias),
    )
    builder.shared_constant("half", np.full((1, 1), 0.5, np.float32))
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _gate_layout(weights: Weights) -> NDArray[np.float32]:
    """Gates of axis 0 from the Network's order i, f, g, o to i, g, f, o, with g doubled."""
    i, f, g, o = np.split(weights, 4)
    return np.concatenate([i, 2 * g, f, o])


def _lstm_step(builder: GraphBuilder, lstm: Lstm, prefix: str, x: str, state: State, t: int) -> State:
    def name(tensor: str) -> str:
        return f"{prefix}{tensor}{t}"

    units, shape = lstm.units, (1, lstm.units)
    xh = _joined(builder, name("xh"), x, state[0])
    inputs = [xh, f"{prefix}kernel", f"{prefix}bias"]
    gates = builder.operator(Op.FULLY_CONNECTED, inputs, name("gates"), (1, 4 * units))
    sigmoids = builder.operator(Op.LOGISTIC, [gates], name("sig"), (1, 4 * units))
    i, s, f, o = builder.fan_out(
        Op.SPLIT, ["gate_axis", sigmoids], [name(gate) for gate in "isfo"], shape, axis=1
    )
    g_half = builder.operator(Op.SUB, [s, "half"], name("g"), shape)
    if len(state) == 1:  # the first step: nothing to keep
        c_half = builder.operator(Op.MUL, [i, g_half], name("c"), shape)
    else:
        new = builder.operator(Op.MUL, [i, g_half], name("u"), shape)
        kept = builder.operator(Op.MUL, [f, state[1]], name("k"), shape)
        c_half = builder.operator(Op.ADD, [kept, new], name("c"), shape)
    c = builder.operator(Op.ADD, [c_half, c_half], name("d"), shape)
    squashed = builder.operator(Op.TANH, [c], name("t"), shape)
    return builder.operator(Op.MUL, [o, squashed], name("h"), shape), c_half


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
