"""Network -> float Graph with exactly `steps` copies of the recurrent step, no control flow.

Eleven operators a step (docs/graph.md):

    gates = FULLY_CONNECTED([x_t, h])          one matmul for input and state, four gates
    i, s, f, o = SPLIT(LOGISTIC(gates))        one LOGISTIC for all gates, the candidate included:
                                               tanh(a) = 2 sigmoid(2a) - 1, its weights are doubled
    c/2 = f * c/2 + i * (s - 0.5)              the state is kept halved, so that no doubling is needed
    h   = o * tanh(c/2 + c/2)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.graph import Graph, GraphBuilder, Op
from convert.network import Dense, Lstm, Network, Weights

INPUT = "window"
OUTPUT = "logits"


def unroll(network: Network) -> Graph:
    """The float32 graph of one Lstm and one Dense: `[1, steps, features]` to `[1, classes]`."""
    lstm, dense = network.layers
    if not (isinstance(lstm, Lstm) and isinstance(dense, Dense)):
        raise ValueError("only an Lstm followed by a Dense can be unrolled")
    builder = GraphBuilder()
    builder.activation(INPUT, (1, network.steps, network.features))
    rows = builder.fan_out(
        Op.UNPACK,
        [INPUT],
        [f"x{t}" for t in range(1, network.steps + 1)],
        (1, network.features),
        axis=1,
    )
    h = _lstm(builder, lstm, rows)
    _dense(builder, dense, h, OUTPUT)
    return builder.build((INPUT,), (OUTPUT,))


def _lstm(builder: GraphBuilder, lstm: Lstm, rows: list[str]) -> str:
    """Add the unrolled layer over `rows`; returns the name of the last h."""
    kernel = np.hstack([lstm.kernel, lstm.recurrent_kernel])
    builder.constant("kernel", _gate_layout(kernel))
    builder.constant("bias", _gate_layout(lstm.bias))
    builder.constant("half", np.full((1, 1), 0.5, np.float32))
    builder.constant("gate_axis", np.array(1, np.int32))
    h = builder.constant("h0", np.zeros((1, lstm.units), np.float32))
    c_half: str | None = None
    for t, x in enumerate(rows, start=1):
        h, c_half = _step(builder, lstm, x, h, c_half, t)
    return h


def _step(
    builder: GraphBuilder, lstm: Lstm, x: str, h: str, c_half: str | None, t: int
) -> tuple[str, str]:
    """Add step `t`; `c_half` is None in the first step, where the state is zero."""
    units, state = lstm.units, (1, lstm.units)
    width = lstm.kernel.shape[1] + units
    xh = builder.operator(Op.CONCATENATION, [x, h], f"xh{t}", (1, width), axis=1)
    gates = builder.operator(Op.FULLY_CONNECTED, [xh, "kernel", "bias"], f"gates{t}", (1, 4 * units))
    sigmoids = builder.operator(Op.LOGISTIC, [gates], f"sig{t}", (1, 4 * units))
    i, s, f, o = builder.fan_out(
        Op.SPLIT, ["gate_axis", sigmoids], [f"i{t}", f"s{t}", f"f{t}", f"o{t}"], state, axis=1
    )
    g_half = builder.operator(Op.SUB, [s, "half"], f"g{t}", state)
    if c_half is None:
        c_half = builder.operator(Op.MUL, [i, g_half], f"c{t}", state)
    else:
        new = builder.operator(Op.MUL, [i, g_half], f"u{t}", state)
        kept = builder.operator(Op.MUL, [f, c_half], f"k{t}", state)
        c_half = builder.operator(Op.ADD, [kept, new], f"c{t}", state)
    c = builder.operator(Op.ADD, [c_half, c_half], f"d{t}", state)
    squashed = builder.operator(Op.TANH, [c], f"t{t}", state)
    return builder.operator(Op.MUL, [o, squashed], f"h{t}", state), c_half


def _gate_layout(weights: Weights) -> NDArray[np.float32]:
    """Gates of axis 0 from the Network's order i, f, g, o to i, g, f, o, with g doubled."""
    i, f, g, o = np.split(weights, 4)
    return np.concatenate([i, 2 * g, f, o])


def _dense(builder: GraphBuilder, dense: Dense, source: str, output: str) -> str:
    builder.constant("dense_kernel", dense.kernel)
    builder.constant("dense_bias", dense.bias)
    shape = (1, len(dense.bias))
    inputs = [source, "dense_kernel", "dense_bias"]
    return builder.operator(Op.FULLY_CONNECTED, inputs, output, shape)
