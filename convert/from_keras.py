"""Keras model -> Network. Reads the model object only; loading it is the caller's business."""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.network import Dense, Layer, Lstm, Network, Weights
from edge_runtime.errors import DataError

SUPPORTED = "an LSTM that returns its last output, followed by one Dense layer that gives the logits"


def network_from_keras(model: Any) -> Network:
    """Read a built Keras 3 Sequential model with input `[None, steps, features]`.

    Raises DataError naming the layer or setting that is not supported, and what is.
    """
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 3 or None in shape[1:]:
        raise DataError(
            f"the model's input shape is {shape}: expected [None, steps, features] with fixed steps"
        )
    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    kinds = [type(layer).__name__ for layer in layers]
    if kinds != ["LSTM", "Dense"]:
        raise DataError(f"the model's layers are {', '.join(kinds)}: expected {SUPPORTED}")
    lstm, dense = layers
    converted: tuple[Layer, ...] = (_lstm(lstm), _dense(dense))
    return Network(steps=shape[1], features=shape[2], layers=converted)


_LSTM_SETTINGS = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "return_sequences": False,
    "go_backwards": False,
    "stateful": False,
}


def _lstm(layer: Any) -> Lstm:
    _require(layer, _LSTM_SETTINGS)
    weights = [_float32(array) for array in layer.get_weights()]
    kernel, recurrent_kernel = weights[0].T, weights[1].T
    bias = weights[2] if layer.use_bias else np.zeros(len(kernel), np.float32)
    return Lstm(layer.name, _float32(kernel), _float32(recurrent_kernel), bias)


def _dense(layer: Any) -> Dense:
    _require(layer, {"activation": "linear"})
    weights = [_float32(array) for array in layer.get_weights()]
    kernel = _float32(weights[0].T)
    bias = weights[1] if layer.use_bias else np.zeros(len(kernel), np.float32)
    return Dense(layer.name, kernel, bias)


def _require(layer: Any, settings: dict[str, Any]) -> None:
    config = layer.get_config()
    for setting, expected in settings.items():
        if config[setting] != expected:
            raise DataError(
                f"layer {layer.name!r} has {setting}={config[setting]!r}: expected {expected!r} "
                f"({SUPPORTED})"
            )


def _float32(array: Any) -> Weights:
    return np.ascontiguousarray(array, np.float32)
