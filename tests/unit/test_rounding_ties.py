"""int8 products are rounded alike on every processor."""

from __future__ import annotations

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.scales.rounding_ties import rounds_apart, without_half_ways
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor
from tests.support.networks import layer_combinations, random_network, random_windows

SIGMOID, STATE = Quantization((1 / 256,), -128), Quantization((0.03,), 5)
MUL = Operator(Op.MUL, ("gate", "state"), ("product",))


def test_a_product_in_its_factors_scale_has_half_ways():
    """128 / 256 is rounded to 0 on x86 and to 1 on ARM."""
    assert rounds_apart(MUL, {"gate": SIGMOID, "state": STATE, "product": STATE})


def test_they_are_removed_by_a_scale_that_differs_in_the_fifth_digit():
    tensors = {name: Tensor(name, (1, 4)) for name in (*MUL.inputs, *MUL.outputs)}
    graph = Graph(tensors, (MUL,), MUL.inputs, MUL.outputs)
    before = {"gate": SIGMOID, "state": STATE, "product": STATE}
    after = without_half_ways(graph, before)
    assert not rounds_apart(MUL, after)
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
    assert not [operator for operator in products if rounds_apart(operator, quantizations)]


def test_tensors_that_share_a_scale_still_do():
    """The h of every step of an LSTM that is read backwards; without the change some round apart."""
    network = layer_combinations()["backwards"]
    lowered = lower(network, random_windows(network, 64), precision="int8")
    products = [operator for operator in lowered.operators if operator.op is Op.MUL]
    read = {name for op in lowered.operators if op.op is Op.CONCATENATION for name in op.inputs}
    states = [operator.outputs[0] for operator in products if operator.outputs[0] in read]
    assert len(states) > 3
    assert len({lowered.tensors[name].affine for name in states}) == 1


def test_every_product_in_both_roundings():
    """What `rounds_apart` compares, by the definitions: ties to even and ties up, in exact halves."""
    products = np.arange(-255, 256)
    halves = products / 2
    apart = np.rint(halves) != np.floor(halves + 0.5)
    assert apart.sum() == 128  # 0.5, 2.5, ...: every other half
    quantizations = {
        "gate": Quantization((0.5,)),
        "state": Quantization((1.0,)),
        "product": Quantization((1.0,)),
    }
    assert rounds_apart(MUL, quantizations)
    quantizations["product"] = Quantization((0.5,))  # every product is an integer
    assert not rounds_apart(MUL, quantizations)
