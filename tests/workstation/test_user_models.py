"""A user's own models through the real command: Keras 3, Keras 2, TensorFlow 1, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from edge_runtime import Classifier
from edge_runtime.model_file.read_file import read_model
from tests.support import commands
from tests.support.command_server import edge_rnn, run_python
from tests.support.commands import ENGINES, ROOT, succeed
from tests.support.keras_refused import CASES

SAVE = """
import sys
import numpy as np
library = __import__(sys.argv[1])
layers = library.layers
library.utils.set_random_seed(0)
model = library.Sequential([
    library.Input((12, 5)), layers.Bidirectional(layers.GRU(8, return_sequences=True)),
    layers.BatchNormalization(), layers.LSTM(12), layers.Dropout(0.5),
    layers.Dense(int(sys.argv[2]), activation=sys.argv[3]),
])
model.save(sys.argv[4])
x = np.load(sys.argv[5])["x"]
np.save(sys.argv[6], np.asarray(model(x)))
"""


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """2,200 windows of 12 steps of 5 features in three classes, without and with their classes."""
    folder = tmp_path_factory.mktemp("windows")
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (2200, 12, 5)).astype(np.float32)
    np.savez(folder / "x.npz", x=x)
    np.savez(folder / "xy.npz", x=x, y=rng.integers(0, 3, len(x)), labels=["low", "mid", "high"])
    return folder


def saved(folder, windows, library, suffix, classes=3, activation="softmax"):
    model, predictions = folder / f"mine{suffix}", folder / "predictions.npy"
    arguments = [library, str(classes), activation, str(model), str(windows), str(predictions)]
    succeed(run_python(SAVE, *arguments))
    return model, np.load(predictions)


@pytest.mark.parametrize(
    ("library", "suffix"), [("keras", ".keras"), ("keras", ".h5"), ("tf_keras", ".h5")]
)
def test_a_keras_model_becomes_a_file_that_predicts_the_same(windows, tmp_path, library, suffix):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    model, predictions = saved(tmp_path, windows / "x.npz", library, suffix)
    arguments = ("--data", windows / "xy.npz", "--precision", "float32")
    out = succeed(commands.edge_rnn("convert", model, *arguments))
    file = tmp_path / "mine-float32.tflite"
    assert f"{file}: written" in out
    x = np.load(windows / "x.npz")["x"][:200]
    for engine in ENGINES:
        with Classifier(file, engine=engine, verify=True) as classifier:
            assert classifier.labels == ("low", "mid", "high")
            found = np.array([prediction.probabilities for prediction in classifier.predict(x)])
        np.testing.assert_allclose(found, predictions[:200], atol=1e-5)


def test_without_classes_agreement_is_proven(windows, tmp_path):
    model, _ = saved(tmp_path, windows / "x.npz", "keras", ".keras")
    file = tmp_path / "mine.tflite"
    arguments = ("--precision", "dynamic", "--min-agreement", "0.9", "--out", file)
    succeed(edge_rnn("convert", model, "--data", windows / "x.npz", *arguments))
    _, metadata = read_model(file)
    assert metadata.labels == ("0", "1", "2")
    assert metadata.parity.full_accuracy is None
    assert all(result.accuracy is None for result in metadata.parity.engines)
    assert all(result.agreement > 0.9 for result in metadata.parity.engines if result.agreement)


def test_a_sigmoid_becomes_two_classes(windows, tmp_path):
    model, predictions = saved(tmp_path, windows / "x.npz", "keras", ".keras", 1, "sigmoid")
    succeed(edge_rnn("convert", model, "--data", windows / "x.npz", "--precision", "float32"))
    with Classifier(tmp_path / "mine-float32.tflite") as classifier:
        found = classifier.predict(np.load(windows / "x.npz")["x"][:50])
    probabilities = np.array([prediction.probabilities[1] for prediction in found])
    np.testing.assert_allclose(probabilities, predictions[:50, 0], atol=1e-5)


STATIC = """
import sys
import keras
import numpy as np
layers = keras.layers
keras.utils.set_random_seed(0)
parts, static = keras.Input((3, 4, 2)), keras.Input((2,))
x = parts
for layer in (layers.Conv1D(4, 3, padding="same"), layers.MaxPooling1D(2), layers.Flatten()):
    x = layers.TimeDistributed(layer)(x)
x = layers.Concatenate()([layers.LSTM(8)(x), static])
model = keras.Model([parts, static], layers.Dense(3, activation="softmax")(x))
rng = np.random.default_rng(0)
x, aside = rng.normal(0, 1, (60, 3, 4, 2)), rng.normal(0, 1, (60, 2))
model.save(sys.argv[1] + "/aside.keras")
np.savez(sys.argv[1] + "/aside.npz", x=x.astype(np.float32), static=aside.astype(np.float32))
np.save(sys.argv[1] + "/aside.npy", np.asarray(model([x, aside])))
"""


def test_windows_of_parts_with_a_static_input_in_arrays_of_their_own(tmp_path):
    succeed(run_python(STATIC, tmp_path))
    file = tmp_path / "aside.tflite"
    arguments = ("--data", tmp_path / "aside.npz", "--precision", "float32", "--out", file)
    succeed(edge_rnn("convert", tmp_path / "aside.keras", *arguments))
    data, expected = np.load(tmp_path / "aside.npz"), np.load(tmp_path / "aside.npy")
    aside = np.repeat(data["static"][:, np.newaxis], 12, axis=1)
    windows = np.concatenate([data["x"].reshape(60, 12, 2), aside], axis=2)
    with Classifier(file) as classifier:
        found = [prediction.probabilities for prediction in classifier.predict(windows)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_convert_model_takes_a_model_object(windows, tmp_path):
    script = f"""
import keras
from convert import convert_model
model = keras.Sequential([keras.Input((12, 5)), keras.layers.LSTM(8), keras.layers.Dense(3)])
data, out = {str(windows / "x.npz")!r}, {str(tmp_path / "m.tflite")!r}
assert convert_model(model, data, out, task="classification", precision="float32")
"""
    succeed(run_python(script))
    read_model(tmp_path / "m.tflite")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    if find_spec("tf_keras") is None:
        pytest.skip("tf_keras, which has BasicLSTMCell's variables, is not installed")
    folder = tmp_path_factory.mktemp("tf1")
    return _checkpoint(folder)


def _checkpoint(folder, *extra):
    script = str(ROOT / "tests" / "support" / "tf1_checkpoint.py")
    command = [sys.executable, script, str(folder / "model.ckpt"), str(folder / "windows.npz"), *extra]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder


def test_tensorflow_1_checkpoint(checkpoint):
    out = succeed(
        commands.edge_rnn(
            "convert",
            checkpoint / "model.ckpt",
            "--tf1-basic-lstm",
            "--data",
            checkpoint / "windows.npz",
            "--precision",
            "float32",
        )
    )
    assert "passed" in out
    content = np.load(checkpoint / "windows.npz")
    with Classifier(checkpoint / "model-float32.tflite") as classifier:
        found = classifier.logits(content["x"][:300])
    np.testing.assert_allclose(found, content["logits"][:300], atol=1e-4)


def test_tensorflow_1_checkpoint_that_could_mean_two_things(tmp_path, checkpoint):
    folder = _checkpoint(tmp_path, "second")
    arguments = ("--tf1-basic-lstm", "--data", folder / "windows.npz")
    result = edge_rnn("convert", folder / "model.ckpt", *arguments)
    assert result.returncode == 2
    assert "Variable" in result.stderr
    assert "Traceback" not in result.stderr


REFUSED = """
import json
import keras
from tests.support.keras_refused import sentences
print(json.dumps(sentences(keras)))
"""


@pytest.fixture(scope="module")
def said():
    return json.loads(succeed(run_python(REFUSED)).splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_converted_is_refused_in_a_sentence(said, case):
    _, sentence = CASES[case]
    assert sentence in said[case]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("{folder}/none.keras", "--data", "{folder}/x.npz"), "none.keras: no such file"),
        (("{model}",), "--data is missing"),
        (("{model}", "--data", "{folder}/none.npz"), "none.npz"),
        (("{model}", "--data", "{model}"), "mine.keras"),
        (
            ("{folder}/x.npz", "--data", "{folder}/x.npz"),
            "cannot tell the model format from the file name",
        ),
        (("{folder}", "--data", "{folder}/x.npz"), "Leave out --data"),
        (("{model}", "--data", "{folder}/x.npz", "--labels", "a,b"), "label"),
    ],
)
def test_wrong_arguments(user_model, windows, arguments, sentence):
    filled = [text.format(folder=windows, model=user_model) for text in arguments]
    result = edge_rnn("convert", *filled)
    assert result.returncode == 2, result.stdout
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def user_model(windows, tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model"), windows / "x.npz", "keras", ".keras")[0]
