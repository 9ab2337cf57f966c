"""--explain names the gate that was damaged."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from convert.compiler.compile import float_graph, lower
from convert.explain.loss_by_step import explain
from convert.explain.picture import draw_explanation
from convert.source_model.network import Bidirectional, Network
from edge_runtime.tflite.graph import Graph, Quantization
from tests.support.networks import RandomLayers, random_windows

STEPS, FEATURES, UNITS = 6, 5, 16
MAKE = RandomLayers()
HEAD = MAKE.dense(UNITS, 3)
NETWORKS = {
    "LSTM": Network(STEPS, FEATURES, (MAKE.lstm(FEATURES, UNITS), HEAD)),
    "GRU": Network(STEPS, FEATURES, (MAKE.gru(FEATURES, UNITS), HEAD)),
}
GATES = {
    # gate -> matrix and rows with its weights
    ("LSTM", "i"): ("kernel", slice(0, UNITS)),
    ("LSTM", "f"): ("kernel", slice(UNITS, 2 * UNITS)),
    ("LSTM", "o"): ("kernel", slice(2 * UNITS, 3 * UNITS)),
    ("LSTM", "g"): ("new_kernel", slice(0, UNITS)),
    ("GRU", "z"): ("kernel", slice(0, UNITS)),
    ("GRU", "r"): ("kernel", slice(UNITS, 2 * UNITS)),
    ("GRU", "n"): ("old_kernel", slice(0, UNITS)),
}


def explained(network: Network, graph: Graph, precision="int8"):
    return explain(
        network, graph, float_graph(network), random_windows(network, 100), precision=precision
    )


def lowered(network: Network, precision="int8") -> Graph:
    return lower(network, random_windows(network, 200), precision=precision)


def with_scale(graph: Graph, name: str, change) -> Graph:
    tensor = graph.tensors[name]
    scale = np.array(tensor.affine.scale)
    changed = Quantization(tuple(change(scale).tolist()), tensor.affine.zero_point)
    return replace(graph, tensors={**graph.tensors, name: replace(tensor, quantization=changed)})


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sound_graph_blames_nobody(name):
    explanation = explained(NETWORKS[name], lowered(NETWORKS[name]))
    assert explanation.blamed is None
    assert "no gate stands out" in explanation.verdict
    assert len(explanation.layers[0].errors["h"]) == STEPS


@pytest.mark.parametrize(("cell", "gate"), GATES)
@pytest.mark.parametrize("precision", ["int8", "dynamic"])
def test_the_gate_with_damaged_weight_scales_is_named(cell, gate, precision):
    network = NETWORKS[cell]
    matrix, rows = GATES[cell, gate]

    def spoil(scale: np.ndarray) -> np.ndarray:
        wide = np.broadcast_to(scale, (len(graph.tensors[matrix].values),)).copy()
        wide[rows] *= 2
        return wide

    graph = lowered(network, precision)
    explanation = explained(network, with_scale(graph, matrix, spoil), precision)
    layer, blamed, step = explanation.blamed
    assert (layer, blamed) == ("", gate)
    # GRU's recurrent candidate multiplies nothing before the first h.
    assert step <= 2


@pytest.mark.parametrize("step", [1, 3, STEPS])
def test_a_damaged_scale_at_one_step_is_found_at_that_step(step):
    network = NETWORKS["LSTM"]
    graph = with_scale(lowered(network), f"new{step}", lambda scale: scale / 8)  # clips
    explanation = explained(network, graph)
    assert explanation.blamed == ("", "g", step)


def test_divergence_is_named_by_its_step():
    network = NETWORKS["LSTM"]
    graph = with_scale(lowered(network), "new3", lambda scale: scale / 50)
    explanation = explained(network, graph)
    assert explanation.layers[0].first_diverged == 3
    assert "h first diverges at step 3" in explanation.verdict


@pytest.mark.parametrize("precision", ["float16", "mixed", "int16x8"])
def test_other_precisions_have_errors_of_their_size(precision):
    network = NETWORKS["LSTM"]
    found = explained(network, lowered(network, precision), precision)
    int8 = explained(network, lowered(network))
    assert 0 < found.layers[0].errors["h"][-1] < int8.layers[0].errors["h"][-1]


def test_layers_of_a_bidirectional_are_separate(tmp_path):
    both = Bidirectional(
        "both", MAKE.lstm(FEATURES, UNITS), MAKE.gru(FEATURES, UNITS, go_backwards=True)
    )
    network = Network(STEPS, FEATURES, (both, MAKE.dense(2 * UNITS, 3)))
    graph = lowered(network)
    spoilt = with_scale(graph, "both/bw/new4", lambda scale: scale / 8)
    explanation = explained(network, spoilt)
    assert [layer.layer for layer in explanation.layers] == ["both/fw", "both/bw"]
    assert explanation.blamed == ("both/bw", "n", 4)
    assert json.loads(json.dumps(explanation.to_json()))["blamed"]["gate"] == "n"
    draw_explanation(explanation, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
