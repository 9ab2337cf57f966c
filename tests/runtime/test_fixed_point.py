"""The fixed-point arithmetic against its definition in exact integers."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.numpy_engine.fixed_point import Multiplier
from edge_runtime.tflite.quantization import dequantize, quantize


def ties_upwards(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def ties_away_from_zero(value: Fraction) -> int:
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(Fraction(1, 2) - value)


@given(st.integers(-(2**20), 2**20), st.floats(1e-6, 100))
def test_rescaling_rounds_twice_as_gemmlowp_does(value, factor):
    multiplier = Multiplier.of(factor)
    left, right = max(multiplier.shift, 0), max(-multiplier.shift, 0)
    high = ties_upwards(Fraction((value << left) * multiplier.mantissa, 2**31))
    expected = ties_away_from_zero(Fraction(high, 2**right))
    assert multiplier.apply(np.array([value]))[0] == expected
    assert expected == pytest.approx(value * factor, abs=1 + 1e-6 * abs(value * factor))


# Mantissa and shift as quantization_util_test.cc of TensorFlow Lite states them.
@pytest.mark.parametrize(
    ("factor", "mantissa", "shift"),
    [(0.0, 0, 0), (0.25, 1 << 30, -1), (0.5, 1 << 30, 0), (1.0, 1 << 30, 1), (1e-20, 0, 0)],
)
def test_multiplier_golden_values(factor, mantissa, shift):
    assert Multiplier.of(factor) == Multiplier(mantissa, shift)


@given(st.floats(-1e6, 1e6, width=32), st.floats(2**-10, 8, width=32), st.integers(-128, 127))
def test_quantize_is_the_nearest_integer_or_saturates(real, scale, zero_point):
    (q,) = quantize(np.array([real], np.float32), scale, zero_point)
    if -128 < q < 127:
        (back,) = dequantize(np.array([q]), scale, zero_point)
        assert abs(back - real) <= scale * 0.501
    else:
        ideal = real / scale + zero_point
        assert ideal <= -127.4 if q == -128 else ideal >= 126.4
