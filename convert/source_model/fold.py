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
    SimpleRnn,
    Weights,
)

Float64 = NDArray[np.float64]


def fold(network: Network) -> Network:
    """The network with as few Affine layers as possible, and with LayerNorms without gamma and beta."""
    result: list[Layer] = []
    for layer in _expanded(network.layers):
        result.append(layer)
        while len(result) > 1:
            joined = _join(result[-2], result[-1])
            if joined is None:
                break
            result[-2:] = joined
    return replace(network, layers=tuple(layer for layer in result if not _is_identity(layer)))


def _expanded(layers: tuple[Layer, ...]) -> list[Layer]:
    result: list[Layer] = []
    for layer in layers:
        if isinstance(layer, LayerNorm):
            ones, zeros = np.ones_like(layer.gamma), np.zeros_like(layer.beta)
            result.append(replace(layer, gamma=ones, beta=zeros))
            result.append(Affine(f"{layer.name}_affine", layer.gamma, layer.beta))
        else:
            result.append(layer)
    return result


def _is_identity(layer: Layer) -> bool:
    return isinstance(layer, Affine) and bool(np.all(layer.scale == 1) and np.all(layer.offset == 0))


def _join(first: Layer, second: Layer) -> list[Layer] | None:
    """The layers that replace two neighbours; None if they cannot be folded."""
    if isinstance(second, Affine):
        return _behind(first, second)
    if isinstance(first, Affine):
        return _in_front(first, second)
    return None


def _behind(layer: Layer, affine: Affine) -> list[Layer] | None:
    if isinstance(layer, Affine):
        scale, offset = _float64(affine.scale), _float64(affine.offset)
        return [
            replace(
                layer,
                scale=_float32(scale * layer.scale),
                offset=_float32(scale * layer.offset + offset),
            )
        ]
    if isinstance(layer, (Dense, Conv1d)) and layer.activation == "linear":
        scale = _float64(affine.scale)
        by_output = scale.reshape(-1, *[1] * (layer.kernel.ndim - 1))
        return [
            replace(
                layer,
                kernel=_float32(by_output * layer.kernel),
                bias=_float32(scale * layer.bias + affine.offset),
            )
        ]
    return None


def _in_front(affine: Affine, layer: Layer) -> list[Layer] | None:
    if isinstance(layer, GlobalPooling):
        # The average commutes with scale and offset, the largest does if no scale turns the order.
        commutes = layer.kind == "average" or bool(np.all(affine.scale > 0))
        return [layer, affine] if commutes else None
    if isinstance(layer, Conv1d) and any(layer.padding):
        return None  # the rows of zeros would have to become rows of -offset / scale
    fold_into = _FOLD_INTO.get(type(layer))
    return None if fold_into is None else [fold_into(layer, affine)]


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


def _float64(values: Weights) -> Float64:
    return values.astype(np.float64)


def _float32(values: NDArray[Any]) -> Weights:
    return values.astype(np.float32)
