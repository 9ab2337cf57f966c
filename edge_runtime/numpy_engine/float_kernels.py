"""The float operators in numpy, float32 throughout; all but the matmul have the same bits everywhere.

The order in which numpy adds depends on the vectors that a CPU has, and so do the last bits of its exp
and tanh. Here sums are in order, and functions are those of float_functions. The C engine computes the
same (native/c/float_functions.h). Only the sums in FULLY_CONNECTED are in the order of the BLAS.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.float_functions import (
    CACHED,
    elu_float32,
    exp_float32,
    sigmoid_float32,
    tanh_float32,
)
from edge_runtime.tflite.graph import Op, Operator, Tensor

Array = NDArray[Any]
FloatKernel = Callable[[Operator, "list[Tensor]", "list[Array]"], "list[Array]"]


_ZERO, _ONE = np.float32(0), np.float32(1)


def _elementwise(function: Callable[..., Array]) -> FloatKernel:
    def kernel(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
        return [function(*inputs)]

    return kernel


def relu(x: Array) -> Array:
    """max(x, 0) of float32 values, where -0 becomes 0 and NaN stays."""
    result: Array = np.maximum(x, _ZERO)
    result += _ZERO  # numpy's maximum of -0 and 0 is either of them
    return result


def minimum(x: Array, y: Array) -> Array:
    """The smaller one of float32 values, `y` if they are equal; NaN if one of them is NaN."""
    return np.where((x < y) | (x != x), x, y)


def _fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    x, weights, bias = inputs
    product = x @ weights.T + bias
    return [relu(product) if operator.relu else product]


def by_value(function: Callable[[Array], Array]) -> FloatKernel:
    """The kernel of a function of one value, from and to float32. Its intermediate results are so few
    values at a time that a CPU's cache holds them."""

    def kernel(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
        values = inputs[0].reshape(-1)
        result = np.empty(values.shape, np.float32)
        with np.errstate(over="ignore"):  # numbers up to infinity give the limits
            for start in range(0, len(values), CACHED):
                part = slice(start, start + CACHED)
                result[part] = function(values[part])
        return [result.reshape(inputs[0].shape)]

    return kernel


def _unchanged(x: Array) -> Array:
    """QUANTIZE in a float graph only marks where the integer graph changes the scale."""
    return x


def _rsqrt(x: Array) -> Array:
    return _ONE / np.sqrt(x)


def _sum_in_order(x: Array, axis: int) -> Array:
    """Along the axis, which stays as a dimension of 1. numpy's own sum adds in an order of its own."""
    total: Array = np.add.accumulate(x, axis=axis, dtype=np.float32).take([-1], axis=axis)
    return total


def _softmax(x: Array) -> Array:
    exponentials = exp_float32(x - x.max(axis=-1, keepdims=True))
    result: Array = exponentials / _sum_in_order(exponentials, -1)
    return result


def _squared_difference(x: Array, y: Array) -> Array:
    difference = x - y
    result: Array = difference * difference
    return result


def _mean(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """Along the axis; kept as a dimension of 1 where the result has as many dimensions as the input."""
    x, axis = inputs[0], operator.axis or 0
    mean = _sum_in_order(x, axis) / np.float32(x.shape[axis])
    keep = len(tensors[0].shape) == len(tensors[-1].shape)
    return [mean if keep else mean.squeeze(axis)]


def _dequantize(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """From float16, or from integers with scale and zero_point."""
    return [tensors[0].decode(inputs[0])]


KERNELS: dict[Op, FloatKernel] = {
    Op.ADD: _elementwise(np.add),
    Op.DEQUANTIZE: _dequantize,
    Op.ELU: by_value(elu_float32),
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: by_value(sigmoid_float32),
    Op.MEAN: _mean,
    Op.MINIMUM: _elementwise(minimum),
    Op.MUL: _elementwise(np.multiply),
    Op.QUANTIZE: _elementwise(_unchanged),
    Op.RELU: _elementwise(relu),
    Op.RSQRT: _elementwise(_rsqrt),
    Op.SOFTMAX: _elementwise(_softmax),
    Op.SQUARED_DIFFERENCE: _elementwise(_squared_difference),
    Op.SUB: _elementwise(np.subtract),
    Op.TANH: by_value(tanh_float32),
}
