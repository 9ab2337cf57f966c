"""One packed copy of each matrix: the same logits, for float32 activations only, and quietly."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from edge_runtime import Classifier
from edge_runtime.errors import EngineError
from tests.conftest import ENGINES, edge_rnn, succeed

here = pytest.mark.skipif(
    "ai-edge-litert" not in ENGINES or find_spec("ai_edge_litert.compiled_model") is None,
    reason="needs ai-edge-litert 2.1.6 or newer",
)


@here
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_the_logits_are_those_of_a_copy_for_each_step(digits_run, digits_models, precision):
    windows = digits_run.run.test_windows().x[:200]
    path, engine = digits_models[precision], "ai-edge-litert"
    with (
        Classifier(path, engine=engine) as plain,
        Classifier(path, engine=engine, shared_weights=True, verify=True) as shared,
    ):
        np.testing.assert_allclose(shared.logits(windows), plain.logits(windows), atol=1e-4)


@here
@pytest.mark.parametrize("precision", ["int8", "mixed", "int16x8"])
def test_integer_activations_are_refused(digits_models, precision):
    """LiteRT's cache would give every step the first one's scales, and wrong logits without a word."""
    with pytest.raises(EngineError, match=f"this one is in {precision}"):
        Classifier(digits_models[precision], engine="ai-edge-litert", shared_weights=True)


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
