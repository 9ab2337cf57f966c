"""int8 products and tables are rounded alike on every processor and with every C library."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convert.compiler.compile import float_graph, lower
from convert.compiler.scales.rounding_ties import (
    TABLE_MARGIN,
    rounds_differently,
    table_margin,
    without_rounding_ties,
)
from convert.source_model.network import Activation, Network
from edge_runtime.errors import InputError
from edge_runtime.numpy_engine.interpret import apply
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor
from tests.support.networks import RandomLayers, layer_combinations, random_network, random_windows

SIGMOID, STATE = Quantization((1 / 256,), -128), Quantization((0.03,), 5)
MUL = Operator(Op.MUL, ("gate", "state"), ("product",))


def test_a_product_in_its_factors_scale_has_ties():
    """128 / 256 is rounded to 0 on x86 and to 1 on ARM."""
    assert rounds_differently(MUL, {"gate": SIGMOID, "state": STATE, "product": STATE})


def test_they_are_removed_by_a_scale_that_differs_in_the_fifth_digit():
    tensors = {name: Tensor(name, (1, 4)) for name in (*MUL.inputs, *MUL.outputs)}
    graph = Graph(tensors, (MUL,), MUL.inputs, MUL.outputs)
    before = {"gate": SIGMOID, "state": STATE, "product": STATE}
    after = without_rounding_ties(graph, before)
    assert not rounds_differently(MUL, after)
    assert {**after, "product": STATE} == before
    assert after["product"].zero_point == STATE.zero_point
    assert 0 < after["product"].scale[0] / STATE.scale[0] - 1 < 1e-4


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_an_lstm_has_none(graph):
    network = random_network()
    lowered = lower(network, random_windows(network), precision="int8", graph=graph)
    quantizations = {
        name: tensor.quantization for name, tensor in lowered.tensors.items() if tensor.quantization
    }
    products = [operator for operator in lowered.operators if operator.op is Op.MUL]
    assert len(products) >= 3
    assert not [operator for operator in products if rounds_differently(operator, quantizations)]


def test_tensors_that_share_a_scale_still_do():
    """Every h of an LSTM that reads backwards. Without the change some results are ties."""
    network = layer_combinations()["backwards"]
    lowered = lower(network, random_windows(network, 64), precision="int8")
    products = [operator for operator in lowered.operators if operator.op is Op.MUL]
    read = {name for op in lowered.operators if op.op is Op.CONCATENATION for name in op.inputs}
    states = [operator.outputs[0] for operator in products if operator.outputs[0] in read]
    assert len(states) > 3
    assert len({lowered.tensors[name].affine for name in states}) == 1


def test_every_product_in_both_roundings():
    """`rounds_differently` compares the two definitions: ties to even and ties up, in exact halves."""
    products = np.arange(-255, 256)
    halves = products / 2
    apart = np.rint(halves) != np.floor(halves + 0.5)
    assert apart.sum() == 128  # 0.5, 2.5, ...: every other half
    quantizations = {
        "gate": Quantization((0.5,)),
        "state": Quantization((1.0,)),
        "product": Quantization((1.0,)),
    }
    assert rounds_differently(MUL, quantizations)
    quantizations["product"] = Quantization((0.5,))  # every product is an integer
    assert not rounds_differently(MUL, quantizations)


TANH_OUT = Quantization((1 / 128,), 0)
CLOSE_TO_A_TIE = Quantization((0.015466270036995411,), -13)
"""tanh of -68 in this scale is -88.4999926 units: glibc's tanhf gives -88, numpy's with AVX-512 -89."""

COMBINATIONS = {
    **layer_combinations(),
    "sigmoid of tanh": Network(
        7, 5, (RandomLayers().simple(5, 8), Activation("act", "sigmoid"), RandomLayers().dense(8, 3))
    ),
}


def table_graph(op: Op, source: Quantization, output: Quantization) -> Graph:
    int8 = np.dtype(np.int8)
    tensors = {
        "in": Tensor("in", (1, 4), int8, quantization=source),
        "out": Tensor("out", (1, 4), int8, quantization=output),
    }
    return Graph(tensors, (Operator(op, ("in",), ("out",)),), ("in",), ("out",))


def test_an_entry_close_to_a_tie_is_rounded_by_its_exact_value():
    graph = table_graph(Op.TANH, CLOSE_TO_A_TIE, TANH_OUT)
    (result,) = apply(graph, graph.operators[0], [np.array([[-68]], np.int8)])
    exact = 128 * math.tanh(CLOSE_TO_A_TIE.scale[0] * (-68 + 13))
    assert -88.5 < exact < -88.49999
    assert result.item() == -88


def test_the_converter_does_not_use_a_scale_with_such_an_entry():
    graph = table_graph(Op.TANH, CLOSE_TO_A_TIE, TANH_OUT)
    before = {"in": CLOSE_TO_A_TIE, "out": TANH_OUT}
    assert table_margin(graph.operators[0], before) < 1e-5
    after = without_rounding_ties(graph, before)
    assert table_margin(graph.operators[0], after) >= TABLE_MARGIN
    assert after["out"] == TANH_OUT
    assert 0 < after["in"].scale[0] / CLOSE_TO_A_TIE.scale[0] - 1 < 0.01


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH])
def test_every_scale_has_one_nearby_without_ties(op, seed):
    rng = np.random.default_rng(seed)
    output = Quantization((1 / 256,), -128) if op is Op.LOGISTIC else TANH_OUT
    for scale in np.exp(rng.uniform(np.log(1e-4), np.log(1), 50)).astype(np.float32):
        source = Quantization((float(scale),), int(rng.integers(-128, 128)))
        graph = table_graph(op, source, output)
        after = without_rounding_ties(graph, {"in": source, "out": output})
        assert table_margin(graph.operators[0], after) >= TABLE_MARGIN


def has_step(name: str) -> bool:
    try:
        return bool(float_graph(COMBINATIONS[name], "step").states)
    except InputError:
        return False


GRAPHS = [
    *((name, "unrolled") for name in COMBINATIONS),
    *((name, "step") for name in COMBINATIONS if has_step(name)),
]


@pytest.mark.parametrize("precision", ["int8", "mixed"])
@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_no_table_of_a_converted_network_has_an_entry_close_to_a_tie(name, precision, graph):
    network = COMBINATIONS[name]
    lowered = lower(network, random_windows(network), precision=precision, graph=graph)
    tables = [
        operator
        for operator in lowered.operators
        if operator.op in (Op.LOGISTIC, Op.TANH) and lowered.tensors[operator.outputs[0]].quantization
    ]
    quantizations = {
        name: tensor.quantization for name, tensor in lowered.tensors.items() if tensor.quantization
    }
    margins = [table_margin(operator, quantizations) for operator in tables]
    assert min(margins, default=1) >= TABLE_MARGIN
    assert tables or name == "simple relu"


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH])
def test_a_table_is_the_function_of_every_input_rounded_once(op):
    """The table from the C library's float64 functions. No entry is within 1e-6 of a tie."""
    source = Quantization((0.043,), -7)
    output = Quantization((1 / 256,), -128) if op is Op.LOGISTIC else TANH_OUT
    graph = table_graph(op, source, output)
    every = np.arange(-128, 128, dtype=np.int8).reshape(1, -1)
    (result,) = apply(graph, graph.operators[0], [every])
    for q, found in zip(every[0].tolist(), result[0].tolist()):
        x = float(np.float32(0.043) * np.float32(q + 7))
        real = math.tanh(x) if op is Op.TANH else 1 / (1 + math.exp(-x))
        units = real / output.scale[0]
        assert abs(units - math.floor(units) - 0.5) > 1e-6
        assert found == min(max(round(units) + output.zero_point, -128), 127)
