"""The factors of the integer operators, from the scales of their tensors.

Source: tensorflow/lite/kernels (add.cc, sub.cc, mul.cc, activations.cc, fully_connected.cc). Where they
compute a factor in float32 and where in float64 is followed too, as it decides the last bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_runtime.numpy_engine.fixed_point import Multiplier
from edge_runtime.tflite.graph import Tensor

INT8_SUM_BITS, INT16_SUM_BITS = 20, 15
"""Bits of headroom that ADD and SUB give their inputs (add.cc, sub.cc)."""

LARGEST_INPUT_FACTOR = 2**31 - 1
"""Of an int16 sigmoid or tanh; an int32 in activations.cc (input_multiplier)."""


def float32_scale(tensor: Tensor) -> np.float32:
    """The scale of a tensor with one scale."""
    return np.float32(tensor.affine.scale[0])


def sum_multipliers(
    first: Tensor, second: Tensor, output: Tensor, bits: int, sign: int
) -> tuple[Multiplier, Multiplier, Multiplier]:
    """Of both inputs and of the sum of ADD (`sign` 1) or SUB (-1: of the second input).

    Both inputs get `bits` of headroom and are brought to twice the larger scale.
    """
    double_scale = 2 * float(max(float32_scale(first), float32_scale(second)))
    one, other = (
        Multiplier.of(float(float32_scale(tensor)) / double_scale) for tensor in (first, second)
    )
    unit = float(np.float32(1 << bits) * float32_scale(output))
    signed = replace(other, mantissa=sign * other.mantissa)
    return one, signed, Multiplier.of(double_scale / unit)


def product_multiplier(first: Tensor, second: Tensor, output: Tensor) -> Multiplier:
    """Of a product."""
    scale = float32_scale(first) * float32_scale(second) / float32_scale(output)
    return Multiplier.of(float(scale))


def rescale_multiplier(source: Tensor, output: Tensor) -> Multiplier:
    """Of values that get another scale (requantize.h; activations.cc: QuantizedReluX)."""
    return Multiplier.of(float(float32_scale(source)) / float(float32_scale(output)))


def matmul_multipliers(source: Tensor, weights: Tensor, output: Tensor) -> list[Multiplier]:
    """Of the sums of a matmul: one, or one for each output."""
    source_scale, output_scale = float(float32_scale(source)), float(float32_scale(output))
    scales = [float(np.float32(scale)) for scale in weights.affine.scale]
    return [Multiplier.of(source_scale * scale / output_scale) for scale in scales]


def reduced_to_16_bits(multiplier: Multiplier) -> tuple[int, int]:
    """Factor and right shift of a 64-bit sum (MultiplyByQuantizedMultiplier of int64_t)."""
    mantissa = multiplier.mantissa
    reduced = (mantissa + (1 << 15)) >> 16 if mantissa < 0x7FFF0000 else 0x7FFF
    return reduced, 15 - multiplier.shift


def curve_factor(source: Tensor) -> tuple[int, int]:
    """Factor and right shift that bring the int16 input of a sigmoid or tanh to 1 / (3 * 4096), as
    activations.cc does (TanhPrepare, SigmoidPrepare). Raises ValueError for too large a scale."""
    multiplier, shift = float(float32_scale(source)) * 3 * 4096, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    if multiplier > LARGEST_INPUT_FACTOR:
        raise ValueError(f"its sigmoid or tanh has inputs of scale {float32_scale(source):.3g}")
    return int(multiplier), shift
