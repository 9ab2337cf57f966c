"""The tensors that a model's output needs, with fewer and larger layers that compute the same.

A recurrent layer whose last output is used beside its sequence is computed once. Two directions become
a Bidirectional, a weighted sum of rows a WeightedSum or Attention, and a separable convolution one
Conv1d.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from convert.readers.onnx.branches import Scores, attention
from convert.readers.onnx.choose import taken_rows
from convert.readers.onnx.tracing import ShapedNode
from convert.readers.onnx.written_out import WrittenOut, steps_written_out
from convert.source_model.network import (
    RECURRENT_LAYERS,
    Bidirectional,
    Conv1d,
    Dense,
    Flatten,
    GlobalPooling,
    Join,
    TakeRows,
    Unflatten,
    WeightedSum,
)

_MERGES = {"concat": "concat", "add": "sum", "multiply": "mul", "average": "ave"}
"""Kind of Join -> merge of Bidirectional."""
_POOLED = {"sum": "add", "average": "average", "max": "maximum"}
"""Kind of GlobalPooling -> kind of Join."""


def simplified(output: ShapedNode) -> ShapedNode:
    """The same output, computed by fewer layers."""
    for _ in range(2):  # what the first pass makes of a layer may be what another one needs
        output = _Simplifier(output).of(output)
    return _Simplifier(output, last=True).of(output)


class _Simplifier:
    def __init__(self, output: ShapedNode, *, last: bool = False) -> None:
        """`last`: whether scores that have not become attention by now are computed by themselves."""
        self._last = last
        self._reachable = set(_in_order(output, lambda tensor: tensor.sources))
        self._recurrences: dict[ShapedNode, WrittenOut] = {}
        self._done: dict[ShapedNode, ShapedNode] = {}
        self._readers: Counter[ShapedNode] = Counter()
        for tensor in self._reachable:
            self._readers.update(self._needed(tensor))

    def of(self, tensor: ShapedNode) -> ShapedNode:
        """The tensor in its simplest form."""
        for needed in _in_order(tensor, self._needed):
            if needed not in self._done:
                self._done[needed] = self._one(needed)
        return self._done[tensor]

    def _needed(self, tensor: ShapedNode) -> tuple[ShapedNode, ...]:
        if tensor in self._done:
            return ()
        twin = self._twin(tensor)
        return tensor.sources if twin is None else (*tensor.sources, twin)

    def _twin(self, tensor: ShapedNode) -> ShapedNode | None:
        """The sequence of a recurrent layer that gives only its last output, if it is needed too."""
        layer = tensor.layer
        if not isinstance(layer, RECURRENT_LAYERS) or layer.return_sequences:
            return None
        twin = tensor.sources[0].found(replace(layer, return_sequences=True))
        return twin if twin in self._reachable else None

    def _one(self, tensor: ShapedNode) -> ShapedNode:
        found = steps_written_out(tensor, self._recurrences)
        if found is not None:
            self._recurrences[tensor] = found
        twin = self._twin(tensor)
        if twin is not None:
            assert twin.steps is not None
            last = taken_rows(self._done[twin], [twin.steps - 1])
            return last.then(Flatten("flatten"), None, tensor.width)
        sources = [self._done[source] for source in tensor.sources]
        if isinstance(tensor.layer, Scores) and tensor.steps is None and self._last:
            return _as_products(tensor.layer, *sources)
        alone = all(self._readers[source] == 1 for source in tensor.sources)
        if isinstance(tensor.layer, Join) and alone:
            both = _both_directions(tensor.layer, sources)
            if both is not None:
                return both[0].then(both[1], tensor.steps, tensor.width)
        return self._recurrent(tensor) or _rewritten(tensor, sources)

    def _recurrent(self, tensor: ShapedNode) -> ShapedNode | None:
        """The layer of a recurrence that is written out: its last state, or all states row by row."""
        sequence = isinstance(tensor.layer, Join) and tensor.layer.kind == "rows"
        states = tensor.sources if sequence else (tensor,)
        for last in (states[-1], states[0]):
            found = self._recurrences.get(last)
            layer = found.layer(return_sequences=sequence) if found and found.whole else None
            if found is None or layer is None:
                continue
            if sequence and states not in (found.states, found.states[::-1]):
                continue
            result = self.of(layer[0]).then(layer[1], tensor.steps, tensor.width)
            turned = sequence and states != found.states
            return taken_rows(result, list(range(len(states)))[::-1]) if turned else result
        return None


def _in_order(
    output: ShapedNode, needed: Callable[[ShapedNode], tuple[ShapedNode, ...]]
) -> list[ShapedNode]:
    """Every tensor that the output needs, each after those that it needs itself."""
    order: dict[ShapedNode, None] = {}
    pending = [(output, False)]
    while pending:
        tensor, visited = pending.pop()
        if visited:
            order[tensor] = None
        elif tensor not in order:
            pending.append((tensor, True))
            pending += [(source, False) for source in needed(tensor)]
    return list(order)


def _rewritten(tensor: ShapedNode, sources: list[ShapedNode]) -> ShapedNode:
    """The tensor with these sources, in its simplest form."""
    layer = tensor.layer
    if not sources:
        return tensor
    if isinstance(layer, GlobalPooling) and _are_vectors(sources[0]):
        layer, sources = Join(layer.name, _POOLED[layer.kind]), list(sources[0].sources)
    if isinstance(layer, GlobalPooling) and layer.kind == "sum":
        layer, sources = _weighted(layer, sources)
    if isinstance(layer, WeightedSum):
        attended = attention(layer.name, *sources)
        if attended is not None:
            return attended
    if isinstance(layer, Conv1d):
        layer, sources = _separable(layer, sources)
    first, *others = sources
    return first.then(layer, tensor.steps, tensor.width, *others, batch=tensor.batch)


def _both_directions(join: Join, sources: list[ShapedNode]) -> tuple[ShapedNode, Bidirectional] | None:
    """A forward and a backward layer over the same rows, joined in the order of the rows."""
    if join.kind not in _MERGES or len(sources) != 2:
        return None
    if join.kind != "concat":
        sources = sorted(sources, key=_is_backward)
    forward, backward = sources[0].layer, _in_reading_order(sources[1])
    before = sources[0].sources[0] if sources[0].sources else None
    if not (
        isinstance(forward, RECURRENT_LAYERS)
        and backward is not None
        and isinstance(backward.layer, RECURRENT_LAYERS)
        and backward.sources == (before,)
        and not forward.go_backwards
        and backward.layer.go_backwards
        and forward.return_sequences == backward.layer.return_sequences
        and (join.kind == "concat" or forward.units == backward.layer.units)
    ):
        return None
    assert before is not None
    return before, Bidirectional(forward.name, forward, backward.layer, _MERGES[join.kind])


def _in_reading_order(tensor: ShapedNode) -> ShapedNode | None:
    """A vector itself, or the sequence that is reversed here; else None."""
    if tensor.steps is None:
        return tensor
    layer = tensor.layer
    whole = tuple(reversed(range(tensor.steps)))
    return tensor.sources[0] if isinstance(layer, TakeRows) and layer.rows == whole else None


def _is_backward(tensor: ShapedNode) -> bool:
    layer = tensor.layer
    return isinstance(layer, TakeRows) or (isinstance(layer, RECURRENT_LAYERS) and layer.go_backwards)


def _are_vectors(tensor: ShapedNode) -> bool:
    """Whether the rows of a sequence are vectors that were put one below another."""
    rows = isinstance(tensor.layer, Join) and tensor.layer.kind == "rows"
    return rows and all(source.steps is None for source in tensor.sources)


def _weighted(layer: GlobalPooling, sources: list[ShapedNode]) -> tuple[Any, list[ShapedNode]]:
    """The sum over the steps of a sequence times a weight for each row, as a WeightedSum."""
    product = sources[0]
    if isinstance(product.layer, Join) and product.layer.kind == "multiply":
        for weights, rows in (product.sources, product.sources[::-1]):
            if isinstance(weights.layer, Unflatten) and weights.width == 1 and rows.steps is not None:
                return WeightedSum(layer.name), [weights.sources[0], rows]
    return layer, sources


def _as_products(scores: Scores, query: ShapedNode, key: ShapedNode) -> ShapedNode:
    """The scores of a vector, where nothing turns them into attention."""
    ones = Dense(f"{scores.name}_sum", np.ones((1, key.width), np.float32), np.zeros(1, np.float32))
    products = key.then(Join(scores.name, "multiply"), key.steps, key.width, query)
    assert key.steps is not None
    return products.then(ones, key.steps, 1).then(Flatten("flatten"), None, key.steps)


def _separable(layer: Conv1d, sources: list[ShapedNode]) -> tuple[Conv1d, list[ShapedNode]]:
    """A convolution of each feature by itself and one of width 1 after it, as one convolution."""
    first = sources[0].layer
    if not (
        isinstance(first, Conv1d)
        and layer.kernel.shape[1] == layer.stride == 1
        and layer.padding == (0, 0)
        and (np.count_nonzero(np.abs(first.kernel).sum(axis=1), axis=1) <= 1).all()
    ):
        return layer, sources
    points = layer.kernel[:, 0].astype(np.float64)
    kernel = np.einsum("of,fwi->owi", points, first.kernel).astype(np.float32)
    bias = (points @ first.bias + layer.bias).astype(np.float32)
    return replace(first, name=layer.name, kernel=kernel, bias=bias), [sources[0].sources[0]]
