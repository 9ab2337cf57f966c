"""A Keras layer with one input -> layers of a Network, for Keras 3 and Keras 2 (tf_keras).

A reader takes the layer and the shape of its input without the batch, `[steps, features]` or `[n]`. It
returns no layers if the layer has no effect at inference. docs/reference/layers.md lists what is
supported.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from convert.readers.keras.convolutions import (
    conv1d,
    cropping,
    depthwise_conv1d,
    global_pooling,
    separable_conv1d,
    steps_pooling,
    zero_padding,
)
from convert.readers.keras.functions import function_of
from convert.readers.keras.layer_config import float32, named, require, zeros_without
from convert.readers.keras.values import Shape
from convert.source_model.network import ACTIVATIONS, Activation, Affine, Dense, Layer, LayerNorm
from edge_runtime.errors import DataError

Reader = Callable[[Any, Shape], "list[Layer]"]


def read_layer(layer: Any, shape: Shape) -> list[Layer]:
    """The Network's counterpart of `layer`, one of LAYER_READERS.

    Raises DataError that names the layer, its setting, and what is supported.
    """
    return LAYER_READERS[type(layer).__name__](layer, shape)


def _nothing(layer: Any, shape: Shape) -> list[Layer]:
    return []


def _dense(layer: Any, shape: Shape) -> list[Layer]:
    kernel = float32(layer.kernel).T
    return [
        Dense(
            layer.name,
            np.ascontiguousarray(kernel),
            zeros_without(layer, "use_bias", "bias", len(kernel)),
            function_of(layer, "activation", ACTIVATIONS),
        )
    ]


def _batch_normalization(layer: Any, shape: Shape) -> list[Layer]:
    _last_axis(layer, shape)
    mean, variance = float32(layer.moving_mean), float32(layer.moving_variance)
    # In float64, so that folding loses nothing.
    scale = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * float32(layer.gamma)
    offset = -mean * scale + (float32(layer.beta) if layer.center else 0)
    return [Affine(layer.name, scale, offset)]


def _layer_normalization(layer: Any, shape: Shape) -> list[Layer]:
    _last_axis(layer, shape)
    if layer.get_config().get("rms_scaling"):
        raise DataError(f"{named(layer)} has rms_scaling=True. Expected False.")
    gamma = float32(layer.gamma) if layer.scale else np.ones(shape[-1], np.float32)
    beta = float32(layer.beta) if layer.center else np.zeros(shape[-1], np.float32)
    return [LayerNorm(layer.name, gamma, beta, float(layer.epsilon))]


def _rescaling(layer: Any, shape: Shape) -> list[Layer]:
    return _affine(layer, shape, float32(layer.scale), float32(layer.offset))


def _normalization(layer: Any, shape: Shape) -> list[Layer]:
    """(x - mean) / max(sqrt(variance), 1e-7), Keras's epsilon(); the inverse with `invert`."""
    mean = float32(layer.mean).astype(np.float64)
    deviation = np.maximum(np.sqrt(float32(layer.variance).astype(np.float64)), 1e-7)
    if layer.get_config().get("invert"):
        return _affine(layer, shape, deviation, mean)
    return _affine(layer, shape, 1 / deviation, -mean / deviation)


def _affine(layer: Any, shape: Shape, scale: Any, offset: Any) -> list[Layer]:
    """An Affine of values that are one number, or one number for each feature."""
    wide = []  # in float64
    for values in (scale, offset):
        if values.size not in (1, shape[-1]) or (values.size > 1 and values.shape[-1] != shape[-1]):
            raise DataError(
                f"{named(layer)} has values of shape {list(values.shape)}. Expected one for each of the "
                f"{shape[-1]} features, or one for all."
            )
        wide.append(np.broadcast_to(values.reshape(-1), (shape[-1],)).astype(np.float64))
    return [Affine(layer.name, *wide)]


def _activation(layer: Any, shape: Shape) -> list[Layer]:
    function = function_of(layer, "activation", ACTIVATIONS)
    return [] if function == "linear" else [Activation(layer.name, function)]


def _relu(layer: Any, shape: Shape) -> list[Layer]:
    require(layer, {"max_value": (None,), "negative_slope": (0, None), "threshold": (0, None)})
    return [Activation(layer.name, "relu")]


def _last_axis(layer: Any, shape: Shape) -> None:
    """Raise DataError for a layer that works along another axis than the features."""
    axis = layer.get_config()["axis"]
    found = [axis] if isinstance(axis, int) else list(axis)
    if found not in ([-1], [len(shape)]):
        found_axis = found[0] if len(found) == 1 else found
        raise DataError(f"{named(layer)} has axis={found_axis}. Expected -1, the features.")


def _elu(layer: Any, shape: Shape) -> list[Layer]:
    require(layer, {"alpha": (1,)})
    return [Activation(layer.name, "elu")]


ROW_BY_ROW = (
    "Dense",
    "Activation",
    "ReLU",
    "ELU",
    "BatchNormalization",
    "LayerNormalization",
    "Rescaling",
    "Normalization",
)
"""Layers that treat every row alike, also the rows of windows [parts, steps, features]."""

NO_EFFECT = (
    "Dropout",
    "SpatialDropout1D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
)
"""Layers that change nothing at inference."""

LAYER_READERS: dict[str, Reader] = {
    "Dense": _dense,
    "Conv1D": conv1d,
    "SeparableConv1D": separable_conv1d,
    "DepthwiseConv1D": depthwise_conv1d,
    "MaxPooling1D": steps_pooling,
    "AveragePooling1D": steps_pooling,
    "GlobalMaxPooling1D": global_pooling,
    "GlobalAveragePooling1D": global_pooling,
    "ZeroPadding1D": zero_padding,
    "Cropping1D": cropping,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Activation": _activation,
    "ReLU": _relu,
    "ELU": _elu,
    **dict.fromkeys(NO_EFFECT, _nothing),
}
