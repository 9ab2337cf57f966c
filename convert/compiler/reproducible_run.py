"""Runs a float graph with the same bits on every computer, so that it decides the same file everywhere.

What the converter measures becomes scales and rounded weights. A BLAS adds in an order that depends on
the CPU and its threads; a difference in the last bit of float32 can turn a weight that lies between two
integers. So sums of products are exact here, exp and tanh are those in float64, and everything else is
as in float_kernels, which has the same bits everywhere.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine import float_kernels, portable_functions
from edge_runtime.numpy_engine.float_kernels import FloatKernel
from edge_runtime.numpy_engine.interpret import Observer, run
from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor

Array = NDArray[Any]
Float64 = NDArray[np.float64]

EXACT_BITS = 53
"""A float64 holds every integer of so many bits, and so does a sum of them in any order."""


def run_reproducibly(graph: Graph, windows: Array, observe: Observer | None = None) -> Array:
    """The logits of the float `graph`, as edge_runtime.numpy_engine.interpret.run gives them.

    `windows`: float32 `[N, steps, features]`; `observe`: see run. The results differ
    from those of run by the rounding of float32.
    """
    return run(graph, windows, observe, float_kernels=KERNELS)


def exact_product(rows: Array, columns: Array) -> Float64:
    """`rows @ columns.T`, float64 `[N, M]`, with the same bits in every order of summation.

    `rows`: float `[N, K]`; `columns`: float `[M, K]`. Both are rounded, each row in a unit of its own,
    to integers so small that the sums of their products are exact in float64: to 22 bits for K up to
    512, and to one bit less for every four times as many. An error is at most about
    K * 2 ** -22 * the largest of the row * the largest of the column.
    """
    bits = (EXACT_BITS - (rows.shape[1] - 1).bit_length()) // 2
    return _product(_integers(rows, bits), _integers(columns, bits))


def _product(left: tuple[Float64, Float64], right: tuple[Float64, Float64]) -> Float64:
    """The product of two results of `_integers`, the second one transposed."""
    product: Float64 = left[0] @ right[0].T
    product *= left[1]
    product *= right[1].T
    return product


def _integers(values: Array, bits: int) -> tuple[Float64, Float64]:
    """The integers of up to `bits` bits nearest to `values`, and each row's unit, `[rows, 1]`."""
    unit = np.ldexp(_power_above(values, axis=1), -bits)
    integers = values * (1 / unit)
    return np.rint(integers, out=integers), unit


def _power_above(values: Array, axis: int) -> Float64:
    """The least power of two above all magnitudes along `axis`, which is kept."""
    largest = np.maximum(values.max(axis=axis, keepdims=True), -values.min(axis=axis, keepdims=True))
    power: Float64 = np.ldexp(1.0, np.frexp(largest)[1])
    return power


class _Matrix:
    """A constant matrix, prepared for products with activations."""

    def __init__(self, weights: Array) -> None:
        self._bits = (EXACT_BITS - (weights.shape[1] - 1).bit_length()) // 2
        # Loud inputs have small weights: on one scale, neither loses the bits of quiet ones.
        self._scale = _power_above(weights, axis=0)
        self._integers = _integers(weights / self._scale, self._bits)

    def product(self, rows: Array) -> Float64:
        """As exact_product(rows, weights)."""
        return _product(_integers(rows * self._scale, self._bits), self._integers)


_PREPARED: WeakKeyDictionary[Tensor, _Matrix] = WeakKeyDictionary()


def _fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    x, weights, bias = inputs
    if tensors[1] not in _PREPARED:
        _PREPARED[tensors[1]] = _Matrix(weights)
    product = _PREPARED[tensors[1]].product(x.reshape(-1, x.shape[-1]))
    product += bias
    result = product.astype(np.float32).reshape(*x.shape[:-1], len(weights))
    return [np.maximum(result, np.float32(0)) if operator.relu else result]


def _softmax(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    exponentials = portable_functions.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
    return [(exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)]


KERNELS: dict[Op, FloatKernel] = {
    **float_kernels.KERNELS,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: float_kernels.by_value(portable_functions.sigmoid),
    Op.SOFTMAX: _softmax,
    Op.TANH: float_kernels.by_value(portable_functions.tanh),
}
