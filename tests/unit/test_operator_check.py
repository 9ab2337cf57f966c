"""A graph with an operator that an engine of the target lacks is refused with one message."""

from __future__ import annotations

import pytest

from convert.compiler.compile import lower
from convert.model_file.flatbuffer import serialize
from convert.targets.operator_check import check_operators, differences
from convert.targets.precision import scheme_for
from convert.targets.target import TARGETS, Target
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.errors import EngineError, InputError
from scripts.engine_cases import networks
from tests.support.commands import ENGINES
from tests.support.networks import random_network, random_windows

SCHEME = "dynamic-per-channel"


@pytest.fixture(scope="module")
def graph():
    """Weights with one scale per row, which FULLY_CONNECTED has from version 12 on."""
    network = random_network()
    only = Target("per row", (), frozenset({SCHEME}))
    return lower(network, random_windows(network), precision="dynamic", target=only)


@pytest.mark.parametrize("target", ["tflite-runtime-2.14", "any"])
def test_operator_version_and_target_are_named(graph, target):
    with pytest.raises(InputError) as refused:
        check_operators(graph, TARGETS[target], SCHEME)
    sentence = str(refused.value)
    assert "FULLY_CONNECTED version 12" in sentence
    assert "tflite-runtime-2.14" in sentence
    assert f"target {target} includes" in sentence or target == "tflite-runtime-2.14"
    assert "no version above 10" in sentence
    assert "Choose another --precision or --target." in sentence
    assert "\n" not in sentence


def test_an_operator_that_no_version_of_is_known():
    network = random_network()
    graph = lower(network, random_windows(network), precision="float32")
    engine = TARGETS["litert-2.1"].engines[0]
    known = {op: version for op, version in engine.op_versions.items() if op != "TANH"}
    lacking = Target("small", (type(engine)(**{**vars(engine), "op_versions": known}),), frozenset())
    with pytest.raises(InputError, match=r"does not load TANH version 1, .* \(no version of it\)"):
        check_operators(graph, lacking, "float32")


def lowered(kind: str, precision: str):
    """The graph of one of the table's networks."""
    network = networks()[kind]
    return lower(network, random_windows(network), precision=precision, target="tflm")


@pytest.mark.parametrize(
    ("kind", "operator"),
    [("global max pooling", "REDUCE_MAX version 3"), ("tokens", "GATHER version 4")],
)
def test_tflm_is_refused_a_type_that_it_lacks(kind, operator):
    with pytest.raises(InputError, match=f"^tflm does not load {operator}, .* above 2"):
        check_operators(lowered(kind, "int16x8"), TARGETS["tflm"], "int16x8")


@pytest.mark.parametrize("kind", ["tokens", "attention", "GRU, hard sigmoid and elu", "masked LSTM"])
def test_every_engine_of_linux_has_the_operators_of_new_layers(kind):
    for precision in ("float32", "int8", "int16x8", "mixed"):
        check_operators(lowered(kind, precision), TARGETS["any"], scheme_for(precision, TARGETS["any"]))
    check_operators(lowered("global max pooling", "int8"), TARGETS["tflm"], "int8")


def test_what_tflm_rounds_otherwise_is_named():
    graph = lowered("LSTM", "int16x8")
    (sentence,) = differences(graph, TARGETS["tflm"], "int16x8")
    assert "tflm computes MUL version 4 in int16x8 differently" in sentence
    assert differences(graph, TARGETS["any"], "int16x8") == ()
    assert differences(lowered("LSTM", "int8"), TARGETS["tflm"], "int8") == ()


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int4"])
def test_a_precision_that_tflm_lacks_is_refused_with_those_it_has(precision):
    with pytest.raises(InputError, match=f"target tflm has no {precision}. Choose float32, int16x8, m"):
        scheme_for(precision, TARGETS["tflm"])


def test_any_is_every_engine_of_linux_devices():
    names = {engine.name for engine in TARGETS["any"].engines}
    assert names == {*TARGETS} - {"any", "tflm"}
    assert TARGETS["tflm"].engines[0].microcontroller


@pytest.mark.parametrize("target", ["litert-1.4", "litert-2.1", "litert-2.2", "litert-2.3"])
def test_engines_that_have_it_are_content(graph, target):
    check_operators(graph, TARGETS[target], SCHEME)


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
def test_the_engine_itself_refuses_what_the_check_refuses(graph):
    with pytest.raises(EngineError, match="'FULLY_CONNECTED' version '12'"):
        open_interpreter(serialize(graph), engine="tflite-runtime", kernels="default")
