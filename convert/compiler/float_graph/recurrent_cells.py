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

Other functions stand in the places of LOGISTIC and TANH (see functions). With a mask m, the results
above are h_new and c_new, and the states

    h = m * h_new + (1 - m) * h
    c = m * c_new + (1 - m) * c
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.functions import SLOPES, scaled
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
        _side_by_side(
            builder, prefix, layer.activation, layer.kernel, layer.recurrent_kernel, layer.bias
        )


def add_step(
    step: StepBuilder, layer: Recurrent, x: str, state: State | None, mask: str | None = None
) -> State:
    """Add a step on the row `x`; returns the new state. `state` None: the state is zero.

    `mask`: a tensor `[1, 1]` that is 1, or 0 where the state stays as it is.
    """
    before = state
    if state is None:
        zeros = np.zeros((1, layer.units), np.float32)
        state = (step.builder.constant(f"{step.prefix}h0", zeros),)
    if mask is not None:
        return _masked(step, _cell(replace(step, masked=True), layer, x, state), before, mask)
    return _cell(step, layer, x, state)


def _cell(step: StepBuilder, layer: Recurrent, x: str, state: State) -> State:
    if isinstance(layer, Lstm):
        return _lstm_step(step, layer, x, *state)
    if isinstance(layer, Gru):
        gru_step = _gru_step_after if layer.reset_after else _gru_step_before
        return gru_step(step, layer, x, *state)
    return _simple_step(step, layer, x, *state)


def _masked(step: StepBuilder, new: State, old: State | None, mask: str) -> State:
    """The state after a row that counts only where `mask` is 1; `old` None: it was zero."""
    names, result = ("h", "c"), []
    for name, after, before in zip(names, new, old or (None, None)):
        cell_state = name == "c"
        if before is None:
            result.append(step.mul(name, mask, after, cell_state=cell_state))
            continue
        taken = step.mul(f"{name}_taken", mask, after, cell_state=cell_state)
        kept = step.mul(
            f"{name}_kept", add_complement(step.builder, mask), before, cell_state=cell_state
        )
        result.append(step.add(name, taken, kept, cell_state=cell_state))
    return tuple(result)


def add_complement(builder: GraphBuilder, mask: str) -> str:
    """1 - mask, once for each mask; both hold 0 or 1 only."""
    name = f"{mask}_off"
    if name not in builder.tensors:
        one = builder.shared_constant("one", np.ones((1, 1), np.float32))
        builder.operator(Op.SUB, [one, mask], name, builder.tensors[mask].shape)
        builder.mask(name)
    return name


def state_names(layer: Recurrent) -> tuple[str, ...]:
    """The names of the layer's states, in the order of State."""
    return ("h", "c") if isinstance(layer, Lstm) else ("h",)


def gate_names(layer: Recurrent) -> tuple[str, ...]:
    """The names of the layer's activated gates, without the number of the step."""
    if isinstance(layer, Lstm):
        return ("i", "f", "o", "g")
    return ("z", "r", "n") if isinstance(layer, Gru) else ("h",)


def _side_by_side(
    builder: GraphBuilder,
    prefix: str,
    function: str,
    kernel: Weights,
    recurrent_kernel: Weights,
    bias: Weights,
) -> None:
    """The matrix and the bias of a matmul over [x_t, h] that `function` is applied to."""
    matrix, offsets = scaled(function, np.hstack([kernel, recurrent_kernel]), bias)
    builder.constant(f"{prefix}kernel", matrix)
    builder.constant(f"{prefix}bias", offsets)


def _lstm_constants(builder: GraphBuilder, lstm: Lstm, prefix: str) -> None:
    parts = [np.split(part, 4) for part in (lstm.kernel, lstm.recurrent_kernel, lstm.bias)]
    gates = [np.concatenate([i, f, o]) for i, f, _, o in parts]
    candidate = [g for _, _, g, _ in parts]
    _side_by_side(builder, prefix, lstm.recurrent_activation, *gates)
    _side_by_side(builder, f"{prefix}new_", lstm.activation, *candidate)
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _lstm_step(step: StepBuilder, lstm: Lstm, x: str, h: str, c: str | None = None) -> State:
    xh = step.concatenate("xh", x, h)
    gates = step.matmul(("gates", "sig"), xh, "kernel", "bias", lstm.recurrent_activation)
    i, f, o = step.split(["i", "f", "o"], gates)
    g = step.matmul(("new", "g"), xh, "new_kernel", "new_bias", lstm.activation)
    return _lstm_update(step, lstm, i, f, o, g, c)


def _lstm_update(step: StepBuilder, lstm: Lstm, i: str, f: str, o: str, g: str, c: str | None) -> State:
    """The new h and c from the activated gates; `c` is None in the first step, where it is zero."""
    if c is None:
        c = step.mul("c", i, g, cell_state=True)
    else:
        new = step.mul("u", i, g, cell_state=True)
        kept = step.mul("k", f, c, cell_state=True)
        c = step.add("c", kept, new, cell_state=True)
    return step.mul("h", o, step.function(lstm.activation, "t", c)), c


def add_projection(builder: GraphBuilder, lstm: Lstm, prefix: str, window: str, steps: int) -> list[str]:
    """The input's part of all pre-activations (i, f, o, g) as one matmul over the window.

    Returns the matmul's rows. Also declares what `add_projected_step` reads.
    """
    kernel, recurrent, bias = _projection_weights(lstm)
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


def _projection_weights(lstm: Lstm) -> tuple[Weights, Weights, Weights]:
    """kernel, recurrent kernel and bias for the gates in the order i, f, o, g."""
    functions = (lstm.recurrent_activation,) * 3 + (lstm.activation,)
    parts = []
    for function, gate in zip(functions, (0, 1, 3, 2)):
        kernel, recurrent, bias = (
            np.split(part, 4)[gate] for part in (lstm.kernel, lstm.recurrent_kernel, lstm.bias)
        )
        both, offsets = scaled(function, np.hstack([kernel, recurrent]), bias)
        parts.append((both[:, : kernel.shape[1]], both[:, kernel.shape[1] :], offsets))
    kernel, recurrent, bias = (np.concatenate(items) for items in zip(*parts))
    return kernel, recurrent, bias


def add_projected_step(step: StepBuilder, lstm: Lstm, row: str, state: State | None) -> State:
    """Add a step on a row of `add_projection`; the first step's h is zero and costs no matmul."""
    h, c = state or (None, None)
    if h is not None:
        row = step.add("gates", row, step.matmul(("r", "r"), h, "kernel", "no_bias"))
    i_in, f_in, o_in, g_in = step.split(["i_in", "f_in", "o_in", "g_in"], row)
    i, f, o = (
        step.function_of_sum(lstm.recurrent_activation, name, x)
        for name, x in (("i", i_in), ("f", f_in), ("o", o_in))
    )
    g = step.function_of_sum(lstm.activation, "g", g_in)
    return _lstm_update(step, lstm, i, f, o, g, c)


def _gru_constants(builder: GraphBuilder, gru: Gru, prefix: str) -> None:
    gates = slice(0, 2 * gru.units)
    candidate = slice(2 * gru.units, None)
    both = gru.bias + gru.recurrent_bias
    _side_by_side(
        builder,
        prefix,
        gru.recurrent_activation,
        *(gru.kernel[gates], gru.recurrent_kernel[gates], both[gates]),
    )
    if gru.reset_after:
        new, new_bias = scaled(gru.activation, gru.kernel[candidate], gru.bias[candidate])
        slope = np.float32(SLOPES.get(gru.activation, 1.0))  # the sum's offset is in new_bias
        builder.constant(f"{prefix}new_kernel", new)
        builder.constant(f"{prefix}new_bias", new_bias)
        builder.constant(f"{prefix}old_kernel", gru.recurrent_kernel[candidate] * slope)
        builder.constant(f"{prefix}old_bias", gru.recurrent_bias[candidate] * slope)
    else:
        parts = (gru.kernel[candidate], gru.recurrent_kernel[candidate], both[candidate])
        _side_by_side(builder, f"{prefix}new_", gru.activation, *parts)
    builder.shared_constant("gate_axis", np.array(1, np.int32))


def _gru_step_after(step: StepBuilder, gru: Gru, x: str, h: str) -> State:
    z, r = _gru_gates(step, gru, x, h)
    new = step.matmul(("new", "new"), x, "new_kernel", "new_bias")
    old = step.matmul(("old", "old"), h, "old_kernel", "old_bias")
    a = step.add("a", new, step.mul("k", r, old))
    return _gru_update(step, z, step.function_of_sum(gru.activation, "n", a), h)


def _gru_step_before(step: StepBuilder, gru: Gru, x: str, h: str) -> State:
    z, r = _gru_gates(step, gru, x, h)
    xk = step.concatenate("xk", x, step.mul("k", r, h))
    return _gru_update(step, z, step.matmul(("a", "n"), xk, "new_kernel", "new_bias", gru.activation), h)


def _gru_gates(step: StepBuilder, gru: Gru, x: str, h: str) -> list[str]:
    """z and r."""
    xh = step.concatenate("xh", x, h)
    gates = step.matmul(("gates", "sig"), xh, "kernel", "bias", gru.recurrent_activation)
    return step.split(["z", "r"], gates)


def _gru_update(step: StepBuilder, z: str, n: str, h: str) -> State:
    """n + z * (h - n)."""
    change = step.mul("m", z, step.sub("e", h, n))
    return (step.add("h", n, change),)


def _simple_step(step: StepBuilder, layer: SimpleRnn, x: str, h: str) -> State:
    xh = step.concatenate("xh", x, h)
    return (step.matmul(("a", "h"), xh, "kernel", "bias", layer.activation),)
