"""Network -> bytes of a TFLite FlatBuffer: the compiler's stages in order. Loads no TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.balance import balance
from convert.calibrate import calibrate
from convert.check import check_float16, check_network, check_ranges, check_windows
from convert.flatbuffer import serialize
from convert.graph import Graph
from convert.int8_ranges import int8_quantizations
from convert.int16_ranges import int16_quantizations
from convert.network import Network
from convert.precision import scheme_for
from convert.quantize import matrices, to_int8, to_int16x8
from convert.rounding import second_moments
from convert.scale_ties import separate
from convert.target import target_named
from convert.unroll import unroll
from convert.weight_formats import SCHEME_FORMATS, WeightFormat, with_weights

Windows = NDArray[np.float32]


def compile_network(network: Network, windows: Windows, *, precision: str, target: str = "any") -> bytes:
    """The FlatBuffer of `network` in `precision`, for the engines of `target`.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, of the training split;
    float32 and float16 do not look at them. The same arguments give the same bytes. Raises InputError
    for an unknown precision or target, DataError for weights or windows that hold no finite numbers.
    """
    return serialize(lower(network, windows, precision=precision, target=target))


def lower(network: Network, windows: Windows, *, precision: str, target: str = "any") -> Graph:
    """The graph that `compile_network` writes; takes and raises the same."""
    scheme = scheme_for(precision, target_named(target))
    check_network(network)
    check_windows(network, windows)
    return quantized(unroll(network), windows, scheme)


def quantized(graph: Graph, windows: Windows, scheme: str) -> Graph:
    """The float `graph` by a quantization scheme, one of those in convert.precision."""
    if scheme in SCHEME_FORMATS:
        return _with_float_activations(graph, windows, SCHEME_FORMATS[scheme])
    return _with_integer_activations(graph, windows, scheme)


def _with_float_activations(graph: Graph, windows: Windows, stored: WeightFormat) -> Graph:
    formats = dict.fromkeys(matrices(graph), stored)
    if stored.kind == "float16":
        check_float16(graph)
    integer = stored.kind in ("int8", "int4")
    return with_weights(graph, second_moments(graph, windows) if integer else {}, formats)


def _with_integer_activations(graph: Graph, windows: Windows, scheme: str) -> Graph:
    ranges = calibrate(graph, windows)
    check_ranges(ranges)
    balanced = balance(graph, ranges)
    if balanced is not graph:
        graph, ranges = balanced, calibrate(balanced, windows)
    graph, ranges = separate(graph, ranges)
    moments = second_moments(graph, windows)
    if scheme == "int16x8":
        return to_int16x8(graph, moments, int16_quantizations(graph, ranges))
    return to_int8(graph, moments, int8_quantizations(graph, ranges, windows))
