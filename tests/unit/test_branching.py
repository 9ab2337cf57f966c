"""Networks with branches, masks, attention and tokens: the compiler against the layers' definition.

The random networks hold every kind of layer. A failure names its seed, which makes the network again.
"""

from __future__ import annotations

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.float_graph.step import step_graph
from convert.compiler.float_graph.unroll import unroll
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import (
    Affine,
    Conv1d,
    Dense,
    Flatten,
    GlobalPooling,
    Join,
    Lstm,
    Mask,
    Network,
    Repeat,
    TakeRows,
    Unflatten,
)
from convert.source_model.nodes import Node, network_of
from edge_runtime.errors import InputError
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Op
from tests.support.branching_networks import branching_networks
from tests.support.commands import ENGINES
from tests.support.engines import invoke
from tests.support.network_definition import outputs_of
from tests.support.networks import RandomLayers, random_windows
from tests.support.random_networks import random_branching_network

KINDS = branching_networks()
SEEDS = [*range(40), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(40, 600))]

MEAN_ERROR = {"float16": 0.001, "dynamic": 0.01, "int16x8": 0.01, "mixed": 0.05, "int8": 0.05}
"""Largest mean error of the outputs as a fraction of their spread."""


@pytest.mark.parametrize("seed", SEEDS)
def test_float_graphs_follow_the_definition(seed):
    network = random_branching_network(seed)
    windows = random_windows(network, 40, seed)
    expected = outputs_of(network, windows)
    scale = max(1.0, np.abs(expected).max())
    for project in (False, True):
        found = run(unroll(network, project=project), windows)
        np.testing.assert_allclose(found, expected, atol=2e-5 * scale)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_precision_stays_close_to_the_definition(seed):
    network = random_branching_network(seed)
    windows = random_windows(network, 40, seed)
    expected = outputs_of(network, windows)
    for precision, limit in MEAN_ERROR.items():
        graph = lower(network, windows, precision=precision)
        found = run(graph, graph.tensors[graph.input].encode(windows))
        error = np.abs(graph.tensors[graph.output].decode(found) - expected).mean()
        assert error <= limit * np.ptp(expected), precision


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("engine", ENGINES)
def test_random_networks_in_the_engines(seed, engine):
    network = random_branching_network(seed)
    windows = random_windows(network, 10, seed)
    for precision, limit in (("float32", 1e-5), ("int8", 0.05)):
        graph = lower(network, windows, precision=precision)
        stored = graph.tensors[graph.input].encode(windows)
        expected = graph.tensors[graph.output].decode(run(graph, stored))
        found = graph.tensors[graph.output].decode(invoke(serialize(graph), stored, engine))
        scale = max(1.0, np.abs(expected).max())
        assert np.abs(found - expected).mean() <= limit * scale, precision


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_follow_the_definition(kind):
    network = KINDS[kind]
    windows = random_windows(network, 40)
    np.testing.assert_allclose(run(unroll(network), windows), outputs_of(network, windows), atol=2e-5)


WITHOUT_ELU = [kind for kind in KINDS if Op.ELU not in {op.op for op in unroll(KINDS[kind]).operators}]


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
@pytest.mark.parametrize("kind", WITHOUT_ELU)  # the reference kernels have none
def test_int8_of_kinds_equals_the_reference_kernels_bit_for_bit(kind):
    network = KINDS[kind]
    windows = random_windows(network, 30)
    graph = lower(network, windows, precision="int8")
    stored = graph.tensors[graph.input].encode(windows)
    found = invoke(serialize(graph), stored, "tflite-runtime", "reference")
    np.testing.assert_array_equal(found, run(graph, stored))


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8", "mixed"])
def test_masked_rows_leave_the_state_exactly(precision):
    network = KINDS["masked LSTM"]
    windows = random_windows(network, 30)
    windows[:, [2, 3, 6]] = 0
    graph = lower(network, windows, precision=precision)
    states: dict[str, np.ndarray] = {}
    stored = graph.tensors[graph.input].encode(windows)
    run(graph, stored, lambda tensor, values: states.update({tensor.name: values}))
    for t in (3, 4, 7):
        for state in ("h", "c"):
            before, after = (
                graph.tensors[f"{state}{k}"].decode(states[f"{state}{k}"]) for k in (t - 1, t)
            )
            np.testing.assert_array_equal(before, after)
    assert np.abs(states["h5"].astype(float) - states["h4"]).max() > 0


def test_a_mask_far_from_all_values_costs_no_precision():
    errors = {}
    for value in (0.0, -999.0):
        window = Node()
        mask = Node(Mask("mask", np.full(3, value, np.float32)), window)
        cell = Node(RandomLayers(2).lstm(3, 8), window, mask)
        network = network_of(Node(RandomLayers(3).dense(8, 4), cell), steps=8, features=3)
        windows = np.random.default_rng(1).normal(0, 1, (200, 8, 3)).astype(np.float32)
        windows[:150, 5:] = value
        graph = lower(network, windows, precision="int8")
        found = graph.tensors[graph.output].decode(
            run(graph, graph.tensors[graph.input].encode(windows))
        )
        errors[value] = np.abs(found - outputs_of(network, windows)).mean()
    assert errors[-999.0] < 1.5 * errors[0.0], errors


def test_hard_sigmoids_cost_no_operator_in_int8():
    network = KINDS["LSTM, hard sigmoid and relu"]
    graph = lower(network, random_windows(network), precision="int8")
    assert {operator.op for operator in graph.operators} <= {
        Op.ADD,
        Op.CONCATENATION,
        Op.FULLY_CONNECTED,
        Op.MUL,
        Op.RELU,
        Op.SPLIT,
        Op.UNPACK,
    }


def test_a_node_that_two_read_is_one_layer():
    make = RandomLayers()
    rows = Node(make.lstm(3, 4, return_sequences=True), Node())
    both = Node(Join("both", "add"), rows, Node(make.dense(4, 4), rows))
    network = network_of(Node(GlobalPooling("pool", "max"), both), steps=5, features=3)
    assert [type(layer) for layer in network.layers] == [Lstm, Dense, Join, GlobalPooling]
    assert network.wiring == ((-1,), (0,), (0, 1), (2,))


def test_a_chain_of_nodes_needs_no_wiring():
    make = RandomLayers()
    last = Node(make.dense(4, 3), Node(make.lstm(3, 4), Node()))
    assert network_of(last, steps=5, features=3).wiring is None


def test_a_scale_is_folded_into_every_reader():
    make = RandomLayers()
    scaled = Node(Affine("scale", make.weights(3), make.weights(3)), Node())
    left, right = Node(make.lstm(3, 4), scaled), Node(make.gru(3, 4), scaled)
    network = network_of(Node(Join("both", "add"), left, right), steps=5, features=3)
    graph = unroll(network)
    windows = random_windows(network, 20)
    np.testing.assert_allclose(run(graph, windows), outputs_of(network, windows), atol=1e-5)
    assert "scale/scale" not in graph.tensors


def test_a_step_takes_the_last_row_and_static_columns():
    make = RandomLayers()
    rows = Node(make.lstm(3, 6, return_sequences=True), Node())
    last = Node(Flatten("flat"), Node(TakeRows("last", (6,)), rows))
    beside = Node(make.dense(2, 4, "tanh", "beside"), Node(static=True))
    both = Node(Join("both", "concat"), last, beside)
    network = network_of(Node(make.dense(10, 3), both), steps=7, features=5, static=2)
    windows = random_windows(network, 20)
    windows[..., 3:] = windows[:, :1, 3:]
    step = run(step_graph(network), windows)
    np.testing.assert_allclose(step, outputs_of(network, windows), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Flatten("all_rows"), "all_rows"),
        (TakeRows("first", (0,)), "first"),
        (GlobalPooling("pool", "max"), "pool"),
    ],
)
def test_a_step_refuses_what_needs_the_whole_window(layer, name):
    make = RandomLayers()
    rows = make.lstm(3, 4, return_sequences=True)
    with pytest.raises(InputError, match=f"--graph step: the layer {name} "):
        step_graph(Network(5, 3, (rows, layer)))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((RandomLayers().lstm(3, 4), RandomLayers().gru(4, 4)), "gru needs a sequence"),
        ((RandomLayers().lstm(3, 4, return_sequences=True), Repeat("again", 2)), "again needs a vector"),
        ((RandomLayers().lstm(3, 4), Unflatten("rows", 3)), "rows cannot cut 4 values into 3 rows"),
        ((RandomLayers().lstm(3, 4, return_sequences=True),), "gives a sequence"),
        ((Conv1d("conv", np.ones((2, 2, 3), np.float32), np.zeros(2, np.float32)),), "gives a sequence"),
    ],
)
def test_layers_that_do_not_fit_are_named(layers, message):
    with pytest.raises(ValueError, match=message):
        unroll(Network(5, 3, layers))
