"""Simplifies the nodes that were read: `LSTM(return_sequences=True)(x)[:, -1]` is an LSTM without
sequences."""

from __future__ import annotations

from dataclasses import replace

from convert.readers.keras.recurrent import RecurrentNode
from convert.source_model.network import Flatten, TakeRows
from convert.source_model.nodes import Node


def with_last_rows(output: Node) -> Node:
    """The same nodes; a recurrent layer of which only the last row is used gives that row alone."""
    nodes = _all(output)
    uses: dict[int, int] = {}
    for node in nodes:
        for source in node.sources:
            uses[id(source)] = uses.get(id(source), 0) + 1
    for node in nodes:
        if isinstance(node.layer, Flatten):
            _shorten(node, uses)
    return output


def _shorten(node: Node, uses: dict[int, int]) -> None:
    """Make the last output of a recurrent layer of a node that flattens its last row."""
    (row,) = node.sources
    if not isinstance(row.layer, TakeRows) or len(row.layer.rows) != 1 or uses[id(row)] != 1:
        return
    (sequence,) = row.sources
    if not isinstance(sequence, RecurrentNode) or uses[id(sequence)] != 1:
        return
    if sequence.recurrent.return_sequences and row.layer.rows == (sequence.steps - 1,):
        node.layer = replace(sequence.recurrent, return_sequences=False)
        node.sources = sequence.sources


def _all(output: Node) -> list[Node]:
    found: dict[int, Node] = {}
    pending = [output]
    while pending:
        node = pending.pop()
        if id(node) not in found:
            found[id(node)] = node
            pending += node.sources
    return list(found.values())
