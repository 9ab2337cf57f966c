"""The accuracy-parity suite: converted files in every engine against the full Keras model."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.model_file.flatbuffer import serialize
from convert.targets.precision import PRECISIONS
from edge_runtime import Classifier
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.model_file.read_file import read_model
from edge_runtime.numpy_engine.interpret import run
from tests.support.command_server import edge_rnn
from tests.support.commands import ENGINES, OFFERED, succeed
from tests.support.engines import invoke

PROJECTED = {"UNPACK", "FULLY_CONNECTED", "LOGISTIC", "SPLIT", "MUL", "ADD", "TANH"}
JOINED = PROJECTED | {"CONCATENATION"}
ALLOWED = {
    "float32": PROJECTED,
    "float16": JOINED | {"DEQUANTIZE"},
    "dynamic": JOINED,
    "int16x8": JOINED,
    "mixed": JOINED | {"DEQUANTIZE", "QUANTIZE"},
    "int8": JOINED,
}

MNIST_AGREEMENT = {
    "float32": 1,
    "float16": 1,
    "int16x8": 0.9998,
    "mixed": 0.9995,
    "dynamic": 0.9995,
    # The goal is 99.95 %. docs/internals/graph.md says why integers alone do not reach it.
    "int8": 0.9990,
}
"""Agreement on MNIST's 10,000 test windows, measured on one training. On another CPU, training gives
other weights, and the number of windows with another class varies by its standard error."""

MNIST_AGREEMENT_LITERT = {"dynamic": 0.9998, "int4": 0.9975}
"""The same with one scale per row, for a target without tflite-runtime."""


def most_windows(agreement: float, windows: int) -> int:
    """The number of windows that may get another class."""
    expected = (1 - agreement) * windows
    return int(expected + expected**0.5)


@pytest.mark.parametrize(
    ("kernels", "count"),
    [
        ("default", 10_000),
        ("no-xnnpack", 1_000),
        pytest.param("no-xnnpack", 10_000, marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("precision", OFFERED)
def test_agrees_with_the_full_model(trained, models, precision, engine, kernels, count):
    """On the first `count` windows of the test split, as kernels other than the default are slow."""
    test, full_logits = trained.run.test_windows().x[:count], trained.full_logits[:count]
    with Classifier(models[precision], engine=engine, kernels=kernels) as classifier:
        logits = classifier.logits(test)
    budget = PRECISIONS[precision].budget
    agreement = (logits.argmax(axis=1) == full_logits.argmax(axis=1)).mean()
    difference = np.abs(logits - full_logits)
    print(f"{len(test)} windows: agreement {agreement:.4%}, max {difference.max():.5f}")
    assert agreement >= budget.min_agreement
    if len(test) == 10_000 and kernels == "default":
        others = round((1 - agreement) * len(test))
        assert others <= most_windows(MNIST_AGREEMENT[precision], len(test))
    if precision == "float32":
        assert agreement == 1
        assert difference.max() < 1e-3


@pytest.mark.skipif("ai-edge-litert" not in ENGINES, reason="ai-edge-litert is not installed")
@pytest.mark.parametrize("precision", MNIST_AGREEMENT_LITERT)
def test_mnist_with_a_scale_per_row(mnist_run, tmp_path, precision):
    out = tmp_path / "m.tflite"
    arguments = ("--precision", precision, "--target", "litert-2.1", "--out", out)
    succeed(edge_rnn("convert", mnist_run.path, *arguments))
    windows = mnist_run.run.test_windows().x
    with Classifier(out, engine="ai-edge-litert") as classifier:
        classes = classifier.logits(windows).argmax(axis=1)
    others = int((classes != mnist_run.full_logits.argmax(axis=1)).sum())
    print(f"{precision}: {others} of {len(windows)} windows get another class")
    assert others <= most_windows(MNIST_AGREEMENT_LITERT[precision], len(windows))


@pytest.mark.parametrize("precision", OFFERED)
def test_operators(trained, models, precision):
    flatbuffer, metadata = read_model(models[precision])
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    assert {names[code.builtinCode] for code in model.operatorCodes} == ALLOWED[precision]
    (graph,) = model.subgraphs
    kinds = [names[model.operatorCodes[op.opcodeIndex].builtinCode] for op in graph.operators]
    matrices = [op.inputs[1] for op, kind in zip(graph.operators, kinds) if kind == "FULLY_CONNECTED"]
    # Each matrix is stored once. In float32 they are the input's for all steps at once, h's from step 2
    # on, and the logits'. Otherwise they are those of the three gates, the new state and the logits.
    uses = [1, metadata.steps - 1, 1] if precision == "float32" else [*[metadata.steps] * 2, 1]
    assert sorted(Counter(matrices).values()) == sorted(uses)
    assert graph.tensors[graph.inputs[0]].shape.tolist() == [1, metadata.steps, metadata.features]


def test_int8_is_integer_everywhere(models):
    flatbuffer, _ = read_model(models["int8"])
    (graph,) = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs
    types = [tensor.type for tensor in graph.tensors]
    assert set(types) == {schema.TensorType.INT8, schema.TensorType.INT32}
    # The biases of the gates, of the new state and of the logits, and SPLIT's axis.
    assert types.count(schema.TensorType.INT32) == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_input_and_output_arithmetic_follows_the_files_scales(trained, models, engine):
    """The classifier must compute exactly with the file's own scale and zero_point."""
    test = trained.run.test_windows()
    flatbuffer, metadata = read_model(models["int8"])
    interpreter = open_interpreter(flatbuffer, engine=engine)
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    classifier = Classifier(models["int8"], engine=engine)
    for window in test.x[:50]:
        normalized = metadata.normalization.apply(window)
        scale, zero_point = source["quantization"]
        q = np.clip(np.round(normalized / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], q[np.newaxis])
        interpreter.invoke()
        scale, zero_point = result["quantization"]
        integers = interpreter.get_tensor(result["index"])[0].astype(np.float64)
        expected = (integers - zero_point) * scale
        np.testing.assert_allclose(classifier.logits(window)[0], expected, rtol=1e-6)


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
def test_int8_numpy_run_equals_the_reference_kernels_bit_for_bit(trained, models):
    graph = lower(trained.network, _calibration(trained), precision="int8")
    flatbuffer, metadata = read_model(models["int8"])
    assert serialize(graph) == flatbuffer  # the graph that runs here is the one in the file
    normalized = metadata.normalization.apply(trained.run.test_windows().x[:500])
    inputs = graph.tensors[graph.input].encode(normalized)
    found = invoke(flatbuffer, inputs, "tflite-runtime", "reference")
    np.testing.assert_array_equal(found, run(graph, inputs))


def test_float_graph_in_numpy_is_the_full_model(trained):
    test = trained.run.test_windows()
    normalized = trained.run.record.normalization.apply(test.x[:1000])
    np.testing.assert_allclose(
        run(unroll(trained.network), normalized), trained.full_logits[:1000], atol=1e-4
    )


def test_int8_numpy_run_agrees_with_the_full_model(trained):
    graph = lower(trained.network, _calibration(trained), precision="int8")
    test = trained.run.test_windows()
    normalized = trained.run.record.normalization.apply(test.x[:2000])
    integers = run(graph, graph.tensors[graph.input].encode(normalized))
    logits = graph.tensors[graph.output].decode(integers)
    assert (logits.argmax(axis=1) == trained.full_logits[:2000].argmax(axis=1)).mean() >= 0.995


def test_openvino_reads_the_float32_file_and_finds_the_same_logits(trained, models, tmp_path):
    openvino = pytest.importorskip("openvino")
    flatbuffer, metadata = read_model(models["float32"])
    bare = tmp_path / "model.tflite"
    bare.write_bytes(flatbuffer)
    compiled = openvino.Core().compile_model(str(bare), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    windows = metadata.normalization.apply(trained.run.test_windows().x[:100])
    found = np.concatenate([compiled(window[np.newaxis])[0] for window in windows])
    np.testing.assert_allclose(found, trained.full_logits[:100], atol=1e-3)


def _calibration(trained) -> np.ndarray:
    samples = trained.run.calibration_windows().stratified_sample(500, 0)
    return trained.run.record.normalization.apply(samples.x)
