"""The compiler's stages on small random networks, against the definition and the real engines."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.compiler.compile import compile_network, lower
from convert.compiler.float_graph.step import step_graph
from convert.compiler.float_graph.unroll import unroll, without_unread
from convert.compiler.scales.calibrate import calibrate
from convert.compiler.weights.gptq import quantize_matrix, second_moments
from convert.model_file.flatbuffer import serialize
from edge_runtime.errors import InputError
from edge_runtime.numpy_engine.interpret import apply, run
from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor
from tests.support.commands import ENGINES
from tests.support.engines import invoke
from tests.support.networks import lstm_logits, random_network, random_windows

PRECISIONS = ("float32", "float16", "dynamic", "mixed", "int8")
FORBIDDEN = {"WHILE", "IF", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CUSTOM"}


def integer_windows(graph: Graph, windows: np.ndarray) -> np.ndarray:
    return graph.tensors[graph.input].encode(windows)


def test_float_graph_equals_the_definition():
    network = random_network()
    windows = random_windows(network)
    np.testing.assert_allclose(run(unroll(network), windows), lstm_logits(network, windows), atol=2e-6)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_unrolled_to_exactly_steps_recurrent_matmuls(steps):
    graph = unroll(random_network(steps=steps))
    kernels = Counter(operator.inputs[1] for operator in graph.matmuls())
    assert kernels == {"kernel": steps, "new_kernel": steps, "dense_kernel": 1}


def test_pruning_leaves_out_what_nothing_reads_and_keeps_the_states():
    graph = step_graph(random_network())
    (c,) = (after for before, after in graph.states if before == "c0")
    unread = Operator(Op.TANH, (c,), ("unread",))
    tensors = {**graph.tensors, "unread": Tensor("unread", graph.tensors[c].shape)}
    pruned = without_unread(replace(graph, tensors=tensors, operators=(*graph.operators, unread)))
    assert pruned.states == graph.states != ()
    assert (pruned.inputs, pruned.outputs) == (graph.inputs, graph.outputs)
    assert (pruned.operators, pruned.tensors) == (graph.operators, graph.tensors)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_file_has_no_forbidden_operator_and_unique_names(precision):
    network = random_network()
    flatbuffer = compile_network(network, random_windows(network), precision=precision)
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    assert not FORBIDDEN & {names[code.builtinCode] for code in model.operatorCodes}
    assert len(model.subgraphs) == 1
    tensors = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    assert len(set(tensors)) == len(tensors)
    assert {"window", "logits"} <= set(tensors)
    assert sorted(map(len, tensors))[-3:] == [2, 6, 6]  # the names of inputs and outputs are long


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_weight_is_in_the_file_once_and_aligned(precision):
    network = random_network(features=5, units=12)
    windows = random_windows(network)
    graph = lower(network, windows, precision=precision)
    flatbuffer = serialize(graph)
    for constant in graph.constants():
        data = constant.values.tobytes()
        if len(data) > 64 and any(data):
            assert flatbuffer.count(data) == 1
            assert flatbuffer.index(data) % 16 == 0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_same_arguments_give_the_same_bytes(precision):
    network = random_network()
    windows = random_windows(network)
    first, second = (compile_network(network, windows, precision=precision) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kernels", ["default", "no-xnnpack", "reference"])
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_float_activations_equal_the_numpy_run(engine, kernels, precision):
    network = random_network(features=5, units=12)
    windows = random_windows(network)
    graph = lower(network, windows, precision=precision)
    found = invoke(serialize(graph), windows, engine, kernels)
    # The hybrid kernels round activations to 8 bits, so a last bit of float32 decides a step of 1/127.
    tolerance = 0.02 if precision == "dynamic" else 1e-5
    np.testing.assert_allclose(found, run(graph, windows), atol=tolerance)


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
@pytest.mark.parametrize(("seed", "steps"), [(0, 7), (1, 7), (2, 30), (3, 1), (4, 2)])
def test_int8_equals_the_reference_kernels_bit_for_bit(seed, steps):
    network = random_network(steps=steps, features=6, units=20, seed=seed)
    windows = random_windows(network, 200)
    graph = lower(network, windows, precision="int8")
    inputs = integer_windows(graph, windows)
    found = invoke(serialize(graph), inputs, "tflite-runtime", "reference")
    np.testing.assert_array_equal(found, run(graph, inputs))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kernels", ["default", "no-xnnpack", "reference"])
def test_int8_is_within_one_unit_operator_by_operator(engine, kernels):
    network = random_network(steps=3, features=6, units=20)
    windows = random_windows(network, 100)
    graph = lower(network, windows, precision="int8")
    inputs = integer_windows(graph, windows)
    values = {constant.name: constant.values for constant in graph.constants()}
    run(graph, inputs, lambda tensor, result: values.update({tensor.name: result}))
    checked = set()
    for operator in graph.operators:
        if len(operator.outputs) > 1:  # SPLIT and UNPACK only move bytes; whole graphs test them
            continue
        for window in range(5):
            single, source = single_operator(graph, operator, values, window)
            found = invoke(serialize(single), source, engine, kernels).astype(int)
            expected = values[operator.outputs[0]][window].astype(int)
            assert np.abs(found[0] - expected).max() <= 1, operator
        checked.add(operator.op)
    assert checked == {
        Op.ADD,
        Op.CONCATENATION,
        Op.FULLY_CONNECTED,
        Op.LOGISTIC,
        Op.MUL,
        Op.TANH,
    }


def single_operator(graph: Graph, operator: Operator, values: dict, window: int):
    """A graph of that operator alone, with its first activation as input and any other as constant."""
    first, *others = dict.fromkeys(n for n in operator.inputs if graph.tensors[n].data is None)
    tensors = {name: graph.tensors[name] for name in (*operator.inputs, *operator.outputs)}
    for name in others:
        tensors[name] = replace(tensors[name], data=values[name][window : window + 1])
    single = Graph(tensors, (operator,), (first,), (operator.outputs[0],))
    return single, values[first][window : window + 1]


def test_int8_logits_are_close_to_the_float_graph():
    network = random_network(steps=10, features=6, units=32)
    windows = random_windows(network, 500)
    graph = lower(network, windows, precision="int8")
    found = graph.tensors[graph.output].decode(run(graph, integer_windows(graph, windows)))
    expected = run(unroll(network), windows)
    spread = expected.max() - expected.min()
    assert np.abs(found - expected).mean() < 0.01 * spread


def test_calibration_sees_every_activation():
    network = random_network()
    windows = random_windows(network)
    graph = unroll(network)
    ranges = calibrate(graph, windows)
    activations = {name for name, tensor in graph.tensors.items() if tensor.data is None}
    assert set(ranges) == activations
    assert ranges["window"].low == windows.min()
    assert ranges["window"].high == windows.max()


def test_rounding_by_second_moments_changes_the_outputs_less_than_rounding_to_nearest():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(500, 4)) @ rng.normal(size=(4, 24))).astype(np.float32)  # correlated
    weights = rng.normal(size=(16, 24)).astype(np.float32)
    moments = (x.T @ x / len(x)).astype(np.float64)
    q, quantization = quantize_matrix(weights, moments, per_channel=True)
    scale = np.array(quantization.scale)[:, np.newaxis]
    nearest = np.rint(weights / scale)
    exact = x @ weights.T

    def error(rounded: np.ndarray) -> float:
        return float(np.mean((x @ (rounded * scale).T - exact) ** 2))

    assert error(q) < 0.5 * error(nearest)
    assert np.abs(q).max() == 127


def test_second_moments_of_constant_zero_input_still_round():
    network = random_network()
    windows = np.zeros((4, network.steps, network.features), np.float32)
    moments = second_moments(unroll(network), windows)
    assert np.isfinite(moments["kernel"]).all()
    compile_network(network, windows, precision="int8")
    compile_network(network, windows, precision="dynamic")


def test_observer_can_replace_values():
    network = random_network()
    windows = random_windows(network)

    def zero_h(tensor: Tensor, values: np.ndarray):
        return np.zeros_like(values) if tensor.name == "h5" else None

    logits = run(unroll(network), windows, zero_h)
    np.testing.assert_allclose(logits, np.tile(network.layers[1].bias, (len(windows), 1)))


def test_unknown_precision_and_target_list_the_choices():
    network = random_network()
    windows = random_windows(network)
    with pytest.raises(InputError, match="int7.*Choose float32, .*int8"):
        compile_network(network, windows, precision="int7")
    with pytest.raises(
        InputError, match=r"coral.*any, native, tflite-runtime-2.14, litert-1.4, litert-2\.1"
    ):
        compile_network(network, windows, precision="int8", target="coral")


def test_compiling_loads_no_tensorflow():
    assert "tensorflow" not in sys.modules
    assert "keras" not in sys.modules


def test_apply_concatenates_a_constant_with_a_batch():
    graph = unroll(random_network(features=3, units=8))
    operator = graph.operators[1]
    (result,) = apply(graph, operator, [np.ones((5, 3), np.float32), np.zeros((1, 8), np.float32)])
    assert operator.op is Op.CONCATENATION
    assert result.shape == (5, 11)
