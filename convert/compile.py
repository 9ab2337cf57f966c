"""Network -> bytes of a TFLite FlatBuffer: the compiler's stages in order. Loads no TensorFlow."""

from __future__ import annotations

from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.balance import balance
from convert.calibrate import calibrate
from convert.check import check_float16, check_network, check_ranges, check_windows
from convert.flatbuffer import serialize
from convert.graph import Graph
from convert.int8_ranges import int8_quantizations
from convert.network import Network
from convert.precision import scheme_for
from convert.quantize import to_dynamic, to_float16, to_int8
from convert.rounding import second_moments
from convert.scale_ties import separate
from convert.target import target_named
from convert.unroll import unroll

Windows = NDArray[np.float32]


def compile_network(
    network: Network, windows: Windows, *, precision: str, target: str = "any", strip: bool = False
) -> bytes:
    """The FlatBuffer of `network` in `precision`, for the engines of `target`.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, of the training split;
    float32 and float16 do not look at them. The same arguments give the same bytes. Raises InputError
    for an unknown precision or target, DataError for weights or windows that hold no finite numbers.
    `strip`: see flatbuffer.serialize.
    """
    return serialize(lower(network, windows, precision=precision, target=target), strip=strip)


def lower(network: Network, windows: Windows, *, precision: str, target: str = "any") -> Graph:
    """The graph that `compile_network` writes; takes and raises the same."""
    scheme = scheme_for(precision, target_named(target))
    check_network(network)
    check_windows(network, windows)
    return quantized(unroll(network), windows, scheme)


def quantized(graph: Graph, windows: Windows, scheme: str) -> Graph:
    """The float `graph` by a quantization scheme, one of those in convert.precision."""
    return _QUANTIZED[scheme](graph, windows)


def _float32(graph: Graph, windows: Windows) -> Graph:
    return graph


def _float16(graph: Graph, windows: Windows) -> Graph:
    check_float16(graph)
    return to_float16(graph)


def _dynamic_per_channel(graph: Graph, windows: Windows) -> Graph:
    return to_dynamic(graph, second_moments(graph, windows), per_channel=True)


def _dynamic_per_tensor(graph: Graph, windows: Windows) -> Graph:
    return to_dynamic(graph, second_moments(graph, windows), per_channel=False)


def _int8(graph: Graph, windows: Windows) -> Graph:
    ranges = calibrate(graph, windows)
    check_ranges(ranges)
    balanced = balance(graph, ranges)
    if balanced is not graph:
        graph, ranges = balanced, calibrate(balanced, windows)
    graph, ranges = separate(graph, ranges)
    quantizations = int8_quantizations(graph, ranges, windows)
    return to_int8(graph, second_moments(graph, windows), quantizations)


_QUANTIZED: dict[str, Callable[[Graph, Windows], Graph]] = {
    "dynamic-per-channel": _dynamic_per_channel,
    "dynamic-per-tensor": _dynamic_per_tensor,
    "float16": _float16,
    "float32": _float32,
    "int8": _int8,
}
