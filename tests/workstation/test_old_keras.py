"""Model files of Keras 2.2.4 to TensorFlow 2.15: what the release that saved them predicts is the truth.

tests/data/old-keras has files that those releases wrote, with their own predictions. Further layouts
are written by tf_keras and edited (old_keras_layouts.py).
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from convert.compiler.float_graph.unroll import unroll
from convert.source_model.network import HARD_SIGMOID, HARD_SIGMOID_02, Bidirectional
from edge_runtime import Classifier
from edge_runtime.numpy_engine.interpret import run
from tests.support.command_server import edge_rnn, run_script
from tests.support.commands import CHILDREN, ROOT, succeed
from tests.support.old_keras_layouts import NAMES

DATA = ROOT / "tests" / "data" / "old-keras"
FILES = sorted(path.name for path in DATA.iterdir() if path.suffix in (".h5", ".keras"))
HARD = ["keras224-bilstm.h5", "keras224-td.h5", "tf1_15-conv.h5", "tf1_15-gru.h5"]
"""Those whose gates use hard_sigmoid."""

TOLERANCE = 1e-5  # float32 in another order of summation


@pytest.fixture(scope="module")
def windows():
    with np.load(DATA / "windows.npz") as file:
        return file["x"][:64].astype(np.float32)


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """The folder of the layouts, or None without tf_keras."""
    if find_spec("tf_keras") is None:
        return None
    folder = tmp_path_factory.mktemp("layouts")
    succeed(run_script(ROOT / "tests" / "support" / "old_keras_layouts.py", folder))
    return folder


@pytest.fixture(scope="module")
def layouts(edited):
    if edited is None:
        pytest.skip("tf_keras is not installed")
    return edited


@pytest.fixture(scope="module")
def read(tmp_path_factory, edited):
    """File -> (network, reference logits), and layout -> the outputs of the model that was read."""
    out = tmp_path_factory.mktemp("read") / "out.pkl"
    files = [str(DATA / name) for name in FILES]
    if edited is not None:
        files += [f"{edited / name}={edited / name}.npz" for name in NAMES]
    succeed(run_script(CHILDREN / "old_keras_child.py", out, DATA / "windows.npz", *files))
    return pickle.loads(out.read_bytes())


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", FILES)
def test_reference_and_network_give_what_the_release_predicted(read, windows, name):
    network, logits = read[name]
    predicted = np.load(DATA / f"{name}.probabilities.npy")
    np.testing.assert_allclose(softmax(logits), predicted, atol=TOLERANCE)
    np.testing.assert_allclose(softmax(run(unroll(network), windows)), predicted, atol=TOLERANCE)


def _with_other_hard_sigmoid(layer):
    if isinstance(layer, Bidirectional):
        parts = {
            side: _with_other_hard_sigmoid(getattr(layer, side)) for side in ("forward", "backward")
        }
        return replace(layer, **parts)
    if getattr(layer, "recurrent_activation", None) == HARD_SIGMOID_02:
        return replace(layer, recurrent_activation=HARD_SIGMOID)
    return layer


@pytest.mark.parametrize("name", HARD)
def test_hard_sigmoid_of_keras_3_would_not_pass(read, windows, name):
    """The test above can fail: with the other function of the same name it does."""
    network, _ = read[name]
    layers = tuple(map(_with_other_hard_sigmoid, network.layers))
    predicted = np.load(DATA / f"{name}.probabilities.npy")
    wrong = softmax(run(unroll(replace(network, layers=layers)), windows))
    assert np.abs(wrong - predicted).max() > 100 * TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_layouts_of_old_releases_are_read(layouts, read, name):
    with np.load(layouts / f"{name}.npz") as file:
        assert np.ptp(file["y"], axis=0).max() > 0.01  # the windows make a difference
        np.testing.assert_allclose(read[name], file["y"], atol=TOLERANCE)


def _probabilities(file, x):
    with Classifier(file) as classifier:
        return np.array([prediction.probabilities for prediction in classifier.predict(x)])


CONVERTED = [
    ("tf1_15-gru.h5", "int8"),
    pytest.param("tf2_15-td.keras", "int8", marks=pytest.mark.nightly),
    pytest.param("keras224-td.h5", "int8", marks=pytest.mark.nightly),
    pytest.param("keras224-bilstm.h5", "mixed", marks=pytest.mark.nightly),
]


@pytest.mark.parametrize(("name", "precision"), CONVERTED)
def test_the_command_converts_a_file_and_predicts_with_it(windows, tmp_path, name, precision):
    out, data = tmp_path / "old.tflite", DATA / "windows.npz"
    succeed(edge_rnn("convert", DATA / name, "--data", data, "--precision", precision, "--out", out))
    predicted = np.load(DATA / f"{name}.probabilities.npy")
    ordered = np.sort(predicted, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 0.05
    assert clear.sum() > 10
    assert (_probabilities(out, windows).argmax(axis=1) == predicted.argmax(axis=1))[clear].all()


def test_a_saved_model_folder_is_converted(layouts, tmp_path):
    out = tmp_path / "old.tflite"
    arguments = ("--data", layouts / "folder.data.npz", "--precision", "float32", "--out", out)
    succeed(edge_rnn("convert", layouts / "folder", *arguments))
    with np.load(layouts / "folder.npz") as file:
        np.testing.assert_allclose(_probabilities(out, file["x"]), softmax(file["y"]), atol=TOLERANCE)
