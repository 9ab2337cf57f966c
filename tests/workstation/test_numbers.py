"""Forecasts and embeddings of Keras: converted, proven, and answered as numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge_runtime import Classifier, ModelError, Regressor
from edge_runtime.model_file.read_file import read_model
from tests.support.command_server import edge_rnn, run_python
from tests.support.commands import ENGINES, succeed

SAVE = """
import sys
import keras
import numpy as np
folder = sys.argv[1]
layers = keras.layers
keras.utils.set_random_seed(0)
x = np.cumsum(np.random.default_rng(0).normal(0, 0.3, (300, 10, 3)), axis=1).astype(np.float32)

def save(name, loss, *last):
    model = keras.Sequential([keras.Input((10, 3)), layers.LSTM(8), *last])
    if loss is not None:
        model.compile("adam", loss)
    model.save(f"{folder}/{name}")
    np.save(f"{folder}/{name}.npy", model(x))

save("forecast.keras", "mae", layers.Dense(15))
scale = layers.Rescaling(40.0, offset=1013.0)
save("pressure.h5", keras.losses.MeanSquaredError(), layers.Dense(1), scale)
save("vector.keras", None, layers.Dense(8))
save("unit.keras", None, layers.Dense(8), layers.UnitNormalization())
np.savez(f"{folder}/x.npz", x=x)
np.save(f"{folder}/x.npy", x)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    succeed(run_python(SAVE, folder))
    return folder


def converted(saved, name, *options):
    arguments = ("--data", saved / "x.npz", "--out", saved / "m.tflite", *options)
    return succeed(edge_rnn("convert", saved / name, *arguments)), saved / "m.tflite"


def test_a_forecast_gives_its_numbers_in_every_engine(saved):
    text, file = converted(saved, "forecast.keras")
    assert "budget: error <= 10.00 %: passed, proven" in text
    assert "int8: the outputs have steps of " in text
    expected, x = np.load(saved / "forecast.keras.npy"), np.load(saved / "x.npy")
    metadata = read_model(file)[1]
    assert (metadata.task, metadata.labels[14]) == ("regression", "output_14")
    for engine in (*ENGINES, "native", "numpy"):
        with Regressor(file, engine=engine, verify=True) as regressor:
            found = regressor.outputs(x)
        rmse = np.sqrt(np.square(found - expected).mean(axis=0))
        assert (rmse < 0.1 * expected.std(axis=0)).all()
    printed = succeed(edge_rnn("predict", file, saved / "x.npy", "--index", 3))
    assert printed.startswith(f"{saved / 'x.npy'}[3]: output_0: ")
    assert "%" not in printed
    with pytest.raises(ModelError, match="its task is regression"):
        Classifier(file)


def test_a_scale_at_the_end_is_a_part_of_the_network(saved):
    text, file = converted(saved, "pressure.h5", "--labels", "pressure", "--precision", "float32")
    assert "pressure (" in text
    with Regressor(file) as regressor:
        found = regressor.outputs(np.load(saved / "x.npy"))
    np.testing.assert_allclose(found, np.load(saved / "pressure.h5.npy"), rtol=1e-6)
    record = json.loads(succeed(edge_rnn("predict", file, saved / "x.npy", "--index", 0, "--json")))
    assert list(record["outputs"]) == ["pressure"]
    assert 900 < record["outputs"]["pressure"] < 1100


def test_an_embedding_that_its_model_scales_has_length_1(saved):
    text, file = converted(saved, "unit.keras")
    assert "least cosine" in text
    with Regressor(file, verify=True) as regressor:
        found = regressor.outputs(np.load(saved / "x.npy"))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    assert (found * np.load(saved / "unit.keras.npy")).sum(axis=1).min() > 0.95
    assert read_model(file)[1].unit_length
    assert "embedding: output_0, output_1" in succeed(edge_rnn("inspect", file))


def test_the_task_is_asked_for_and_a_budget_refuses(saved):
    out = saved / "refused.tflite"
    out.write_bytes(b"an older file")
    arguments = ("convert", saved / "vector.keras", "--data", saved / "x.npz", "--out", out)
    result = edge_rnn(*arguments)
    assert result.returncode == 2
    assert "Error: --task: is missing. The model's 8 outputs have no softmax" in result.stderr
    result = edge_rnn(*arguments, "--task", "embedding", "--min-agreement", 0.9)
    assert result.returncode == 2
    assert "--min-agreement: does not go with the task embedding. Use --max-error." in result.stderr
    result = edge_rnn(*arguments, "--task", "embedding", "--max-error", 0.0001)
    assert result.returncode == 1
    assert "beyond the budget" in result.stdout
    assert not out.exists()
