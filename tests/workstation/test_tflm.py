"""Target tflm: files in TensorFlow Lite for Microcontrollers itself, in an environment of its own.

The first test makes the environment, which needs the network. TFLM has wheels for x86-64 Linux only.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.inspection.inspect_model import inspect_model
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.proof.environments import environment_python, make_environment
from convert.proof.parity import engine_logits
from convert.targets.target import TABLE, TARGETS
from edge_runtime import Classifier
from edge_runtime.errors import EngineError
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.read_file import read_model
from scripts.engine_cases import CLASSES, FEATURES, STEPS, cases, networks
from scripts.engine_check import differing
from scripts.engine_table import probe
from tests.support.command_server import edge_rnn
from tests.support.commands import ROOT, succeed
from tests.support.made_once import made_once
from tests.support.model_files import metadata_for
from tests.support.networks import random_windows
from tests.support.package_index import pypi_answers

TFLM_TARGET = TARGETS["tflm"]
(TFLM_ENGINE,) = TFLM_TARGET.engines
DISTRIBUTION = TFLM_ENGINE.distribution

SIZES = {
    "steps": STEPS,
    "features": FEATURES,
    "labels": tuple("abcde"[:CLASSES]),
    "normalization": Normalization((0.0,), (1.0,)),
}

OPENS = """
import sys
from edge_runtime.engines.micro import MicroInterpreter
from edge_runtime.model_file.read_file import read_model
try:
    MicroInterpreter(read_model(sys.argv[1])[0], int(sys.argv[2])).invoke()
except RuntimeError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def tflm_cache(shared_folder):
    """A cache folder with TFLM's environment in it, which --prove would make."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("tflite-micro has no wheel for this machine")
    if not pypi_answers():
        pytest.skip("PyPI cannot be reached")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_RNN_CACHE", str(shared_folder / "tflm-cache"))
        return made_once(shared_folder / "tflm-cache", lambda _: make_environment(TFLM_ENGINE))


@pytest.fixture
def tflm_python(tflm_cache, monkeypatch):
    """The Python of TFLM's environment."""
    monkeypatch.setenv("EDGE_RNN_CACHE", str(tflm_cache))
    python, version = environment_python(TFLM_ENGINE)
    assert version == TFLM_ENGINE.versions[-1]
    return str(python)


def written(path, kind: str, precision: str, graph: str = "unrolled"):
    """A file of one of the table's networks."""
    network = networks()[kind]
    lowered = lower(
        network, random_windows(network), precision=precision, target=TFLM_TARGET, graph=graph
    )
    states = tuple(str(number) for number in range(len(lowered.states)))
    flatbuffer = serialize(lowered)
    facts = {"precision": precision, "graph": graph, "states": states, **SIZES}
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, **facts)))
    return path


def test_convert_proves_measures_and_stores(digits_run, tflm_cache, tmp_path):
    out = tmp_path / "m.tflite"
    arguments = ("--target", "tflm", "--graph", "step", "--prove", "--require-engine", "--out", out)
    env = {**os.environ, "EDGE_RNN_CACHE": str(tflm_cache)}
    printed = succeed(edge_rnn("convert", digits_run.path, *arguments, env=env))
    metadata = read_model(out)[1]
    (row,) = (item for item in metadata.parity.engines if item.engine == DISTRIBUTION)
    assert (row.version, row.required) == (TFLM_ENGINE.versions[-1], True)
    assert metadata.parity
    assert metadata.parity.not_proven == ()
    assert any(item.engine.startswith(DISTRIBUTION) for item in metadata.parity.by_row)
    said = f"tflite-micro: needs an arena of {row.arena_bytes:,} bytes"
    assert said in printed
    assert said in succeed(edge_rnn("inspect", out))
    record = json.loads(succeed(edge_rnn("inspect", out, "--json")))
    found = [item.get("arena_bytes") for item in record["metadata"]["parity"]["engines"]]
    assert found.count(row.arena_bytes) == 1
    assert found.count(None) == len(found) - 1
    assert "tflm" in record["loads_on"]
    python = tflm_cache / "engines" / "tflm" / "bin" / "python"
    command = [python, "-m", "edge_runtime", "verify", out, "--engine", DISTRIBUTION]
    verified = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"{DISTRIBUTION} {row.version}: verified" in succeed(verified)


def test_without_the_environment_it_is_not_proven_and_has_no_arena(digits_run, tmp_path):
    out, env = tmp_path / "m.tflite", {**os.environ, "EDGE_RNN_CACHE": str(tmp_path / "empty")}
    arguments = ("--precision", "int16x8", "--target", "tflm", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments, env=env)
    printed = succeed(result)
    assert "Not proven on: tflm" in printed
    assert f"tflite-micro=={TFLM_ENGINE.versions[-1]}" in printed
    told = "tflm computes MUL version 4 in int16x8 differently from the reference kernels"
    assert told in result.stderr  # before the proof
    metadata = read_model(out)[1]
    assert any(told in note for note in metadata.notes)
    assert not metadata.parity  # the other engines' runs are no proof for a microcontroller
    assert "arena" not in printed
    refused = edge_rnn("convert", digits_run.path, "--require-engine", *arguments, env=env)
    assert (refused.returncode, out.exists()) == (1, False)


def test_what_tflm_refuses_is_said_before_anything_is_written(digits_run, tmp_path):
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "dynamic", "--target", "tflm", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments)
    assert result.returncode == 2
    assert result.stderr == (
        "Error: --precision: target tflm has no dynamic. Choose float32, int16x8, mixed, int8.\n"
    )
    assert not out.exists()


@pytest.mark.parametrize("graph", ["unrolled", "step"])
@pytest.mark.parametrize("precision", ["int8", "mixed"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN, tanh"])
def test_tflm_gives_the_bits_of_the_numpy_engine(kind, precision, graph, tflm_python, tmp_path):
    path, windows = (
        written(tmp_path / "m.tflite", kind, precision, graph),
        random_windows(networks()[kind]),
    )
    by_row = graph == "step"
    found = engine_logits(path, windows, engine=DISTRIBUTION, python=tflm_python, by_row=by_row)
    with Classifier(path, engine="numpy") as ours:
        expected = ours.logits_by_row(windows) if by_row else ours.logits(windows)
    if precision == "int8":
        np.testing.assert_array_equal(found, expected)
    else:  # the cell state is float32, where the last bit of TANH is the engine's own
        assert np.abs(found - expected).max() <= 1.001 * scale_of_logits(path)
        assert (found == expected).mean() > 0.99


def scale_of_logits(path) -> float:
    """The value of one unit of the file's logits."""
    return inspect_model(path).outputs[0].scale


@pytest.mark.parametrize("graph", ["unrolled", "step"])
def test_the_arena_is_the_smallest_that_tflm_accepts(graph, tflm_python, tmp_path):
    path = written(tmp_path / "m.tflite", "LSTM", "int8", graph)

    def opens(arena: int) -> bool:
        command = [tflm_python, "-c", OPENS, str(path), str(arena)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0

    command = [tflm_python, "-m", "edge_runtime.engines.arena_child", str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    arena = int(result.stdout)
    assert opens(arena)
    assert not opens(arena - 16)


def test_the_table_says_what_tflm_does_now(tflm_python):
    """On a few kinds of networks. scripts/engine_table.py has all of them."""
    tests, _ = cases(("LSTM", "GRU", "global max pooling", "layer normalization", "dense, softmax"))
    record = next(
        row for row in json.loads(TABLE.read_text("utf-8"))["engines"] if row["name"] == "tflm"
    )
    probed = {name.split()[0] for test in tests for name in test.operators}
    versions = {op: version for op, version in record["op_versions"].items() if op in probed}
    found = probe(tflm_python, DISTRIBUTION, tests)
    assert differing({**record, "op_versions": versions}, found) == []
    assert found.operators["int16x8"].keys() == {"REDUCE_MAX version 3"}


def test_a_refusal_has_the_words_of_tflm(tflm_python, tmp_path):
    network = networks()["LSTM"]
    flatbuffer = serialize(lower(network, random_windows(network), precision="float16"))
    path = tmp_path / "m.tflite"
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, precision="float16", **SIZES)))
    windows = random_windows(network)
    with pytest.raises(EngineError, match=r"refuses the model \(Node DEQUANTIZE \(number 0\) failed to"):
        engine_logits(path, windows, engine=DISTRIBUTION, python=tflm_python)
    assert "tflm" not in inspect_model(path).loads_on


def test_where_tflm_is_not_installed_the_command_is_named(tmp_path):
    path = written(tmp_path / "m.tflite", "LSTM", "int8")
    with pytest.raises(EngineError, match="Run pip install --pre tflite-micro"):
        Classifier(path, engine="tflite-micro")
