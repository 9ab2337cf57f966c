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
from convert.scale_ties import separate
from convert.step_graph import step_graph, with_tied_states
from convert.target import target_named
from convert.unroll import unroll
from edge_runtime.errors import InputError

GRAPHS = {"unrolled": unroll, "step": step_graph}
"""Name -> function from Network to float Graph: of a whole window, or of one row with states."""


def compile_network(
    network: Network,
    windows: NDArray[np.float32],
    *,
    precision: str,
    target: str = "any",
    graph: str = "unrolled",
) -> bytes:
    """The FlatBuffer of `network` in `precision`, for the engines of `target`; `graph`: one of GRAPHS.

    `windows`: normalized calibration windows, float32 `[N, steps, features]`, of the training split;
    float32 and float16 do not look at them. The same arguments give the same bytes. Raises InputError
    for an unknown precision, target or graph, and for a layer that the graph of a step cannot have.
    """
    return serialize(lower(network, windows, precision=precision, target=target, graph=graph))


def float_graph(network: Network, graph: str = "unrolled") -> Graph:
    """The float graph of that name, before quantization. Raises InputError for an unknown one."""
    if graph not in GRAPHS:
        raise InputError(f"unknown graph {graph!r}: choose {' or '.join(GRAPHS)}")
    return GRAPHS[graph](network)


def lower(
    network: Network,
    windows: NDArray[np.float32],
    *,
    precision: str,
    target: str = "any",
    graph: str = "unrolled",
) -> Graph:
    """The graph that `compile_network` writes; takes and raises the same."""
    scheme = scheme_for(precision, target_named(target))
    return quantized(float_graph(network, graph), windows, precision_named(precision).name, scheme)


def quantized(graph: Graph, windows: NDArray[np.float32], name: str, scheme: str) -> Graph:
    """The float `graph` in the precision `name`, by the quantization scheme `scheme`."""
    if name == "float16":
        return to_float16(graph)
    if name == "dynamic":
        moments = second_moments(graph, windows)
        return to_dynamic(graph, moments, per_channel=scheme == "dynamic-per-channel")
    if name == "int8":
        graph, ranges = separate(graph, calibrate(graph, windows))
        quantizations = with_tied_states(graph, int8_quantizations(graph, ranges, windows))
        return to_int8(graph, second_moments(graph, windows), quantizations)
    return graph
