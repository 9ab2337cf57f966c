"""Network -> bytes of a TFLite FlatBuffer: the compiler's stages in order. Loads no TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.calibrate import calibrate
from convert.flatbuffer import serialize
from convert.graph import Graph
from convert.int8_ranges import int8_quantizations
from convert.network import Network
from convert.precision import precision_named, scheme_for
from convert.quantize import to_dynamic, to_float16, to_int8
from convert.rounding import second_moments
from convert.target import Target, target_named
from convert.target_check import check_operators
from convert.unroll import unroll


def compile_network(
    network: Network, windows: NDArray[np.float32], *, precision: str, target: str | Target = "any"
) -> bytes:
    """The FlatBuffer of `network` in `precision`, for the engines of `target`.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, of the training split;
    float32 and float16 do not look at them. The same arguments give the same bytes. Raises InputError
    for an unknown precision or target, and for an operator that the target does not load.
    """
    graph = lower(network, windows, precision=precision, target=target)
    engines = target_named(target)
    check_operators(graph, engines, scheme_for(precision, engines))
    return serialize(graph)


def lower(
    network: Network, windows: NDArray[np.float32], *, precision: str, target: str | Target = "any"
) -> Graph:
    """The graph that `compile_network` writes; takes the same, and leaves operators unchecked."""
    name, scheme = precision_named(precision).name, scheme_for(precision, target_named(target))
    graph = unroll(network)
    if name == "float16":
        return to_float16(graph)
    if name == "dynamic":
        moments = second_moments(graph, windows)
        return to_dynamic(graph, moments, per_channel=scheme == "dynamic-per-channel")
    if name == "int8":
        ranges = calibrate(graph, windows)
        quantizations = int8_quantizations(graph, ranges, windows)
        return to_int8(graph, second_moments(graph, windows), quantizations)
    return graph
