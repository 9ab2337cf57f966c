"""The version of each operator in the file: the lowest that describes how a graph uses the operator.

Source: tensorflow/lite/tools/versioning/op_version.cc.
"""

from __future__ import annotations

import numpy as np

from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor


def op_version(graph: Graph, operator: Operator) -> int:
    """The lowest version of the operator that describes this use of it."""
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    if tensors[-1].dtype == np.int16:
        return _INT16_VERSIONS[operator.op]
    if operator.op is Op.FULLY_CONNECTED:
        return _fully_connected_version(tensors[0], tensors[1])
    if operator.op is Op.RESHAPE:
        return 1
    if operator.op is Op.DEQUANTIZE:
        return 3 if tensors[0].dtype in (np.float16, np.int16) else 2
    if operator.op is Op.SPLIT and tensors[-1].dtype == np.int32:
        return 3
    if tensors[-1].dtype != np.int8:
        return 1
    return 3 if operator.op is Op.MUL and _rescale(tensors) >= 1 else 2


def _fully_connected_version(source: Tensor, weights: Tensor) -> int:
    if weights.dtype != np.int8:
        return 5 if len(source.shape) > 2 else 1  # 5: keep_num_dims
    if source.dtype == np.int8:
        return 4
    # No version describes int4. tflite-runtime 2.14, which loads versions up to 11, corrupts its memory
    # on int4, so the file asks for a version that it refuses.
    return 12 if weights.int4 or weights.affine.per_channel else 9


_INT16_VERSIONS = {
    Op.ADD: 3,
    Op.CONCATENATION: 3,
    Op.GATHER: 4,
    Op.PACK: 3,
    Op.QUANTIZE: 2,
    Op.REDUCE_MAX: 3,
    Op.RELU: 3,
    Op.RESHAPE: 1,
    Op.FULLY_CONNECTED: 7,
    Op.LOGISTIC: 3,
    Op.MUL: 4,
    Op.SPLIT: 4,
    Op.SUB: 5,
    Op.TANH: 3,
    Op.UNPACK: 4,
}
"""Versions with int16 inputs and outputs whose scales are not powers of two."""


def _rescale(tensors: list[Tensor]) -> float:
    scales = [tensor.quantization.scale[0] for tensor in tensors if tensor.quantization]
    return scales[0] * scales[1] / scales[2]
