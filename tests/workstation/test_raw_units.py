"""A Keras model with a scaler in front takes raw windows, and their units cost its file no precision."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from convert import export_c
from edge_runtime import Classifier, StreamingClassifier
from edge_runtime.model_file.read_file import read_model
from tests.support.command_server import edge_rnn, run_python
from tests.support.commands import succeed
from tests.support.exported import compile_here

MEAN, STD = np.array([1013.0, 0.0, 20.0]), np.array([40.0, 0.01, 5.0])

SAVE = """
import sys
import keras
import numpy as np
keras.utils.set_random_seed(0)
mean, std = np.array([1013.0, 0.0, 20.0]), np.array([40.0, 0.01, 5.0])
raw = np.load(sys.argv[1])["x"]
body = [
    keras.layers.LSTM(16, kernel_initializer=keras.initializers.RandomNormal(stddev=0.7)),
    keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0)),
]
norm = keras.layers.BatchNormalization(epsilon=0.0)
models = {
    "normalization": [keras.layers.Normalization(mean=mean, variance=std**2)],
    "batch": [keras.layers.Rescaling(0.5, offset=1.0), norm],
    "none": [],
}
for name, front in models.items():
    model = keras.Sequential([keras.Input((8, 3)), *front, *body])
    if name == "batch":
        norm.set_weights([np.ones(3), np.zeros(3), mean / 2 + 1, std**2 / 4])
    if name == "none":
        kernel, recurrent, bias = body[0].get_weights()
        bias = bias - (mean / std) @ kernel
        body[0].set_weights([kernel / std[:, None], recurrent, bias])
    model.save(f"{sys.argv[2]}/{name}.keras")
    np.save(f"{sys.argv[2]}/{name}.npy", np.asarray(model(raw)))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same model with its scaling in three places, and their answers."""
    folder = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(0)
    windows = np.cumsum(rng.normal(0, 0.5, (900, 8, 3)), axis=1)
    y = rng.integers(0, 3, len(windows))
    np.savez(folder / "raw.npz", x=(windows * STD + MEAN).astype(np.float32), y=y)
    succeed(run_python(SAVE, str(folder / "raw.npz"), str(folder)))
    return folder


def raw_windows(models) -> np.ndarray:
    return np.load(models / "raw.npz")["x"]


@pytest.mark.parametrize("name", ["normalization", "batch", "none"])
def test_int8_is_as_precise_as_on_scaled_windows(models, tmp_path, name):
    out = tmp_path / "m.tflite"
    arguments = ("--data", models / "raw.npz", "--min-agreement", "0.97", "--out", out)
    printed = succeed(edge_rnn("convert", models / f"{name}.keras", *arguments))
    _, metadata = read_model(out)
    assert len(metadata.normalization.std) == 3
    if name != "none":
        np.testing.assert_allclose(metadata.normalization.mean, MEAN, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(metadata.normalization.std, STD, rtol=1e-5)
    assert ("the features' ranges differ by up to 1:" in printed) is (name == "none")
    full = np.load(models / f"{name}.npy")
    with Classifier(out) as classifier:
        logits = classifier.logits(raw_windows(models))
    assert np.abs(logits - full).mean() < 0.05 * full.std()
    if name == "normalization" and shutil.which("gcc"):
        program = compile_here(export_c(out, tmp_path / "c", name="net"), tmp_path / "probes", "-O1")
        assert subprocess.run([program], check=False, timeout=60).returncode == 0


def test_a_step_file_takes_raw_rows(models, tmp_path):
    out = tmp_path / "step.tflite"
    arguments = ("--graph", "step", "--precision", "dynamic", "--min-agreement", "0.97")
    model = models / "normalization.keras"
    succeed(edge_rnn("convert", model, "--data", models / "raw.npz", *arguments, "--out", out))
    full, window = np.load(models / "normalization.npy")[0], raw_windows(models)[0]
    with StreamingClassifier(out) as stream:
        answers = [stream.push(row) for row in window]
    assert answers[-1] is not None
    np.testing.assert_allclose(
        answers[-1].logits, full, atol=0.1 * np.load(models / "normalization.npy").std()
    )
