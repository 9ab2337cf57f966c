"""Network -> bytes of a TFLite FlatBuffer: the compiler's stages in order. Loads no TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.calibrate import calibrate
from convert.flatbuffer import serialize
from convert.graph import Graph
from convert.int16_ranges import int16_quantizations
from convert.int8_ranges import int8_quantizations
from convert.network import Network
from convert.precision import scheme_for
from convert.quantize import matrices, to_int8, to_int16x8
from convert.rounding import second_moments
from convert.scale_ties import separate
from convert.target import target_named
from convert.unroll import unroll
from convert.weight_formats import SCHEME_FORMATS, WeightFormat, with_weights


def compile_network(
    network: Network, windows: NDArray[np.float32], *, precision: str, target: str = "any"
) -> bytes:
    """The FlatBuffer of `network` in `precision`, for the engines of `target`.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, of the training split;
    float32 and float16 do not look at them. The same arguments give the same bytes. Raises InputError
    for an unknown precision or target.
    """
    return serialize(lower(network, windows, precision=precision, target=target))


def lower(
    network: Network, windows: NDArray[np.float32], *, precision: str, target: str = "any"
) -> Graph:
    """The graph that `compile_network` writes; takes and raises the same."""
    scheme = scheme_for(precision, target_named(target))
    graph = unroll(network)
    if scheme in SCHEME_FORMATS:
        return _with_float_activations(graph, windows, SCHEME_FORMATS[scheme])
    moments = second_moments(graph, windows)
    graph, ranges = separate(graph, calibrate(graph, windows))
    if scheme == "int16x8":
        return to_int16x8(graph, moments, int16_quantizations(graph, ranges))
    return to_int8(graph, moments, int8_quantizations(graph, ranges, windows))


def _with_float_activations(graph: Graph, windows: NDArray[np.float32], stored: WeightFormat) -> Graph:
    formats = dict.fromkeys(matrices(graph), stored)
    integer = any(item.kind in ("int8", "int4") for item in formats.values())
    return with_weights(graph, second_moments(graph, windows) if integer else {}, formats)
