"""`edge-rnn convert` on a real run: proof, report, exit codes, reproducible files."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from edge_runtime.model_file.read_file import read_model
from tests.support.command_server import edge_rnn
from tests.support.commands import ENGINES, OFFERED, PROVING, succeed

both_engines = pytest.mark.skipif(len(ENGINES) < 2, reason="needs tflite-runtime and ai-edge-litert")


def test_report_is_printed_and_travels_in_the_file(digits_run, digits_models, tmp_path):
    out = tmp_path / "m.tflite"
    printed = succeed(edge_rnn("convert", digits_run.path, "--precision", "int8", "--out", out))
    _, metadata = read_model(out)
    assert metadata.parity
    assert str(metadata.parity) in printed
    assert f"{out.stat().st_size:,} bytes" in printed
    assert metadata.parity.windows >= 1000
    assert {result.engine for result in metadata.parity.engines} == set(PROVING)
    assert metadata.labels == digits_run.run.record.labels
    assert metadata.normalization == digits_run.run.record.normalization
    assert metadata.source["model_sha256"] == digits_run.run.record.model_sha256
    assert metadata.source["dataset_digest"] == digits_run.run.record.dataset["digest"]
    assert set(metadata.tools) == {"edge-rnn", "tensorflow", "numpy", "flatbuffers", "ai-edge-litert"}


def test_converted_twice_the_files_are_byte_identical(digits_run, digits_models, tmp_path):
    succeed(edge_rnn("convert", digits_run.path, "--precision", "all", "--out", tmp_path))
    for path in digits_models.values():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_below_the_budget_exits_1_and_leaves_nothing(digits_run, tmp_path):
    out = tmp_path / "m.tflite"
    out.write_text("an older file")
    result = edge_rnn("convert", digits_run.path, "--out", out, "--max-logit-difference", "1e-9")
    assert result.returncode == 1
    assert "FAILED" in result.stdout
    assert "not written, as the parity proof failed." in result.stdout
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_all_goes_on_after_a_failed_precision(digits_run, tmp_path):
    result = edge_rnn(
        "convert",
        digits_run.path,
        "--precision",
        "all",
        "--out",
        tmp_path,
        "--max-logit-difference",
        "1e-3",
    )
    assert result.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["digits-float32.tflite"]


@both_engines
def test_per_channel_weights_for_litert_are_refused_by_tflite_runtime(mnist_run, tmp_path):
    out = tmp_path / "m.tflite"
    arguments = ("convert", mnist_run.path, "--precision", "dynamic", "--target", "litert-2.1")
    printed = succeed(edge_rnn(*arguments, "--out", out))
    assert "refuses the model" in printed
    assert "(not in the target)" in printed
    _, metadata = read_model(out)
    results = {result.engine: result for result in metadata.parity.engines}
    assert results["ai-edge-litert"].agreement >= 0.999
    assert results["tflite-runtime"].agreement is None
    assert results["tflite-runtime"].failure.startswith(
        "tflite-runtime refuses the model (Didn't find op"
    )
    succeed(edge_rnn(*arguments, "--out", tmp_path / "again.tflite"))
    assert (tmp_path / "again.tflite").read_bytes() == out.read_bytes()
    assert not results["tflite-runtime"].required


def test_default_output_is_in_the_run_directory(digits_run):
    succeed(edge_rnn("convert", digits_run.path, "--precision", "float32"))
    out = digits_run.path / "digits-float32.tflite"
    assert read_model(out)[1].precision == "float32"
    out.unlink()


def test_changed_model_or_windows_are_refused(digits_run, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("run.json", "model.keras", "windows.npz"):
        (copy / name).write_bytes((digits_run.path / name).read_bytes())
    (copy / "model.keras").write_bytes(b"another model")
    result = edge_rnn("convert", copy)
    assert result.returncode == 2
    assert "model.keras: not the file that run.json describes" in result.stderr
    (copy / "model.keras").write_bytes((digits_run.path / "model.keras").read_bytes())
    (copy / "windows.npz").write_bytes(b"PK")
    result = edge_rnn("convert", copy)
    assert result.returncode == 2
    assert "windows.npz: not the file that run.json describes" in result.stderr
    (copy / "run.json").write_text(json.dumps({"steps": 28}))
    result = edge_rnn("convert", copy)
    assert result.returncode == 2
    assert "run.json: not a run record" in result.stderr


def test_conversion_itself_loads_no_tensorflow(digits_run):
    code = f"""
import sys
import numpy as np
from convert import compile_network, Dense, Lstm, Network
a = np.load({str(digits_run.dump)!r})
lstm = Lstm("lstm", a["kernel"], a["recurrent_kernel"], a["bias"])
network = Network(28, 28, (lstm, Dense("logits", a["dense_kernel"], a["dense_bias"])))
windows = np.random.default_rng(0).random((50, 28, 28), np.float32)
for precision in {OFFERED!r}:
    assert compile_network(network, windows, precision=precision)[4:8] == b"TFL3"
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_predict_command_on_real_digits(digits_run, digits_models, tmp_path):
    test = digits_run.run.test_windows()
    np.savez(tmp_path / "digits.npz", x=test.x[:20], y=test.y[:20])
    for path in digits_models.values():
        printed = succeed(edge_rnn("predict", path, tmp_path / "digits.npz", "--json"))
        labels = [json.loads(line)["label"] for line in printed.splitlines()]
        correct = sum(label == str(actual) for label, actual in zip(labels, test.y))
        assert correct >= 18
