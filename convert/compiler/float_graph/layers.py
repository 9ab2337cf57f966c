"""Each layer of a network as operators of a whole window.

Between layers a sequence is a list of rows `[1, n]`, and a vector is one such row. `prefix` is what the
names of a layer's tensors start with.
"""

from __future__ import annotations

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
from convert.compiler.float_graph.recurrent_cells import State, add_constants, add_step
from convert.compiler.float_graph.rows import (
    add_global_pooling,
    add_join,
    add_packed,
    add_pooling,
    add_unflattened,
)
from convert.compiler.float_graph.step_builder import StepBuilder
from convert.compiler.float_graph.tokens import TokenReader
from convert.source_model.network import (
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
    Pooling,
    Recurrent,
    Repeat,
    SimpleRnn,
    TakeRows,
    TimeDistributed,
    Unflatten,
    WeightedSum,
)

GraphValue = Union["list[str]", str]


def add_layer(builder: GraphBuilder, layer: Layer, prefix: str, *values: Any) -> GraphValue:
    """Add a layer that reads `values`: GraphValues, or the TokenReader of a window of tokens.

    Raises ValueError for values that do not fit the layer.
    """
    return _ADD[type(layer)](builder, layer, prefix, *values)


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
