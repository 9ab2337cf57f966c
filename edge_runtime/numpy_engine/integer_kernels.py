"""The int8 operators in numpy, equal to tflite-runtime 2.14's reference kernels bit for bit.

Source: tensorflow/lite/kernels (add.cc, sub.cc, mul.cc, activations.cc, fully_connected.cc) and
internal/reference/integer_ops. Only the tables of LOGISTIC and TANH are more exact than the kernels':
see `unrounded_table`.

Each kernel is prepared once for its operator and then run on any number of inputs. A function of one
8-bit value is prepared as the table of its 256 results.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable
from weakref import WeakKeyDictionary

import numpy as np

from edge_runtime.numpy_engine.fixed_point import Rescaling
from edge_runtime.numpy_engine.multipliers import (
    INT8_SUM_BITS,
    float32_scale,
    matmul_multipliers,
    product_multiplier,
    rescale_multiplier,
    sum_multipliers,
)
from edge_runtime.numpy_engine.portable_functions import sigmoid, tanh
from edge_runtime.tflite.graph import Op, Operator, Quantization, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Kernel = Callable[["list[Array]"], "list[Array]"]

EVERY_INT8 = np.arange(256, dtype=np.uint8).view(np.int8)
"""All values in the order of their bits, 0 to 127 and then -128 to -1: tables are in this order."""

EXACT_IN_FLOAT32 = 2**24
"""Integers up to here are exact in float32, whose matmul numpy has in fast code."""


def _zero_point(tensor: Tensor) -> int:
    return tensor.affine.zero_point


def _centered(tensor: Tensor, values: Array) -> NDArray[np.int64]:
    return values.astype(np.int64) - _zero_point(tensor)


def _saturate(values: NDArray[np.int64], output: Tensor) -> Array:
    # np.clip takes several times as long for few values.
    return np.minimum(np.maximum(values + _zero_point(output), -128), 127).astype(np.int8)


def _looked_up(table: Array, values: Array) -> Array:
    """`table`, in the order of EVERY_INT8, at int8 `values`."""
    return table.take(values.view(np.uint8))


def _sum(sign: int) -> Callable[[Operator, list[Tensor]], Kernel]:
    """ADD (sign 1) and SUB (sign -1): both inputs are brought to twice the larger scale."""

    def prepare(operator: Operator, tensors: list[Tensor]) -> Kernel:
        first, second, output = tensors
        *multipliers, back = sum_multipliers(first, second, output, INT8_SUM_BITS, sign)
        tables = [
            multiplier.apply(_centered(tensor, EVERY_INT8) << INT8_SUM_BITS)
            for multiplier, tensor in zip(multipliers, tensors)
        ]
        rescale = Rescaling([back])

        def kernel(inputs: list[Array]) -> list[Array]:
            total = _looked_up(tables[0], inputs[0]) + _looked_up(tables[1], inputs[1])
            return [_saturate(rescale(total), output)]

        return kernel

    return prepare


def _mul(operator: Operator, tensors: list[Tensor]) -> Kernel:
    first, second, output = tensors
    rescale = Rescaling([product_multiplier(first, second, output)])

    def kernel(inputs: list[Array]) -> list[Array]:
        product = _centered(first, inputs[0]) * _centered(second, inputs[1])
        return [_saturate(rescale(product), output)]

    return kernel


def _fully_connected(operator: Operator, tensors: list[Tensor]) -> Kernel:
    source, weights, _, output = tensors
    rescale = Rescaling(matmul_multipliers(source, weights, output))
    zero_point = _zero_point(source)
    lowest = np.int8(_zero_point(output))  # a fused RELU clips at the integer that stands for zero

    def kernel(inputs: list[Array]) -> list[Array]:
        columns = exact_columns(weights, inputs[1])
        sums = ((inputs[0].astype(columns.dtype) - zero_point) @ columns).astype(np.int64)
        result = _saturate(rescale(sums + inputs[2]), output)
        return [np.maximum(result, lowest) if operator.relu else result]

    return kernel


_PREPARED: WeakKeyDictionary[Tensor, Array] = WeakKeyDictionary()
"""Constant matrix -> its columns; every step reads the same."""


def exact_columns(weights: Tensor, values: Array, largest: int = 255) -> Array:
    """int8 `values` `[outputs, inputs]` of `weights`, transposed, in a float type whose matmul with
    integers `[N, inputs]` of a magnitude up to `largest` is exact."""
    if weights in _PREPARED:
        return _PREPARED[weights]
    most = largest * 128 * values.shape[1]
    dtype = np.float32 if most < EXACT_IN_FLOAT32 else np.float64  # float64: below 2 ** 53
    columns: Array = np.ascontiguousarray(values.T, dtype)
    if weights.data is not None:
        _PREPARED[weights] = columns
    return columns


def _quantize(operator: Operator, tensors: list[Tensor]) -> Kernel:
    """From float32 (affine_quantize: rounds half away from zero), or from int8 in another scale."""
    source, output = tensors
    if source.dtype == np.int8:
        return _tabulated(lambda values: _rescaled(source, output, values))

    return lambda inputs: [_saturate(quantized_steps(inputs[0], float32_scale(output)), output)]


def _rescaled(source: Tensor, output: Tensor, values: Array) -> Array:
    """The same values in the output's scale (requantize.h; activations.cc: QuantizedReluX)."""
    multiplier = rescale_multiplier(source, output)
    return _saturate(multiplier.apply(_centered(source, values)), output)


def _relu(operator: Operator, tensors: list[Tensor]) -> Kernel:
    source, output = tensors
    lowest = np.int8(_zero_point(output))
    return _tabulated(lambda values: np.maximum(_rescaled(source, output, values), lowest))


def round_half_away(values: Array) -> Array:
    """To the nearest integer, half away from zero, in the float type of `values` (any shape)."""
    # Adding 0.5 itself would round the largest number below it up.
    below_half = np.nextafter(values.dtype.type(0.5), values.dtype.type(0))
    result: Array = np.trunc(values + np.copysign(below_half, values))
    return result


def quantized_steps(values: Array, scale: np.float32) -> NDArray[np.int64]:
    """float32 `values` in units of `scale`, rounded half away from zero; limited to 2 ** 30, which is
    beyond every integer type here. NaN gives the lowest."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = round_half_away(values / scale)
    return np.fmin(np.fmax(rounded, np.float32(-(2**30))), np.float32(2**30)).astype(np.int64)


def _tabulated(function: Callable[[Array], Array]) -> Kernel:
    table = function(EVERY_INT8)
    return lambda inputs: [_looked_up(table, inputs[0])]


TABLE_FUNCTIONS = {Op.LOGISTIC: sigmoid, Op.TANH: tanh}
"""Functions of one real value that the kernels tabulate."""


def unrounded_table(op: Op, source: Quantization, output: Quantization) -> NDArray[np.float64]:
    """LOGISTIC or TANH of EVERY_INT8, in units of the output's scale, without its zero_point.

    The input is the kernel's float32 product (activations.cc: PopulateLookupTable). The function is
    computed in float64 here and in float32 with libm's expf and tanhf there, whose last bits depend on
    the libm; their error is below 5e-5 in a tensor with the output scale of the format, 1/256 or 1/128.
    """
    scale = np.float32(source.scale[0])
    real = scale * (EVERY_INT8.astype(np.float32) - np.float32(source.zero_point))
    inverse_scale = np.float32(1) / np.float32(output.scale[0])
    return TABLE_FUNCTIONS[op](real) * np.float64(inverse_scale)


@lru_cache(maxsize=1024)
def _rounded_table(op: Op, source: Quantization, output: Quantization) -> Array:
    """The int8 results for EVERY_INT8; the steps of an unrolled graph share most of their tables."""
    rounded = round_half_away(unrounded_table(op, source, output))
    table = np.clip(rounded + output.zero_point, -128, 127).astype(np.int8)
    table.flags.writeable = False
    return table


def _table(operator: Operator, tensors: list[Tensor]) -> Kernel:
    source, output = tensors
    table = _rounded_table(operator.op, source.affine, output.affine)
    return lambda inputs: [_looked_up(table, inputs[0])]


KERNELS: dict[Op, Callable[[Operator, list[Tensor]], Kernel]] = {
    Op.ADD: _sum(1),
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: _table,
    Op.MUL: _mul,
    Op.QUANTIZE: _quantize,
    Op.RELU: _relu,
    Op.SUB: _sum(-1),
    Op.TANH: _table,
}
