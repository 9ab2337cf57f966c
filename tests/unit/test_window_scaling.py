"""A scaling at the window becomes the normalization, and the two together compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.compiler.float_graph.unroll import unroll
from convert.readers.onnx.read_model import network_from_onnx
from convert.source_model.fold import fold
from convert.source_model.network import Affine, Join, LayerNorm, Mask, Network
from convert.source_model.nodes import Node, network_of
from convert.source_model.window_scaling import LARGE, fitted_scaling, leading_scaling, rescaled
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine.interpret import run
from tests.support.branching_networks import branching_networks
from tests.support.networks import layer_combinations, random_network, random_windows
from tests.unit.test_onnx import FEATURES, STEPS, Graph, rescaled_window
from tests.unit.test_onnx import windows as onnx_windows

MEAN, STD = np.array([1013.0, 101_325.0, 0.0]), np.array([40.0, 25.0, 0.01])
CHAIN = random_network(features=3)


def raw_windows(count: int = 40) -> np.ndarray:
    return (random_windows(CHAIN, count) * STD + MEAN).astype(np.float32)


def exact_scaling() -> Affine:
    return Affine("scaling", 1 / STD, -MEAN / STD)


def behind(*layers) -> Network:
    return replace(CHAIN, layers=(*layers, *CHAIN.layers))


def affines(network: Network) -> list[Affine]:
    return [layer for layer in network.layers if isinstance(layer, Affine)]


def expected(raw: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The logits for windows that are scaled beforehand, in float64."""
    return run(unroll(CHAIN), (raw.astype(np.float64) * scale + offset).astype(np.float32))


def found(network: Network, raw: np.ndarray) -> tuple[Network, np.ndarray]:
    normalization = leading_scaling(network, "float32")
    assert normalization is not None
    scaled = rescaled(network, normalization)
    return scaled, run(unroll(scaled), normalization.apply(raw))


def test_the_normalization_is_that_of_the_layer():
    normalization = leading_scaling(behind(exact_scaling()), "float32")
    assert normalization.mean == tuple(np.float32(MEAN))  # exactly, since the layer is in float64
    np.testing.assert_allclose(normalization.std, STD, rtol=1e-7)
    network, logits = found(behind(exact_scaling()), raw_windows())
    assert network.layers == CHAIN.layers  # nothing is left
    np.testing.assert_allclose(logits, expected(raw_windows(), 1 / STD, -MEAN / STD), atol=1e-6)


SCALE = np.array([0.025, -0.04, 0.0])
OFFSET = np.array([-25.0, 4000.0, 0.7])

LAYERS = {
    "one": [Affine("a", SCALE, OFFSET)],
    "subtract, divide": [
        Affine("s", np.ones(3), -MEAN),
        Affine("d", 1 / STD, np.zeros(3)),
    ],
    "rescaling, normalization": [
        Affine("r", np.full(3, 0.1), np.full(3, -1.0)),
        Affine("n", 10 / STD, (10 - MEAN) / STD),
    ],
    "float32": [Affine("f", np.float32(1 / STD), np.float32(-MEAN / STD))],
}


@pytest.mark.parametrize("name", LAYERS)
def test_scalings_in_a_row_become_one(name):
    scale, offset = np.ones(3), np.zeros(3)
    for layer in LAYERS[name]:
        scale, offset = scale * layer.scale, offset * layer.scale + layer.offset
    raw = raw_windows()
    network, logits = found(behind(*LAYERS[name]), raw)
    np.testing.assert_allclose(logits, expected(raw, scale, offset), atol=2e-4)
    assert not affines(fold(network))


def test_a_feature_that_the_model_multiplies_by_zero_is_left_out_of_the_range():
    normalization = leading_scaling(behind(Affine("a", SCALE, OFFSET)), "float32")
    assert normalization.std[2] == np.float32(LARGE)
    assert np.abs(normalization.apply(raw_windows())[..., 2]).max() < 1e-20


def test_a_window_that_is_also_read_unscaled_keeps_its_unit():
    window = Node()
    both = Node(Join("both", "add"), Node(exact_scaling(), window), window)
    network = network_of(both, steps=5, features=3)
    assert leading_scaling(network, "float32") is None
    assert leading_scaling(CHAIN, "float32") is None


def test_branches_that_scale_alike():
    window, lstm = Node(), CHAIN.layers[0]
    rows = [Node(lstm, Node(exact_scaling(), window)) for _ in range(2)]
    sums = Node(Join("sum", "add"), *rows)
    network = network_of(Node(CHAIN.layers[1], sums), steps=5, features=3)
    scaled, logits = found(network, raw_windows())
    assert not affines(scaled)
    windows = ((raw_windows() - MEAN) / STD).astype(np.float32)
    plain = Node()
    sums = Node(Join("sum", "add"), *(Node(lstm, plain) for _ in range(2)))
    reference = network_of(Node(CHAIN.layers[1], sums), steps=5, features=3)
    np.testing.assert_allclose(logits, run(unroll(reference), windows), atol=1e-5)


def test_a_mask_in_front_finds_the_same_rows():
    raw = raw_windows()
    raw[:, 3:] = [-1.0, 0.0, 7.5]  # padding
    raw[:, 2, 0] = -1.0  # one feature of a row that counts
    window = Node()
    mask = Node(Mask("mask", np.float32([-1.0, 0.0, 7.5])), window)
    scaled = Node(exact_scaling(), window)
    network = network_of(Node(CHAIN.layers[1], Node(CHAIN.layers[0], scaled, mask)), steps=5, features=3)
    found_network, logits = found(network, raw)
    short = replace(CHAIN, steps=3)
    windows = ((raw[:, :3] - MEAN) / STD).astype(np.float32)
    np.testing.assert_allclose(logits, run(unroll(short), windows), atol=1e-5)
    assert not affines(found_network)


def test_the_static_input_has_a_scaling_of_its_own():
    window, static = Node(), Node(static=True)
    rows = Node(Affine("rows", 1 / STD[:2], -MEAN[:2] / STD[:2]), window)
    beside = Node(Affine("beside", 1 / STD[2:], -MEAN[2:] / STD[2:]), static)
    both = Node(Join("both", "concat"), rows, beside)
    network = network_of(Node(CHAIN.layers[0], both), steps=5, features=3, static=1)
    normalization = leading_scaling(network, "float32")
    np.testing.assert_allclose(normalization.std, STD, rtol=1e-6)
    assert not affines(rescaled(network, normalization))


@pytest.mark.parametrize(
    "front", [(), (LayerNorm("n", np.ones(3, np.float32), np.zeros(3, np.float32), 1e-3),)]
)
def test_a_fitted_normalization_changes_no_answer(front):
    """The raw units are in the first matrix, or the first layer cannot take them in."""
    raw = (random_windows(CHAIN, 40) * [4.0, 1.0, 0.1] + [5.0, 0.0, 0.0]).astype(np.float32)
    network = behind(*front)
    normalization = fitted_scaling(raw, "float32")
    scaled = rescaled(network, normalization)
    windows = normalization.apply(raw)
    np.testing.assert_allclose(windows.std(axis=(0, 1)), 1, atol=1e-3)
    np.testing.assert_allclose(run(unroll(scaled), windows), run(unroll(network), raw), atol=1e-5)
    assert len(affines(fold(scaled))) == len(affines(fold(network))) + len(front)


def test_no_file_could_hold_it():
    assert leading_scaling(behind(Affine("a", np.full(3, 1e-39), np.ones(3))), "float32") is None
    assert isinstance(leading_scaling(behind(exact_scaling()), "uint8"), Normalization)


NETWORKS = {**branching_networks(), **layer_combinations()}
READS_NUMBERS = [name for name, network in NETWORKS.items() if not network.tokens]


@pytest.mark.parametrize("name", READS_NUMBERS)
def test_every_network_computes_the_same_for_normalized_windows(name):
    network = NETWORKS[name]
    raw = random_windows(network, 20)
    rng = np.random.default_rng(0)
    means, deviations = (
        rng.normal(0, 0.1, network.features),
        2.0 ** rng.integers(-2, 3, network.features),
    )
    normalization = Normalization(tuple(np.float32(means).tolist()), tuple(deviations.tolist()))
    windows = normalization.apply(raw)
    rounded = (windows * np.float32(deviations) + np.float32(means)).astype(np.float32)
    logits = run(unroll(rescaled(network, normalization)), windows)
    spread = float(logits.std()) or 1.0
    np.testing.assert_allclose(logits, run(unroll(network), rounded), atol=1e-4 * spread)


def test_the_scaling_of_an_onnx_model_stays_at_the_window():
    file = rescaled_window(Graph())
    network = network_from_onnx(file, STEPS, FEATURES).network
    scaled, logits = found(network, onnx_windows())
    assert not affines(fold(scaled))
    expected_logits = network_from_onnx(file, STEPS, FEATURES).evaluate(file, onnx_windows())
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=2e-6)
