"""Where quantization loses, and what each choice of the converter gains, as docs/graph.md shows it.

    python benchmarks/quantization_choices.py runs/mnist

Runs in numpy only, on training windows that calibration has not seen; the test split chooses nothing.
Prints the logit error against the float graph, as Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from convert.calibrate import calibrate
from convert.compile import lower
from convert.from_keras import network_from_keras
from convert.full_model import load_full_model
from convert.graph import Graph
from convert.int8_ranges import int8_quantizations
from convert.interpret import rounding_observer, run
from convert.quantize import WEIGHT_LIMIT, quantize_matrix
from convert.range_search import LIMITS, state_candidate
from convert.rounding import second_moments
from convert.unroll import unroll
from edge_runtime.quantization import dequantize, quantize
from edge_runtime.run_directory import Run

CALIBRATION = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    opened = Run.open(parser.parse_args().run)
    network = network_from_keras(load_full_model(opened.model))
    sample = opened.calibration_windows().stratified_sample(3 * CALIBRATION, seed=0)
    windows = opened.record.normalization.apply(sample.x)
    calibration, held_out = windows[:CALIBRATION], windows[CALIBRATION:]
    graph = unroll(network)
    print("| what is rounded | mean logit error | largest |\n| --- | --- | --- |")
    weights(graph, calibration, held_out)
    activations(graph, calibration, held_out)
    cases = (("dynamic", "any"), ("dynamic", "litert-2.1"), ("mixed", "any"), ("int8", "any"))
    for precision, target in cases:
        quantized = lower(network, calibration, precision=precision, target=target)
        show(f"all of {precision}, target {target}", logits(quantized, held_out), run(graph, held_out))


def show(what: str, found: np.ndarray, exact: np.ndarray) -> None:
    error = np.abs(found - exact)
    print(f"| {what} | {error.mean():.4f} | {error.max():.3f} |")


def logits(graph: Graph, windows: np.ndarray) -> np.ndarray:
    source, result = graph.tensors[graph.input].quantization, graph.tensors[graph.output].quantization
    if source is None or result is None:
        return run(graph, windows)
    integers = run(graph, quantize(windows, source.scale[0], source.zero_point))
    return dequantize(integers, result.scale[0], result.zero_point)


def weights(graph: Graph, calibration: np.ndarray, held_out: np.ndarray) -> None:
    exact = run(graph, held_out)
    measured = second_moments(graph, calibration)
    uncorrelated = {name: np.eye(len(moments)) for name, moments in measured.items()}
    for per_channel in (False, True):
        for how, moments in (("to nearest", uncorrelated), ("by second moments", measured)):
            rounded = with_rounded_weights(graph, moments, per_channel)
            scales = "row" if per_channel else "matrix"
            show(f"int8 weights, a scale per {scales}, {how}", run(rounded, held_out), exact)


def with_rounded_weights(graph: Graph, moments: dict, per_channel: bool) -> Graph:
    tensors = dict(graph.tensors)
    for name, moment in moments.items():
        q, quantization = quantize_matrix(tensors[name].values, moment, per_channel=per_channel)
        assert np.abs(q).max() <= WEIGHT_LIMIT
        real = q * np.array(quantization.scale, np.float32)[:, np.newaxis]
        tensors[name] = replace(tensors[name], data=real)
    return replace(graph, tensors=tensors)


def activations(graph: Graph, calibration: np.ndarray, held_out: np.ndarray) -> None:
    exact = run(graph, held_out)
    ranges = calibrate(graph, calibration)
    chosen = int8_quantizations(graph, ranges, calibration)
    states = state_names(graph)
    for limit in LIMITS:
        candidate = state_candidate(ranges, states, limit, limit)
        found = run(graph, held_out, rounding_observer(candidate))
        show(f"int8 cell state, c within +-{limit:g}", found, exact)
    for what, prefixes in (
        ("cell state and its two summands, as chosen", "cku"),
        ("cell state c alone", "c"),
        ("products f * c", "k"),
        ("products i * g", "u"),
        ("gates before LOGISTIC", ("gates",)),
        ("candidate before TANH", ("new",)),
        ("outputs of LOGISTIC", ("sig",)),
        ("outputs of TANH", "gt"),
        ("h", "h"),
        ("window", ("window",)),
        ("logits", ("logits",)),
    ):
        part = {name: q for name, q in chosen.items() if belongs(name, prefixes)}
        show(f"int8 {what}", run(graph, held_out, rounding_observer(part)), exact)


def belongs(name: str, prefixes: tuple[str, ...] | str) -> bool:
    return name.rstrip("0123456789") in tuple(prefixes)


def state_names(graph: Graph) -> list[str]:
    activations = [name for name, tensor in graph.tensors.items() if tensor.data is None]
    return [name for name in activations if belongs(name, "cku")]


if __name__ == "__main__":
    main()
