"""One Keras layer -> layers of a Network, for Keras 3 and Keras 2 (tf_keras).

A reader takes the layer and the shape of its input without the batch, `[steps, features]` or `[n]`. It
returns no layers if the layer has no effect at inference. docs/reference/layers.md lists what is
supported.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from convert.readers.keras.cells import recurrent
from convert.readers.keras.functions import function_of
from convert.readers.keras.layer_config import described, float32, named, require, zeros_without
from convert.source_model.network import (
    ACTIVATIONS,
    MERGES,
    Activation,
    Affine,
    Bidirectional,
    Conv1d,
    Dense,
    Flatten,
    GlobalPooling,
    Layer,
    LayerNorm,
)
from edge_runtime.errors import DataError

Shape = tuple[int, ...]
Reader = Callable[[Any, Shape], "list[Layer]"]

REFUSED = {
    "Masking": ", because an unrolled model reads every row. Remove the layer and pad short windows "
    "with rows like those in the training data.",
    "Embedding": ", because windows hold numbers. Apply the embedding first, and convert the rest of "
    "the model.",
    "Lambda": ". Write it with layers of Keras.",
    "LeakyReLU": ". Use ReLU.",
    "MaxPooling1D": ". Use strides in a Conv1D.",
    "AveragePooling1D": ". Use strides in a Conv1D.",
    "ConvLSTM1D": ". Use Conv1D and then LSTM.",
    "CuDNNLSTM": ". Build the model with LSTM and set these weights.",
    "CuDNNGRU": ". Build the model with GRU(reset_after=True) and set these weights.",
}
"""Common layers that cannot be converted -> the reason, if it is not obvious, and what to do."""


def read_layer(layer: Any, shape: Shape) -> list[Layer]:
    """The Network's counterpart of `layer`.

    Raises DataError that names the layer, its setting, and what is supported.
    """
    kind = type(layer).__name__
    if type(layer).__module__.split(".")[0] not in ("keras", "tf_keras"):
        raise DataError(f"{named(layer)} is a class of your own. Use the layers of Keras.")
    if kind not in LAYER_READERS:
        rest = REFUSED.get(kind, f". Expected {', '.join(LAYER_READERS)}.")
        raise DataError(f"{named(layer)} is not supported{rest}")
    policy = str(layer.compute_dtype)
    if policy not in ("float32", "float64") or getattr(layer, "quantization_mode", None):
        raise DataError(
            f"{named(layer)} computes in {described(layer)}. Expected float32; build the model with "
            "that policy and set its weights."
        )
    return LAYER_READERS[kind](layer, shape)


def _nothing(layer: Any, shape: Shape) -> list[Layer]:
    return []


def _recurrent(layer: Any, shape: Shape) -> list[Layer]:
    _sequence(layer, shape)
    return [recurrent(layer)]


def _bidirectional(layer: Any, shape: Shape) -> list[Layer]:
    _sequence(layer, shape)
    require(layer, {"merge_mode": MERGES})
    forward, backward = recurrent(layer.forward_layer), recurrent(layer.backward_layer)
    if forward.go_backwards or not backward.go_backwards:
        raise DataError(
            f"{named(layer)}: its first layer reads backwards. Expected the first to read forwards and "
            "the second backwards."
        )
    return [Bidirectional(layer.name, forward, backward, layer.get_config()["merge_mode"])]


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


def _conv1d(layer: Any, shape: Shape) -> list[Layer]:
    _sequence(layer, shape)
    require(layer, {"groups": (1,), "data_format": ("channels_last",)})
    config = layer.get_config()
    kernel = np.ascontiguousarray(float32(layer.kernel).transpose(2, 0, 1))
    stride, dilation = _only(config["strides"]), _only(config["dilation_rate"])
    span = (kernel.shape[1] - 1) * dilation
    return [
        Conv1d(
            layer.name,
            kernel,
            zeros_without(layer, "use_bias", "bias", len(kernel)),
            stride,
            dilation,
            _padding(config["padding"], shape[0], stride, span),
            function_of(layer, "activation", ACTIVATIONS),
        )
    ]


def _padding(padding: str, steps: int, stride: int, span: int) -> tuple[int, int]:
    """Rows of zeros before and after; `span`: rows from the first to the last that one output reads.

    Source: TensorFlow's convolution (tf.nn.convolution, "SAME"), and Keras's Conv1D for "causal".
    """
    if padding == "causal":
        return span, 0
    if padding == "same":
        total = max(0, (math.ceil(steps / stride) - 1) * stride + span + 1 - steps)
        return total // 2, total - total // 2
    return 0, 0


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


def _flatten(layer: Any, shape: Shape) -> list[Layer]:
    if len(shape) == 1:
        return []
    require(layer, {"data_format": ("channels_last",)})
    return [Flatten(layer.name)]


def _reshape(layer: Any, shape: Shape) -> list[Layer]:
    target = tuple(layer.compute_output_shape((None, *shape)))[1:]
    if target == shape:
        return []
    if len(target) == 1:
        return [Flatten(layer.name)]  # both keep the order of the numbers
    raise DataError(
        f"{named(layer)} makes {list(target)} of {list(shape)}. Expected no change, or one vector "
        "(Flatten). Give the model windows of the new shape instead."
    )


def _permute(layer: Any, shape: Shape) -> list[Layer]:
    if tuple(layer.dims) == tuple(range(1, len(shape) + 1)):
        return []
    raise DataError(
        f"{named(layer)} has dims={tuple(layer.dims)}. Give the model transposed windows instead."
    )


def _pooling(layer: Any, shape: Shape) -> list[Layer]:
    _sequence(layer, shape)
    require(layer, {"data_format": ("channels_last",), "keepdims": (False,)})
    kind = "max" if "Max" in type(layer).__name__ else "average"
    return [GlobalPooling(layer.name, kind)]


def _activation(layer: Any, shape: Shape) -> list[Layer]:
    function = function_of(layer, "activation", ACTIVATIONS)
    return [] if function == "linear" else [Activation(layer.name, function)]


def _softmax(layer: Any, shape: Shape) -> list[Layer]:
    _last_axis(layer, shape)
    return [Activation(layer.name, "softmax")]


def _relu(layer: Any, shape: Shape) -> list[Layer]:
    require(layer, {"max_value": (None,), "negative_slope": (0, None), "threshold": (0, None)})
    return [Activation(layer.name, "relu")]


def _time_distributed(layer: Any, shape: Shape) -> list[Layer]:
    """The layer inside, which treats every row alike without TimeDistributed."""
    _sequence(layer, shape)
    inner = layer.layer
    if type(inner).__name__ not in ROW_BY_ROW:
        raise DataError(
            f"{named(layer)} holds a {type(inner).__name__}. Expected {', '.join(ROW_BY_ROW)}."
        )
    return [replace(read, name=layer.name) for read in read_layer(inner, shape[1:])]


def _sequence(layer: Any, shape: Shape) -> None:
    if len(shape) != 2:
        raise DataError(f"{named(layer)} gets {list(shape)}. Expected [steps, features].")


def _last_axis(layer: Any, shape: Shape) -> None:
    """Raise DataError for a layer that works along another axis than the features."""
    axis = layer.get_config()["axis"]
    found = [axis] if isinstance(axis, int) else list(axis)
    if found not in ([-1], [len(shape)]):
        found_axis = found[0] if len(found) == 1 else found
        raise DataError(f"{named(layer)} has axis={found_axis}. Expected -1, the features.")


def _only(values: Any) -> int:
    return int(values if isinstance(values, int) else values[0])


ROW_BY_ROW = (
    "Dense",
    "Activation",
    "ReLU",
    "Dropout",
    "BatchNormalization",
    "LayerNormalization",
    "Rescaling",
)
"""Layers that TimeDistributed may hold."""

LAYER_READERS: dict[str, Reader] = {
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "SimpleRNN": _recurrent,
    "RNN": _recurrent,
    "Bidirectional": _bidirectional,
    "Dense": _dense,
    "TimeDistributed": _time_distributed,
    "Conv1D": _conv1d,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Activation": _activation,
    "Softmax": _softmax,
    "ReLU": _relu,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "GlobalAveragePooling1D": _pooling,
    "GlobalMaxPooling1D": _pooling,
    "Dropout": _nothing,
    "SpatialDropout1D": _nothing,
    "AlphaDropout": _nothing,
    "GaussianDropout": _nothing,
    "GaussianNoise": _nothing,
    "ActivityRegularization": _nothing,
    "Identity": _nothing,
}
