"""The int16 operators in numpy, equal to tflite-runtime 2.14's reference kernels bit for bit.

Activations are symmetric (zero_point 0), FULLY_CONNECTED has int8 weights and int64 sums and biases.
Source: tensorflow/lite/kernels (add.cc, sub.cc, mul.cc, activations.cc, fully_connected.cc),
internal/common.cc and internal/reference/integer_ops. LOGISTIC and TANH interpolate in one table of
the sigmoid, at multiples of 1/24 up to 10.6. Each kernel is prepared once for its operator.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.fixed_point import Multiplier, Rescaling
from edge_runtime.numpy_engine.integer_kernels import Kernel, exact_columns, quantized_steps
from edge_runtime.numpy_engine.multipliers import (
    INT16_SUM_BITS,
    curve_factor,
    float32_scale,
    matmul_multipliers,
    product_multiplier,
    reduced_to_16_bits,
    rescale_multiplier,
    sum_multipliers,
)
from edge_runtime.numpy_engine.portable_functions import sigmoid
from edge_runtime.tflite.graph import Op, Operator, Tensor

Array = NDArray[Any]
Int64 = NDArray[np.int64]

LIMIT = np.iinfo(np.int16)

TABLE_STEPS = 24  # entries of the table for an input of 1
TABLE_FRACTION_BITS = 9  # activations.cc scales inputs to 3 * 4096 = TABLE_STEPS * 2 ** 9


def _sigmoid_table() -> Int64:
    """sigmoid(k / 24) in 1 / 65536 for k in 0..255 (internal/common.h: sigmoid_table_uint16).

    Not the plain values: a chord of a curve lies inside it by up to s'' / 8 / 24 ** 2, and the table
    is moved out by half of that.
    """
    values = sigmoid(np.arange(256) / TABLE_STEPS)
    second_derivative = values * (1 - values) * (1 - 2 * values)
    moved = values - second_derivative / TABLE_STEPS**2 / 16
    table: Int64 = np.rint(65536 * moved).astype(np.int64)
    table[-1] = 65535
    return table


SIGMOID_TABLE = _sigmoid_table()


def _saturate(values: Int64) -> Array:
    return np.clip(values, LIMIT.min, LIMIT.max).astype(np.int16)


def _sum(sign: int) -> Callable[[Operator, list[Tensor]], Kernel]:
    """ADD (sign 1) and SUB (sign -1): both inputs are brought to twice the larger scale."""

    def prepare(operator: Operator, tensors: list[Tensor]) -> Kernel:
        first, second, output = tensors
        *multipliers, last = sum_multipliers(first, second, output, INT16_SUM_BITS, sign)
        parts, back = [Rescaling([multiplier]) for multiplier in multipliers], Rescaling([last])

        def kernel(inputs: list[Array]) -> list[Array]:
            one, other = (
                rescale(values.astype(np.int64) << INT16_SUM_BITS)
                for rescale, values in zip(parts, inputs)
            )
            return [_saturate(back(one + other))]

        return kernel

    return prepare


def _mul(operator: Operator, tensors: list[Tensor]) -> Kernel:
    first, second, output = tensors
    rescale = Rescaling([product_multiplier(first, second, output)])
    return lambda inputs: [_saturate(rescale(inputs[0].astype(np.int64) * inputs[1]))]


def _fully_connected(operator: Operator, tensors: list[Tensor]) -> Kernel:
    source, weights, _, output = tensors
    rescale = _rescaling_64(matmul_multipliers(source, weights, output))

    def kernel(inputs: list[Array]) -> list[Array]:
        columns = exact_columns(weights, inputs[1], LIMIT.max + 1)
        sums = (inputs[0].astype(columns.dtype) @ columns).astype(np.int64)
        result = _saturate(rescale(sums + inputs[2]))
        return [np.maximum(result, np.int16(0)) if operator.relu else result]

    return kernel


def _rescaling_64(multipliers: list[Multiplier]) -> Callable[[Int64], Int64]:
    """MultiplyByQuantizedMultiplier of 64-bit sums: the mantissa is rounded to 16 bits first."""
    reduced, shift = np.array([reduced_to_16_bits(multiplier) for multiplier in multipliers], np.int64).T
    half = np.int64(1) << (shift - 1)
    return lambda values: (values * reduced + half) >> shift


def _quantize(operator: Operator, tensors: list[Tensor]) -> Kernel:
    """From float32 (affine_quantize: rounds half away from zero), or from int16 in another scale."""
    source, output = tensors
    if source.dtype == np.int16:
        rescaled = _rescaled(source, output)
        return lambda inputs: [rescaled(inputs[0])]

    return lambda inputs: [_saturate(quantized_steps(inputs[0], float32_scale(output)))]


def _rescaled(source: Tensor, output: Tensor) -> Callable[[Array], Array]:
    """The same values in the output's scale (requantize.h; activations.cc: QuantizedReluX)."""
    rescale = Rescaling([rescale_multiplier(source, output)])
    return lambda values: _saturate(rescale(values.astype(np.int64)))


def _relu(operator: Operator, tensors: list[Tensor]) -> Kernel:
    rescaled = _rescaled(*tensors)
    return lambda inputs: [np.maximum(rescaled(inputs[0]), np.int16(0))]


def _table_input(source: Tensor) -> Callable[[Array], Int64]:
    """The input in 1 / (3 * 4096)."""
    factor, shift = curve_factor(source)
    rounding = 1 << (shift - 1) if shift else 0
    return lambda values: (values.astype(np.int64) * factor + rounding) >> shift


def _interpolated(magnitude: Int64, bits: int, saturated: int) -> Int64:
    """The table at `magnitude` / 2 ** bits, in 1 / 2 ** (16 + bits); `saturated` beyond its end."""
    index = np.minimum(magnitude >> bits, 254)
    low, high = SIGMOID_TABLE[index], SIGMOID_TABLE[index + 1]
    inside = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low)
    result: Int64 = np.where(magnitude >> bits >= 255, saturated, inside)
    return result


def _logistic(operator: Operator, tensors: list[Tensor]) -> Kernel:
    table_input = _table_input(tensors[0])

    def kernel(inputs: list[Array]) -> list[Array]:
        x = table_input(inputs[0])
        found = _interpolated(np.abs(x), TABLE_FRACTION_BITS, 0x7FFF << 10)
        half = 1 << TABLE_FRACTION_BITS
        mirrored = (1 << (16 + TABLE_FRACTION_BITS)) - found + half - 1
        return [_saturate(np.where(x >= 0, found + half, mirrored) >> (TABLE_FRACTION_BITS + 1))]

    return kernel


def _tanh(operator: Operator, tensors: list[Tensor]) -> Kernel:
    """tanh(x) = 2 sigmoid(2x) - 1."""
    table_input = _table_input(tensors[0])

    def kernel(inputs: list[Array]) -> list[Array]:
        x = table_input(inputs[0])
        bits = TABLE_FRACTION_BITS - 1
        found = _interpolated(np.abs(x), bits, 0xFFFF << bits) - (1 << (15 + bits))
        half = 1 << (bits - 1)
        return [_saturate(np.where(x >= 0, found + half, half - 1 - found) >> bits)]

    return kernel


KERNELS: dict[Op, Callable[[Operator, list[Tensor]], Kernel]] = {
    Op.ADD: _sum(1),
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: _logistic,
    Op.MUL: _mul,
    Op.QUANTIZE: _quantize,
    Op.RELU: _relu,
    Op.SUB: _sum(-1),
    Op.TANH: _tanh,
}
