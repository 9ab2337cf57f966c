"""Recurrent layers as operators: the constants that every step reads, and the operators of one step.

The state of a layer is a tuple of tensor names, h first: (h, c) of an LSTM, (h,) of the others.

LSTM, eleven operators (docs/internals/graph.md compares it with others):

    i, f, o = SPLIT(LOGISTIC(FULLY_CONNECTED([x_t, h])))
    g       = TANH(FULLY_CONNECTED([x_t, h]))
    c       = f * c + i * g
    h       = o * TANH(c)

LSTM in float32, twelve; p_t is row t of one matmul over the whole window:

    i_in, f_in, o_in, g_in = SPLIT(p_t + FULLY_CONNECTED(h))
    i, f, o                = LOGISTIC(i_in), LOGISTIC(f_in), LOGISTIC(o_in)
    g                      = TANH(g_in)
    c, h                   as above

GRU, twelve (reset after the matmul) or eleven (before):

    z, r = SPLIT(LOGISTIC(FULLY_CONNECTED([x_t, h])))
    n    = TANH(FULLY_CONNECTED(x_t) + r * FULLY_CONNECTED(h))    after
           TANH(FULLY_CONNECTED([x_t, r * h]))                    before
    h    = n + z * (h - n)

SimpleRNN, three (tanh) or two (relu, which the matmul applies):

    h = TANH(FULLY_CONNECTED([x_t, h]))
"""

from __future__ import annotations

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.step_builder import StepBuilder
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


def add_step(step: StepBuilder, layer: Recurrent, x: str, state: State | None) -> State:
    """Add a step on the row `x`; returns the new state. `state` None: the state is zero."""
    if state is None:
        zeros = np.zeros((1, layer.units), np.float32)
        state = (step.builder.constant(f"{step.prefix}h0", zeros),)
    if isinstance(layer, Lstm):
        return _lstm_step(step, x, *state)
    if isinstance(layer, Gru):
        gru_step = _gru_step_after if layer.reset_after else _gru_step_before
        return gru_step(step, x, *state)
    return _simple_step(step, layer, x, *state)


def state_names(layer: Recurrent) -> tuple[str, ...]:
    """The names of the layer's states, in the order of State."""
    return ("h", "c") if isinstance(layer, Lstm) else ("h",)


def gate_names(layer: Recurrent) -> tuple[str, ...]:
    """The names of the layer's activated gates, without the number of the step."""
    if isinstance(layer, Lstm):
        return ("i", "f", "o", "g")
    return ("z", "r", "n") if isinstance(layer, Gru) else ("h",)


def _side_by_side(
    builder: GraphBuilder, prefix: str, kernel: Weights, recurrent_kernel: Weights, bias: Weights
) -> None:
    """The matrix and the bias of a matmul over [x_t, h]."""
    builder.constant(f"{prefix}kernel", np.hstack([kernel, recurrent_kernel]))
    builder.constant(f"{prefix}bias", bias)


def _lstm_constants(builder: GraphBuilder, lstm: Lstm, prefix: str) -> None:
    parts = [np.split(part, 4) for part in (lstm.kernel, lstm.recurrent_kernel, lstm.bias)]
    gates = [np.concatenate([i, f, o]) for i, f, _, o in parts]
    candidate = [g for _, _, g, _ in parts]
    _side_by_side(builder, prefix, *gates)
    _side_by_side(builder, f"{prefix}new_", *candidate)
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _lstm_step(step: StepBuilder, x: str, h: str, c: str | None = None) -> State:
    xh = step.concatenate("xh", x, h)
    gates = step.matmul("gates", xh, "kernel", "bias")
    i, f, o = step.split(["i", "f", "o"], step.sigmoid("sig", gates))
    g = step.tanh("g", step.matmul("new", xh, "new_kernel", "new_bias"))
    return _lstm_update(step, i, f, o, g, c)


def _lstm_update(step: StepBuilder, i: str, f: str, o: str, g: str, c: str | None) -> State:
    """The new h and c from the activated gates; `c` is None in the first step, where it is zero."""
    if c is None:
        c = step.mul("c", i, g)
    else:
        new, kept = step.mul("u", i, g), step.mul("k", f, c)
        c = step.add("c", kept, new)
    return step.mul("h", o, step.tanh("t", c)), c


def add_projection(builder: GraphBuilder, lstm: Lstm, prefix: str, window: str, steps: int) -> list[str]:
    """The input's part of all pre-activations (i, f, o, g) as one matmul over the window.

    Returns the matmul's rows. Also declares what `add_projected_step` reads.
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


def add_projected_step(step: StepBuilder, row: str, state: State | None) -> State:
    """Add a step on a row of `add_projection`; the first step's h is zero and costs no matmul."""
    h, c = state or (None, None)
    if h is not None:
        row = step.add("gates", row, step.matmul("r", h, "kernel", "no_bias"))
    i_in, f_in, o_in, g_in = step.split(["i_in", "f_in", "o_in", "g_in"], row)
    i, f, o = step.sigmoid("i", i_in), step.sigmoid("f", f_in), step.sigmoid("o", o_in)
    return _lstm_update(step, i, f, o, step.tanh("g", g_in), c)


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
        parts = (gru.kernel[candidate], gru.recurrent_kernel[candidate], both[candidate])
        _side_by_side(builder, f"{prefix}new_", *parts)
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _gru_step_after(step: StepBuilder, x: str, h: str) -> State:
    z, r = _gru_gates(step, x, h)
    new = step.matmul("new", x, "new_kernel", "new_bias")
    old = step.matmul("old", h, "old_kernel", "old_bias")
    a = step.add("a", new, step.mul("k", r, old))
    return _gru_update(step, z, step.tanh("n", a), h)


def _gru_step_before(step: StepBuilder, x: str, h: str) -> State:
    z, r = _gru_gates(step, x, h)
    xk = step.concatenate("xk", x, step.mul("k", r, h))
    a = step.matmul("a", xk, "new_kernel", "new_bias")
    return _gru_update(step, z, step.tanh("n", a), h)


def _gru_gates(step: StepBuilder, x: str, h: str) -> list[str]:
    """z and r."""
    gates = step.matmul("gates", step.concatenate("xh", x, h), "kernel", "bias")
    return step.split(["z", "r"], step.sigmoid("sig", gates))


def _gru_update(step: StepBuilder, z: str, n: str, h: str) -> State:
    """n + z * (h - n)."""
    change = step.mul("m", z, step.sub("e", h, n))
    return (step.add("h", n, change),)


def _simple_step(step: StepBuilder, layer: SimpleRnn, x: str, h: str) -> State:
    xh = step.concatenate("xh", x, h)
    if layer.activation == "relu":
        return (step.matmul("h", xh, "kernel", "bias", relu=True),)
    return (step.tanh("h", step.matmul("a", xh, "kernel", "bias")),)
