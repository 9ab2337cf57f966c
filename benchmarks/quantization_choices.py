"""Measures where quantization loses accuracy, and what the converter's choices gain
(docs/internals/graph.md).

    python -m benchmarks.quantization_choices runs/mnist

Runs in numpy only, on training windows that calibration has not seen. The test split chooses nothing.
Prints the logit error against the float graph, as Markdown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from benchmarks.cpu import cpu_name
from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.compiler.scales.calibrate import calibrate
from convert.compiler.scales.cell_state import state_tensors
from convert.compiler.scales.cell_state_search import STATE_LIMITS, state_candidate
from convert.compiler.scales.equalize import equalize
from convert.compiler.scales.int8_scales import int8_quantizations
from convert.compiler.scales.shared_scales import separate
from convert.compiler.weights.gptq import quantize_matrix, second_moments
from convert.readers.keras.read_model import network_from_keras
from convert.readers.tensorflow.full_models import load_full_model
from edge_runtime.numpy_engine.interpret import rounding_observer, run
from edge_runtime.runs.run_directory import Run
from edge_runtime.tflite.graph import Graph, Op
from edge_runtime.tflite.quantization import WEIGHT_LIMIT

CALIBRATION = 500

WHOLE = (
    ("dynamic", "any"),
    ("dynamic", "litert-2.1"),
    ("int4", "litert-2.1"),
    ("int16x8", "any"),
    ("mixed", "any"),
    ("int8", "any"),
)
"""Precision and target of the graphs that are compared as the converter writes them."""

TENSORS = (
    ("cell state c and its summands, as chosen", "cku"),
    ("gates before LOGISTIC", ("gates",)),
    ("candidate before TANH", ("new",)),
    ("outputs of LOGISTIC", ("sig",)),
    ("candidate g", "g"),
    ("tanh(c)", "t"),
    ("h", "h"),
    ("window", ("window",)),
    ("logits", ("logits",)),
)
"""What is rounded by itself -> its tensors by name (recurrent_cells), without the number of a step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    opened = Run.open(parser.parse_args().run)
    network = network_from_keras(load_full_model(opened.model))
    sample = opened.calibration_windows().stratified_sample(3 * CALIBRATION, seed=0)
    windows = opened.record.normalization.apply(sample.x)
    calibration, held_out = windows[:CALIBRATION], windows[CALIBRATION:]
    graph = unroll(network)
    print(f"CPU: {cpu_name()}; the figures do not depend on it.\n")
    print("| what is rounded | mean logit error | largest |\n| --- | --- | --- |")
    weights(graph, calibration, held_out)
    activations(graph, calibration, held_out)
    for precision, target in WHOLE:
        quantized = lower(network, calibration, precision=precision, target=target)
        show(f"all of {precision}, target {target}", logits(quantized, held_out), run(graph, held_out))


def show(what: str, found: np.ndarray, exact: np.ndarray) -> None:
    error = np.abs(found - exact)
    print(f"| {what} | {error.mean():.4f} | {error.max():.3f} |")


def logits(graph: Graph, windows: np.ndarray) -> np.ndarray:
    stored = run(graph, graph.tensors[graph.input].encode(windows))
    return graph.tensors[graph.output].decode(stored)


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
    equalized = equalize(graph, ranges)
    if equalized is not graph:
        graph, ranges = equalized, calibrate(equalized, calibration)
    graph, ranges = separate(graph, ranges)
    chosen = int8_quantizations(graph, ranges, calibration)
    last = last_state(graph)
    states = [name for name in ranges if name in state_tensors(graph) - {last}]
    for limit in STATE_LIMITS:
        candidate = {**state_candidate(ranges, states, limit, limit), last: chosen[last]}
        found = run(graph, held_out, rounding_observer(candidate))
        within = f"within +-{limit:g}" if np.isfinite(limit) else "not limited"
        show(f"int8 cell state c and its summands, {within}", found, exact)
    for what, names in TENSORS:
        part = {name: q for name, q in chosen.items() if name.rstrip("0123456789") in names}
        assert part, f"the graph has no tensors called {names}"
        show(f"int8 {what}", run(graph, held_out, rounding_observer(part)), exact)
    show("int8 every activation", run(graph, held_out, rounding_observer(chosen)), exact)


def last_state(graph: Graph) -> str:
    """c of the last step. Its range is that of TANH, because no later step adds to it."""
    squashed = [op.inputs[0] for op in graph.operators if op.op is Op.TANH]
    return [name for name in squashed if name in state_tensors(graph)][-1]


if __name__ == "__main__":
    main()
