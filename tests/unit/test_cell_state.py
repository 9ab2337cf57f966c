"""The float32 cell state of int8 graphs."""

from __future__ import annotations

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.compiler.scales.cell_state import keep_state_float
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import Network
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.inference.step_model import StepModel
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Op
from tests.support.commands import ENGINES
from tests.support.engines import invoke
from tests.support.networks import RandomLayers, layer_combinations, random_network, random_windows


def test_only_the_cell_update_is_float():
    graph = lower(random_network(steps=3), random_windows(random_network(steps=3)), precision="mixed")
    kinds = {name: tensor.dtype.name for name, tensor in graph.tensors.items()}
    for name in ("window", "xh2", "gates2", "sig2", "h2", "h3", "logits", "kernel"):
        assert kinds[name] == "int8"
    for name in ("i2", "f2", "g2", "c2", "k2", "u2", "t2"):
        assert kinds[name] == "float32"
    assert {kinds[op.outputs[0]] for op in graph.operators if op.op is Op.LOGISTIC} == {"int8"}
    crossings = [op.op for op in graph.operators if op.op in (Op.DEQUANTIZE, Op.QUANTIZE)]
    assert crossings == [Op.DEQUANTIZE, Op.DEQUANTIZE, Op.QUANTIZE] * 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kernels", ["default", "no-xnnpack", "reference"])
def test_engines_are_close_to_the_numpy_run(engine, kernels):
    network = random_network(features=5, units=12)
    windows = random_windows(network)
    graph = lower(network, windows, precision="mixed")
    inputs = graph.tensors[graph.input].encode(windows)
    found = invoke(serialize(graph), inputs, engine, kernels).astype(int)
    assert np.abs(found - run(graph, inputs)).max() <= 3


def test_a_graph_without_lstm_keeps_nothing_float():
    graph = keep_state_float(unroll(layer_combinations()["gru"]))
    assert not any(tensor.keep_float for tensor in graph.tensors.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_hands_its_cell_state_over_in_float32(engine):
    make = RandomLayers()
    layers = (
        make.lstm(5, 8, "first", return_sequences=True),
        make.lstm(8, 6, "second"),
        make.dense(6, 3),
    )
    network = Network(7, 5, layers)
    windows = random_windows(network)
    graph = lower(network, windows, precision="mixed", graph="step")
    kinds = [[graph.tensors[name].dtype.name for name in pair] for pair in graph.states]
    assert kinds == [["int8"] * 2, ["float32"] * 2] * 2  # h and c of either layer, before and after
    exact = run(unroll(network), windows[:10])
    model = StepModel(open_interpreter(serialize(graph), engine=engine))
    found = np.array([model.logits_by_row(window)[-1] for window in windows[:10]])
    assert np.abs(found - exact).mean() < 0.02 * np.ptp(exact)
