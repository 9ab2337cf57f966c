"""edge-rnn inspect on files of every kind, and the sizes of the canonical model's files."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from convert.compiler.compile import compile_network
from convert.inspection.inspect_model import OTHER_FILES, inspect_model
from edge_runtime import Classifier
from edge_runtime.model_file.read_file import read_model
from tests.fuzz.archive_mutations import Parts
from tests.support.command_server import edge_rnn
from tests.support.commands import OFFERED, PROVING, succeed
from tests.support.model_files import write_model
from tests.support.networks import layer_combinations, random_windows


def test_every_byte_is_accounted_for(digits_models):
    for name, path in digits_models.items():
        found = json.loads(succeed(edge_rnn("inspect", path, "--json")))
        assert sum(found["bytes"].values()) == path.stat().st_size, name
    text = succeed(edge_rnn("inspect", path))
    for word in ("inputs", "outputs", "operators", "weights", "probes", "loads on", "native", "proof"):
        assert word in text


@pytest.mark.parametrize("strip", [False, True])
def test_a_foreign_model(tmp_path, strip):
    network = layer_combinations()["convolution, norms, largest"]
    path = tmp_path / "foreign.tflite"
    flatbuffer = compile_network(network, random_windows(network), precision="int8", strip=strip)
    path.write_bytes(flatbuffer.replace(b"made by edge-rnn", b"made by others.."))
    found = json.loads(succeed(edge_rnn("inspect", path, "--json")))
    assert sum(found["bytes"].values()) == len(flatbuffer)


def test_files_that_are_not_models(tmp_path):
    for content in (b"", b"TFL3", b"\x00" * 100, b"\x1c\x00\x00\x00TFL3" + b"\xff" * 60):
        path = tmp_path / "broken.tflite"
        path.write_bytes(content)
        result = edge_rnn("inspect", path)
        assert result.returncode == 2
        assert "broken.tflite" in result.stderr
        assert "Traceback" not in result.stderr


def test_hundreds_of_files_in_the_archive_are_one_line(tmp_path):
    """The part of each byte of the file is stored in one byte, which cannot number 400 parts."""
    path = write_model(tmp_path / "m.tflite")
    parts = Parts.of(path.read_bytes())
    parts.entries.update({f"\x1b[31m{number}": b"" for number in range(400)})
    path.write_bytes(parts.file())
    found = inspect_model(path)
    assert sum(found.bytes_by_part.values()) == path.stat().st_size
    assert found.bytes_by_part[OTHER_FILES] > 400 * 30
    assert "\x1b" not in str(found)


def test_a_proof_of_the_wrong_type_is_a_problem_and_no_crash(tmp_path):
    path = write_model(tmp_path / "m.tflite")
    parts = Parts.of(path.read_bytes())
    record = json.loads(parts.entries["edge_rnn.json"])
    record["parity"] = {"windows": [], "budget": {"min_agreement": "all"}, "engines": []}
    parts.entries["edge_rnn.json"] = json.dumps(record).encode()
    path.write_bytes(parts.file())
    found = inspect_model(path)
    assert "the metadata is damaged" in found.problem
    assert "the metadata is damaged" in str(found)


@pytest.fixture(scope="module")
def stripped_models(digits_run, tmp_path_factory):
    """Precision -> file without tensor names."""
    folder = tmp_path_factory.mktemp("stripped")
    succeed(edge_rnn("convert", digits_run.path, "--precision", "all", "--strip", "--out", folder))
    return {name: folder / f"digits-{name}.tflite" for name in OFFERED}


@pytest.mark.parametrize("engine", PROVING)
def test_stripped_files_compute_the_same(digits_run, digits_models, stripped_models, engine):
    windows = digits_run.run.test_windows().x[:100]
    for name, path in stripped_models.items():
        assert path.stat().st_size < digits_models[name].stat().st_size
        with (
            Classifier(path, engine=engine) as one,
            Classifier(digits_models[name], engine=engine) as other,
        ):
            np.testing.assert_array_equal(one.logits(windows), other.logits(windows))


READ = "import sys, openvino; openvino.Core().compile_model(sys.argv[1], 'CPU')"


def test_openvino_reads_the_default_file_and_not_the_stripped_one(
    digits_models, stripped_models, tmp_path
):
    """The help text of --strip says so."""
    pytest.importorskip("openvino")
    stripped, codes = stripped_models["float32"], {}
    for path in (digits_models["float32"], stripped):
        bare = tmp_path / f"{len(codes)}.tflite"
        bare.write_bytes(read_model(path)[0])
        command = [sys.executable, "-c", READ, str(bare)]
        codes[path] = subprocess.run(command, capture_output=True, timeout=300, check=False).returncode
    assert codes[digits_models["float32"]] == 0
    assert codes[stripped] != 0


@pytest.mark.parametrize("precision", ["int8", "dynamic"])
def test_sizes_of_the_canonical_model(mnist_run, mnist_models, tmp_path, precision):
    stripped = tmp_path / "stripped.tflite"
    arguments = ("--precision", precision, "--strip", "--out", stripped)
    succeed(edge_rnn("convert", mnist_run.path, *arguments))
    for limit, path in ((122_000, mnist_models[precision]), (110_000, stripped)):
        size = path.stat().st_size
        print(f"{path.name}: {size:,} bytes")
        assert size <= limit
