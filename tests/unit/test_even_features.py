"""Features of unlike units are normalized where rounding the window would lose some, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.even_features import even_features
from convert.proof.row_parity import numpy_logits
from convert.source_model.fold import fold
from convert.source_model.network import Affine, LayerNorm, Mask, Network
from convert.source_model.nodes import Node, network_of
from convert.source_model.source_model import SourceModel
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.runs.labelled_windows import LabelledWindows
from tests.support.networks import random_network, random_windows

CHAIN = random_network(units=12)
MEAN, STD = np.array([1013.0, 0.0, 20.0]), np.array([40.0, 0.01, 5.0])
NOT_NORMALIZED = Normalization((0.0,), (1.0,))
PADDING = np.float32([-1, -1, -1])


def raw_windows(count: int) -> np.ndarray:
    return (random_windows(CHAIN, count) * STD + MEAN).astype(np.float32)


def in_raw_units(network: Network) -> Network:
    """The network with the scaling of raw windows in its first matrix."""
    return fold(replace(network, layers=(Affine("a", 1 / STD, -MEAN / STD), *network.layers)))


def source(network: Network, windows: np.ndarray, **changes) -> SourceModel:
    held_out = LabelledWindows(windows, np.zeros(len(windows), np.int64))
    logits = np.zeros((len(windows), 4), np.float32)
    found = SourceModel(network, (), NOT_NORMALIZED, windows, held_out, "", logits, {"model": "m"}, {})
    return replace(found, **changes)


def error(found: SourceModel, raw: np.ndarray, precision: str, expected: np.ndarray) -> float:
    graph = lower(found.network, found.calibration, precision=precision)
    logits = numpy_logits(graph, found.normalization.apply(raw))
    return float(np.abs(logits - expected).mean() / expected.std())


@pytest.mark.parametrize("precision", ["int8", "mixed", "int16x8", "dynamic"])
def test_raw_units_cost_no_precision(precision):
    raw, calibration = raw_windows(200), raw_windows(100)
    given = source(in_raw_units(CHAIN), calibration)
    found = even_features(given)
    (note,) = found.notes
    assert "so the file normalizes them" in note
    np.testing.assert_allclose(found.normalization.std, STD, rtol=0.1)
    windows = ((raw - MEAN) / STD).astype(np.float32)
    expected = run(unroll(CHAIN), windows)
    beforehand = source(CHAIN, ((calibration - MEAN) / STD).astype(np.float32))
    graph = lower(CHAIN, beforehand.calibration, precision=precision)
    scaled = float(np.abs(numpy_logits(graph, windows) - expected).mean() / expected.std())
    assert error(found, raw, precision, expected) < 1.3 * scaled + 1e-4
    assert error(given, raw, precision, expected) > 3 * error(found, raw, precision, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": {}},  # a run directory
        {"normalization": replace(NOT_NORMALIZED, dtype="uint8")},
    ],
)
def test_runs_and_bytes_stay_as_they_are(changes):
    given = source(in_raw_units(CHAIN), raw_windows(50), **changes)
    assert even_features(given) is given


def test_features_of_one_unit_stay_as_they_are():
    given = source(CHAIN, random_windows(CHAIN, 50))
    assert even_features(given) is given


def test_a_feature_that_does_not_matter_stays_as_it_is():
    lstm, dense = CHAIN.layers
    kernel = lstm.kernel.copy()
    kernel[:, 1] = 0
    network = replace(CHAIN, layers=(replace(lstm, kernel=kernel), dense))
    windows = random_windows(CHAIN, 50) * np.float32([1, 0.01, 1])
    given = source(network, windows)
    assert even_features(given) is given


def test_where_the_first_layer_cannot_take_it_up_the_remedy_is_named():
    norm = LayerNorm("n", np.ones(3, np.float32), np.zeros(3, np.float32), 1e-3)
    network = replace(CHAIN, layers=(norm, *CHAIN.layers))
    windows = random_windows(CHAIN, 50) * np.float32([100, 0.1, 0.1])
    found = even_features(source(network, windows))
    assert found.network is network
    (note,) = found.notes
    assert "let the model begin with a Normalization layer" in note


def test_padding_is_left_out_of_the_normalization():
    raw = raw_windows(60)
    raw[:, 3:] = PADDING
    lstm, dense = in_raw_units(CHAIN).layers
    window = Node()
    rows = Node(lstm, window, Node(Mask("mask", PADDING), window))
    network = network_of(Node(dense, rows), steps=5, features=3)
    found = even_features(source(network, raw))
    np.testing.assert_allclose(found.normalization.mean, MEAN, rtol=0.1, atol=0.01)
    np.testing.assert_allclose(found.normalization.std, STD, rtol=0.2)
    logits = run(unroll(found.network), found.normalization.apply(raw))
    np.testing.assert_allclose(logits, run(unroll(network), raw), atol=1e-3)
