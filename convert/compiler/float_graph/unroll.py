"""Network -> float Graph of a whole window, without control flow.

A recurrent layer becomes exactly `steps` copies of its step (see recurrent_cells). Between two layers a
sequence is a list of rows `[1, n]`, and a vector is one such row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Union

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.feed_forward import (
    add_activation,
    add_affine,
    add_conv1d,
    add_dense,
    add_flatten,
    add_layer_norm,
    add_pooling,
)
from convert.compiler.float_graph.recurrent_cells import (
    State,
    add_constants,
    add_projected_step,
    add_projection,
    add_step,
)
from convert.compiler.float_graph.step_builder import StepBuilder
from convert.source_model.fold import fold
from convert.source_model.network import (
    RECURRENT_LAYERS,
    Activation,
    Affine,
    Bidirectional,
    Conv1d,
    Dense,
    Flatten,
    GlobalPooling,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    Network,
    Recurrent,
    SimpleRnn,
    TakeRows,
)
from edge_runtime.tflite.graph import Graph, Op

INPUT = "window"
OUTPUT = "logits"

GraphValue = Union["list[str]", str]


def unroll(network: Network, *, project: bool = False) -> Graph:
    """The float32 graph, `[1, steps, features]` to `[1, classes]`.

    `project`: if the first layer is an LSTM, one matmul computes its input's part of all steps. This is
    faster in float32 (docs/internals/graph.md), but a quantized graph would round once more. Raises
    ValueError when the last layer gives a sequence, as a classifier has one vector of logits.
    """
    builder = GraphBuilder()
    builder.activation(INPUT, (1, network.steps, network.features))
    folded = fold(network)
    layers = list(zip(folded.layers, prefixes(folded)))
    value: GraphValue
    first = layers[0][0] if layers else None
    if project and isinstance(first, Lstm):
        value = _projected(builder, first, layers.pop(0)[1], network.steps)
    else:
        rows = [f"x{t}" for t in range(1, network.steps + 1)]
        value = builder.fan_out(Op.UNPACK, [INPUT], rows, (1, network.features), axis=1)
    for layer, prefix in layers:
        value = _ADD[type(layer)](builder, layer, prefix, value)
    if isinstance(value, list):
        raise ValueError("the network's last layer gives a sequence. Expected one vector of logits.")
    return renamed(without_unread(builder.build((INPUT,), (value,))), value, OUTPUT)


def without_unread(graph: Graph) -> Graph:
    """The graph without the operators that no output depends on, and without their tensors.

    TakeRows leaves the steps after the last row that it takes without a reader.
    """
    wanted = set(graph.outputs)
    kept = []
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            kept.append(operator)
            wanted.update(operator.inputs)
    named = {name for operator in kept for name in (*operator.inputs, *operator.outputs)}
    named.update(graph.inputs, graph.outputs)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in named}
    return replace(graph, tensors=tensors, operators=tuple(reversed(kept)))


def renamed(graph: Graph, old: str, new: str) -> Graph:
    """The graph with the activation `old` renamed to `new`."""

    def names(items: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in items)

    tensors = {
        (new if name == old else name): replace(tensor, name=new) if name == old else tensor
        for name, tensor in graph.tensors.items()
    }
    operators = tuple(
        replace(operator, inputs=names(operator.inputs), outputs=names(operator.outputs))
        for operator in graph.operators
    )
    states = tuple((names((before,))[0], names((after,))[0]) for before, after in graph.states)
    return Graph(tensors, operators, names(graph.inputs), names(graph.outputs), states)


def prefixes(network: Network) -> list[str]:
    """The prefix of each layer's tensor names.

    It is empty for the only recurrent layer and `dense_` for a dense layer at the end. Otherwise it is
    the layer's name, with the layer's position if two layers have the same name.
    """
    recurrent = [layer for layer in network.layers if isinstance(layer, RECURRENT_LAYERS)]
    both = any(isinstance(layer, Bidirectional) for layer in network.layers)
    names = [layer.name for layer in network.layers]
    result = []
    for position, layer in enumerate(network.layers):
        if isinstance(layer, Dense) and position == len(names) - 1:
            result.append("dense_")
        elif recurrent == [layer] and not both:
            result.append("")
        else:
            unique = names.count(layer.name) == 1
            result.append(f"{layer.name}/" if unique else f"{layer.name}{position}/")
    return result


def recurrent_layers(network: Network) -> list[tuple[str, Recurrent]]:
    """The prefix of the tensor names, and the layer, for every recurrent layer in the graph's order."""
    folded = fold(network)
    result: list[tuple[str, Recurrent]] = []
    for layer, prefix in zip(folded.layers, prefixes(folded)):
        if isinstance(layer, Bidirectional):
            result += [(f"{prefix}fw/", layer.forward), (f"{prefix}bw/", layer.backward)]
        elif isinstance(layer, RECURRENT_LAYERS):
            result.append((prefix, layer))
    return result


def _projected(builder: GraphBuilder, layer: Lstm, prefix: str, steps: int) -> GraphValue:
    rows = add_projection(builder, layer, prefix, INPUT, steps)
    state: State | None = None
    hidden = []
    for t, row in enumerate(reversed(rows) if layer.go_backwards else rows, start=1):
        state = add_projected_step(StepBuilder(builder, prefix, t), row, state)
        hidden.append(state[0])
    return hidden if layer.return_sequences else hidden[-1]


def _recurrent(builder: GraphBuilder, layer: Recurrent, prefix: str, value: GraphValue) -> GraphValue:
    rows = _rows(value, layer)
    add_constants(builder, layer, prefix)
    state: State | None = None
    hidden = []
    for t, x in enumerate(reversed(rows) if layer.go_backwards else rows, start=1):
        state = add_step(StepBuilder(builder, prefix, t), layer, x, state)
        hidden.append(state[0])
    return hidden if layer.return_sequences else hidden[-1]


def _bidirectional(
    builder: GraphBuilder, layer: Bidirectional, prefix: str, value: GraphValue
) -> GraphValue:
    forward = _recurrent(builder, layer.forward, f"{prefix}fw/", value)
    backward = _recurrent(builder, layer.backward, f"{prefix}bw/", value)
    if isinstance(forward, str) or isinstance(backward, str):
        assert isinstance(forward, str)
        assert isinstance(backward, str)
        return _merge(builder, layer.merge, f"{prefix}y", forward, backward)
    pairs = zip(forward, reversed(backward))
    return [
        _merge(builder, layer.merge, f"{prefix}y{t}", *pair) for t, pair in enumerate(pairs, start=1)
    ]


def _merge(builder: GraphBuilder, merge: str, name: str, forward: str, backward: str) -> str:
    shape = builder.tensors[forward].shape
    if merge == "concat":
        wide = (1, builder.width(forward) + builder.width(backward))
        return builder.operator(Op.CONCATENATION, [forward, backward], name, wide, axis=1)
    if merge == "mul":
        return builder.operator(Op.MUL, [forward, backward], name, shape)
    if merge == "sum":
        return builder.operator(Op.ADD, [forward, backward], name, shape)
    half = builder.shared_constant("half", np.full((1, 1), 0.5, np.float32))
    total = builder.operator(Op.ADD, [forward, backward], f"{name}_sum", shape)
    return builder.operator(Op.MUL, [total, half], name, shape)


def _take_rows(builder: GraphBuilder, layer: TakeRows, prefix: str, value: GraphValue) -> GraphValue:
    rows = _rows(value, layer)
    return [rows[row] for row in layer.rows]


def _rows(value: GraphValue, layer: Layer) -> list[str]:
    if isinstance(value, str):
        raise ValueError(
            f"layer {layer.name} needs a sequence, but the layer before it gives one vector"
        )
    return value


def _on_rows(add: Callable[..., str]) -> Callable[..., GraphValue]:
    """For a layer that treats every row alike. Rows share its constants; its outputs are numbered."""

    def apply(builder: GraphBuilder, layer: Layer, prefix: str, value: GraphValue) -> GraphValue:
        if isinstance(value, str):
            return add(builder, layer, prefix, value, "")
        return [add(builder, layer, prefix, row, str(t)) for t, row in enumerate(value, start=1)]

    return apply


def _on_sequence(add: Callable[..., GraphValue]) -> Callable[..., GraphValue]:
    """For a layer that needs a whole sequence."""

    def apply(builder: GraphBuilder, layer: Layer, prefix: str, value: GraphValue) -> GraphValue:
        return add(builder, layer, prefix, _rows(value, layer))

    return apply


ROW_LAYERS: dict[type, Callable[..., str]] = {
    Activation: add_activation,
    Affine: add_affine,
    Dense: add_dense,
    LayerNorm: add_layer_norm,
}
"""Layers that read one row at a time."""

_ADD: dict[type, Callable[..., GraphValue]] = {
    **{kind: _on_rows(add) for kind, add in ROW_LAYERS.items()},
    Bidirectional: _bidirectional,
    Conv1d: _on_sequence(add_conv1d),
    Flatten: _on_sequence(add_flatten),
    GlobalPooling: _on_sequence(add_pooling),
    Gru: _recurrent,
    Lstm: _recurrent,
    SimpleRnn: _recurrent,
    TakeRows: _take_rows,
}
