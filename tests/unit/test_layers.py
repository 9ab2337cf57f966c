"""Every layer through the compiler: the numpy run against both engines, float and integer.

That the float graph computes what Keras computes is tested in tests/workstation/test_keras_layers.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.model_file.flatbuffer import serialize
from convert.source_model.fold import fold
from convert.source_model.network import Affine, GlobalPooling, LayerNorm, Network
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph, Op
from tests.support.commands import ENGINES
from tests.support.engines import invoke
from tests.support.networks import RandomLayers, layer_combinations, random_windows

COMBINATIONS = layer_combinations()


@pytest.fixture(params=COMBINATIONS)
def network(request) -> Network:
    return COMBINATIONS[request.param]


def integer_windows(graph: Graph, windows: np.ndarray) -> np.ndarray:
    return graph.tensors[graph.input].encode(windows)


@pytest.mark.parametrize("kernels", ["default", "reference"])
@pytest.mark.parametrize("engine", ENGINES)
def test_float_graph_in_the_engines(network, engine, kernels):
    windows = random_windows(network, 20)
    graph = unroll(network)
    found = invoke(serialize(graph), windows, engine, kernels)
    np.testing.assert_allclose(found, run(graph, windows), atol=1e-5)


@pytest.mark.parametrize("precision", ["float16", "dynamic"])
@pytest.mark.parametrize("engine", ENGINES)
def test_small_weights_in_the_engines(network, engine, precision):
    windows = random_windows(network, 50)
    graph = lower(network, windows, precision=precision)
    found, expected = invoke(serialize(graph), windows, engine), run(graph, windows)
    spread = expected.max() - expected.min()
    # An activation is rounded to 8 bits, so a last bit of float32 decides a step of 1/127.
    assert np.abs(found - expected).max() <= spread * (0.03 if precision == "dynamic" else 1e-5)


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
def test_int8_equals_the_reference_kernels_bit_for_bit(network):
    windows = random_windows(network, 100)
    graph = lower(network, windows, precision="int8")
    inputs = integer_windows(graph, windows)
    found = invoke(serialize(graph), inputs, "tflite-runtime", "reference")
    np.testing.assert_array_equal(found, run(graph, inputs))


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_in_the_engines_is_close_to_the_float_graph(network, engine):
    windows = random_windows(network, 100)
    graph = lower(network, windows, precision="int8")
    integers = invoke(serialize(graph), integer_windows(graph, windows), engine)
    found = graph.tensors[graph.output].decode(integers)
    expected = run(unroll(network), windows)
    spread = expected.max() - expected.min()
    assert np.abs(found - expected).mean() < 0.01 * spread


def test_only_what_must_stays_float():
    graph = lower(COMBINATIONS["gru"], random_windows(COMBINATIONS["gru"]), precision="int8")
    assert {tensor.dtype.name for tensor in graph.tensors.values()} == {"int8", "int32"}
    network = COMBINATIONS["convolution, norms, largest"]
    graph = lower(network, random_windows(network), precision="int8")
    floats = {op.op for op in graph.operators if graph.tensors[op.outputs[0]].dtype == np.float32}
    assert floats == {Op.DEQUANTIZE, Op.MEAN, Op.SQUARED_DIFFERENCE, Op.ADD, Op.RSQRT, Op.SUB, Op.MUL}


def test_scales_and_offsets_cost_no_operator():
    make = RandomLayers()
    w = make.weights
    plain = (make.lstm(5, 8), make.dense(8, 6, "linear", "a"), make.dense(6, 3))
    scaled = (
        Affine("before", w(5), w(5)),
        plain[0],
        Affine("between", w(8), w(8)),
        Affine("again", w(8), w(8)),
        plain[1],
        Affine("behind", w(6), w(6)),
        plain[2],
    )
    assert [type(layer) for layer in fold(Network(4, 5, scaled)).layers] == [
        type(layer) for layer in plain
    ]


@pytest.mark.parametrize("kind", ["average", "max"])
def test_folding_changes_nothing(kind):
    make = RandomLayers()
    w = make.weights
    head = (make.lstm(5, 8, return_sequences=True),)
    middle = (
        LayerNorm("norm", w(8), w(8), 1e-3),
        Affine("scale", w(8), w(8)),
        GlobalPooling("pool", kind),
    )
    tail = (make.dense(8, 3),)
    network = Network(6, 5, (*head, *middle, *tail))
    windows = random_windows(network, 50)
    rows = _rows_of(Network(6, 5, head), windows)
    centered = rows - rows.mean(axis=-1, keepdims=True)
    normal = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-3)
    normal = normal * middle[0].gamma + middle[0].beta
    affine = normal * middle[1].scale + middle[1].offset
    pooled = affine.mean(axis=1) if kind == "average" else affine.max(axis=1)
    expected = pooled @ tail[0].kernel.T + tail[0].bias
    np.testing.assert_allclose(run(unroll(network), windows), expected, atol=1e-4)


def _rows_of(network: Network, windows: np.ndarray) -> np.ndarray:
    """Every h of a recurrent layer, from graphs cut after each step."""
    make = RandomLayers(9)
    units = network.layers[0].units
    identity = make.dense(units, units)
    identity = type(identity)("eye", np.eye(units, dtype=np.float32), np.zeros(units, np.float32))
    last = [
        run(
            unroll(Network(t, network.features, (_last_only(network.layers[0]), identity))),
            windows[:, :t],
        )
        for t in range(1, network.steps + 1)
    ]
    return np.stack(last, axis=1)


def _last_only(layer):
    return type(layer)(layer.name, layer.kernel, layer.recurrent_kernel, layer.bias)


def test_a_sequence_at_the_end_is_refused():
    make = RandomLayers()
    with pytest.raises(ValueError, match="gives a sequence"):
        unroll(Network(3, 5, (make.lstm(5, 8, return_sequences=True),)))


def test_names_are_unique_where_layers_share_a_name():
    make = RandomLayers()
    layers = (make.lstm(5, 8, return_sequences=True), make.lstm(8, 8), make.dense(8, 3))
    names = set(unroll(Network(3, 5, layers)).tensors)
    assert {"lstm0/h1", "lstm1/h1", "dense_kernel"} <= names
