"""Affine quantization as the TFLite specification defines it: real = scale * (q - zero_point).

Source: TensorFlow Lite 8-bit quantization specification,
https://ai.google.dev/edge/litert/models/quantization_spec
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

WEIGHT_LIMIT = 127
"""Weights use -127..127, symmetric (8-bit quantization specification): -128 is left out."""


def quantize(
    real: NDArray[np.floating[Any]], scale: float, zero_point: int, dtype: DTypeLike = np.int8
) -> NDArray[Any]:
    """Round `real` (float, any shape) to the nearest integer of `dtype`, clipping to its range.

    Ties round to even. Values outside the representable range saturate: they never wrap.
    """
    info = np.iinfo(dtype)
    with np.errstate(over="ignore"):  # infinity saturates, too
        steps = np.rint(np.asarray(real, np.float32) / np.float32(scale)) + zero_point
    result: NDArray[Any] = np.clip(steps, info.min, info.max).astype(dtype)
    return result


def dequantize(q: NDArray[np.integer[Any]], scale: float, zero_point: int) -> NDArray[np.float32]:
    """The real values, float32, that the integers `q` (any shape) stand for."""
    return (q.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
