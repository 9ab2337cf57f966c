"""What TFLite's int8 kernels give for sums, products and matmuls, to the last unit.

Fake quantization rounds a real result once; the kernels rescale integers in fixed point and round twice
(edge_runtime.numpy_engine). The two differ in few cases by one unit, but a recurrent network adds such
units up over its steps, so an evaluation that is to predict a file runs the kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.integer_kernels import KERNELS
from edge_runtime.runs.graph_record import GraphRecord, RecordedOperator, RecordedTensor
from edge_runtime.tflite.graph import Op, Operator, Quantization, Tensor

Array = NDArray[Any]

_ROUNDING_TWICE = (Op.ADD, Op.FULLY_CONNECTED, Op.MUL, Op.SUB)


def integer_result(
    tf: Any, record: GraphRecord, item: RecordedOperator, inputs: list[Any]
) -> Any | None:
    """The operator's result as real values, float32; None where its kernel rounds a real result once.

    `inputs`: real values that the input tensors hold exactly.
    """
    tensors = [_tensor(name, record.tensors[name]) for name in (*item.inputs, *item.outputs)]
    if item.op not in _ROUNDING_TWICE or not all(tensor.quantization for tensor in tensors):
        return None
    operator = Operator(Op(item.op), item.inputs, item.outputs, item.axis, item.relu)
    kernel, output = KERNELS[operator.op](operator, tensors), tensors[-1].affine

    def compute(*values: Array) -> Array:
        integers = [_integers(tensor, value) for tensor, value in zip(tensors, values)]
        (result,) = kernel(integers)
        centered = result.astype(np.float64) - output.zero_point
        return (centered * output.scale[0]).astype(np.float32)

    result = tf.numpy_function(compute, inputs, tf.float32)
    result.set_shape((None, *tensors[-1].shape[1:]))
    return result


def _tensor(name: str, recorded: RecordedTensor) -> Tensor:
    quantization = Quantization(recorded.scale, recorded.zero_point) if recorded.scale else None
    return Tensor(name, recorded.shape, np.dtype(recorded.dtype), quantization=quantization)


def _integers(tensor: Tensor, real: Array) -> Array:
    scale = np.array(tensor.affine.scale, np.float64).reshape(-1, *(1,) * (real.ndim - 1))
    q = np.rint(real.astype(np.float64) / scale) + tensor.affine.zero_point
    return q.astype(tensor.dtype)
