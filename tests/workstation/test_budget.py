"""A budget on few windows: a file is proven, not refuted or refuted, and --strict wants it proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.compiler.float_graph.unroll import unroll
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.source_model.source_model import SourceModel
from edge_runtime import Classifier
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.read_file import read_model
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.runs.labelled_windows import LabelledWindows
from tests.support.command_server import edge_rnn
from tests.support.networks import random_network, random_windows

WINDOWS = 27
NOT_NORMALIZED = Normalization((0.0,), (1.0,), "float32")


@pytest.fixture(scope="module")
def source() -> SourceModel:
    network = random_network()
    windows = random_windows(network, 200)
    held_out, calibration = windows[:WINDOWS], windows[WINDOWS:]
    logits = run(unroll(network), held_out)
    labelled = LabelledWindows(held_out, logits.argmax(axis=1).astype(np.int64))
    labels = ("a", "b", "c", "d")
    return SourceModel(network, labels, NOT_NORMALIZED, calibration, labelled, "random", logits, {}, {})


def test_a_weak_proof_is_written_and_says_so_everywhere(source, tmp_path):
    conversion = convert_source(source, tmp_path / "m.tflite", precision="float32")
    assert conversion
    assert "passed, not refuted" in str(conversion)
    assert f"Weak proof on {WINDOWS} windows: they show an agreement of 89.50 % or more" in str(
        conversion
    )
    _, metadata = read_model(conversion.path)
    assert metadata.parity.verdict == "not refuted"
    with Classifier(conversion.path) as classifier:
        verification = classifier.verify()
    weak = f"weak proof on {WINDOWS} windows: agreement >= 99.97 %, logit difference <= 0.001"
    assert f"{weak} is not refuted" in str(verification)


@pytest.mark.parametrize(("least", "written"), [(0.9, False), (0.89, True)])
def test_strict_wants_a_proof(source, tmp_path, least, written):
    out = tmp_path / "m.tflite"
    out.write_text("an older file")
    options = ConversionOptions(min_agreement=least, strict=True)
    conversion = convert_source(source, out, precision="float32", options=options)
    assert bool(conversion) is out.exists() is written
    refusal = f"{out}: not written, as its proof on {WINDOWS} windows is weak (--strict)."
    assert (refusal in str(conversion)) is not written
    if written:
        with Classifier(out) as classifier:
            assert "its proof met the budget: agreement >= 89.00 %" in str(classifier.verify())


def test_a_file_at_chance_is_refuted_on_few_windows(source, tmp_path):
    shuffled = source.logits[np.random.default_rng(0).permutation(WINDOWS)]
    out = tmp_path / "m.tflite"
    conversion = convert_source(replace(source, logits=shuffled), out, precision="int8")
    assert not conversion
    assert "FAILED, refuted" in str(conversion)
    assert not out.exists()


def test_strict_on_the_command_line(digits_run, tmp_path):
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "float32", "--strict", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments)
    assert result.returncode == 1
    assert "as its proof on 1,000 windows is weak (--strict)." in result.stdout
    assert not out.exists()
