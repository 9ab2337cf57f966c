"""Networks and windows that no file can represent are refused with a message; odd ones are correct."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import Bidirectional, Network
from edge_runtime.errors import DataError, InputError
from edge_runtime.numpy_engine.interpret import run
from tests.support.commands import ENGINES
from tests.support.engines import invoke
from tests.support.networks import RandomLayers, random_network, random_windows

PRECISIONS = ("float32", "float16", "dynamic", "mixed", "int8")


def with_lstm(network: Network, **changes) -> Network:
    lstm, dense = network.layers
    return replace(network, layers=(replace(lstm, **changes), dense))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_that_are_not_finite_name_the_layer(precision, value):
    network = random_network()
    kernel = network.layers[0].kernel.copy()
    kernel[3, 1] = value
    with pytest.raises(DataError, match=r"'lstm': 1 of 96 values of kernel are NaN"):
        lower(with_lstm(network, kernel=kernel), random_windows(network), precision=precision)


def test_layers_inside_a_bidirectional_are_looked_at():
    make = RandomLayers()
    bad = make.lstm(3, 4, go_backwards=True)
    bad.bias[0] = np.nan
    network = Network(4, 3, (Bidirectional("both", make.lstm(3, 4), bad), make.dense(8, 2)))
    with pytest.raises(DataError, match="'both': 1 of 16 values of backward bias"):
        lower(network, random_windows(network), precision="int8")


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_calibration_windows_that_are_not_finite(value):
    network = random_network()
    windows = random_windows(network)
    windows[0, 0, 0] = value
    with pytest.raises(DataError, match="calibration windows hold NaN"):
        lower(network, windows, precision="int8")


@pytest.mark.parametrize("shape", [(0, 5, 3), (9, 5, 4), (9, 6, 3), (9, 15)])
def test_calibration_windows_of_another_shape(shape):
    with pytest.raises(DataError, match=r"Expected \[N, 5, 3\]"):
        lower(random_network(), np.zeros(shape, np.float32), precision="int8")


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_weights_that_float16_cannot_hold_are_refused(factor):
    network = random_network()
    scaled = with_lstm(
        network,
        kernel=network.layers[0].kernel * np.float32(factor),
        recurrent_kernel=network.layers[0].recurrent_kernel * np.float32(factor),
    )
    with pytest.raises(InputError, match="float16 cannot hold the weights 'kernel'"):
        lower(scaled, random_windows(network), precision="float16")


def test_overflow_on_calibration_windows_names_the_tensor():
    network = random_network()
    lstm, dense = network.layers
    large = replace(dense, kernel=np.full_like(dense.kernel, 3e38), bias=np.full(4, 3e38, np.float32))
    with np.errstate(over="ignore"), pytest.raises(DataError, match="'logits' overflows float32"):
        lower(replace(network, layers=(lstm, large)), random_windows(network) * 10, precision="int8")


ODD = ("zero rows", "all zero", "constant windows", "huge", "tiny")
CASES = [(odd, precision) for odd in ODD for precision in PRECISIONS]
CASES.remove(("tiny", "float16"))  # refused, see above


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("odd", "precision"), CASES)
def test_odd_weights_and_windows_come_out_right(odd, precision, engine):
    network, windows = _odd(odd)
    graph = lower(network, windows, precision=precision)
    inputs = graph.tensors[graph.input].encode(windows[:20])
    found = graph.tensors[graph.output].decode(invoke(serialize(graph), inputs, engine))
    expected = run(unroll(network), windows[:20])
    size = np.abs(expected).max() or 1
    assert np.abs(found - expected).mean() <= size * (1e-3 if precision.startswith("f") else 0.05)


def _odd(kind: str) -> tuple[Network, np.ndarray]:
    network = random_network()
    lstm, dense = network.layers
    windows = random_windows(network, 100)
    if kind == "zero rows":
        kernel, recurrent = lstm.kernel.copy(), lstm.recurrent_kernel.copy()
        kernel[::3], recurrent[::3] = 0, 0
        return with_lstm(network, kernel=kernel, recurrent_kernel=recurrent), windows
    if kind == "all zero":
        zeros = {"kernel": lstm.kernel * 0, "recurrent_kernel": lstm.recurrent_kernel * 0}
        return with_lstm(network, **zeros, bias=lstm.bias * 0), windows
    if kind == "constant windows":
        return network, np.ones_like(windows)
    factor = np.float32(1e4 if kind == "huge" else 1e-6)
    scaled = replace(dense, kernel=dense.kernel * factor, bias=dense.bias * factor)
    return replace(network, layers=(lstm, scaled)), windows
