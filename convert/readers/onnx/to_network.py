"""A tensor of logits -> Network, with scales and activation functions taken into the layers before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convert.readers.onnx.choose import COLUMNS
from convert.readers.onnx.parts import Cut
from convert.readers.onnx.tracing import ShapedNode, Unsupported
from convert.source_model.fold import fold
from convert.source_model.network import (
    ACTIVATIONS,
    Activation,
    Conv1d,
    Dense,
    Layer,
    Network,
    TimeDistributed,
)
from convert.source_model.nodes import Node, network_of, nodes_of

STEP_BY_STEP = (
    "A recurrence that is written out is not recognized. Export it as an LSTM, GRU or RNN node (in "
    "PyTorch as nn.LSTM, nn.GRU or nn.RNN)."
)
USES_OF_A_MATRIX = 4
"""How often a model may use one matrix. A recurrence that is written out uses it in every step."""


def last_layer(tensor: ShapedNode) -> list[Layer]:
    """The layer that gives a tensor. Raises Unsupported for an input of the model."""
    if tensor.layer is None:
        raise Unsupported("is an input of the model. Expected the output of layers.")
    return [tensor.layer]


def network_ending_in(
    tensor: ShapedNode, layers: list[Layer], steps: int, features: int, static: int
) -> Network:
    """The Network with `layers` in the place of the one that gives the tensor.

    Raises Unsupported for what is no layer of a Network.
    """
    first, *others = layers
    node = Node(first, *tensor.sources)
    for layer in others:
        node = Node(layer, node)
    network = network_of(node, steps=steps, features=features, static=static)
    for layer in network.layers:
        _check(layer)
    _check_loops(network)
    folded = fold(network, at_window=False)
    nodes = nodes_of(folded)
    _merge_activations(nodes)
    return network_of(nodes[-1], steps=steps, features=features, static=static)


def _check(layer: Any) -> None:
    if isinstance(layer, TimeDistributed):
        for inner in layer.layers:
            _check(inner)
    elif isinstance(layer, Activation) and layer.function not in ACTIVATIONS:
        raise Unsupported(
            f"depends on node {layer.name} ({layer.function}). Expected that node only at the end."
        )
    elif not isinstance(layer, Layer.__args__):  # type: ignore[attr-defined]
        what = "part of a window" if isinstance(layer, Cut) else "scores that are no attention"
        raise Unsupported(
            f"depends on node {layer.name}, which gives {what}. Expected attention as "
            "softmax(query @ key.T) @ value."
        )


def _check_loops(network: Network) -> None:
    """Raises Unsupported for a recurrence that is written out, of which every step would be a layer."""
    names: dict[tuple[tuple[int, ...], bytes], list[str]] = {}
    for layer in network.layers:
        if isinstance(layer, Dense) and layer.name != COLUMNS:
            names.setdefault((layer.kernel.shape, layer.kernel.tobytes()), []).append(layer.name)
    for found in names.values():
        if len(found) > USES_OF_A_MATRIX:
            raise Unsupported(
                f"depends on {len(found)} nodes with the same matrix, such as {found[-1]}. "
                f"{STEP_BY_STEP}"
            )


def _merge_activations(nodes: list[Node]) -> None:
    """Activation functions taken into the dense layers and convolutions that only they read."""
    readers: dict[int, int] = {}
    for node in nodes:
        for source in node.sources:
            readers[id(source)] = readers.get(id(source), 0) + 1
    for node in nodes:
        layer, front = node.layer, node.sources[0] if node.sources else None
        if isinstance(layer, TimeDistributed):
            node.layer = replace(layer, layers=_merged_chain(layer.layers))
        elif isinstance(layer, Activation) and front is not None and readers[id(front)] == 1:
            merged = _with_activation(front.layer, layer)
            if merged is not None:
                node.layer, node.sources = merged, front.sources


def _with_activation(layer: Layer | None, activation: Activation) -> Layer | None:
    if isinstance(layer, (Dense, Conv1d)) and layer.activation == "linear":
        return replace(layer, activation=activation.function)
    return None


def _merged_chain(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    result: list[Layer] = []
    for layer in layers:
        merged = None
        if result and isinstance(layer, Activation):
            merged = _with_activation(result[-1], layer)
        if merged is None:
            result.append(layer)
        else:
            result[-1] = merged
    return tuple(result)
