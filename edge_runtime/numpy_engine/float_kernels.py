"""The float operators in numpy, float32 throughout."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.tflite.graph import Op, Operator, Tensor

Array = NDArray[Any]
FloatKernel = Callable[[Operator, "list[Tensor]", "list[Array]"], "list[Array]"]


def _elementwise(function: Callable[..., Array]) -> FloatKernel:
    def kernel(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
        return [function(*inputs)]

    return kernel


def _fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    x, weights, bias = inputs
    product = x @ weights.T + bias
    return [np.maximum(product, np.float32(0)) if operator.relu else product]


def _logistic(x: Array) -> Array:
    """The sigmoid of float32 values."""
    # exp(-x) overflows to infinity for very negative x, which gives the right limit, 0.
    with np.errstate(over="ignore"):
        result: Array = np.float32(1) / (np.float32(1) + np.exp(-x))
        return result


def _unchanged(x: Array) -> Array:
    """QUANTIZE in a float graph only marks where the integer graph changes the scale."""
    return x


def _relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


def _rsqrt(x: Array) -> Array:
    return np.float32(1) / np.sqrt(x)


def _softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def _squared_difference(x: Array, y: Array) -> Array:
    return (x - y) ** 2


def _mean(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """Along the axis; kept as a dimension of 1 where the result has as many dimensions as the input."""
    keep = len(tensors[0].shape) == len(tensors[-1].shape)
    return [inputs[0].mean(axis=operator.axis, keepdims=keep, dtype=np.float32)]


def _dequantize(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """From float16, or from integers with scale and zero_point."""
    return [tensors[0].decode(inputs[0])]


KERNELS: dict[Op, FloatKernel] = {
    Op.ADD: _elementwise(np.add),
    Op.DEQUANTIZE: _dequantize,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: _elementwise(_logistic),
    Op.MEAN: _mean,
    Op.MUL: _elementwise(np.multiply),
    Op.QUANTIZE: _elementwise(_unchanged),
    Op.RELU: _elementwise(_relu),
    Op.RSQRT: _elementwise(_rsqrt),
    Op.SOFTMAX: _elementwise(_softmax),
    Op.SQUARED_DIFFERENCE: _elementwise(_squared_difference),
    Op.SUB: _elementwise(np.subtract),
    Op.TANH: _elementwise(np.tanh),
}
