"""TFLite's fixed-point rescaling in numpy, bit for bit.

Source: gemmlowp's fixedpoint.h (SaturatingRoundingDoublingHighMul, RoundingDivideByPOT) and
tensorflow/lite/kernels/internal (common.h, quantization_util.cc), in the double-rounding form that
TFLite builds with by default. Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", section 2.2, gives the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]


LARGEST_FACTOR = 2.0**30
"""Beyond this factor, one unit of the input is more than the whole range of the output."""


@dataclass(frozen=True)
class Multiplier:
    """A positive real factor as mantissa * 2 ** (shift - 31), mantissa in [2 ** 30, 2 ** 31)."""

    mantissa: int
    shift: int

    @classmethod
    def of(cls, factor: float) -> Multiplier:
        """The closest multiplier to `factor` (quantization_util.cc: QuantizeMultiplier).

        Raises ValueError for one that is so large that every result would saturate.
        """
        if factor == 0:
            return cls(0, 0)
        if not factor < LARGEST_FACTOR:
            raise ValueError(f"its scales differ by a factor of {factor:.3g}, expected below 2^30")
        fraction, shift = math.frexp(factor)
        mantissa = _round_half_away(fraction * (1 << 31))
        if mantissa == 1 << 31:
            mantissa, shift = mantissa // 2, shift + 1
        return cls(0, 0) if shift < -31 else cls(mantissa, shift)

    def apply(self, values: NDArray[Any]) -> Int64:
        """`values` (integers) times the factor, rounded as the kernels round."""
        return Rescaling([self])(values)


class Rescaling:
    """MultiplyByQuantizedMultiplier: one multiplier for all values, or one for each of the last axis."""

    def __init__(self, multipliers: Sequence[Multiplier]) -> None:
        mantissas = [multiplier.mantissa for multiplier in multipliers]
        shifts = np.array([multiplier.shift for multiplier in multipliers], np.int64)
        self._mantissa = _alone(np.array(mantissas, np.int64))
        self._left = _alone(np.maximum(shifts, 0)) if (shifts > 0).any() else None
        self._right = _alone(np.maximum(-shifts, 0))
        self._half = (np.int64(1) << self._right) >> 1
        # Where nothing is divided, nothing is rounded.
        self._rounded = -np.minimum(self._half, 1)

    def __call__(self, values: NDArray[Any]) -> Int64:
        """`values` (integers), rescaled; int64."""
        shifted = values if self._left is None else values << self._left
        # Doubling, high half: rounded to nearest, ties upwards.
        high = (shifted * self._mantissa + (1 << 30)) >> 31
        # Divided by a power of two: ties away from zero, so that negative values lose 1 before the half.
        result: Int64 = (high + self._half + (high >> 63 & self._rounded)) >> self._right
        return result


def _alone(values: Int64) -> Any:
    """The value of an array with one element, or else the array."""
    return values[0] if len(values) == 1 else values


def _round_half_away(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
