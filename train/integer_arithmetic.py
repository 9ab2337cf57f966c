"""What TFLite's int8 kernels give for sums, products and matmuls, to the last unit.

Fake quantization rounds a real result once; the kernels rescale integers in fixed point and round twice
(edge_runtime.fixed_point). The two differ in few cases by one unit, but a recurrent network adds such
units up over its steps, so an evaluation that is to predict a file follows the kernels. Source:
tensorflow/lite/kernels (add.cc, mul.cc, fully_connected.cc) and internal/reference/integer_ops.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.fixed_point import Multiplier, rescale
from edge_runtime.graph_record import GraphRecord, RecordedOperator, RecordedTensor

Array = NDArray[Any]

SUM_LEFT_SHIFT = 20  # bits of headroom of 8-bit sums (add.cc)


def integer_result(
    tf: Any, record: GraphRecord, item: RecordedOperator, inputs: list[Any]
) -> Any | None:
    """The operator's result as real values, float32; None where its kernel rounds a real result once.

    `inputs`: real values that the input tensors hold exactly.
    """
    names = (*item.inputs, *item.outputs)
    tensors = [record.tensors[name] for name in names]
    kernel = _KERNELS.get(item.op)
    if kernel is None or not all(tensor.scale for tensor in tensors):
        return None

    def compute(*values: Array) -> Array:
        integers = [
            np.rint(value.astype(np.float64) / _column(tensor, value)).astype(np.int64)
            for tensor, value in zip(tensors, values)
        ]
        output = tensors[-1]
        low, high = -128 - output.zero_point, 127 - output.zero_point
        centered = np.clip(kernel(tensors, integers), 0 if item.relu else low, high)
        return (centered * np.float64(output.scale[0])).astype(np.float32)

    result = tf.numpy_function(compute, inputs, tf.float32)
    result.set_shape((None, *record.tensors[item.outputs[0]].shape[1:]))
    return result


def _column(tensor: RecordedTensor, value: Array) -> Array:
    return np.array(tensor.scale, np.float64).reshape(-1, *(1,) * (value.ndim - 1))


def _scale(tensor: RecordedTensor) -> np.float32:
    return np.float32(tensor.scale[0])


def _multiply(tensors: list[RecordedTensor], values: list[Array]) -> Array:
    first, second, output = tensors
    factor = _scale(first) * _scale(second) / _scale(output)
    return Multiplier.of(float(factor)).apply(values[0] * values[1])


def _sum(sign: int) -> Callable[[list[RecordedTensor], list[Array]], Array]:
    """ADD and SUB bring both inputs to twice the larger scale."""

    def kernel(tensors: list[RecordedTensor], values: list[Array]) -> Array:
        first, second, output = tensors
        double_scale = 2 * float(max(_scale(first), _scale(second)))
        total: Array = np.zeros((), np.int64)
        for tensor, value, factor in ((first, values[0], 1), (second, values[1], sign)):
            multiplier = Multiplier.of(float(_scale(tensor)) / double_scale)
            mantissa = np.int64(factor * multiplier.mantissa)
            total = total + rescale(value << SUM_LEFT_SHIFT, mantissa, np.int64(multiplier.shift))
        unit = float(np.float32(1 << SUM_LEFT_SHIFT) * _scale(output))
        return Multiplier.of(double_scale / unit).apply(total)

    return kernel


def _fully_connected(tensors: list[RecordedTensor], values: list[Array]) -> Array:
    source, weights, _, output = tensors
    # float64 holds these integer sums exactly (below 2 ** 53), and its matmul is fast.
    sums = (values[0].astype(np.float64) @ values[1].astype(np.float64).T).astype(np.int64)
    factors = [
        float(_scale(source)) * float(np.float32(scale)) / float(_scale(output))
        for scale in weights.scale
    ]
    multipliers = [Multiplier.of(factor) for factor in factors]
    mantissas = np.array([multiplier.mantissa for multiplier in multipliers], np.int64)
    shifts = np.array([multiplier.shift for multiplier in multipliers], np.int64)
    return rescale(sums + values[2], mantissas, shifts)


_KERNELS: dict[str, Callable[[list[RecordedTensor], list[Array]], Array]] = {
    "ADD": _sum(1),
    "FULLY_CONNECTED": _fully_connected,
    "MUL": _multiply,
    "SUB": _sum(-1),
}
