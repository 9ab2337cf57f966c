"""exp, sigmoid, tanh and elu of float32 values, with the same bits on every computer.

numpy's and libm's functions differ in the last bit from one CPU and version to another. These consist of
additions, products, quotients and shifts, which IEEE 754 defines to the last bit. The C engine has the
same sequences of operations (native/c/float_functions.h), so its results are equal bit for bit.

portable_functions has the functions in float64, to 12 digits, for tables and the converter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CACHED = 4096
"""Values that are computed at once: intermediate results stay in the CPU's cache."""


def _float32(*numbers: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(number)) for number in numbers)


_EXP2 = _float32(
    "0x1.416b5ep-13", "0x1.5f082ep-10", "0x1.3b2de0p-7", "0x1.c6af7cp-5", "0x1.ebfbdcp-3", "0x1.62e43p-1"
)
"""A minimax polynomial of 2 ** f on [-0.5, 0.5], the highest power first; its constant term is 1."""

_EXP = _float32("0x1.6b69fcp-10", "0x1.122f2ep-7", "0x1.55568cp-5", "0x1.5554a4p-3", "0x1p-1")
"""The same of exp(r) on [-ln(2) / 2, ln(2) / 2]; its last terms are r and 1."""

(_LOG2_E,) = _float32("0x1.715476p+0")
_LN2_HIGH, _LN2_LOW = _float32("0x1.62ep-1", "0x1.0bfbe8p-15")
"""ln 2 in two parts; the first has so few bits that n times it is exact."""

_LEAST_EXPONENT, _LARGEST_EXPONENT = _float32("-0x1.5d589ep+6", "0x1.62e42ep+6")
"""exp of numbers between these is a normal float32."""

_ROUNDER = np.float32(12582912)
"""Adding this to a float32 below 2 ** 22, and subtracting it again, rounds it, ties to even."""

_EXPONENT_ROUNDER = np.float32(12582912 + 127)
"""The same with the bias of a float's exponent added: the low bits of the sum, shifted to the exponent,
are a power of two."""

_MANTISSA_BITS = 23
_ZERO = np.float32(0)


class _Constants(NamedTuple):
    """The constants of sigmoid and tanh as arrays: numpy takes a quarter of the time for two arrays of
    equal size that it takes for a small array, or for a maximum, and a number."""

    mantissa_bits: Array
    exp2: list[Array]
    minus_log2_e: Array
    twice_log2_e: Array
    lowest: Array
    overflow: Array
    largest: Array
    rounder: Array
    one: Array
    two: Array


_NUMBERS = np.array([-_LOG2_E, 2 * _LOG2_E, -100, 126, 30, _EXPONENT_ROUNDER, 1, 2, *_EXP2], np.float32)


@lru_cache(maxsize=1)
def _rows() -> tuple[Array, Array]:
    """Each of _NUMBERS CACHED times, and _MANTISSA_BITS."""
    return np.repeat(_NUMBERS[:, None], CACHED, axis=1), np.full(CACHED, _MANTISSA_BITS, np.int32)


@lru_cache(maxsize=64)
def _constants(count: int) -> _Constants:
    """For arrays of `count` values, up to CACHED."""
    rows, mantissa_bits = _rows()
    rows, exp2 = rows[: -len(_EXP2), :count], rows[-len(_EXP2) :, :count]
    return _Constants(mantissa_bits[:count], list(exp2), *rows)


def _exp2_minus_1(f: Array, out: Array, constants: _Constants) -> Array:
    """2 ** f - 1 for f in [-0.5, 0.5]."""
    np.multiply(f, constants.exp2[0], out)
    for coefficient in constants.exp2[1:]:
        np.add(out, coefficient, out)
        np.multiply(out, f, out)
    return out


def _split(t: Array, constants: _Constants) -> tuple[Array, Array]:
    """2 ** n and 2 ** (t - n) - 1, where n is the integer nearest to t, from -127 (whose power is 0) to
    128 (infinity). `t` is overwritten."""
    power = np.add(t, constants.rounder)
    n = np.subtract(power, constants.rounder)
    np.subtract(t, n, t)
    bits = power.view(np.int32)
    np.left_shift(bits, constants.mantissa_bits, bits)
    return power, _exp2_minus_1(t, n, constants)


def sigmoid_float32(x: Array) -> Array:
    """1 / (1 + exp(-x)) of up to CACHED values `[N]`; an absolute error below 1e-7, 0 below -87.3."""
    constants = _constants(len(x))
    t = np.multiply(x, constants.minus_log2_e)
    np.maximum(t, constants.lowest, t)
    overflow = np.greater(t, constants.overflow)
    if np.count_nonzero(overflow):
        t[overflow] = 128
    power, e = _split(t, constants)
    np.add(e, constants.one, e)
    np.multiply(e, power, e)
    np.add(e, constants.one, e)
    result: Array = np.divide(constants.one, e, e)
    return result


def tanh_float32(x: Array) -> Array:
    """(exp(2|x|) - 1) / (exp(2|x|) + 1) with the sign of x, of up to CACHED values `[N]`; an absolute
    error below 1.1e-7 and a relative one below 2.6e-7."""
    constants = _constants(len(x))
    t = np.abs(x)
    np.multiply(t, constants.twice_log2_e, t)
    np.minimum(t, constants.largest, t)
    power, e_minus_1 = _split(t, constants)
    np.multiply(e_minus_1, power, e_minus_1)
    np.subtract(power, constants.one, power)
    np.add(e_minus_1, power, e_minus_1)
    np.add(e_minus_1, constants.two, power)
    np.divide(e_minus_1, power, e_minus_1)
    result: Array = np.copysign(e_minus_1, x, e_minus_1)
    return result


def elu_float32(x: Array) -> Array:
    """x where it is not negative, else exp(x) - 1, of up to CACHED values `[N]`; a relative error below
    3e-7, also near 0 (Clevert et al. 2015, alpha = 1)."""
    constants = _constants(len(x))
    t = np.multiply(x, _LOG2_E)
    np.minimum(t, _ZERO, t)
    np.maximum(t, constants.lowest, t)
    power, e_minus_1 = _split(t, constants)
    np.multiply(e_minus_1, power, e_minus_1)
    np.subtract(power, constants.one, power)
    np.add(e_minus_1, power, e_minus_1)
    result: Array = np.where(x < 0, e_minus_1, x)
    return result


def _power(n: Array) -> Array:
    """2 ** n for integers in float32, from -126 to 127."""
    bits = (n + _EXPONENT_ROUNDER).view(np.int32) << _MANTISSA_BITS
    power: Array = bits.view(np.float32)
    return power


def exp_float32(x: Array) -> Array:
    """exp(x), any shape; a relative error below 1e-7, 0 below -87.33, infinity above 88.72."""
    limited = np.minimum(np.maximum(x, _LEAST_EXPONENT), _LARGEST_EXPONENT)
    n = (limited * _LOG2_E + _ROUNDER) - _ROUNDER
    r = (limited - n * _LN2_HIGH) - n * _LN2_LOW
    p = r * _EXP[0]
    for coefficient in _EXP[1:-1]:
        p = (p + coefficient) * r
    p = ((p + _EXP[-1]) * r) * r + r + np.float32(1)
    # n is up to 128, and 2 ** 128 is infinite: two factors, 2 ** half and 2 ** (n - half).
    half = (n * np.float32(0.5) + _ROUNDER) - _ROUNDER
    result = (p * _power(half)) * _power(n - half)
    result = np.where(x < _LEAST_EXPONENT, np.float32(0), result)
    limits: Array = np.where(x > _LARGEST_EXPONENT, np.float32(np.inf), result)
    return limits
