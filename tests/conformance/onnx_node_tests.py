"""ONNX's own backend node tests for LSTM, GRU and RNN, converted and run.

    python -m tests.conformance.onnx_node_tests

Each test is a model of one node with the values of its inputs and the expected outputs. X is the window.
The weights, lengths and initial states are inputs of the test's model and become constants, as in a
trained model. Every output is converted by itself (Y as one flat vector) to the float32 graph. This
graph runs in numpy and, serialized, in every installed engine, window by window if the test has a batch.
The tolerances are the test suite's own. An output passes, or is refused with the message that a user
would read.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from convert.compiler.float_graph.unroll import unroll
from convert.model_file.flatbuffer import serialize
from convert.readers.onnx.file import file_from_model
from convert.readers.onnx.read_model import network_from_onnx
from edge_runtime.engines.engine import installed_engines
from edge_runtime.errors import DataError
from edge_runtime.numpy_engine.interpret import run
from tests.support.engines import invoke

SUITES = ("test_lstm_", "test_gru_", "test_rnn_", "test_simple_rnn_")


@dataclass(frozen=True)
class Outcome:
    """The result of one output of one test."""

    case: str
    output: str
    refused: str | None
    """The message; None if every run gave the expected values."""
    runs: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def cases() -> dict:
    """Name -> test case of the installed onnx package."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # other nodes' test data overflow on purpose
        from onnx.backend.test.loader import load_model_tests

        found = load_model_tests(kind="node")
    return {case.name: case for case in found if case.name.startswith(SUITES)}


def outputs() -> list[tuple[str, str]]:
    """Every (test, output)."""
    return [
        (name, output)
        for name, case in sorted(cases().items())
        for output in case.model.graph.node[0].output
        if output
    ]


def outcome(name: str, output: str) -> Outcome:
    """Convert one output, run it and compare. Raises AssertionError when values differ."""
    case = cases()[name]
    (inputs, expected), *more = case.data_sets
    assert not more
    values = dict(zip([item.name for item in case.model.graph.input], inputs))
    wanted = dict(zip([item.name for item in case.model.graph.output], expected))[output]
    x = values.pop("X")
    layout = next((a.i for a in case.model.graph.node[0].attribute if a.name == "layout"), 0)
    windows = x if layout else x.transpose(1, 0, 2)
    batch, steps, features = windows.shape
    flat = _batch_first(wanted, output, layout).reshape(batch, -1)
    try:
        model = _flat_output(case.model, output, layout)
        read = network_from_onnx(file_from_model(model, name, values), steps, features)
    except DataError as error:
        return Outcome(name, output, str(error))
    graph = unroll(read.network)
    tolerance = {"rtol": case.rtol, "atol": case.atol}
    np.testing.assert_allclose(run(graph, windows), flat, **tolerance)
    engines = installed_engines()
    for engine in engines:
        result = invoke(serialize(graph), windows, engine)
        np.testing.assert_allclose(result, flat, **tolerance, err_msg=engine)
    return Outcome(name, output, None, ("numpy", *engines))


_BATCH_FIRST = {("Y", 0): (2, 0, 1, 3), ("Y_h", 0): (1, 0, 2), ("Y_c", 0): (1, 0, 2)}
"""Axes that bring the batch to the front, where layout=1 has it."""


def _batch_first(array, output: str, layout: int):
    return array.transpose(_BATCH_FIRST.get((output, layout), range(array.ndim)))


def _flat_output(model, output: str, layout: int):
    """The model with one output, `[batch, n]`."""
    from onnx import helper

    copy = type(model)()
    copy.CopyFrom(model)
    rank = 4 if output == "Y" else 3
    axes = list(_BATCH_FIRST.get((output, layout), range(rank)))
    copy.graph.node.append(helper.make_node("Transpose", [output], ["batch_first"], perm=axes))
    copy.graph.node.append(helper.make_node("Flatten", ["batch_first"], ["flat"], axis=1))
    del copy.graph.output[:]
    copy.graph.output.append(helper.make_empty_tensor_value_info("flat"))
    return copy


def main() -> None:
    """Print the table."""
    import onnx

    results = [outcome(*item) for item in outputs()]
    refused = [result for result in results if result.refused]
    whole = {result.case for result in results} - {result.case for result in refused}
    print(f"onnx {onnx.__version__}: {len(cases())} node tests with {len(results)} outputs")
    print(f"passed: {len(results) - len(refused)} outputs, all those of {len(whole)} tests")
    print(f"run in: {', '.join(results[0].runs)}")
    print(f"refused: {len(refused)} outputs")
    for result in refused:
        print(f"  {result.refused}")


if __name__ == "__main__":
    main()
