"""What a Network computes, by the definitions in convert.source_model.network, in float64.

It shares nothing with the compiler: tests compare the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.source_model.network import (
    STATIC,
    WINDOW,
    Activation,
    Affine,
    Attention,
    Bidirectional,
    Conv1d,
    Dense,
    Embedding,
    Flatten,
    GlobalPooling,
    Gru,
    Join,
    LayerNorm,
    Lstm,
    Mask,
    Network,
    Pooling,
    Repeat,
    SimpleRnn,
    TakeRows,
    TimeDistributed,
    Unflatten,
    WeightedSum,
)

Array = np.ndarray


def outputs_of(network: Network, windows: Array) -> Array:
    """`[N, outputs]` for raw windows `[N, steps, features]` in the network's own units."""
    wide = network.features - network.static
    values: dict[int, Array] = {WINDOW: windows[..., :wide].astype(float), STATIC: windows[:, -1, wide:]}
    for number, (layer, sources) in enumerate(zip(network.layers, network.sources)):
        values[number] = DEFINITIONS[type(layer)](layer, *(values[k] for k in sources))
    return values[len(network.layers) - 1]


def function(name: str, x: Array) -> Array:
    if name == "softmax":
        exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)
    return {
        "linear": lambda: x,
        "relu": lambda: np.maximum(x, 0),
        "elu": lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: 0.5 + 0.5 * np.tanh(x / 2),
        "hard_sigmoid": lambda: np.clip(x + 3, 0, 6) / 6,
        "hard_sigmoid_0.2": lambda: np.clip(0.2 * x + 0.5, 0, 1),
    }[name]()


def _lstm(layer: Lstm, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    a = x @ layer.kernel.T + h @ layer.recurrent_kernel.T + layer.bias
    i, f, g, o = np.split(a, 4, axis=1)
    gate = layer.recurrent_activation
    c = function(gate, f) * c + function(gate, i) * function(layer.activation, g)
    return function(gate, o) * function(layer.activation, c), c


def _gru(layer: Gru, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    units = layer.units
    z_r = x @ layer.kernel[: 2 * units].T + h @ layer.recurrent_kernel[: 2 * units].T
    z_r = function(
        layer.recurrent_activation, z_r + layer.bias[: 2 * units] + layer.recurrent_bias[: 2 * units]
    )
    z, r = np.split(z_r, 2, axis=1)
    new = x @ layer.kernel[2 * units :].T + layer.bias[2 * units :]
    kernel, bias = layer.recurrent_kernel[2 * units :], layer.recurrent_bias[2 * units :]
    old = r * (h @ kernel.T + bias) if layer.reset_after else (r * h) @ kernel.T + bias
    return z * h + (1 - z) * function(layer.activation, new + old), c


def _simple(layer: SimpleRnn, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    a = x @ layer.kernel.T + h @ layer.recurrent_kernel.T + layer.bias
    return function(layer.activation, a), c


CELLS: dict[type, Any] = {Gru: _gru, Lstm: _lstm, SimpleRnn: _simple}


def _recurrent(layer: Any, rows: Array, mask: Array | None = None) -> Array:
    h = c = np.zeros((len(rows), layer.units))
    order = range(rows.shape[1])
    found = []
    for t in reversed(order) if layer.go_backwards else order:
        new = CELLS[type(layer)](layer, rows[:, t], h, c)
        counts = np.ones((len(rows), 1), bool) if mask is None else mask[:, t] > 0
        h, c = (np.where(counts, after, before) for after, before in zip(new, (h, c)))
        found.append(h)
    return np.stack(found, axis=1) if layer.return_sequences else h


def _bidirectional(layer: Bidirectional, rows: Array, mask: Array | None = None) -> Array:
    there, back = (_recurrent(part, rows, mask) for part in (layer.forward, layer.backward))
    if layer.forward.return_sequences:
        back = back[:, ::-1]
    merge = {"sum": "add", "mul": "multiply", "ave": "average"}.get(layer.merge, layer.merge)
    return _join(Join("merge", merge), there, back)


def _dense(layer: Dense, x: Array) -> Array:
    return function(layer.activation, x @ layer.kernel.T + layer.bias)


def _conv1d(layer: Conv1d, rows: Array) -> Array:
    padded = np.pad(rows, ((0, 0), layer.padding, (0, 0)))
    width = layer.kernel.shape[1]
    last = padded.shape[1] - (width - 1) * layer.dilation
    found = [
        sum(padded[:, t + k * layer.dilation] @ layer.kernel[:, k].T for k in range(width)) + layer.bias
        for t in range(0, last, layer.stride)
    ]
    return function(layer.activation, np.stack(found, axis=1))


def _pooling(layer: Pooling, rows: Array) -> Array:
    before, after = layer.padding
    padded = np.pad(rows, ((0, 0), (before, after), (0, 0)), constant_values=np.nan)
    reduce = np.nanmax if layer.kind == "max" else np.nanmean
    starts = range(0, padded.shape[1] - layer.size + 1, layer.stride)
    return np.stack([reduce(padded[:, t : t + layer.size], axis=1) for t in starts], axis=1)


def _global_pooling(layer: GlobalPooling, rows: Array, mask: Array | None = None) -> Array:
    if mask is not None and layer.kind == "average":
        return (rows * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1e-9)
    return {"average": rows.mean, "max": rows.max, "sum": rows.sum}[layer.kind](axis=1)


def _layer_norm(layer: LayerNorm, x: Array) -> Array:
    centered = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + layer.epsilon)
    return centered / deviation * layer.gamma + layer.beta


def _join(layer: Join, *values: Array) -> Array:
    if layer.kind == "rows":
        return np.concatenate([v if v.ndim == 3 else v[:, np.newaxis] for v in values], axis=1)
    if any(value.ndim == 3 for value in values):
        steps = max(value.shape[1] for value in values if value.ndim == 3)
        values = tuple(
            value if value.ndim == 3 else np.repeat(value[:, np.newaxis], steps, axis=1)
            for value in values
        )
    if layer.kind == "concat":
        return np.concatenate(values, axis=-1)
    total = values[0]
    combine = {"subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum}
    for value in values[1:]:
        total = combine.get(layer.kind, np.add)(total, value)
    return total / len(values) if layer.kind == "average" else total


def _attention(
    layer: Attention, query: Array, value: Array, key: Array | None = None, mask: Array | None = None
) -> Array:
    keys = value if key is None else key
    queries = query if query.ndim == 3 else query[:, np.newaxis]
    scores = layer.scale * np.einsum("nqd,nkd->nqk", queries, keys)
    if mask is not None:
        scores = np.where(mask[:, np.newaxis, :, 0] > 0, scores, -1e9)
    found = np.einsum("nqk,nkd->nqd", function("softmax", scores), value)
    return found if query.ndim == 3 else found[:, 0]


def _time_distributed(layer: TimeDistributed, rows: Array) -> Array:
    found = []
    for value in np.split(rows, layer.count, axis=1):
        for inner in layer.layers:
            value = DEFINITIONS[type(inner)](inner, value)
        found.append(value)
    return np.stack(found, axis=1)


DEFINITIONS: dict[type, Any] = {
    Activation: lambda layer, x: function(layer.function, x),
    Affine: lambda layer, x: x * layer.scale + layer.offset,
    Attention: _attention,
    Bidirectional: _bidirectional,
    Conv1d: _conv1d,
    Dense: _dense,
    Embedding: lambda layer, tokens: layer.table[tokens[..., 0].astype(int)].astype(float),
    Flatten: lambda layer, x: x.reshape(len(x), -1),
    GlobalPooling: _global_pooling,
    Gru: _recurrent,
    Join: _join,
    LayerNorm: _layer_norm,
    Lstm: _recurrent,
    Mask: lambda layer, rows: (rows != layer.value).any(axis=-1, keepdims=True).astype(float),
    Pooling: _pooling,
    Repeat: lambda layer, x: np.repeat(x[:, np.newaxis], layer.steps, axis=1),
    SimpleRnn: _recurrent,
    TakeRows: lambda layer, rows: rows[:, list(layer.rows)],
    TimeDistributed: _time_distributed,
    Unflatten: lambda layer, x: x.reshape(len(x), layer.steps, -1),
    WeightedSum: lambda layer, weights, rows: np.einsum("nt,ntd->nd", weights, rows),
}
