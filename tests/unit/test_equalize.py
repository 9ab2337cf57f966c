"""Ranges of what is concatenated are brought together without changing what the network computes."""

from __future__ import annotations

import numpy as np
import pytest

from convert.compiler.float_graph.unroll import unroll
from convert.compiler.scales.calibrate import calibrate
from convert.compiler.scales.equalize import equalize
from convert.source_model.network import Network
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Op
from tests.support.networks import RandomLayers, layer_combinations, random_windows

COMBINATIONS = layer_combinations()
WITH_MATMULS_ON_THE_WINDOW = ["gru", "gru reset before", "backwards", "stacked", "bidirectional"]


def count(graph, op: Op) -> int:
    return sum(operator.op is op for operator in graph.operators)


@pytest.mark.parametrize("factor", [0.02, 1, 50])
@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_network_computes_the_same(name, factor):
    network = COMBINATIONS[name]
    windows = random_windows(network) * np.float32(factor)
    graph = unroll(network)
    equalized = equalize(graph, calibrate(graph, windows))
    np.testing.assert_allclose(run(equalized, windows), run(graph, windows), atol=2e-4)


@pytest.mark.parametrize("name", WITH_MATMULS_ON_THE_WINDOW)
def test_one_operator_serves_the_whole_window(name):
    network = COMBINATIONS[name]
    windows = random_windows(network) * 20
    graph = unroll(network)
    equalized = equalize(graph, calibrate(graph, windows))
    assert equalized.operators[0].op is Op.MUL
    assert equalized.operators[0].inputs == ("window", "window_factor")


def test_rows_of_another_layer_get_one_each():
    make = RandomLayers()
    quiet = make.lstm(5, 8, "first", return_sequences=True)
    quiet.bias[24:] -= 10  # the output gate is all but closed: h is tiny
    network = Network(7, 5, (quiet, make.lstm(8, 6, "second"), make.dense(6, 3)))
    windows = random_windows(network)
    graph = unroll(network)
    equalized = equalize(graph, calibrate(graph, windows))
    new = [op for op in equalized.operators if "second/kernel_factor" in op.inputs]
    assert len(new) == network.steps
    np.testing.assert_allclose(run(equalized, windows), run(graph, windows), atol=1e-5)


def test_nothing_changes_where_ranges_are_close():
    network = COMBINATIONS["gru"]
    windows = np.clip(random_windows(network), -1, 1)
    graph = unroll(network)
    assert equalize(graph, calibrate(graph, windows)) is graph


def test_windows_of_zeros_divide_nothing_by_zero():
    network = COMBINATIONS["stacked"]
    windows = random_windows(network) * 0
    graph = unroll(network)
    equalized = equalize(graph, calibrate(graph, windows))
    assert all(np.isfinite(equalized.tensors[name].values).all() for name in equalized.matrices())
