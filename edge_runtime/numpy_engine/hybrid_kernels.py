"""FULLY_CONNECTED with int8 weights and float activations, as TFLite's hybrid kernel computes it.

Every row of activations is quantized on the fly to int8 with a scale and zero_point of its own, the
matmul is in integers, and the sum is scaled back to float32. What is in float64 and what in float32 is
followed too, as it decides the last bit. Source: tensorflow/lite/kernels/fully_connected.cc (EvalHybrid)
and internal/reference/portable_tensor_utils.cc (PortableAsymmetricQuantizeFloats).
native/c/float_functions.h has the same arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.float_kernels import relu
from edge_runtime.numpy_engine.integer_kernels import exact_columns, round_half_away
from edge_runtime.tflite.graph import Operator, Tensor

Array = NDArray[Any]


SMALLEST_SCALE = np.finfo(np.float32).tiny
"""A row whose scale is below this counts as zeros: the inverse of its scale may be infinite."""


def fully_connected(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """`inputs`: float32 `[N, inputs]`, int8 `[outputs, inputs]`, float32 bias `[outputs]`."""
    x, weights, bias = inputs
    q, scale, zero_point = quantize_rows(x)
    columns = exact_columns(tensors[1], weights)
    sums = ((q - zero_point).astype(columns.dtype, copy=False) @ columns).astype(np.float32, copy=False)
    # A bias of -0 would keep the sign of a sum of float zeros, which the sum of integers has not.
    product = sums * (scale * np.asarray(tensors[1].affine.scale, np.float32)) + (bias + np.float32(0))
    return [relu(product) if operator.relu else product]


def quantize_rows(x: Array) -> tuple[Array, Array, Array]:
    """int8 values `[N, n]`, scale and zero_point `[N, 1]` for each row, all as float32; 0 stays exact.

    The scale of a row with NaN or infinity is NaN, and so becomes all that is computed with it.
    """
    low = np.minimum(x.min(axis=1, keepdims=True), 0).astype(np.float64)
    high = np.maximum(x.max(axis=1, keepdims=True), 0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        exact_scale = (high - low) / 255
        finite, scale = np.isfinite(exact_scale), exact_scale.astype(np.float32)
        usable = finite & (scale >= SMALLEST_SCALE)
        exact_scale, scale = np.where(usable, exact_scale, 1), np.where(usable, scale, np.float32(1))
        zero_point = np.where(usable, _zero_points(low / exact_scale, high / exact_scale), np.float32(0))
        steps = x * (np.float32(1) / scale) + zero_point
    q = round_half_away(np.minimum(np.maximum(steps, np.float32(-128)), np.float32(127)))
    return q, np.where(finite, scale, np.float32(np.nan)), zero_point


def _zero_points(low: Array, high: Array) -> Array:
    """float32, for ranges in units of their scales, float64."""
    # The kernel takes the end of the range whose zero_point loses less to rounding.
    exact = np.where(128 - low < 127 + high, -128 - low, 127 - high)
    nearest: Array = round_half_away(np.minimum(np.maximum(exact, -128), 127)).astype(np.float32)
    return nearest
