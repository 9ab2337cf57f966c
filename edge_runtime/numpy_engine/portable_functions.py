"""exp, sigmoid and tanh in float64, with the same bits on every computer.

numpy's and libm's functions differ in the last bit from one CPU and version to another, and where a
result is then rounded to an integer, that bit can decide. These functions consist of sums, products,
quotients and roundings, which IEEE 754 defines exactly. They are accurate to 12 digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]


_LARGEST_EXPONENT = 700.0
"""exp of this number and of its negative are normal numbers."""

_INVERSE_LN2 = 1.44269504088896338700e00
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts; the first has 33 bits, so a small integer times it is exact (fdlibm, e_exp.c)."""

_HALVINGS = 3
_TAYLOR = tuple(1 / math.factorial(power) for power in range(6, -1, -1))
"""Coefficients of exp, the highest power first. Up to ln(2) / 16 their error is below 1e-13."""


def exp(x: NDArray[np.floating[Any]]) -> Float64:
    """exp of values of any shape, with a relative error below 1e-12.

    Beyond -700 and 700 the result is that of -700 or 700.
    """
    rest = np.array(x, np.float64)
    np.clip(rest, -_LARGEST_EXPONENT, _LARGEST_EXPONENT, out=rest)
    power = np.rint(rest * _INVERSE_LN2)
    rest -= power * _LN2_HIGH
    rest -= power * _LN2_LOW
    rest *= 0.5**_HALVINGS
    result = np.full_like(rest, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        result *= rest
        result += coefficient
    for _ in range(_HALVINGS):
        result *= result
    with np.errstate(invalid="ignore"):  # NaN has no power; the result is NaN
        scaled: Float64 = np.ldexp(result, power.astype(np.int32))
    return scaled


def sigmoid(x: NDArray[np.floating[Any]]) -> Float64:
    """1 / (1 + exp(-x)) of values of any shape."""
    result: Float64 = 1 / (1 + exp(-x))
    return result


def tanh(x: NDArray[np.floating[Any]]) -> Float64:
    """tanh of values of any shape, as 2 sigmoid(2x) - 1, with an absolute error below 1e-12."""
    result: Float64 = 2 * sigmoid(2 * np.asarray(x, np.float64)) - 1
    return result
