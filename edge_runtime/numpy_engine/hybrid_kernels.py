"""FULLY_CONNECTED with int8 weights and float activations, as TFLite's hybrid kernel computes it.

Every row of activations is quantized on the fly to int8 with a scale and zero_point of its own, the
matmul is in integers, and the sum is scaled back to float32. Source:
tensorflow/lite/kernels/fully_connected.cc (EvalHybrid) and
internal/reference/portable_tensor_utils.cc (AsymmetricQuantizeFloats).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.integer_kernels import exact_columns
from edge_runtime.tflite.graph import Operator, Tensor

Array = NDArray[Any]


def fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """`inputs`: float32 `[N, inputs]`, int8 `[outputs, inputs]`, float32 bias `[outputs]`."""
    x, weights, bias = inputs
    q, scale, zero_point = quantize_rows(x)
    columns = exact_columns(tensors[1], weights)
    accumulators = ((q - zero_point).astype(columns.dtype) @ columns).astype(np.float64)
    weight_scale = np.asarray(tensors[1].affine.scale, np.float32)
    product = (accumulators * (scale * weight_scale)).astype(np.float32) + bias
    return [np.maximum(product, np.float32(0)) if operator.relu else product]


def quantize_rows(x: Array) -> tuple[Array, Array, Array]:
    """int8 values (as float64) `[N, n]`, scale and zero_point `[N, 1]` for each row; 0 stays exact."""
    low = np.minimum(x.min(axis=1, keepdims=True), 0).astype(np.float64)
    high = np.maximum(x.max(axis=1, keepdims=True), 0).astype(np.float64)
    scale = np.where(high > low, (high - low) / 255, 1)
    from_low, from_high = -128 - low / scale, 127 - high / scale
    # The kernel takes the end of the range whose zero_point loses less to rounding.
    better_low = 128 + np.abs(low / scale) < 127 + np.abs(high / scale)
    zero_point = np.clip(np.rint(np.where(better_low, from_low, from_high)), -128, 127)
    q = np.clip(np.rint(x / scale + zero_point), -128, 127)
    return q, scale, zero_point
