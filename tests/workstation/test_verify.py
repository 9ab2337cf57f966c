"""The proof that travels with the model: probes catch a file that loads and is silently wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.model_file.archive import embed
from edge_runtime import Classifier
from edge_runtime.errors import VerificationError
from edge_runtime.model_file.probes import read_probes
from edge_runtime.model_file.read_file import read_model_file
from tests.support.command_server import edge_rnn
from tests.support.commands import ENGINES, PROVING, succeed
from tests.support.model_files import write_model

QUANTIZE = """
import sys
from ai_edge_quantizer import quantizer, recipe
found = quantizer.Quantizer(sys.argv[1], recipe.dynamic_wi8_afp32()).quantize()
found.export_model(sys.argv[2], overwrite=True)
"""


def with_flatbuffer(path, flatbuffer: bytes, out):
    """The model file `path` with another FlatBuffer, whose digest it records as its own."""
    file = read_model_file(path)
    metadata = replace(
        file.metadata,
        flatbuffer_bytes=len(flatbuffer),
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
    )
    out.write_bytes(embed(flatbuffer, metadata, read_probes(file, str(path))))
    return out


@pytest.mark.parametrize("engine", PROVING)
def test_every_precision_verifies(digits_models, engine):
    for path in digits_models.values():
        assert "verified" in succeed(edge_rnn("verify", path, "--engine", engine))
    result = json.loads(succeed(edge_rnn("verify", path, "--engine", engine, "--json")))
    assert result["engine"] == engine


@pytest.mark.skipif("tflite-runtime" not in ENGINES, reason="tflite-runtime is not installed")
def test_another_quantizers_file_that_loads_and_is_wrong_is_caught(digits_run, digits_models, tmp_path):
    if find_spec("ai_edge_quantizer") is None:
        pytest.skip("ai-edge-quantizer is not installed")
    bare, quantized = tmp_path / "bare.tflite", tmp_path / "quantized.tflite"
    bare.write_bytes(read_model_file(digits_models["float32"]).flatbuffer)
    command = [sys.executable, "-c", QUANTIZE, str(bare), str(quantized)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    model = with_flatbuffer(digits_models["dynamic"], quantized.read_bytes(), tmp_path / "model.tflite")
    test = digits_run.run.test_windows()
    with Classifier(model, engine="tflite-runtime") as classifier:  # it loads
        agreement = (
            classifier.logits(test.x).argmax(axis=1) == digits_run.full_logits.argmax(axis=1)
        ).mean()
    print(f"agreement of the other quantizer's file on tflite-runtime: {agreement:.2%}")
    assert agreement < 0.5  # and is wrong
    result = edge_rnn("verify", model, "--engine", "tflite-runtime")
    assert result.returncode == 1
    assert "computes something else than the full model" in result.stderr
    with pytest.raises(VerificationError, match="probe 0"):
        Classifier(model, engine="tflite-runtime", verify=True)


@pytest.mark.parametrize("precision", ["int8", "dynamic", "float32"])
@pytest.mark.parametrize("engine", PROVING)
def test_a_flipped_weight_byte_is_caught(digits_run, digits_models, tmp_path, precision, engine):
    """A change of one byte of the dense layer that matters, found among the highest bytes of its
    weights.

    In int8 no single weight moves a logit by more than rounding may, so it is a byte of the biases.
    """
    file = read_model_file(digits_models[precision])
    model = tmp_path / "flipped.tflite"
    for at in _dense_bytes(digits_run, file.flatbuffer, precision):
        changed = bytearray(file.flatbuffer)
        changed[at] ^= 0x40  # a large factor, or a quarter of the integer range
        with_flatbuffer(digits_models[precision], bytes(changed), model)
        with Classifier(model, engine=engine) as classifier:
            if not classifier.verify():
                break
    result = edge_rnn("verify", model, "--engine", engine)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "probes fail" in result.stderr


def _dense_bytes(digits_run, flatbuffer, precision) -> list[int]:
    """The positions in the file of the highest bytes of the dense layer's weights."""
    dense = digits_run.network.layers[1]
    weights = dense.bias if precision == "int8" else dense.kernel
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    (data,) = {
        bytes(model.buffers[tensor.buffer].data)
        for tensor in model.subgraphs[0].tensors
        if list(tensor.shape) == list(weights.shape) and model.buffers[tensor.buffer].data is not None
    }
    start, size = flatbuffer.index(data), len(data) // weights.size
    return [start + size * number + size - 1 for number in range(weights.size)]


def test_a_flipped_byte_without_a_new_digest_never_reaches_an_engine(digits_models, tmp_path):
    data = bytearray(digits_models["int8"].read_bytes())
    data[20_000] ^= 1
    (tmp_path / "flipped.tflite").write_bytes(data)
    result = edge_rnn("verify", tmp_path / "flipped.tflite")
    assert result.returncode == 2
    assert "SHA-256" in result.stderr


def test_a_file_without_probes_says_so(tmp_path):
    path = write_model(tmp_path / "old.tflite")
    result = edge_rnn("verify", path)
    assert result.returncode == 2
    assert "no probes" in result.stderr or "probes" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("steps", "features"), [(10, 3), (300, 60)])
def test_float_windows_small_and_large(tmp_path, steps, features):
    """A sensor's windows are stored as they are. Windows that do not fit are made from a seed."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (1100, steps, features)).astype(np.float32)
    y = (x[:, :, 0].mean(axis=1) > 3).astype(int)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    train = ("--data", tmp_path / "data.npz", "--out", tmp_path / "run", "--iterations", 30)
    succeed(edge_rnn("train", *train, "--units", 8, "--quiet"))
    arguments = ("--precision", "float32", "--out", tmp_path / "m.tflite")
    succeed(edge_rnn("convert", tmp_path / "run", *arguments))
    succeed(
        edge_rnn("convert", tmp_path / "run", "--graph", "step", *arguments[:-1], tmp_path / "s.tflite")
    )
    for name, rows in (("m.tflite", 0), ("s.tflite", min(steps, 32))):
        file = read_model_file(tmp_path / name)
        assert (file.metadata.probes.synthetic is None) == (steps == 10)
        assert len(file.metadata.probes.rows) == rows
        assert len(file.probes) < 8000
        assert "verified" in succeed(edge_rnn("verify", tmp_path / name))


def test_a_step_file_is_verified_after_every_row(digits_run, tmp_path):
    path, out = tmp_path / "step.tflite", tmp_path / "changed.tflite"
    succeed(edge_rnn("convert", digits_run.path, "--graph", "step", "--out", path))
    succeed(edge_rnn("verify", path))
    file = read_model_file(path)
    probes = read_probes(file, str(path))
    assert probes.record.rows == tuple(range(1, file.metadata.steps + 1))
    logits = probes.logits.copy()
    logits[0, 2] += 2 * probes.record.tolerance
    out.write_bytes(embed(file.flatbuffer, file.metadata, replace(probes, logits=logits)))
    result = edge_rnn("verify", out)
    assert result.returncode == 1
    assert "after row 3" in result.stderr
    wrong = replace(probes.record, rows=(*probes.record.rows[:-1], 99))
    out.write_bytes(embed(file.flatbuffer, file.metadata, replace(probes, record=wrong)))
    result = edge_rnn("verify", out)
    assert result.returncode == 2
    assert "name rows that a window" in result.stderr
