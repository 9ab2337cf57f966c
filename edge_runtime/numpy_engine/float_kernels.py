"""The float operators in numpy, float32 throughout; all but the matmul have the same bits everywhere.

numpy's and libm's exp and tanh differ in the last bit from one CPU and version to another, and the order
in which numpy adds depends on the vectors that a CPU has. Here each function is an exact sequence of
additions, products, quotients and roundings, which IEEE 754 defines to the last bit. The C engine has
the same sequences (native/c/float_functions.h), so its results are equal bit for bit. Only the sums in
FULLY_CONNECTED are in the order of the BLAS.

portable_functions has the same functions in float64, to 12 digits, for tables and the converter.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.tflite.graph import Op, Operator, Tensor

Array = NDArray[Any]
FloatKernel = Callable[[Operator, "list[Tensor]", "list[Array]"], "list[Array]"]


CACHED = 8192
"""Values that are computed at once."""

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_MANTISSA_BITS = 23

_ROUNDER = np.float32(12582912)
"""Adding this to a float32 below 2 ** 22, and subtracting it again, rounds it, ties to even."""

_EXPONENT_ROUNDER = np.float32(12582912 + 127)
"""The same with the bias of a float's exponent added: the low bits of the sum, shifted to the exponent,
are a power of two."""

_LOG2_E = np.float32(float.fromhex("0x1.715476p+0"))
_LN2_HIGH = np.float32(float.fromhex("0x1.62ep-1"))
_LN2_LOW = np.float32(float.fromhex("0x1.0bfbe8p-15"))
"""ln 2 in two parts; the first has so few bits that n times it is exact."""

_LEAST_EXPONENT = np.float32(float.fromhex("-0x1.5d589ep+6"))
_LARGEST_EXPONENT = np.float32(float.fromhex("0x1.62e42ep+6"))
"""exp of numbers between these is a normal float32."""


def _coefficients(*hexadecimal: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(number)) for number in hexadecimal)


_EXP2 = _coefficients(
    "0x1.416b5ep-13", "0x1.5f082ep-10", "0x1.3b2de0p-7", "0x1.c6af7cp-5", "0x1.ebfbdcp-3", "0x1.62e43p-1"
)
"""A minimax polynomial of 2 ** f on [-0.5, 0.5], the highest power first; its constant term is 1."""

_EXP = _coefficients("0x1.6b69fcp-10", "0x1.122f2ep-7", "0x1.55568cp-5", "0x1.5554a4p-3", "0x1p-1")
"""The same of exp(r) on [-ln(2) / 2, ln(2) / 2], whose last terms are r and 1."""


def _elementwise(function: Callable[..., Array]) -> FloatKernel:
    def kernel(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
        return [function(*inputs)]

    return kernel


def relu(x: Array) -> Array:
    """max(x, 0) of float32 values, where -0 becomes 0 and NaN stays."""
    result: Array = np.maximum(x, _ZERO)
    result += _ZERO  # numpy's maximum of -0 and 0 is either of them
    return result


def _fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    x, weights, bias = inputs
    product = x @ weights.T + bias
    return [relu(product) if operator.relu else product]


def _exp2_minus_1(f: Array) -> Array:
    """2 ** f - 1 for f in [-0.5, 0.5]."""
    result: Array = f * _EXP2[0]
    for coefficient in _EXP2[1:]:
        result += coefficient
        result *= f
    return result


def _power_and_rest(t: Array) -> tuple[Array, Array]:
    """2 ** n and t - n, where n is the integer nearest to t, from -127 (whose power is 0) to 128
    (infinity). `t` is overwritten."""
    power = t + _EXPONENT_ROUNDER
    t -= power - _EXPONENT_ROUNDER
    bits = power.view(np.int32)
    np.left_shift(bits, _MANTISSA_BITS, out=bits)
    return power, t


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), with an absolute error below 1e-7; 0 below -87.3."""
    t = x * -_LOG2_E
    np.maximum(t, np.float32(-100), out=t)
    np.copyto(t, np.float32(128), where=t > np.float32(126))
    power, rest = _power_and_rest(t)
    e = _exp2_minus_1(rest)
    e += _ONE
    e *= power
    e += _ONE
    return np.divide(_ONE, e, out=e)


def _tanh(x: Array) -> Array:
    """(exp(2|x|) - 1) / (exp(2|x|) + 1) with the sign of x; an absolute error below 1.1e-7."""
    t = np.abs(x)
    t *= _TWO * _LOG2_E
    np.minimum(t, np.float32(30), out=t)
    power, rest = _power_and_rest(t)
    e_minus_1 = _exp2_minus_1(rest)
    e_minus_1 *= power
    power -= _ONE
    e_minus_1 += power
    np.divide(e_minus_1, e_minus_1 + _TWO, out=e_minus_1)
    return np.copysign(e_minus_1, x, out=e_minus_1)


def _exp(x: Array) -> Array:
    """exp(x), with a relative error below 1e-7; 0 below -87.33, infinity above 88.72."""
    limited = np.minimum(np.maximum(x, _LEAST_EXPONENT), _LARGEST_EXPONENT)
    n = (limited * _LOG2_E + _ROUNDER) - _ROUNDER
    r = (limited - n * _LN2_HIGH) - n * _LN2_LOW
    p = np.full_like(r, _EXP[0])
    for coefficient in _EXP[1:]:
        p = p * r + coefficient
    p = (p * r) * r + r
    p = p + _ONE
    # n is up to 128, and 2 ** 128 is infinite: two factors, 2 ** h and 2 ** (n - h).
    half = n * np.float32(0.5)
    first, rest = _power_and_rest(half.copy())
    second, _ = _power_and_rest(half + rest)
    result = (p * first) * second
    result = np.where(x < _LEAST_EXPONENT, _ZERO, result)
    limits: Array = np.where(x > _LARGEST_EXPONENT, np.float32(np.inf), result)
    return limits


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
    exponentials = _exp(x - x.max(axis=-1, keepdims=True))
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
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: by_value(_sigmoid),
    Op.MEAN: _mean,
    Op.MUL: _elementwise(np.multiply),
    Op.QUANTIZE: _elementwise(_unchanged),
    Op.RELU: _elementwise(relu),
    Op.RSQRT: _elementwise(_rsqrt),
    Op.SOFTMAX: _elementwise(_softmax),
    Op.SQUARED_DIFFERENCE: _elementwise(_squared_difference),
    Op.SUB: _elementwise(np.subtract),
    Op.TANH: by_value(_tanh),
}
