"""Folds scales and offsets per feature into neighbouring weights, so that they need no operators.

Batch normalization at inference, a layer normalization's gamma and beta, and rescaling layers are all
`scale * x + offset`. Before a matmul, W (scale * x + offset) + b = (W scale) x + (W offset + b).
After a matmul, scale * (W x + b) + offset is folded likewise. The network computes the same, up to float
rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert.source_model.network import (
    Affine,
    Bidirectional,
    Conv1d,
    Dense,
    GlobalPooling,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    Network,
    Pooling,
    Scales,
    SimpleRnn,
    TimeDistributed,
    Weights,
)
from convert.source_model.nodes import Node, network_of, nodes_of

Float64 = NDArray[np.float64]


def fold(network: Network, *, at_window: bool = True) -> Network:
    """The network with as few Affine layers as possible, and with LayerNorms without gamma and beta.

    With `at_window` False, an Affine that reads the window stays one (window_scaling).
    """
    if not network.layers:
        return network
    nodes = _expanded(nodes_of(network))
    readers = _reader_counts(nodes)
    absorbed: dict[int, Node] = {}
    for node in nodes:
        node.sources = tuple(absorbed.get(id(source), source) for source in node.sources)
        last: Node | None = node if at_window or not _is_scaled_window(node) else None
        while last is not None:
            last = _join(last, readers, absorbed)
    output = absorbed.get(id(nodes[-1]), nodes[-1])
    return network_of(
        without_identities(output),
        steps=network.steps,
        features=network.features,
        static=network.static,
    )


def _expanded(nodes: list[Node]) -> list[Node]:
    """The nodes, with an Affine behind every LayerNorm in place of its gamma and beta."""
    result: list[Node] = []
    behind: dict[int, Node] = {}
    for node in nodes:
        node.sources = tuple(behind.get(id(source), source) for source in node.sources)
        result.append(node)
        layer = node.layer
        if isinstance(layer, LayerNorm):
            ones, zeros = np.ones_like(layer.gamma), np.zeros_like(layer.beta)
            node.layer = replace(layer, gamma=ones, beta=zeros)
            behind[id(node)] = Node(Affine(f"{layer.name}_affine", layer.gamma, layer.beta), node)
            result.append(behind[id(node)])
        elif isinstance(layer, TimeDistributed):
            inner = fold(Network(1, 1, layer.layers))
            node.layer = replace(layer, layers=inner.layers)
    return result


def _is_scaled_window(node: Node) -> bool:
    """Whether the node reads an Affine at the window, and is no Affine itself."""
    front = node.sources[0] if node.sources else None
    if front is None or not isinstance(front.layer, Affine) or isinstance(node.layer, Affine):
        return False
    return front.sources[0].layer is None


def _reader_counts(nodes: list[Node]) -> dict[int, int]:
    """How many sources a node is, by the node's id; the output counts once."""
    counts = {id(nodes[-1]): 1}
    for node in nodes:
        for source in node.sources:
            counts[id(source)] = counts.get(id(source), 0) + 1
    return counts


def _join(node: Node, readers: dict[int, int], absorbed: dict[int, Node]) -> Node | None:
    """Folds `node` and its first source into each other; the node to go on with, or None.

    Where the source takes the node in, `absorbed` says so.
    """
    front = node.sources[0] if node.sources else None
    if front is None or front.layer is None or node.layer is None:
        return None
    alone = readers[id(front)] == 1
    if isinstance(node.layer, Affine):
        together = _behind(front.layer, node.layer) if alone else None
        if together is None:
            return None
        front.layer, absorbed[id(node)], readers[id(front)] = together, front, readers[id(node)]
        return front
    if not isinstance(front.layer, Affine):
        return None
    if isinstance(node.layer, (GlobalPooling, Pooling)):
        if alone and _commutes(front.layer, node.layer, masked=len(node.sources) > 1):
            front.layer, node.layer = node.layer, front.layer
            front.sources, node.sources = (*front.sources, *node.sources[1:]), (front,)
        return None
    folded = _in_front(front.layer, node.layer)
    if folded is None:
        return None
    before = front.sources[0]
    readers[id(front)] -= 1
    readers[id(before)] = readers.get(id(before), 0) + (1 if readers[id(front)] else 0)
    node.layer, node.sources = folded, (before, *node.sources[1:])
    return node


def without_identities(output: Node) -> Node:
    """The output's node, with no Affine of scale 1 and offset 0 among the nodes that it needs."""
    pending, seen = [output], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        node.sources = tuple(_behind_identities(source) for source in node.sources)
        pending += node.sources
    return _behind_identities(output)


def _behind_identities(node: Node) -> Node:
    while isinstance(node.layer, Affine) and _is_identity(node.layer):
        node = node.sources[0]
    return node


def _is_identity(layer: Affine) -> bool:
    return bool(np.all(layer.scale == 1) and np.all(layer.offset == 0))


def _behind(layer: Layer, affine: Affine) -> Layer | None:
    """The layer with the Affine behind it folded into it; None if it has nowhere to go."""
    if isinstance(layer, Affine):
        scale, offset = _float64(affine.scale), _float64(affine.offset)
        return replace(
            layer,
            scale=scale * layer.scale,
            offset=scale * layer.offset + offset,
        )
    if isinstance(layer, (Dense, Conv1d)) and layer.activation == "linear":
        scale = _float64(affine.scale)
        by_output = scale.reshape(-1, *[1] * (layer.kernel.ndim - 1))
        return replace(
            layer,
            kernel=_float32(by_output * layer.kernel),
            bias=_float32(scale * layer.bias + affine.offset),
        )
    return None


def _commutes(affine: Affine, pooling: GlobalPooling | Pooling, *, masked: bool) -> bool:
    """Whether the Affine may as well stand behind the pooling.

    The average commutes with scale and offset, the largest does if no scale turns the order. A masked
    average of no rows at all is 0, and so does not.
    """
    if pooling.kind == "average":
        return not masked
    return pooling.kind == "max" and bool(np.all(affine.scale > 0))


def _in_front(affine: Affine, layer: Layer) -> Layer | None:
    """The layer with the Affine in front of it folded into it; None if it has nowhere to go."""
    if isinstance(layer, Conv1d) and any(layer.padding):
        return None  # the rows of zeros would have to become rows of -offset / scale
    fold_into = _FOLD_INTO.get(type(layer))
    folded: Layer | None = None if fold_into is None else fold_into(layer, affine)
    return folded


def _matmul(layer: Any, affine: Affine) -> Any:
    """Fold into Dense and recurrent layers, whose `kernel` reads the input."""
    kernel = _float64(layer.kernel)
    return replace(
        layer,
        kernel=_float32(kernel * affine.scale),
        bias=_float32((kernel * affine.offset).sum(axis=-1) + layer.bias),
    )


def _conv1d(layer: Any, affine: Affine) -> Any:
    kernel = _float64(layer.kernel)
    return replace(
        layer,
        kernel=_float32(kernel * affine.scale),
        bias=_float32((kernel * affine.offset).sum(axis=(1, 2)) + layer.bias),
    )


def _bidirectional(layer: Any, affine: Affine) -> Any:
    return replace(
        layer, forward=_matmul(layer.forward, affine), backward=_matmul(layer.backward, affine)
    )


_FOLD_INTO: dict[type, Callable[[Any, Affine], Any]] = {
    Bidirectional: _bidirectional,
    Conv1d: _conv1d,
    Dense: _matmul,
    Gru: _matmul,
    Lstm: _matmul,
    SimpleRnn: _matmul,
}


def _float64(values: Scales) -> Float64:
    return values.astype(np.float64)


def _float32(values: NDArray[Any]) -> Weights:
    return values.astype(np.float32)
