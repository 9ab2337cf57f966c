"""Network -> float Graph of a whole window, without control flow.

A recurrent layer becomes exactly `steps` copies of its step (see recurrent_cells).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.layers import GraphValue, add_layer
from convert.compiler.float_graph.recurrent_cells import State, add_projected_step, add_projection
from convert.compiler.float_graph.step_builder import StepBuilder
from convert.compiler.float_graph.tokens import TokenReader, add_input
from convert.source_model.fold import fold
from convert.source_model.network import (
    RECURRENT_LAYERS,
    WINDOW,
    Bidirectional,
    Dense,
    Lstm,
    Network,
    Recurrent,
)
from convert.source_model.static_input import with_whole_rows
from edge_runtime.tflite.graph import Graph, Op

INPUT = "window"
OUTPUT = "logits"


def unroll(network: Network, *, project: bool = False) -> Graph:
    """The float32 graph, `[1, steps, features]` to `[1, classes]`.

    `project`: if the first layer is an LSTM that alone reads the window, one matmul computes its input's
    part of all steps. This is faster in float32 (docs/internals/graph.md), but a quantized graph would
    round once more. Raises ValueError when the last layer gives a sequence, as a model has one vector of
    outputs, and for layers that do not fit together.
    """
    lowered = lowered_form(network)
    builder = GraphBuilder()
    tokens = lowered.tokens
    add_input(builder, INPUT, (1, lowered.steps, lowered.features), tokens)
    window: GraphValue | TokenReader | None = None
    values: list[Any] = []
    named = list(zip(lowered.layers, lowered.sources, prefixes(lowered)))
    for position, (layer, sources, prefix) in enumerate(named):
        if project and position == 0 and isinstance(layer, Lstm) and _reads_alone(lowered):
            values.append(_projected(builder, layer, prefix, lowered.steps))
            continue
        if window is None and WINDOW in sources:
            window = _window(builder, lowered, tokens)
        given = [window if k == WINDOW else values[k] for k in sources]
        values.append(add_layer(builder, layer, prefix, *given))
    value = values[-1]
    if isinstance(value, list):
        raise ValueError("the network's last layer gives a sequence. Expected one vector of outputs.")
    return renamed(without_unread(builder.build((INPUT,), (value,))), value, OUTPUT)


def lowered_form(network: Network) -> Network:
    """The network as the graph has it: folded, and without a static input of its own."""
    return with_whole_rows(fold(network))


def _reads_alone(network: Network) -> bool:
    """Whether the first layer is the only reader of the window, and has no mask."""
    first, *others = network.sources
    return first == (WINDOW,) and all(WINDOW not in sources for sources in others)


def _window(builder: GraphBuilder, network: Network, tokens: int) -> GraphValue | TokenReader:
    """The rows of the window; the reader of its tokens where an Embedding reads it."""
    if tokens:
        return TokenReader(builder, INPUT, tokens)
    rows = [f"x{t}" for t in range(1, network.steps + 1)]
    return builder.fan_out(Op.UNPACK, [INPUT], rows, (1, network.features), axis=1)


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
    lowered = lowered_form(network)
    result: list[tuple[str, Recurrent]] = []
    for layer, prefix in zip(lowered.layers, prefixes(lowered)):
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
        state = add_projected_step(StepBuilder(builder, prefix, t), layer, row, state)
        hidden.append(state[0])
    return hidden if layer.return_sequences else hidden[-1]
