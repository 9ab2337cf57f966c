"""Results of TFLite's int8 kernels for sums, products, matmuls and tables, to the last unit.

Fake quantization rounds a real result once; the kernels rescale integers in fixed point and round twice
(edge_runtime.numpy_engine). The two differ in few cases by one unit, but a recurrent network adds such
units up over its steps, so an evaluation that is to predict a file runs the kernels. LOGISTIC and TANH
are the engine's tables, as TensorFlow's float32 functions differ between CPUs in the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.integer_kernels import KERNELS
from edge_runtime.runs.graph_record import GraphRecord, RecordedOperator, RecordedTensor
from edge_runtime.tflite.graph import Op, Operator, Quantization, Tensor

Array = NDArray[Any]

_BY_KERNEL = (Op.ADD, Op.FULLY_CONNECTED, Op.LOGISTIC, Op.MUL, Op.SUB, Op.TANH)


def integer_result(
    tf: Any, record: GraphRecord, item: RecordedOperator, inputs: list[Any]
) -> Any | None:
    """The operator's result as real values, float32; None where fake quantization gives the same.

    `inputs`: real values that the input tensors hold exactly.
    """
    tensors = [_tensor(name, record.tensors[name]) for name in (*item.inputs, *item.outputs)]
    if item.op not in _BY_KERNEL or not all(tensor.quantization for tensor in tensors):
        return None
    operator = Operator(Op(item.op), item.inputs, item.outputs, item.axis, item.relu)
    kernel, output = KERNELS[operator.op](operator, tensors), tensors[-1]

    def compute(*values: Array) -> Array:
        integers = [_integers(tensor, value) for tensor, value in zip(tensors, values)]
        (result,) = kernel(integers)
        return output.decode(result)

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
