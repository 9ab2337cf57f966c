"""Network -> float Graph of a whole window, without control flow.

A recurrent layer becomes exactly `steps` copies of its step (see recurrent_cells). Between layers a
sequence is a list of rows `[1, n]`, and a vector is one such row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Union

from convert.compiler.float_graph.attention import add_attention, add_mask, add_weighted_sum
from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.feed_forward import (
    add_activation,
    add_affine,
    add_conv1d,
    add_dense,
    add_layer_norm,
    add_side_by_side,
)
from convert.compiler.float_graph.recurrent_cells import (
    State,
    add_constants,
    add_projected_step,
    add_projection,
    add_step,
)
from convert.compiler.float_graph.rows import (
    add_global_pooling,
    add_join,
    add_packed,
    add_pooling,
    add_unflattened,
)
from convert.compiler.float_graph.step_builder import StepBuilder
from convert.compiler.float_graph.tokens import TokenReader, add_input, token_count
from convert.source_model.fold import fold
from convert.source_model.network import (
    RECURRENT_LAYERS,
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
    Layer,
    LayerNorm,
    Lstm,
    Mask,
    Network,
    Pooling,
    Recurrent,
    Repeat,
    SimpleRnn,
    TakeRows,
    TimeDistributed,
    Unflatten,
    WeightedSum,
)
from convert.source_model.static_input import with_whole_rows
from edge_runtime.tflite.graph import Graph, Op

INPUT = "window"
OUTPUT = "logits"

GraphValue = Union["list[str]", str]


def unroll(network: Network, *, project: bool = False) -> Graph:
    """The float32 graph, `[1, steps, features]` to `[1, classes]`.

    `project`: if the first layer is an LSTM that alone reads the window, one matmul computes its input's
    part of all steps. This is faster in float32 (docs/internals/graph.md), but a quantized graph would
    round once more. Raises ValueError when the last layer gives a sequence, as a model has one vector of
    outputs, and for layers that do not fit together.
    """
    lowered = lowered_form(network)
    builder = GraphBuilder()
    tokens = token_count(lowered)
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
        values.append(_ADD[type(layer)](builder, layer, prefix, *given))
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
    if network.steps == 0:
        raise ValueError("the window has no rows")
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


def _recurrent(
    builder: GraphBuilder,
    layer: Recurrent,
    prefix: str,
    value: GraphValue,
    mask: GraphValue | None = None,
) -> GraphValue:
    rows = _rows(value, layer)
    masks: list[Any] = [None] * len(rows) if mask is None else _rows(mask, layer)
    pairs = list(zip(rows, masks))
    add_constants(builder, layer, prefix)
    state: State | None = None
    hidden = []
    for t, (x, m) in enumerate(reversed(pairs) if layer.go_backwards else pairs, start=1):
        state = add_step(StepBuilder(builder, prefix, t), layer, x, state, m)
        hidden.append(state[0])
    return hidden if layer.return_sequences else hidden[-1]


def _bidirectional(
    builder: GraphBuilder,
    layer: Bidirectional,
    prefix: str,
    value: GraphValue,
    mask: GraphValue | None = None,
) -> GraphValue:
    forward = _recurrent(builder, layer.forward, f"{prefix}fw/", value, mask)
    backward = _recurrent(builder, layer.backward, f"{prefix}bw/", value, mask)
    if isinstance(forward, str) or isinstance(backward, str):
        assert isinstance(forward, str)
        assert isinstance(backward, str)
        return _merge(builder, layer.merge, f"{prefix}y", forward, backward)
    pairs = zip(forward, reversed(backward))
    return [
        _merge(builder, layer.merge, f"{prefix}y{t}", *pair) for t, pair in enumerate(pairs, start=1)
    ]


def _merge(builder: GraphBuilder, merge: str, name: str, forward: str, backward: str) -> str:
    kind = {"sum": "add", "mul": "multiply", "ave": "average"}.get(merge, merge)
    return add_join(builder, Join(name, kind), [forward, backward], name)


def _take_rows(builder: GraphBuilder, layer: TakeRows, prefix: str, value: GraphValue) -> GraphValue:
    rows = _rows(value, layer)
    return [rows[row] for row in layer.rows]


def _flatten(
    builder: GraphBuilder, layer: Flatten, prefix: str, value: GraphValue, part: str = ""
) -> str:
    rows = [value] if isinstance(value, str) else value
    return add_side_by_side(builder, rows, f"{prefix}y{part}")


def _unflatten(builder: GraphBuilder, layer: Unflatten, prefix: str, value: GraphValue) -> GraphValue:
    return add_unflattened(builder, layer, prefix, _vector(value, layer))


def _repeat(builder: GraphBuilder, layer: Repeat, prefix: str, value: GraphValue) -> GraphValue:
    return [_vector(value, layer)] * layer.steps


def _global_pooling(
    builder: GraphBuilder,
    layer: GlobalPooling,
    prefix: str,
    value: GraphValue,
    mask: GraphValue | None = None,
    part: str = "",
) -> str:
    counted = None if mask is None else _rows(mask, layer)
    return add_global_pooling(builder, layer, prefix, _rows(value, layer), counted, part)


def _join(builder: GraphBuilder, layer: Join, prefix: str, *values: GraphValue) -> GraphValue:
    if layer.kind == "rows":
        return [row for value in values for row in ([value] if isinstance(value, str) else value)]
    lengths = {len(value) for value in values if not isinstance(value, str)}
    if not lengths:
        return add_join(builder, layer, [_vector(value, layer) for value in values], f"{prefix}y")
    if len(lengths) > 1:
        raise ValueError(f"layer {layer.name} joins sequences of {sorted(lengths)} rows")
    (steps,) = lengths
    columns = [[value] * steps if isinstance(value, str) else value for value in values]
    return [
        add_join(builder, layer, list(rows), f"{prefix}y{t}")
        for t, rows in enumerate(zip(*columns), start=1)
    ]


def _attention(
    builder: GraphBuilder,
    layer: Attention,
    prefix: str,
    query: GraphValue,
    value: GraphValue,
    key: GraphValue | None = None,
    mask: GraphValue | None = None,
) -> GraphValue:
    values = _rows(value, layer)
    keys = values if key is None or key is value else _rows(key, layer)
    queries = [query] if isinstance(query, str) else query
    counted = None if mask is None else _rows(mask, layer)
    result = add_attention(builder, layer, prefix, queries, values, keys, counted)
    return result[0] if isinstance(query, str) else result


def _weighted_sum(
    builder: GraphBuilder, layer: WeightedSum, prefix: str, weights: GraphValue, value: GraphValue
) -> str:
    rows = _rows(value, layer)
    packed = add_packed(builder, rows, f"{prefix}rows")
    return add_weighted_sum(builder, _vector(weights, layer), packed, f"{prefix}y")


def _mask(
    builder: GraphBuilder, layer: Mask, prefix: str, value: GraphValue | TokenReader
) -> GraphValue:
    if isinstance(value, TokenReader):
        return value.mask(layer, prefix)
    return [
        add_mask(builder, layer, prefix, row, str(t))
        for t, row in enumerate(_rows(value, layer), start=1)
    ]


def _embedding(builder: GraphBuilder, layer: Embedding, prefix: str, value: TokenReader) -> GraphValue:
    return value.embedding(layer, prefix)


def _time_distributed(
    builder: GraphBuilder, layer: TimeDistributed, prefix: str, value: GraphValue
) -> GraphValue:
    rows = _rows(value, layer)
    if len(rows) % layer.count:
        raise ValueError(f"layer {layer.name} cannot cut {len(rows)} rows into {layer.count} parts")
    width = len(rows) // layer.count
    return [
        _one_part(builder, layer, prefix, rows[k * width : (k + 1) * width], f"{k + 1}_")
        for k in range(layer.count)
    ]


def _one_part(
    builder: GraphBuilder, layer: TimeDistributed, prefix: str, rows: list[str], part: str
) -> str:
    value: GraphValue = rows
    for inner in layer.layers:
        name = f"{prefix}{inner.name}/"
        if type(inner) in ROW_LAYERS:
            value = _on_rows(ROW_LAYERS[type(inner)])(builder, inner, name, value, part)
        elif type(inner) in _ADD_PART:
            value = _ADD_PART[type(inner)](builder, inner, name, value, part=part)
        else:
            value = _ADD[type(inner)](builder, inner, f"{name}{part}", value)
    return _vector(value, layer)


def _rows(value: GraphValue, layer: Layer) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(
            f"layer {layer.name} needs a sequence, but the layer before it gives one vector"
        )
    return value


def _vector(value: GraphValue, layer: Layer) -> str:
    if not isinstance(value, str):
        raise ValueError(f"layer {layer.name} needs a vector, but the layer before it gives a sequence")
    return value


def _on_rows(add: Callable[..., str]) -> Callable[..., GraphValue]:
    """For a layer that treats every row alike. Rows share its constants; its outputs are numbered."""

    def apply(
        builder: GraphBuilder, layer: Layer, prefix: str, value: GraphValue, part: str = ""
    ) -> GraphValue:
        if isinstance(value, str):
            return add(builder, layer, prefix, value, part)
        return [add(builder, layer, prefix, row, f"{part}{t}") for t, row in enumerate(value, start=1)]

    return apply


def _on_sequence(add: Callable[..., GraphValue]) -> Callable[..., GraphValue]:
    """For a layer that needs a whole sequence."""

    def apply(
        builder: GraphBuilder, layer: Layer, prefix: str, value: GraphValue, part: str = ""
    ) -> GraphValue:
        return add(builder, layer, prefix, _rows(value, layer), part)

    return apply


ROW_LAYERS: dict[type, Callable[..., str]] = {
    Activation: add_activation,
    Affine: add_affine,
    Dense: add_dense,
    LayerNorm: add_layer_norm,
}
"""Layers that read one row at a time."""

_ADD_PART: dict[type, Callable[..., GraphValue]] = {
    Conv1d: _on_sequence(add_conv1d),
    Flatten: _flatten,
    GlobalPooling: _global_pooling,
    Pooling: _on_sequence(add_pooling),
}
"""Layers that TimeDistributed may apply to several parts."""

_ADD: dict[type, Callable[..., GraphValue]] = {
    **{kind: _on_rows(add) for kind, add in ROW_LAYERS.items()},
    **_ADD_PART,
    Attention: _attention,
    Bidirectional: _bidirectional,
    Embedding: _embedding,
    Gru: _recurrent,
    Join: _join,
    Lstm: _recurrent,
    Mask: _mask,
    Repeat: _repeat,
    SimpleRnn: _recurrent,
    TakeRows: _take_rows,
    TimeDistributed: _time_distributed,
    Unflatten: _unflatten,
    WeightedSum: _weighted_sum,
}
