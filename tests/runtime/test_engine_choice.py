"""Which engine opens a model: auto's order, what makes it go on, and what is said where none is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import edge_runtime
from edge_runtime import Classifier, ClassifierPool, EngineError, StreamingClassifier, bench_model
from edge_runtime.doctor.trial import TRIAL_MODEL
from edge_runtime.engines.engine import (
    NATIVE,
    NATIVE_KERNELS,
    engine_version,
    installed_engines,
    native_kernels,
    open_engine,
    usable_engines,
)
from edge_runtime.native.interpreter import LAYOUTS
from edge_runtime.native.library import LIBRARY_VARIABLE, load_library
from tests.support.commands import ENGINES, edge_rnn, succeed
from tests.support.model_files import flatbuffer_of, metadata_for, write_model

pytestmark = pytest.mark.skipif(NATIVE not in usable_engines(), reason="native has no library here")

needs_tflite = pytest.mark.skipif(not ENGINES, reason="no TFLite engine is installed")


@pytest.fixture
def model(tmp_path) -> Path:
    return write_model(tmp_path / "model.tflite", "int8")


@pytest.fixture
def window(tmp_path) -> Path:
    np.save(tmp_path / "window.npy", np.full((5, 3), 20.0))
    return tmp_path / "window.npy"


def missing(path: Path, library: bytes) -> None:
    pass


def text(path: Path, library: bytes) -> None:
    path.write_text("this is no library\n" * 10)


def cut(path: Path, library: bytes) -> None:
    path.write_bytes(library[:200])


def of_32_bits(path: Path, library: bytes) -> None:
    path.write_bytes(library[:4] + bytes([3 - library[4]]) + library[5:])


def of_another_machine(path: Path, library: bytes) -> None:
    path.write_bytes(library[:18] + b"\xfe\x00" + library[20:])


def of_a_newer_libc(path: Path, library: bytes) -> None:
    spec = find_spec("_ctypes_test") or find_spec("_opcode")
    content = Path(spec.origin).read_bytes()
    if b"\0GLIBC_2." not in content:
        pytest.skip(f"{spec.origin} is linked otherwise")
    path.write_bytes(content.replace(b"\0GLIBC_2.", b"\0GLIBC_9."))


def another_library(path: Path, library: bytes) -> None:
    """It loads, and has none of our functions."""
    spec = find_spec("_ctypes_test") or find_spec("_opcode")
    path.write_bytes(Path(spec.origin).read_bytes())


BROKEN = (missing, text, cut, of_32_bits, of_another_machine, of_a_newer_libc, another_library)
ELF = (of_32_bits, of_another_machine, of_a_newer_libc)


@pytest.fixture(params=BROKEN, ids=lambda item: item.__name__)
def broken(request, tmp_path) -> dict[str, str]:
    """Environment variables with which native's library is one that does not load."""
    if request.param in ELF and sys.platform != "linux":
        pytest.skip("of ELF files")
    path = tmp_path / "broken.so"
    request.param(path, Path(load_library().path).read_bytes())
    return {**os.environ, LIBRARY_VARIABLE: str(path)}


def engine_of(*arguments: object, env: dict[str, str] | None = None) -> str:
    """The engine that `verify` names."""
    return json.loads(succeed(edge_rnn("verify", *arguments, "--json", env=env)))["engine"]


def test_names_are_those_of_the_library():
    assert set(NATIVE_KERNELS) == set(LAYOUTS)
    assert native_kernels() == load_library().kernels
    assert usable_engines() == (NATIVE, *installed_engines())


def test_auto_is_native_in_every_way_to_run_a_model(model, tmp_path):
    windows = np.random.default_rng(0).normal(20, 5, (3, 5, 3))
    with Classifier(model) as classifier, Classifier(model, engine="numpy") as numpy_classifier:
        assert classifier.engine == NATIVE
        expected = numpy_classifier.logits(windows)
        np.testing.assert_array_equal(classifier.logits(windows), expected)
        with ClassifierPool(model, 2) as pool:
            found = [prediction.logits for prediction in pool.predict(windows)]
    np.testing.assert_array_equal(found, expected)
    step = write_model(tmp_path / "step.tflite", "int8", "step")
    with StreamingClassifier(step) as ours, StreamingClassifier(step, engine="numpy") as theirs:
        for row in windows.reshape(-1, 3):
            np.testing.assert_array_equal(ours.push(row).logits, theirs.push(row).logits)


@pytest.mark.parametrize("graph", ["unrolled", "step"])
@pytest.mark.parametrize("engine", [(), ("--engine", NATIVE)])
def test_commands_run_in_native(engine, graph, window, tmp_path):
    model = write_model(tmp_path / "m.tflite", "mixed", graph)
    printed = succeed(edge_rnn("predict", model, window, "--json", *engine))
    expected = succeed(edge_rnn("predict", model, window, "--json", "--engine", "numpy"))
    ours, theirs = json.loads(printed), json.loads(expected)
    np.testing.assert_allclose(ours["logits"], theirs["logits"], atol=1e-4)
    assert ours["label"] == theirs["label"]
    rows = "\n".join(["20 20 20"] * 5)
    answers = succeed(edge_rnn("stream", model, *engine, input=rows)).splitlines()
    assert json.loads(answers[-1])["label"] == ours["label"]


def test_bench_names_native_and_its_kernels(model):
    report = bench_model(model, seconds=0.1)
    assert (report.engine, report.version, report.kernels) == (
        NATIVE,
        engine_version(NATIVE),
        native_kernels()[0],
    )
    assert f"engine: native {report.version}, {report.kernels} kernels, 1 thread;" in str(report)
    assert {item.threads for item in report.models[0].throughput} == {1}
    printed = succeed(edge_rnn("bench", model, "--seconds", 0.1, "--engine", NATIVE, "--json"))
    assert json.loads(printed)["kernels"] == native_kernels()[0]


@needs_tflite
def test_auto_goes_on_to_a_tflite_engine_where_the_library_does_not_load(broken, model, window):
    """The doctor's trial model has probes."""
    assert engine_of(TRIAL_MODEL) == NATIVE
    assert engine_of(TRIAL_MODEL, env=broken) == ENGINES[0]
    result = edge_rnn("predict", model, window, env=broken)
    assert succeed(result).startswith(f"{window}: ")
    assert not result.stderr


def test_native_by_name_where_it_does_not_load_is_refused(broken, model, window):
    result = edge_rnn("predict", model, window, "--engine", NATIVE, env=broken)
    assert result.returncode == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {model}: {broken[LIBRARY_VARIABLE]}: the native engine's library ")
    assert "Install edge-rnn " in line
    assert "'edge-rnn doctor' says more." in line


def test_without_any_engine_both_reasons_are_given(broken, model, window, tmp_path):
    """In an environment with numpy and click alone."""
    site, links = Path(np.__file__).parents[1], tmp_path / "links"
    links.mkdir()
    clicks = Path(find_spec("click").origin).parents[1].glob("click*")
    for found in (Path(edge_runtime.__file__).parent, *site.glob("numpy*"), *clicks):
        (links / found.name).symlink_to(found)
    command = [sys.executable, "-S", "-m", "edge_runtime"]
    variables = {**broken, "PYTHONPATH": str(links)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        called = [*command, *map(str, arguments)]
        return subprocess.run(called, env=variables, capture_output=True, text=True, check=False)

    result = run("predict", model, window)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "the native engine's library " in line
    assert ", and no TFLite engine is installed. Run pip install " in line
    assert "--engine numpy works without a TFLite engine, slowly." in line
    assert succeed(run("predict", model, window, "--engine", "numpy"))
    del variables[LIBRARY_VARIABLE]
    assert succeed(run("predict", model, window))
    assert "wrong" not in succeed(run("doctor"))  # a TFLite engine is not needed


@needs_tflite
def test_auto_goes_on_where_native_lacks_an_operator(tmp_path, window):
    """ABS in place of a LOGISTIC: the TFLite engines have it, and the converter never writes it."""
    pytest.importorskip("ai_edge_litert")
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    parts = schema.ModelT.InitFromPackedBuf(flatbuffer_of("float32"), 0)
    for code in parts.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.LOGISTIC:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ABS
    builder = flatbuffers.Builder(1024)
    builder.Finish(parts.Pack(builder), file_identifier=b"TFL3")
    flatbuffer, model = bytes(builder.Output()), tmp_path / "abs.tflite"
    assert open_engine(flatbuffer).engine == ENGINES[0]
    from convert.model_file.archive import embed

    model.write_bytes(embed(flatbuffer, metadata_for(flatbuffer)))
    succeed(edge_rnn("predict", model, window))
    result = edge_rnn("predict", model, window, "--engine", NATIVE)
    assert result.returncode == 2
    assert "native refuses the model (the numpy engine has no operator number 101" in result.stderr
    printed = succeed(edge_rnn("inspect", model))
    assert "native\n  native refuses the model (" in printed
    assert "loads on\n  native" not in printed
    printed = succeed(edge_rnn("doctor", model))
    assert "model in native: native refuses the model" in printed or "refuses" in printed
    assert f"{model} works on this machine with {ENGINES[0]} " in printed
    assert "wrong" not in printed


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="inspect is a command of the workstation")
def test_inspect_says_that_native_runs_a_file(model):
    assert "native\n  runs this model on this machine" in succeed(edge_rnn("inspect", model))
    record = json.loads(succeed(edge_rnn("inspect", model, "--json")))
    assert record["native"] == {"runs": True, "why_not": None}


def test_kernels_by_name(model):
    for name in load_library().kernels:
        with Classifier(model, kernels=name) as classifier:
            assert classifier.engine == NATIVE
            assert classifier._interpreter.kernels == name
    absent = next(name for name in NATIVE_KERNELS if name not in load_library().kernels)
    for engine in ("auto", NATIVE):
        with pytest.raises(EngineError, match=f"this processor has no kernels '{absent}'. It has "):
            Classifier(model, kernels=absent, engine=engine)
    for engine in (*ENGINES, "numpy"):
        with pytest.raises(EngineError, match=f"unknown kernels 'plain' of {engine}. Expected default"):
            Classifier(model, kernels="plain", engine=engine)
    with pytest.raises(EngineError, match="unknown kernels 'reference' of native. Expected default, p"):
        Classifier(model, kernels="reference", engine=NATIVE)


@needs_tflite
def test_kernels_of_tflite_are_run_by_tflite(model):
    with Classifier(model, kernels="reference") as classifier:
        assert classifier.engine == ENGINES[0]
