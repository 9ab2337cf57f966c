"""Network -> bytes of a TFLite FlatBuffer, by the compiler's stages in order. Loads no TensorFlow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.compiler.checks import check_float16, check_network, check_ranges, check_windows
from convert.compiler.float_graph.step import step_graph
from convert.compiler.float_graph.unroll import unroll
from convert.compiler.quantize import to_int8, to_int16x8
from convert.compiler.recipe import Recipe
from convert.compiler.scales.calibrate import Range, calibrate
from convert.compiler.scales.cell_state import keep_state_float
from convert.compiler.scales.clipped import without_masked_rows
from convert.compiler.scales.equalize import equalize
from convert.compiler.scales.int8_scales import int8_quantizations
from convert.compiler.scales.int16_scales import int16_quantizations
from convert.compiler.scales.rounding_ties import without_rounding_ties
from convert.compiler.scales.shared_scales import separate, with_shared_states
from convert.compiler.weights.formats import SCHEME_FORMATS, WeightFormat, with_weights
from convert.compiler.weights.gptq import second_moments
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import Network
from convert.targets.operator_check import check_operators
from convert.targets.precision import scheme_for
from convert.targets.target import Target, target_named
from edge_runtime.errors import InputError
from edge_runtime.model_file.metadata import STEP, UNROLLED
from edge_runtime.tflite.graph import Graph

Windows = NDArray[np.float32]

GRAPHS = {UNROLLED: unroll, STEP: step_graph}
"""Name -> function from Network to float Graph, for a whole window or for one row with states."""


PROJECTED = ("float32",)
"""Schemes in which one matmul over the window is faster than joining input and state in every step."""


def compile_network(
    network: Network,
    windows: Windows,
    *,
    precision: str,
    target: str | Target = "any",
    graph: str = "unrolled",
    strip: bool = False,
) -> bytes:
    """Compile a network to the bytes of a TFLite FlatBuffer, without metadata and without a proof.

        from convert import Dense, Lstm, Network, compile_network

        layers = (Lstm("lstm", kernel, recurrent_kernel, bias), Dense("logits", weights, offsets))
        data = compile_network(Network(28, 28, layers), windows, precision="int8")

    - `network`: the weights as numpy arrays.
    - `windows`: normalized calibration windows, float32 `[N, steps, features]`, of the training split.
      float32 and float16 do not look at them.
    - `precision`: the name of one of `PRECISIONS`.
    - `target`: one of `TARGETS`, or its name. Default: "any".
    - `graph`: "unrolled" (the default) or "step".
    - `strip`: leave out the tensor names. Default: False.

    The same arguments give the same bytes. Raises InputError for an unknown precision, target or graph,
    for a layer that the graph of a step cannot have, and for an operator that the target does not load,
    and DataError for weights or windows that are not finite.
    """
    lowered = lower(network, windows, precision=precision, target=target, graph=graph)
    engines = target_named(target)
    check_operators(lowered, engines, scheme_for(precision, engines))
    return serialize(lowered, strip=strip)


def float_graph(network: Network, graph: str = "unrolled") -> Graph:
    """The float graph before quantization; `graph`: one of GRAPHS, otherwise InputError is raised."""
    if graph not in GRAPHS:
        raise InputError(f"unknown graph {graph!r}. Choose {' or '.join(GRAPHS)}.")
    return GRAPHS[graph](network)


def lower(
    network: Network,
    windows: Windows,
    *,
    precision: str,
    target: str | Target = "any",
    graph: str = "unrolled",
    recipe: Recipe | None = None,
) -> Graph:
    """The graph that `compile_network` writes, without the check of its operators.

    The arguments are those of `compile_network`. `recipe` replaces ranges or weight formats; InputError
    is raised if the precision does not have them.
    """
    scheme = scheme_for(precision, target_named(target))
    if recipe is not None:
        recipe.check(scheme, target_named(target))
    check_network(network)
    check_windows(network, windows)
    if graph == UNROLLED and scheme in PROJECTED:
        return quantized(unroll(network, project=True), windows, scheme, recipe)
    return quantized(float_graph(network, graph), windows, scheme, recipe)


def quantized(graph: Graph, windows: Windows, scheme: str, recipe: Recipe | None = None) -> Graph:
    """The float `graph` quantized by `scheme`, one of the schemes in convert.targets.precision."""
    windows = graph.tensors[graph.input].encode(windows)  # tokens are int32 in every graph
    if scheme in SCHEME_FORMATS:
        return _with_float_activations(graph, windows, SCHEME_FORMATS[scheme], recipe)
    return _with_integer_activations(graph, windows, scheme, recipe)


def _ranges(graph: Graph, windows: Windows) -> dict[str, Range]:
    return without_masked_rows(graph, calibrate(graph, windows), windows)


def _with_float_activations(
    graph: Graph, windows: Windows, stored: WeightFormat, recipe: Recipe | None
) -> Graph:
    formats = dict.fromkeys(graph.matrices(), stored)
    if recipe is not None:
        formats = recipe.apply_formats(formats)
    kinds = {item.kind for item in formats.values()}
    if "float16" in kinds:
        check_float16(graph)
    integer = bool(kinds & {"int8", "int4"})
    return with_weights(graph, second_moments(graph, windows) if integer else {}, formats)


def _with_integer_activations(
    graph: Graph, windows: Windows, scheme: str, recipe: Recipe | None
) -> Graph:
    if scheme == "int8-float-state":
        graph = keep_state_float(graph)
    ranges = _ranges(graph, windows)
    check_ranges(ranges)
    equalized = equalize(graph, ranges)
    if equalized is not graph:
        graph, ranges = equalized, _ranges(equalized, windows)
    graph, ranges = separate(graph, ranges, tables=scheme != "int16x8")
    moments = second_moments(graph, windows)
    if scheme == "int16x8":
        int16 = with_shared_states(graph, int16_quantizations(graph, ranges))
        return to_int16x8(graph, moments, int16)
    quantizations = int8_quantizations(graph, ranges, windows)
    if recipe is not None:
        quantizations = recipe.apply_ranges(graph, quantizations)
    quantizations = without_rounding_ties(graph, with_shared_states(graph, quantizations))
    return to_int8(graph, moments, quantizations)
