"""The examples in the docstrings of the public classes run as they are."""

from __future__ import annotations

import inspect
import re
import textwrap

import numpy as np
import pytest

import edge_runtime
from convert.model_file.archive import embed
from edge_runtime.model_file.probe_record import ProbeRecord
from edge_runtime.model_file.probes import Probes
from edge_runtime.model_file.read_file import read_model
from tests.support.model_files import write_model

CLASSES = (
    "Classifier",
    "ClassifierPool",
    "Diagnosis",
    "Estimate",
    "Metadata",
    "ParityReport",
    "Prediction",
    "Predictor",
    "Regressor",
    "RegressorPool",
    "StreamingClassifier",
    "StreamingRegressor",
    "Verification",
)


def example(name: str) -> str:
    docstring = inspect.cleandoc(getattr(edge_runtime, name).__doc__)
    (found,) = re.findall(r"^Example:\n((?: {4}.*\n|\n)+)", docstring + "\n", re.MULTILINE)
    return textwrap.dedent(found)


@pytest.mark.parametrize("name", CLASSES)
def test_the_example_of_a_public_class_runs_and_prints(name, tmp_path, monkeypatch, capsys):
    model = write_model(tmp_path / "model.tflite")
    windows = np.random.default_rng(0).normal(20, 5, (3, 5, 3)).astype(np.float32)
    with edge_runtime.Classifier(model) as classifier:
        probes = Probes(ProbeRecord(3, "float32", 0.1, "noise"), windows, classifier.logits(windows))
    model.write_bytes(embed(*read_model(model), probes))
    write_model(tmp_path / "forecast.tflite", task="regression")
    np.save(tmp_path / "windows.npy", windows)
    np.save(tmp_path / "window.npy", windows[0])
    np.save(tmp_path / "rows.npy", windows.reshape(-1, 3))
    monkeypatch.chdir(tmp_path)
    exec(compile(example(name), name, "exec"), {})
    assert capsys.readouterr().out
