"""Assigns the weights in a Keras 2 file to the layers that were built from its config.

HDF5 files have one list of arrays for each layer of the model, nested layers included. Archives and
SavedModels have a tree of layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from convert.readers.tensorflow.keras2.build import Built, Part
from edge_runtime.errors import DataError

Array = Any
Named = tuple[str, Array]
"""A weight's name without scope, such as "kernel", and its value."""

INNER = ("cell", "forward_layer", "backward_layer", "layer")
"""Attributes that hold the layers inside a layer."""


class Tree(Protocol):
    """One layer in an archive or a SavedModel."""

    def own(self, names: Sequence[str]) -> list[Array]:
        """The layer's own weights; `names`: those of Keras 3, in its order."""

    def inner(self, attribute: str) -> Tree | None:
        """The layer in an attribute of this one."""

    def layers(self, kinds: Sequence[str]) -> Sequence[Tree]:
        """The layers of this one, a model, that have weights; `kinds`: their classes in order."""


def assign_lists(built: Built, lists: Mapping[str, list[Named]]) -> None:
    """Assign HDF5 weights; `lists`: layer of the model -> its weights in the order of the file.

    Raises DataError for a layer whose weights do not fit.
    """
    for part in built.parts[id(built.model)]:
        targets = part.layer.trainable_weights + part.layer.non_trainable_weights
        if not targets:
            continue
        weights = _from_cudnn(targets, lists.get(part.name, []))
        if not _fit(targets, weights):
            targets = part.layer.weights  # some releases keep the order of the layers inside
        if not _fit(targets, weights):
            raise DataError(_misfit(part, [name for name, _ in weights]))
        for target, (_, value) in zip(targets, weights, strict=True):
            target.assign(value)
    _finish(built)


def _fit(targets: Sequence[Any], weights: Sequence[Named]) -> bool:
    return len(targets) == len(weights) and all(
        name.endswith(target.name) and tuple(target.shape) == np.shape(value)
        for target, (name, value) in zip(targets, weights, strict=True)
    )


def _misfit(part: Part, found: Sequence[str]) -> str:
    expected = [weight.name for weight in part.layer.weights]
    return (
        f"layer {part.name!r} ({part.kind}) has the weights {', '.join(found) or 'none'}. Expected "
        f"{', '.join(expected)}, in the shapes that the model gives them."
    )


def _from_cudnn(targets: Sequence[Any], weights: list[Named]) -> list[Named]:
    """The weights with those of CuDNNLSTM and CuDNNGRU in the layout of LSTM and GRU."""
    result = list(weights)
    for k in range(2, min(len(targets), len(weights))):
        bias = np.asarray(weights[k][1])
        shape = tuple(targets[k].shape)
        if targets[k].name == "bias" and bias.ndim == 1 and bias.size > shape[-1]:
            values = [np.asarray(weights[n][1]) for n in (k - 2, k - 1, k)]
            converted = cudnn_weights(*values, gates=bias.size // (2 * values[1].shape[0]))
            result[k - 2 : k + 1] = zip(("kernel", "recurrent_kernel", "bias"), converted, strict=True)
    return result


def cudnn_weights(
    kernel: Array, recurrent_kernel: Array, bias: Array, *, gates: int
) -> tuple[Array, Array, Array]:
    """Weights of CuDNNLSTM (4 gates) or CuDNNGRU (3 gates) as LSTM or GRU(reset_after=True) has them.

    `kernel` `[features, gates * units]`, `recurrent_kernel` `[units, gates * units]`, `bias`
    `[2 * gates * units]`: the input's, then the state's. Every gate's matrix is stored as cuDNN takes
    it, transposed in memory. Source: `_convert_rnn_weights` in keras/engine/saving.py of Keras 2.2.4.
    """

    def each(matrix: Array, convert: Any) -> Array:
        return np.hstack([convert(gate) for gate in np.hsplit(matrix, gates)])

    rows = each(kernel, lambda gate: gate.T.reshape(gate.shape, order="F"))
    both = bias.reshape(2, -1)
    return rows, each(recurrent_kernel, np.transpose), both.sum(axis=0) if gates == 4 else both


def assign_tree(built: Built, tree: Tree) -> None:
    """Assign the weights of an archive or a SavedModel. Raises DataError as `assign_lists` does."""
    _assign_model(built, built.model, tree)
    _finish(built)


def _assign_model(built: Built, model: Any, tree: Tree) -> None:
    parts = [part for part in built.parts[id(model)] if part.layer.weights]
    trees = tree.layers([part.kind for part in parts])
    if len(trees) != len(parts):
        raise DataError(
            f"the file has the weights of {len(trees)} layers. Expected {len(parts)}, as in the model."
        )
    for part, inside in zip(parts, trees, strict=True):
        if id(part.layer) in built.parts:
            _assign_model(built, part.layer, inside)
        else:
            _assign_layer(built, part, part.layer, inside)


def _assign_layer(built: Built, part: Part, layer: Any, tree: Tree) -> None:
    """Assign the weights of a layer, and of the layers in it."""
    inner = [getattr(layer, name, None) for name in INNER]
    targets = [
        weight
        for weight in layer.weights
        if not any(weight is other for one in inner if one is not None for other in one.weights)
    ]
    values = tree.own([target.name for target in targets])
    if [np.shape(value) for value in values] != [tuple(target.shape) for target in targets]:
        raise DataError(_misfit(part, [str(list(np.shape(value))) for value in values]))
    for target, value in zip(targets, values, strict=True):
        target.assign(value)
    seen: list[Any] = []
    for name, one in zip(INNER, inner, strict=True):
        if one is None or not one.weights or any(one is other for other in seen):
            continue
        seen.append(one)
        inside = tree.inner(name)
        if inside is None:
            raise DataError(_misfit(part, []))
        if id(one) in built.parts:
            _assign_model(built, one, inside)
        else:
            _assign_layer(built, part, one, inside)


def _finish(built: Built) -> None:
    """Normalization computes with constants that it makes of its weights."""
    for parts in built.parts.values():
        for part in parts:
            for layer in (part.layer, getattr(part.layer, "layer", None)):
                if layer is not None and type(layer).__name__ == "Normalization":
                    layer.finalize_state()
