"""Keras's layers that read several rows at a time: convolutions, pooling, padding and cropping.

SeparableConv1D and DepthwiseConv1D are read as one Conv1d, with the product of their two kernels and
with a kernel that is zero between channels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convert.readers.keras.functions import function_of
from convert.readers.keras.layer_config import float32, named, require, zeros_without
from convert.readers.keras.values import Shape
from convert.source_model.network import (
    ACTIVATIONS,
    Conv1d,
    GlobalPooling,
    Layer,
    Pooling,
    TakeRows,
    Weights,
)
from edge_runtime.errors import DataError


def conv1d(layer: Any, shape: Shape) -> list[Layer]:
    """A Conv1D."""
    require(layer, {"groups": (1,)})
    return _convolution(layer, shape, float32(layer.kernel).transpose(2, 0, 1))


def separable_conv1d(layer: Any, shape: Shape) -> list[Layer]:
    """A SeparableConv1D; `[width, inputs, multiplier]` and `[1, inputs * multiplier, filters]`."""
    depthwise = float32(layer.depthwise_kernel).astype(np.float64)
    pointwise = float32(layer.pointwise_kernel)[0].astype(np.float64)
    pointwise = pointwise.reshape(*depthwise.shape[1:], -1)
    return _convolution(layer, shape, float32(np.einsum("kim,imf->fki", depthwise, pointwise)))


def depthwise_conv1d(layer: Any, shape: Shape) -> list[Layer]:
    """A DepthwiseConv1D; output i * multiplier + m reads input i."""
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    depthwise = float32(getattr(layer, name))
    width, inputs, multiplier = depthwise.shape
    kernel = np.zeros((inputs, multiplier, width, inputs), np.float32)
    for channel in range(inputs):
        kernel[channel, :, :, channel] = depthwise[:, channel].T
    return _convolution(layer, shape, kernel.reshape(inputs * multiplier, width, inputs))


def _convolution(layer: Any, shape: Shape, kernel: Weights) -> list[Layer]:
    check_sequence(layer, shape)
    require(layer, {"data_format": ("channels_last",)})
    config = layer.get_config()
    stride, dilation = only(config["strides"]), only(config["dilation_rate"])
    span = (kernel.shape[1] - 1) * dilation
    return [
        Conv1d(
            layer.name,
            np.ascontiguousarray(kernel),
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


def steps_pooling(layer: Any, shape: Shape) -> list[Layer]:
    """A MaxPooling1D or AveragePooling1D."""
    check_sequence(layer, shape)
    require(layer, {"data_format": ("channels_last",)})
    config = layer.get_config()
    size = only(config["pool_size"])
    stride = only(config["strides"] or size)
    kind = "max" if "Max" in type(layer).__name__ else "average"
    padding = _padding(config["padding"], shape[0], stride, size - 1)
    return [Pooling(layer.name, kind, size, stride, padding)]


def global_pooling(layer: Any, shape: Shape) -> list[Layer]:
    """A GlobalMaxPooling1D or GlobalAveragePooling1D."""
    check_sequence(layer, shape)
    require(layer, {"data_format": ("channels_last",)})
    kind = "max" if "Max" in type(layer).__name__ else "average"
    return [GlobalPooling(layer.name, kind)]


def zero_padding(layer: Any, shape: Shape) -> list[Layer]:
    """A ZeroPadding1D: a convolution of width 1 that changes nothing, after rows of zeros."""
    check_sequence(layer, shape)
    require(layer, {"data_format": ("channels_last", None)})
    before, after = (int(count) for count in layer.padding)
    width = shape[1]
    kernel = np.eye(width, dtype=np.float32)[:, None]
    return [Conv1d(layer.name, kernel, np.zeros(width, np.float32), padding=(before, after))]


def cropping(layer: Any, shape: Shape) -> list[Layer]:
    """A Cropping1D."""
    check_sequence(layer, shape)
    before, after = (int(count) for count in layer.cropping)
    return [TakeRows(layer.name, tuple(range(before, shape[0] - after)))]


def check_sequence(layer: Any, shape: Shape) -> None:
    """Raise DataError for a layer that does not read `[steps, features]`."""
    if len(shape) != 2:
        raise DataError(f"{named(layer)} gets {list(shape)}. Expected [steps, features].")


def only(values: Any) -> int:
    """The only number, which a config may have in a list."""
    return int(values if isinstance(values, int) else values[0])
