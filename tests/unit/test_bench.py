"""`edge-rnn bench`: real models in real processes. No assertion on how long anything takes."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import numpy as np
import pytest

from convert.compiler.compile import compile_network
from convert.inspection.inspect_model import inspect_model
from edge_runtime.bench.child_session import open_session
from edge_runtime.bench.measure import latency_ratio, threads_and_jobs
from edge_runtime.bench.measured_model import timed_windows
from edge_runtime.bench.operator_profile import profile
from edge_runtime.errors import EngineError
from edge_runtime.model_file.metadata import STEP, UNROLLED
from edge_runtime.model_file.normalization import Normalization
from tests.support.commands import ENGINES, edge_rnn, succeed
from tests.support.model_files import metadata_for, write_model
from tests.support.networks import random_network, random_windows

OPTIONS = {"engine": ENGINES[0], "threads": 1, "shared_weights": False, "trust": False}


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.tflite", "int8")


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_models_in_json_with_a_picture(model, tmp_path):
    other = write_model(tmp_path / "other.tflite", "float32")
    printed = edge_rnn(
        *("bench", model, "--compare", other, "--seconds", 0.2, "--json", "--plot", tmp_path / "b.png")
    )
    report = json.loads(succeed(printed))
    assert printed.stderr == ""
    first, second = report["models"]
    assert (first["precision"], second["precision"]) == ("int8", "float32")
    assert first["file_bytes"] == model.stat().st_size
    for found in (first, second):
        stages = found["cold_start"]
        parts = ("python", "imports", "opening", "first_prediction")
        assert all(0 < stages[name] < stages["total"] for name in parts)
        assert 1e7 < found["peak_bytes"] < 1e9
        latency = found["latency"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert latency["runs"] > 20
        tried = [(item["threads"], item["jobs"]) for item in found["throughput"]]
        assert tried == threads_and_jobs(report["engine"], report["machine"]["cores"])
        assert all(item["windows_per_second"] > 0 for item in found["throughput"])
        assert "offers none to Python" in found["profile_note"]
    assert report["ratio"]["lower"] <= report["ratio"]["median"] <= report["ratio"]["upper"]
    assert (tmp_path / "b.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert files(tmp_path) == ["b.png", "model.tflite", "other.tflite"]


def test_text_with_windows_of_a_file_and_the_numpy_engine(model, tmp_path):
    np.save(tmp_path / "windows.npy", np.ones((2, 5, 3), np.float32))
    text = succeed(
        edge_rnn(
            *("bench", model, "--seconds", 0.1, "--engine", "numpy"),
            *("--input", tmp_path / "windows.npy"),
        )
    )
    for figure in ("cold start", "peak memory", "warm-up", "latency", "throughput", "FULLY_CONNECTED"):
        assert figure in text, figure
    assert "latency of" not in text  # nothing to compare with


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.tflite"], "absent.tflite: cannot read the model file"),
        (["MODEL", "--compare", "cut.tflite"], "cut.tflite: cut short or damaged"),
        (["MODEL", "--engine", "coral"], "unknown engine 'coral'"),
        (["MODEL", "--seconds", "0"], "--seconds: expected a number above 0, found 0.0."),
        (["MODEL", "--seconds", "inf"], "--seconds: expected a number above 0, found inf."),
        (["MODEL", "--input", "wide.npy"], "wide.npy: the array has shape [1, 5, 4]"),
    ],
)
def test_bad_input_is_one_sentence_and_no_picture(model, tmp_path, arguments, message):
    (tmp_path / "cut.tflite").write_bytes(model.read_bytes()[:-100])
    np.save(tmp_path / "wide.npy", np.ones((1, 5, 4)))
    before = files(tmp_path)
    arguments = [str(model) if argument == "MODEL" else argument for argument in arguments]
    result = edge_rnn("bench", *arguments, "--plot", "b.png", cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert result.stdout == ""
    assert files(tmp_path) == before


def with_package(folder, name: str, code: str) -> dict[str, str]:
    """An environment in which `name` is a package of that code."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(code)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def test_a_picture_without_matplotlib_is_refused_before_anything_is_measured(tmp_path):
    """The model is missing. The message would say so if the command looked at it first."""
    environment = with_package(
        tmp_path / "path", "matplotlib", "raise ModuleNotFoundError('matplotlib')"
    )
    result = edge_rnn("bench", "absent.tflite", "--plot", tmp_path / "b.png", env=environment)
    assert result.returncode == 2
    assert "pip install 'edge-rnn[plot]'" in result.stderr
    assert not (tmp_path / "b.png").exists()


def test_an_engine_that_cannot_be_imported_is_one_sentence(model, tmp_path):
    environment = with_package(tmp_path / "path", "ai_edge_litert", "raise ImportError('GLIBC_2.99')")
    result = edge_rnn("bench", model, "--engine", "ai-edge-litert", env=environment)
    assert result.returncode == 2
    assert "the engine ai-edge-litert cannot be imported (GLIBC_2.99)" in result.stderr


def test_an_engine_that_dies_is_named_with_its_signal(model, tmp_path):
    dying = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)"
    environment = with_package(tmp_path / "path", "ai_edge_litert", dying)
    result = edge_rnn("bench", model, "--engine", "ai-edge-litert", env=environment)
    assert result.returncode == 2
    assert f"died, {signal.SIGILL.name}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_process_that_dies_later_is_an_error_too(model):
    with open_session(str(model), options=OPTIONS) as session:
        session._process.kill()
        with pytest.raises(EngineError, match=r"model\.tflite: .* died, SIGKILL"):
            session.ask({"ask": "latency", "seconds": 0.01})


def test_memory_is_that_of_the_measured_process_not_of_the_one_that_started_it(model):
    """Linux's ru_maxrss would be the larger of the two."""
    large = b"\1" * 300_000_000
    with open_session(str(model), options=OPTIONS) as session:
        assert 1e7 < session.facts["peak_bytes"] < len(large)


@pytest.mark.parametrize("precision", ["float32", "int8", "mixed"])
@pytest.mark.parametrize("graph", [UNROLLED, STEP])
def test_the_profile_has_every_operator_of_the_file(tmp_path, precision, graph):
    network = random_network()
    model = compile_network(network, random_windows(network), precision=precision, graph=graph)
    (tmp_path / "model.tflite").write_bytes(model)
    times = profile(model, random_windows(network)[0], 0.01)
    found: Counter[str] = Counter()
    for item in times:
        found[item.kind.split(" ")[0]] += item.count
        assert item.microseconds > 0
    in_the_file: Counter[str] = Counter()
    for operator in inspect_model(tmp_path / "model.tflite").operators:  # by name and version
        in_the_file[operator.name] += operator.count
    assert found == in_the_file
    assert times == sorted(times, key=lambda item: -item.microseconds)


def test_the_ratio_is_of_the_first_by_the_second_round_by_round():
    """The machine is ten times slower in the second round, which does not change the ratio."""
    ratio = latency_ratio([[[200, 200], [2000], [200]], [[100, 100], [1000], [100]]])
    assert (ratio.median, ratio.lower, ratio.upper, ratio.rounds) == (2, 2, 2, 3)
    assert latency_ratio([[[1], [2]]]) is None


def test_threads_and_jobs_end_with_all_cores():
    assert threads_and_jobs("any", 1) == [(1, 1)]
    assert threads_and_jobs("any", 3) == [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]
    assert threads_and_jobs("any", 4) == [(1, 1), (2, 1), (4, 1), (1, 2), (1, 4)]
    assert threads_and_jobs("numpy", 4) == [(1, 1), (1, 2), (1, 4)]


def test_random_windows_are_in_the_unit_of_the_training_data():
    pixels = timed_windows(metadata_for(b"", normalization=Normalization((0,), (255,), "uint8")), None)
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    numbers = timed_windows(metadata_for(b""), None)
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers.mean(axis=(0, 1)), [10, 20, 30], rtol=0.1)
    np.testing.assert_allclose(numbers.std(axis=(0, 1)), [2, 4, 8], rtol=0.1)
