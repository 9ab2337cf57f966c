"""Files that give numbers: how they are opened, what they answer, and what `predict` prints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.model_file.archive import embed
from edge_runtime import (
    Classifier,
    ClassifierPool,
    ModelError,
    Predictor,
    Regressor,
    RegressorPool,
    StreamingClassifier,
    StreamingRegressor,
)
from edge_runtime.inference.answer import answer_of
from edge_runtime.model_file.probe_record import ProbeRecord
from edge_runtime.model_file.probes import Probes
from edge_runtime.model_file.read_file import read_model
from tests.support.commands import edge_rnn, succeed
from tests.support.model_files import write_model

NAMES = ("flow", "level", "head", "rate")


@pytest.fixture
def windows():
    return np.random.default_rng(0).normal(20, 5, (6, 5, 3)).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m.tflite", task="regression", labels=NAMES)


def _logits(tmp_path, windows, **changes):
    with Classifier(write_model(tmp_path / "classes.tflite", **changes)) as classifier:
        return classifier.logits(windows)


def test_a_regressor_gives_the_numbers_of_the_network(model, windows, tmp_path):
    expected = _logits(tmp_path, windows)
    with Regressor(model) as regressor:
        np.testing.assert_array_equal(regressor.outputs(windows), expected)
        estimates = regressor.predict(windows)
        one = regressor.predict(windows[0])
    np.testing.assert_array_equal(np.stack([item.outputs for item in estimates]), expected)
    assert one.by_name == dict(zip(NAMES, expected[0].tolist()))


def test_pool_and_stream_give_the_same(model, windows):
    with Regressor(model) as regressor:
        expected = regressor.outputs(windows)
    with RegressorPool(model, 2) as pool:
        found = np.stack([estimate.outputs for estimate in pool.predict(windows)])
    np.testing.assert_array_equal(found, expected)
    with StreamingRegressor(model, hop=5) as stream:
        answers = [stream.push(row) for row in windows.reshape(-1, 3)]
    found = np.stack([answer.outputs for answer in answers if answer is not None])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_an_embedding_is_scaled_to_length_1(tmp_path, windows, graph):
    raw = _logits(tmp_path, windows, graph=graph)
    path = write_model(tmp_path / "e.tflite", graph=graph, task="embedding", unit_length=True)
    with Regressor(path) as regressor:
        found = regressor.outputs(windows)
        single = np.concatenate([regressor.outputs(window) for window in windows])
        if graph == "step":
            np.testing.assert_array_equal(regressor.outputs_by_row(windows)[:, -1], found)
            rows = [regressor.step(row, restart=k == 0) for k, row in enumerate(windows[0])]
            np.testing.assert_array_equal(rows[-1], found[0])
    np.testing.assert_allclose(found, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(single, found)


@pytest.mark.parametrize(
    "open_it", [Classifier, StreamingClassifier, lambda path: ClassifierPool(path, 2)]
)
def test_numbers_are_never_opened_as_classes(model, open_it):
    with pytest.raises(ModelError, match=r"m\.tflite: its task is regression.*Use Regressor"):
        open_it(model)


@pytest.mark.parametrize("open_it", [Regressor, StreamingRegressor, lambda path: RegressorPool(path, 2)])
def test_classes_are_never_opened_as_numbers(tmp_path, open_it):
    path = write_model(tmp_path / "m.tflite")
    with pytest.raises(ModelError, match=r"m\.tflite: its task is classification.*Use Classifier"):
        open_it(path)


def test_a_predictor_opens_both(model, windows, tmp_path):
    with Predictor(model) as numbers, Predictor(write_model(tmp_path / "c.tflite")) as classes:
        assert answer_of("w", 0, True, numbers.predict(windows[0])).outputs
        assert answer_of("w", 0, True, classes.predict(windows[0])).ranking


def test_only_files_of_numbers_have_version_3(model, tmp_path):
    assert read_model(model)[1].to_json()["format_version"] == 3
    classes = read_model(write_model(tmp_path / "c.tflite"))[1].to_json()
    assert classes["format_version"] == 1
    assert not {"task", "unit_length"} & set(classes)


def test_probes_are_compared_in_spreads(model, windows):
    with Regressor(model) as regressor:
        expected = regressor.outputs(windows)
    record = ProbeRecord(6, "float32", 0.01, "noise", spreads=(1.0, 1.0, 1.0, 100.0))
    off = expected + np.array([0, 0, 0, 0.9], np.float32)
    model.write_bytes(embed(*read_model(model), Probes(record, windows, off)))
    with Regressor(model) as regressor:
        verification = regressor.verify()
    assert verification
    np.testing.assert_allclose(verification.max_logit_difference, 0.009, rtol=1e-3)
    wrong = expected + np.array([0, 0.5, 0, 0], np.float32)
    model.write_bytes(embed(*read_model(model), Probes(record, windows, wrong)))
    result = edge_rnn("verify", model)
    assert result.returncode == 1
    assert "probe 0: expected level: " in result.stderr
    assert "standard deviations" in result.stderr


def test_the_commands_print_numbers(model, windows, tmp_path):
    np.save(tmp_path / "w.npy", windows[:2])
    with Regressor(model) as regressor:
        expected = [estimate.by_name for estimate in regressor.predict(windows[:2])]
    lines = succeed(edge_rnn("predict", model, tmp_path / "w.npy")).splitlines()
    assert lines[1].startswith(f"{tmp_path / 'w.npy'}[1]: flow: {expected[1]['flow']:.6g}, level: ")
    lines = succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--json", "--jobs", 2)).splitlines()
    assert [json.loads(line)["outputs"] for line in lines] == expected
    text = "\n".join(",".join(map(str, row)) for row in windows[0].tolist())
    (line,) = succeed(edge_rnn("stream", model, input=f"{text}\n")).splitlines()
    assert json.loads(line) == {"row": 5, "outputs": expected[0]}
    for command in (("predict", model, tmp_path / "w.npy"), ("stream", model)):
        result = edge_rnn(*command, "--top", 2)
        assert result.returncode == 2
        assert "--top: is for classifiers. The task of this model is regression." in result.stderr
