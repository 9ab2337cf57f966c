"""Refuses networks and windows that no precision can represent, before anything is compiled."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.scales.calibrate import Range
from convert.source_model.network import Network
from edge_runtime.errors import DataError, InputError
from edge_runtime.tflite.graph import Graph

FLOAT16_LOSS = 1e-3
"""Largest error of a matrix in float16, relative to its norm. Rounding alone gives 3e-4."""


def check_network(network: Network) -> None:
    """Raises DataError that names the layer and its weights if these hold NaN or infinity."""
    for layer in network.layers:
        for name, weights in _weights(layer):
            if not np.isfinite(weights).all():
                count = int(np.count_nonzero(~np.isfinite(weights)))
                raise DataError(
                    f"layer {layer.name!r}: {count} of {weights.size} values of {name} are NaN or "
                    "infinite. The training has diverged, or the file is damaged."
                )


def check_windows(network: Network, windows: NDArray[np.float32]) -> None:
    """Raises DataError when calibration windows are missing, of another shape, or not finite."""
    expected = (network.steps, network.features)
    if windows.ndim != 3 or windows.shape[1:] != expected or not len(windows):
        raise DataError(
            f"the calibration windows have shape {list(windows.shape)}. "
            f"Expected [N, {network.steps}, {network.features}] with N of at least 1."
        )
    if not np.isfinite(windows).all():
        raise DataError("the calibration windows hold NaN or infinity. Expected finite numbers.")


def check_ranges(ranges: dict[str, Range]) -> None:
    """Raises DataError when float32 overflows on the calibration windows, naming the first tensor."""
    for name, found in ranges.items():
        if not np.isfinite((found.low, found.high)).all():
            raise DataError(
                f"the tensor {name!r} overflows float32 on the calibration windows, because weights or "
                "windows are too large. Scale the windows to about -1 to 1."
            )


def check_float16(graph: Graph) -> None:
    """Raises InputError for a matrix that is too large for float16, or too small for its precision.

    The norm of the error is compared with the norm of the matrix, so single weights near zero may
    vanish.
    """
    for name in graph.matrices():
        values = graph.tensors[name].values
        largest = float(np.abs(values).max(initial=0))
        with np.errstate(over="ignore"):
            lost = np.linalg.norm(values - values.astype(np.float16).astype(np.float32))
        if not lost <= FLOAT16_LOSS * np.linalg.norm(values):
            raise InputError(
                f"float16 cannot hold the weights {name!r}, the largest of which is {largest:g}. "
                "Its range is about 6e-05 to 65504. Choose another precision."
            )


def _weights(layer: Any, prefix: str = "") -> list[tuple[str, NDArray[Any]]]:
    """Names and values of a layer's arrays and of the arrays of layers inside it."""
    result: list[tuple[str, NDArray[Any]]] = []
    for item in fields(layer):
        value = getattr(layer, item.name)
        if isinstance(value, np.ndarray):
            result.append((prefix + item.name, value))
        elif is_dataclass(value):
            result.extend(_weights(value, f"{prefix}{item.name} "))
    return result
