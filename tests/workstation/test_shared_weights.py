"""One packed copy of each matrix gives the same logits, prints nothing, and needs suitable scales."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.scales import int8_scales, shared_scales
from convert.compiler.weights.shared_packing import can_share_weights
from convert.model_file.archive import embed
from edge_runtime import Classifier
from edge_runtime.errors import EngineError
from edge_runtime.model_file.read_file import read_model_file
from tests.support.command_server import edge_rnn
from tests.support.commands import ENGINES, succeed

here = pytest.mark.skipif(
    "ai-edge-litert" not in ENGINES or find_spec("ai_edge_litert.compiled_model") is None,
    reason="needs ai-edge-litert 2.1.6 or newer",
)


@here
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "mixed", "int8"])
def test_the_logits_are_those_of_a_copy_for_each_step(digits_run, digits_models, precision):
    windows = digits_run.run.test_windows().x[:200]
    path, engine = digits_models[precision], "ai-edge-litert"
    with (
        Classifier(path, engine=engine) as plain,
        Classifier(path, engine=engine, shared_weights=True, verify=True) as shared,
    ):
        tolerance = 0.0 if precision == "int8" else 1e-4
        np.testing.assert_allclose(shared.logits(windows), plain.logits(windows), atol=tolerance)


@here
def test_int16_has_nothing_to_share(digits_models):
    with pytest.raises(EngineError, match="every precision but int16x8"):
        Classifier(digits_models["int16x8"], engine="ai-edge-litert", shared_weights=True)


@here
def test_scales_of_their_own_in_some_step_are_refused(digits_run, monkeypatch):
    """LiteRT's cache would give every step the first one's scales, and wrong logits without an error."""
    network = digits_run.network
    normalized = digits_run.run.record.normalization.apply(digits_run.run.calibration_windows().x[:200])
    assert can_share_weights(lower(network, normalized, precision="int8"))
    for module in (shared_scales, int8_scales):
        monkeypatch.setattr(module, "sharing_a_matrix", lambda graph: [])
    assert not can_share_weights(lower(network, normalized, precision="int8"))


@here
def test_a_file_that_does_not_say_so_is_refused(digits_models, tmp_path):
    file = read_model_file(digits_models["int8"])
    path = tmp_path / "older.tflite"
    labelled = replace(file.metadata, shared_weights=False)
    path.write_bytes(embed(file.flatbuffer, labelled))
    with pytest.raises(EngineError, match="written by an older edge-rnn"):
        Classifier(path, engine="ai-edge-litert", shared_weights=True)


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
def test_another_engine_is_refused(digits_models):
    with pytest.raises(EngineError, match="need the engine ai-edge-litert, found tflite-runtime"):
        Classifier(digits_models["float32"], engine="tflite-runtime", shared_weights=True)


@here
def test_commands(digits_run, digits_models):
    arguments = (digits_models["dynamic"], "--shared-weights", "--engine", "ai-edge-litert")
    result = edge_rnn("verify", *arguments)
    assert "verified" in succeed(result)
    assert result.stderr == ""
    window = digits_run.path / "example.npy"
    if not window.exists():
        np.save(window, digits_run.run.test_windows().x[0])
    result = edge_rnn("predict", *arguments, window)
    assert succeed(result)
    assert result.stderr == ""
