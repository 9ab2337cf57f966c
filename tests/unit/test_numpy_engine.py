"""The numpy engine on real files: equal to the reference kernels bit for bit, or an error."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from convert.compiler.compile import compile_network, lower
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.targets.precision import PRECISIONS
from edge_runtime import Classifier
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.model_file.metadata import STEP
from edge_runtime.numpy_engine.check_graph import check_graph
from edge_runtime.numpy_engine.interpret import prepared, run_all
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor
from tests.support.commands import ENGINES, OFFERED
from tests.support.engines import invoke
from tests.support.model_files import metadata_for, write_model
from tests.support.networks import layer_combinations, random_network, random_windows

INTEGER = ("int8", "int16x8")
"""Precisions whose results do not depend on the order of float additions."""

reference = pytest.mark.skipif(
    "tflite-runtime" not in ENGINES, reason="the reference kernels are tflite-runtime's"
)


@reference
@pytest.mark.parametrize("precision", OFFERED)
def test_real_digits_give_what_the_reference_kernels_give(digits_run, digits_models, precision):
    windows, path = digits_run.run.test_windows().x, digits_models[precision]
    with (
        Classifier(path, engine="numpy", verify=True) as ours,
        Classifier(path, engine="tflite-runtime", kernels="reference") as theirs,
    ):
        found, expected = ours.logits(windows), theirs.logits(windows)
    if precision in INTEGER:
        np.testing.assert_array_equal(found, expected)
    else:
        # float additions in another order, and ties where activations are rounded
        assert np.abs(found - expected).mean() < 0.01
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.998


@reference
def test_all_of_mnist_equals_the_reference_kernels(mnist_run, tmp_path):
    record = mnist_run.run.record
    normalize, windows = record.normalization.apply, mnist_run.run.test_windows().x
    calibration = normalize(mnist_run.run.calibration_windows().x[:500])
    flatbuffer = compile_network(mnist_run.network, calibration, precision="int8")
    path = tmp_path / "mnist.tflite"
    facts = {name: getattr(record, name) for name in ("steps", "features", "labels", "normalization")}
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, precision="int8", **facts)))
    with Classifier(path, engine="tflite-runtime", kernels="reference") as theirs:
        expected = theirs.logits(windows)
    graph = read_graph(flatbuffer)
    integers = graph.tensors[graph.input].encode(normalize(windows))
    parts = [run_all(graph, [integers[k : k + 1000]])[0] for k in range(0, len(integers), 1000)]
    found = graph.tensors[graph.output].decode(np.concatenate(parts))
    np.testing.assert_array_equal(found, expected)
    with Classifier(path, engine="numpy") as ours:  # one by one, as on the device
        np.testing.assert_array_equal(ours.logits(windows[:300]), expected[:300])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", layer_combinations())
def test_the_file_is_read_back_as_the_graph_it_was_written_from(case, precision):
    """Every kind of layer in every precision, with tensor names and without."""
    network = layer_combinations()[case]
    windows = random_windows(network, 16)
    graph = lower(network, windows, precision=precision, target="litert-2.1")
    inputs = graph.tensors[graph.input].encode(windows)
    (expected,) = run_all(graph, [inputs])
    for strip in (False, True):
        (found,) = run_all(read_graph(serialize(graph, strip=strip)), [inputs])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("precision", ["float32", "mixed", "int8"])
def test_step_files_run(precision):
    network = random_network()
    windows = random_windows(network)
    graph = lower(network, windows, precision=precision, graph=STEP)
    interpreter = open_interpreter(serialize(graph), engine="numpy")
    assert len(interpreter.get_input_details()) == len(interpreter.get_output_details()) == 3
    read = read_graph(serialize(graph))
    assert [read.tensors[name].shape for name in read.inputs] == [(1, 3), (1, 8), (1, 8)]


def test_no_engine_is_needed(tmp_path):
    path = write_model(tmp_path / "m.tflite", "int8")
    windows = np.random.default_rng(0).normal(20, 5, (4, 5, 3))
    with Classifier(path, engine="numpy") as classifier:
        assert classifier.engine == "numpy"
        assert classifier.logits(windows).shape == (4, 4)


def test_a_cut_or_changed_file_is_refused_in_a_sentence():
    network = random_network()
    flatbuffer = serialize(lower(network, random_windows(network), precision="int8"))
    for end in range(8, len(flatbuffer), len(flatbuffer) // 40):
        with pytest.raises(MalformedError):
            read_graph(flatbuffer[:end])


def test_wrong_inputs_are_refused():
    network = random_network()
    flatbuffer = serialize(lower(network, random_windows(network), precision="int8"))
    with pytest.raises(ValueError, match=r"an input is float32\[1, 5, 3\]"):
        invoke(flatbuffer, random_windows(network), "numpy")


def changed(graph, name: str, **changes):
    """The graph with one tensor changed."""
    tensor = dataclasses.replace(graph.tensors[name], **changes)
    return dataclasses.replace(graph, tensors={**graph.tensors, name: tensor})


@pytest.fixture(params=["float32", "int8", "int16x8", "dynamic", "mixed"])
def sound_graph(request):
    network = random_network()
    return lower(network, random_windows(network), precision=request.param)


def test_a_tensor_of_another_shape_type_or_scale_is_refused_before_anything_runs(sound_graph):
    check_graph(sound_graph)
    used = {name for operator in sound_graph.operators for name in operator.outputs}
    for name in used:
        tensor = sound_graph.tensors[name]
        several = Quantization((0.5,) * 7)
        for changes in (
            {"shape": (*tensor.shape, 2)},
            {"shape": tensor.shape[:-1] + (tensor.shape[-1] + 1,)},
            {"dtype": np.dtype(np.int32)},
            {
                "dtype": np.dtype(np.int16 if tensor.dtype == np.int8 else np.int8),
                "quantization": several,
            },
        ):
            with pytest.raises(MalformedError):
                check_graph(changed(sound_graph, name, **changes))


def test_scales_that_no_multiplier_has_are_refused():
    network = random_network()
    graph = lower(network, random_windows(network), precision="int8")
    for operator in graph.operators:
        name = operator.outputs[0]
        if operator.op.value in ("MUL", "ADD", "FULLY_CONNECTED"):
            affine = graph.tensors[name].affine
            tiny = dataclasses.replace(affine, scale=(1e-42,))
            with pytest.raises(ValueError, match="scales differ by a factor"), np.errstate(all="ignore"):
                prepared(changed(graph, name, quantization=tiny), operator)


def test_a_model_of_endless_work_or_memory_is_refused():
    wide, rows = 1 << 13, 1 << 10
    weights, bias = np.zeros((1, 1), np.float32), np.zeros(1, np.float32)
    tensors = {
        "x": Tensor("x", (1, rows, wide)),
        "w": Tensor("w", (wide, wide), data=np.broadcast_to(weights, (wide, wide))),
        "b": Tensor("b", (wide,), data=np.broadcast_to(bias, (wide,))),
        "y": Tensor("y", (1, rows, wide)),
    }
    operator = Operator(Op.FULLY_CONNECTED, ("x", "w", "b"), ("y",))
    with pytest.raises(MalformedError, match="multiplications, expected at most"):
        check_graph(Graph(tensors, (operator,), ("x",), ("y",)))


def test_a_model_with_a_tensor_of_billions_is_refused_before_it_is_allocated():
    network = random_network()
    flatbuffer = serialize(lower(network, random_windows(network), precision="int8"))
    shape = np.array([1, 5, 3], "<i4").tobytes()
    assert flatbuffer.count(shape) >= 1
    with pytest.raises(MalformedError, match="elements together"):
        read_graph(flatbuffer.replace(shape, np.array([1, 1 << 20, 1 << 20], "<i4").tobytes()))
    with pytest.raises(MalformedError, match="a tensor has shape"):
        read_graph(flatbuffer.replace(shape, np.array([1, -5, -3], "<i4").tobytes()))


def test_an_input_that_was_not_filled_is_refused():
    network = random_network()
    flatbuffer = serialize(lower(network, random_windows(network), precision="int8"))
    with pytest.raises(ValueError, match="an input was not filled"):
        open_interpreter(flatbuffer, engine="numpy").invoke()
