"""The int8 operators in numpy, equal to tflite-runtime 2.14's reference kernels bit for bit.

Source: tensorflow/lite/kernels (add.cc, sub.cc, mul.cc, activations.cc, fully_connected.cc) and
internal/reference/integer_ops. Where the kernels compute a factor in float32 and where in float64 is
followed too, as it decides the last bit.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert.float_kernels import logistic
from convert.graph import Op, Operator, Tensor
from edge_runtime.fixed_point import Multiplier, rescale

Array = NDArray[Any]

SUM_LEFT_SHIFT = 20  # bits of headroom that ADD and SUB give 8-bit inputs (add.cc, sub.cc)


def _scale(tensor: Tensor) -> np.float32:
    return np.float32(tensor.affine.scale[0])


def _zero_point(tensor: Tensor) -> int:
    return tensor.affine.zero_point


def _centered(tensor: Tensor, values: Array) -> NDArray[np.int64]:
    return values.astype(np.int64) - _zero_point(tensor)


def _saturate(values: NDArray[np.int64], output: Tensor) -> Array:
    return np.clip(values + _zero_point(output), -128, 127).astype(np.int8)


def _sum(tensors: list[Tensor], inputs: list[Array], sign: int) -> list[Array]:
    """ADD (sign 1) and SUB (sign -1): both inputs are brought to twice the larger scale."""
    first, second, output = tensors
    double_scale = 2 * float(max(_scale(first), _scale(second)))
    total: NDArray[np.int64] = np.zeros((), np.int64)
    for tensor, values, factor in ((first, inputs[0], 1), (second, inputs[1], sign)):
        multiplier = Multiplier.of(float(_scale(tensor)) / double_scale)
        shifted = _centered(tensor, values) << SUM_LEFT_SHIFT
        mantissa = np.int64(factor * multiplier.mantissa)
        total = total + rescale(shifted, mantissa, np.int64(multiplier.shift))
    unit = float(np.float32(1 << SUM_LEFT_SHIFT) * _scale(output))
    return [_saturate(Multiplier.of(double_scale / unit).apply(total), output)]


def _add(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return _sum(tensors, inputs, 1)


def _sub(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return _sum(tensors, inputs, -1)


def _mul(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    first, second, output = tensors
    product = _centered(first, inputs[0]) * _centered(second, inputs[1])
    factor = _scale(first) * _scale(second) / _scale(output)
    return [_saturate(Multiplier.of(float(factor)).apply(product), output)]


def _fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    source, weights, _, output = tensors
    # float64 holds these integer sums exactly (below 2 ** 53), and its matmul is fast.
    columns = inputs[1].astype(np.float64).T
    accumulators = (_centered(source, inputs[0]).astype(np.float64) @ columns).astype(np.int64)
    factors = [
        float(_scale(source)) * float(np.float32(scale)) / float(_scale(output))
        for scale in weights.affine.scale
    ]
    multipliers = [Multiplier.of(factor) for factor in factors]
    mantissa = np.array([multiplier.mantissa for multiplier in multipliers], np.int64)
    shift = np.array([multiplier.shift for multiplier in multipliers], np.int64)
    result = _saturate(rescale(accumulators + inputs[2], mantissa, shift), output)
    return [_relu_limited(operator, output, result)]


def _relu_limited(operator: Operator, output: Tensor, values: Array) -> Array:
    """A fused RELU clips at the integer that stands for zero."""
    return np.maximum(values, np.int8(_zero_point(output))) if operator.relu else values


def _rescaled(tensors: list[Tensor], inputs: list[Array]) -> Array:
    """The same values in the output's scale (requantize.h; activations.cc: QuantizedReluX)."""
    source, output = tensors
    factor = float(_scale(source)) / float(_scale(output))
    return _saturate(Multiplier.of(factor).apply(_centered(source, inputs[0])), output)


def _quantize(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """From float32 (affine_quantize: rounds half away from zero), or from int8 in another scale."""
    source, output = tensors
    if source.dtype == np.int8:
        return [_rescaled(tensors, inputs)]
    scaled = inputs[0] / _scale(output)
    rounded = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)
    limited = np.clip(rounded, -(2.0**30), 2.0**30)  # beyond int8 in any case
    return [_saturate(limited.astype(np.int64), output)]


def _relu(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return [np.maximum(_rescaled(tensors, inputs), np.int8(_zero_point(tensors[-1])))]


def _table(function: Callable[[Array], Array]) -> Callable[..., list[Array]]:
    """A kernel that looks its 256 possible answers up (activations.cc: PopulateLookupTable)."""

    def kernel(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
        source, output = tensors
        q = np.arange(-128, 128, dtype=np.float32)
        real = function(_scale(source) * (q - np.float32(_zero_point(source))))
        scaled = real * (np.float32(1) / _scale(output))
        rounded = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)
        table = _saturate(rounded.astype(np.int64), output)
        return [table[inputs[0].astype(np.int64) + 128]]

    return kernel


KERNELS: dict[Op, Callable[[Operator, list[Tensor], list[Array]], list[Array]]] = {
    Op.ADD: _add,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.LOGISTIC: _table(logistic),
    Op.MUL: _mul,
    Op.QUANTIZE: _quantize,
    Op.RELU: _relu,
    Op.SUB: _sub,
    Op.TANH: _table(np.tanh),
}
