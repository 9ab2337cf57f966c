"""A static input beside the sequence, as columns of the window.

A file has one input, the window. The static input is its last columns, which are the same in every row:
so the file format, the device and exported C need nothing new. Here the layers that read the sequence
or the static input are made to read whole rows. What a matmul must not see gets weights of zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convert.source_model.network import (
    Bidirectional,
    Conv1d,
    Dense,
    Flatten,
    Gru,
    Lstm,
    Network,
    SimpleRnn,
    TakeRows,
    Weights,
)
from convert.source_model.nodes import Node, network_of, nodes_of

_MATMULS = (Conv1d, Dense, Gru, Lstm, SimpleRnn)


def with_whole_rows(network: Network) -> Network:
    """The same network with static = 0: WINDOW means whole rows, and nothing reads STATIC.

    The static input is read from the last row.
    """
    if not network.static:
        return network
    nodes = nodes_of(network)
    window, static = Node(), None
    for node in nodes:
        sources = []
        for position, source in enumerate(node.sources):
            if source.layer is not None:
                sources.append(source)
                continue
            if source.static and static is None:
                last = Node(TakeRows("last_row", (network.steps - 1,)), window)
                static = Node(Flatten("static"), last)
            whole = static if source.static else window
            assert whole is not None
            sources.append(_columns(node, position, whole, network, of_static=source.static))
        node.sources = tuple(sources)
    return network_of(nodes[-1], steps=network.steps, features=network.features)


def _columns(node: Node, position: int, whole: Node, network: Network, *, of_static: bool) -> Node:
    """The source of `node` with the columns that it wants: whole rows for a matmul, which is changed."""
    wide, narrow = network.features - network.static, network.static
    before, after = (wide, 0) if of_static else (0, narrow)
    if position == 0 and isinstance(node.layer, (*_MATMULS, Bidirectional)):
        node.layer = _widened(node.layer, before, after)
        return whole
    width = narrow if of_static else wide
    chosen = np.pad(np.eye(width, dtype=np.float32), ((0, 0), (before, after)))
    name = "static_columns" if of_static else "sequence_columns"
    return Node(Dense(name, chosen, np.zeros(width, np.float32)), whole)


def _widened(layer: Any, before: int, after: int) -> Any:
    """The layer with columns of zeros before and after those of its kernel."""
    if isinstance(layer, Bidirectional):
        forward = _widened(layer.forward, before, after)
        return replace(layer, forward=forward, backward=_widened(layer.backward, before, after))
    return replace(layer, kernel=_padded(layer.kernel, before, after))


def _padded(kernel: Weights, before: int, after: int) -> Weights:
    return np.pad(kernel, [(0, 0)] * (kernel.ndim - 1) + [(before, after)])
