"""The float operators in numpy, float32 throughout."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert.graph import Op, Operator, Tensor

Array = NDArray[Any]


def _elementwise(function: Callable[..., Array]) -> Callable[..., list[Array]]:
    def kernel(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
        return [function(*inputs)]

    return kernel


def _fully_connected(x: Array, weights: Array, bias: Array) -> Array:
    return x @ weights.T + bias


def logistic(x: Array) -> Array:
    """The sigmoid of float32 values."""
    # exp(-x) overflows to infinity for very negative x, which gives the right limit, 0.
    with np.errstate(over="ignore"):
        result: Array = np.float32(1) / (np.float32(1) + np.exp(-x))
        return result


def _dequantize(x: Array) -> Array:
    return x.astype(np.float32)


KERNELS: dict[Op, Callable[[Operator, list[Tensor], list[Array]], list[Array]]] = {
    Op.ADD: _elementwise(np.add),
    Op.DEQUANTIZE: _elementwise(_dequantize),
    Op.FULLY_CONNECTED: _elementwise(_fully_connected),
    Op.LOGISTIC: _elementwise(logistic),
    Op.MUL: _elementwise(np.multiply),
    Op.SUB: _elementwise(np.subtract),
    Op.TANH: _elementwise(np.tanh),
}
"""DEQUANTIZE here is the one from float16; int8 weights are not dequantized in a float graph."""
