"""TFLite's fixed-point rescaling in numpy, bit for bit.

Source: gemmlowp's fixedpoint.h (SaturatingRoundingDoublingHighMul, RoundingDivideByPOT) and
tensorflow/lite/kernels/internal (common.h, quantization_util.cc), in the double-rounding form that
TFLite builds with by default. Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", section 2.2, gives the reasons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Multiplier:
    """A positive real factor as mantissa * 2 ** (shift - 31), mantissa in [2 ** 30, 2 ** 31)."""

    mantissa: int
    shift: int

    @classmethod
    def of(cls, factor: float) -> Multiplier:
        """The closest multiplier to `factor` (quantization_util.cc: QuantizeMultiplier)."""
        if factor == 0:
            return cls(0, 0)
        fraction, shift = math.frexp(factor)
        mantissa = _round_half_away(fraction * (1 << 31))
        if mantissa == 1 << 31:
            mantissa, shift = mantissa // 2, shift + 1
        return cls(0, 0) if shift < -31 else cls(mantissa, shift)

    def apply(self, values: NDArray[Any]) -> Int64:
        """`values` (integers) times the factor, rounded as the kernels round."""
        return rescale(values, np.int64(self.mantissa), np.int64(self.shift))


def rescale(values: NDArray[Any], mantissa: Any, shift: Any) -> Int64:
    """MultiplyByQuantizedMultiplier; `mantissa` and `shift` are int64, scalars or broadcast arrays."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    return _divide_by_power_of_two(_doubling_high_multiply(values << left, mantissa), right)


def _doubling_high_multiply(a: NDArray[Any], b: Any) -> Int64:
    """(a * b) / 2 ** 31, rounded to nearest, ties upwards, on int32 operands."""
    product = a.astype(np.int64) * b
    positive = (product + (1 << 30)) >> 31
    negative = -(((1 << 30) - 1 - product) >> 31)
    result: Int64 = np.where(product >= 0, positive, negative)
    return result


def _divide_by_power_of_two(values: Int64, exponent: Any) -> Int64:
    """values / 2 ** exponent, rounded to nearest, ties away from zero."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (values < 0)
    result: Int64 = (values >> exponent) + ((values & mask) > threshold)
    return result


def _round_half_away(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
