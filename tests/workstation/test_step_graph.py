"""--graph step: one call for each row equals the unrolled network after every row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.compiler.compile import compile_network, lower
from convert.model_file.flatbuffer import serialize
from convert.proof.row_parity import numpy_logits, unrolled_logits
from convert.source_model.network import Network
from edge_runtime import Classifier
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.errors import InputError
from edge_runtime.inference.step_model import StepModel
from edge_runtime.model_file.read_file import read_model
from tests.support.command_server import edge_rnn, run_python
from tests.support.commands import ENGINES, PROVING, succeed
from tests.support.networks import RandomLayers, layer_combinations, random_windows

STEPS, FEATURES, CLASSES = 9, 5, 4
WINDOWS = 20


def networks() -> dict[str, Network]:
    make = RandomLayers()
    kinds = {
        "LSTM": (make.lstm(FEATURES, 12), make.dense(12, CLASSES)),
        "GRU": (make.gru(FEATURES, 12), make.dense(12, CLASSES)),
        "GRU, reset before": (make.gru(FEATURES, 12, reset_after=False), make.dense(12, CLASSES)),
        "stacked": (
            make.lstm(FEATURES, 10, "first", return_sequences=True),
            make.gru(10, 8, "second", return_sequences=True),
            make.simple(8, 7, "third"),
            make.dense(7, 6, "relu", "hidden"),
            make.dense(6, CLASSES),
        ),
    }
    return {name: Network(STEPS, FEATURES, layers) for name, layers in kinds.items()}


NETWORKS = networks()


def logits_by_row(graph, windows: np.ndarray, engine: str, kernels: str = "default") -> np.ndarray:
    """Logits `[N, steps, classes]` of the step file, called once a row in the engine."""
    model = StepModel(open_interpreter(serialize(graph), engine=engine, kernels=kernels))
    return np.stack([model.logits_by_row(window) for window in windows])


@pytest.fixture(params=NETWORKS)
def case(request):
    """A network, windows, and the float logits after every row of networks of that many steps."""
    network = NETWORKS[request.param]
    windows = random_windows(network, 100)
    expected = unrolled_logits(network, windows[:WINDOWS], tuple(range(1, STEPS + 1)))
    return network, windows, expected


@pytest.mark.parametrize("engine", ENGINES)
def test_float32_is_the_unrolled_network_after_every_row(case, engine):
    network, windows, expected = case
    graph = lower(network, windows, precision="float32", graph="step")
    found = logits_by_row(graph, windows[:WINDOWS], engine)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_integers_equal_the_numpy_run_after_every_row_bit_for_bit(case, precision):
    """The engine's states go back in as they came out, and nothing is rounded between two calls."""
    network, windows, _ = case
    graph = lower(network, windows, precision=precision, graph="step")
    found = logits_by_row(graph, windows[:WINDOWS], "tflite-runtime", "reference")
    np.testing.assert_array_equal(found, numpy_logits(graph, windows[:WINDOWS]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("precision", ["int8", "int16x8", "mixed"])
def test_every_engine_is_as_near_to_the_numpy_run_as_rounding_allows(case, precision, engine):
    """Other kernels round ties differently, which costs no more than the quantization itself."""
    network, windows, expected = case
    graph = lower(network, windows, precision=precision, graph="step")
    reference = numpy_logits(graph, windows[:WINDOWS])
    found = logits_by_row(graph, windows[:WINDOWS], engine)
    cost = np.abs(reference - expected).mean()
    assert np.abs(found - reference).mean() <= cost
    assert cost <= 0.05 * expected.std()


def test_rows_in_another_order_give_other_logits(case):
    """This shows that the tests above can fail: a state that is not fed back would pass none of them."""
    network, windows, expected = case
    graph = lower(network, windows, precision="float32", graph="step")
    model = StepModel(open_interpreter(serialize(graph), engine=ENGINES[0], kernels="default"))
    assert np.abs(model.logits_by_row(windows[0, [1, 0]])[1] - expected[0, 1]).max() > 0.01
    np.testing.assert_allclose(model.logits_by_row(windows[0, :2]), expected[0, :2], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bidirectional", r"both \(Bidirectional\) needs the whole window"),
        ("convolution, norms, largest", r"conv \(Conv1d\) needs the whole window"),
        ("flattened", r"flat \(Flatten\) needs the whole window"),
        ("backwards", r"lstm \(Lstm\) reads the window from its last row"),
    ],
)
def test_layers_that_need_the_window_are_named(kind, words):
    network = layer_combinations()[kind]
    with pytest.raises(InputError, match=f"--graph step: the layer {words}.* Use --graph unrolled"):
        compile_network(network, random_windows(network), precision="float32", graph="step")


@pytest.fixture(scope="module")
def step_models(digits_run, tmp_path_factory):
    """Precision -> step file of the digits, and the printed text."""
    folder, found = tmp_path_factory.mktemp("step"), {}
    for precision in ("float32", "int8"):
        out = folder / f"{precision}.tflite"
        arguments = ("--graph", "step", "--precision", precision, "--out", out)
        found[precision] = (out, succeed(edge_rnn("convert", digits_run.path, *arguments)))
    return found


def test_command_proves_every_row_and_says_so(step_models):
    for path, printed in step_models.values():
        metadata = read_model(path)[1]
        assert (metadata.graph, metadata.states) == ("step", ("h", "c"))
        rows = {result.engine.split(" ")[0]: result for result in metadata.parity.by_row}
        assert set(rows) == {"numpy", *PROVING}
        for result in rows.values():
            assert str(result) in printed
            assert result.rows == tuple(range(1, metadata.steps + 1))
    exact = read_model(step_models["float32"][0])[1].parity.by_row
    assert all(result.max_logit_difference < 1e-4 for result in exact)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_predict_and_verify_take_a_step_file(digits_run, step_models, tmp_path, precision):
    path, _ = step_models[precision]
    test = digits_run.run.test_windows()
    np.savez(tmp_path / "digits.npz", x=test.x[:50])
    for engine in PROVING:
        assert "verified" in succeed(edge_rnn("verify", path, "--engine", engine))
        arguments = ("--json", "--engine", engine)
        printed = succeed(edge_rnn("predict", path, tmp_path / "digits.npz", *arguments))
        labels = [json.loads(line)["label"] for line in printed.splitlines()]
        same = np.mean([int(label) for label in labels] == digits_run.full_logits[:50].argmax(axis=1))
        assert same == 1 if precision == "float32" else same >= 0.98


@pytest.mark.parametrize("engine", ENGINES)
def test_a_window_has_the_logits_of_the_full_model(digits_run, step_models, engine):
    windows = digits_run.run.test_windows().x[:100]
    with Classifier(step_models["float32"][0], engine=engine, verify=True) as classifier:
        np.testing.assert_allclose(classifier.logits(windows), digits_run.full_logits[:100], atol=1e-4)


SAVE = """
import sys
import keras
from keras import layers
middle = {
    "bidirectional": [layers.Bidirectional(layers.LSTM(4))],
    "pooling": [layers.LSTM(4, return_sequences=True), layers.GlobalMaxPooling1D()],
}
for name, built in middle.items():
    keras.Sequential([keras.Input((6, 3)), *built, layers.Dense(3)]).save(f"{sys.argv[1]}/{name}.keras")
"""


def test_command_refuses_models_that_need_the_window(tmp_path):
    succeed(run_python(SAVE, tmp_path))
    x = np.random.default_rng(0).normal(0, 1, (2200, 6, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(len(x)) % 3)
    for name, words in (("bidirectional", "(Bidirectional)"), ("pooling", "(GlobalPooling)")):
        out = tmp_path / "m.tflite"
        arguments = ("--data", tmp_path / "x.npz", "--graph", "step", "--out", out)
        result = edge_rnn("convert", tmp_path / f"{name}.keras", *arguments)
        assert result.returncode == 2
        (sentence,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
        assert f"{words} needs the whole window" in sentence
        assert "Use --graph unrolled" in sentence
        assert "Traceback" not in result.stderr
        assert not out.exists()
