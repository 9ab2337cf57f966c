"""Windows of tokens, from the model file to every way in which a model is run."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

from convert import export_c
from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.model_file.archive import embed
from convert.model_file.flatbuffer import serialize
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.readers.read_options import ReadOptions
from convert.readers.user_data import read_user_data
from convert.readers.user_source import user_source
from convert.source_model.network import Embedding, Network
from edge_runtime import Classifier, ClassifierPool, StreamingClassifier
from edge_runtime.bench.measured_model import timed_windows
from edge_runtime.engines.engine import NATIVE, NUMPY
from edge_runtime.errors import DataError, InputError, ModelError
from edge_runtime.inference import worker
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.native.job import INPUT_IS_NO_TOKEN, Jobs
from edge_runtime.native.library import load_library
from edge_runtime.numpy_engine.interpret import run
from tests.support.commands import ENGINES, edge_rnn
from tests.support.exported import compile_here
from tests.support.model_files import metadata_for
from tests.support.networks import RandomLayers

STEPS, TOKENS, CLASSES = 6, 30, 4
NORMALIZATION = Normalization.of_tokens(TOKENS)
GRAPHS = ("unrolled", "step")
FACTS = {"task": "classification", "origin": {}, "tools": {}}
INTEGER = ("int8", "int16x8", "mixed", "dynamic")
"""Precisions in which native gives numpy's bits."""


def network() -> Network:
    make = RandomLayers()
    table = make.weights(TOKENS, 8)
    return Network(
        STEPS, 1, (Embedding("words", table), make.lstm(8, 12), make.dense(12, CLASSES, name="logits"))
    )


def windows(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, TOKENS, (count, STEPS, 1)).astype(np.int32)


def write(path, precision: str, graph: str, **changes):
    lowered = lower(network(), windows(100, 2), precision=precision, target="litert-2.3", graph=graph)
    flatbuffer = serialize(lowered)
    states = {"graph": "step", "states": ("h", "c")} if graph == "step" else {}
    facts = {"steps": STEPS, "features": 1, "precision": precision, "normalization": NORMALIZATION}
    path.write_bytes(embed(flatbuffer, metadata_for(flatbuffer, **{**facts, **states, **changes})))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Precision and graph -> file."""
    folder = tmp_path_factory.mktemp("tokens")
    return {
        (precision, graph): write(folder / f"{precision}-{graph}.tflite", precision, graph)
        for precision in ("float32", *INTEGER)
        for graph in GRAPHS
    }


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("precision", ["float32", *INTEGER])
def test_engines_agree(models, precision, graph):
    path, x = models[precision, graph], windows(9)
    with Classifier(path, engine=NUMPY) as classifier:
        expected = classifier.logits(x)
    limit = 1e-6 if precision == "float32" else 0
    for kernels in load_library().kernels:
        with Classifier(path, engine=NATIVE, kernels=kernels) as classifier:
            np.testing.assert_allclose(classifier.logits(x), expected, rtol=0, atol=limit)
    if precision == "dynamic":
        return  # tflite-runtime 2.14 does not load it
    for engine in ENGINES:
        # Tables of int8 functions, and int16 in later versions, are rounded otherwise.
        rounding = 1e-6 if precision == "float32" else 0.02
        with Classifier(path, engine=engine, kernels="reference") as classifier:
            np.testing.assert_allclose(classifier.logits(x), expected, rtol=0, atol=rounding)


@pytest.mark.parametrize("engine", [NUMPY, NATIVE])
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_way_to_run_a_window_gives_the_same(models, engine, graph):
    path, x = models["int8", graph], windows(5)
    with Classifier(path, engine=engine) as classifier:
        expected = classifier.logits(x)
        for dtype in (np.uint8, np.int64, np.float32, np.float64):
            np.testing.assert_array_equal(classifier.logits(x.astype(dtype)), expected)
            one_by_one = [classifier.logits(window.astype(dtype))[0] for window in x]
            np.testing.assert_array_equal(one_by_one, expected)
        if graph == "step":
            np.testing.assert_array_equal(classifier.logits_by_row(x)[:, -1], expected)
    with ClassifierPool(path, 2, engine=engine) as pool:
        np.testing.assert_array_equal([found.logits for found in pool.predict(x)], expected)
    with StreamingClassifier(path, engine=engine, hop=STEPS, restart=graph == "step") as stream:
        found = [stream.push(row) for row in x.reshape(-1, 1)]
    np.testing.assert_array_equal([item.logits for item in found if item], expected)


NO_TOKENS = {
    "30": (np.int64, TOKENS),
    "-1": (np.int8, -1),
    "2.5": (np.float32, 2.5),
    "nan": (np.float32, np.nan),
    "inf": (np.float64, np.inf),
    "4294967296": (np.int64, 1 << 32),
    "200": (np.uint8, 200),
}


@pytest.mark.parametrize("engine", [NUMPY, NATIVE])
@pytest.mark.parametrize("graph", GRAPHS)
def test_what_is_no_token_is_refused(models, engine, graph):
    with (
        Classifier(models["int8", graph], engine=engine) as classifier,
        StreamingClassifier(models["int8", graph], engine=engine) as stream,
    ):
        for text, (dtype, value) in NO_TOKENS.items():
            x = windows(2).astype(dtype)
            x[1, 3] = value
            sentence = f"the input holds {text}. The model takes tokens: whole numbers from 0 to 29."
            for call in (classifier.predict, lambda x: classifier.predict(x[1]), classifier.logits):
                with pytest.raises(InputError) as caught:
                    call(x)
                assert str(caught.value) == sentence
            with pytest.raises(InputError) as caught:
                stream.push(x[1, 3])
            assert str(caught.value) == sentence
            assert stream.rows == 0


def test_native_itself_refuses_what_is_no_token(models):
    """As a program does that has no Python around it."""
    with Classifier(models["int8", "unrolled"], engine=NATIVE) as classifier:
        one = np.zeros(1, np.float32)
        jobs = Jobs(classifier._interpreter, (STEPS, 1), one, one + 1, None, TOKENS)
        logits = np.empty((2, CLASSES), np.float32)
        x = windows(2)
        assert jobs.run(x, logits) == 0
        for value in (-1, TOKENS, 2**31 - 1):
            x[1, 2] = value
            assert jobs.run(x, logits) == INPUT_IS_NO_TOKEN
        assert jobs.run(x.astype(np.float32), logits) not in (0, INPUT_IS_NO_TOKEN)


def test_predict_takes_whole_numbers_and_refuses_others_in_a_sentence(models, tmp_path):
    path = models["int8", "unrolled"]
    x = windows(1)[0]
    np.save(tmp_path / "x.npy", x.astype(np.int64))
    np.savetxt(tmp_path / "x.csv", x[:, 0][None], fmt="%d", delimiter=",")
    answers = edge_rnn(
        "predict", path, tmp_path / "x.npy", tmp_path / "x.csv", "--json", "--engine", "native"
    )
    first, second = map(json.loads, answers.stdout.splitlines())
    assert first["logits"] == second["logits"]
    np.savetxt(tmp_path / "x.csv", x[:, 0][None] + 0.25, fmt="%.2f", delimiter=",")
    failed = edge_rnn("predict", path, tmp_path / "x.csv", check=False)
    assert failed.returncode == 2
    assert "The model takes tokens: whole numbers from 0 to 29." in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_worker_of_a_proof_takes_tokens(models, tmp_path):
    path, x = models["int8", "step"], windows(3)
    np.save(tmp_path / "x.npy", x)
    arguments = [str(path), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    assert worker.main([*arguments, "--engine", "native", "--by-row"]) == 0
    with Classifier(path, engine=NUMPY) as classifier:
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), classifier.logits_by_row(x))


def test_bench_takes_random_tokens(models):
    with Classifier(models["int8", "unrolled"]) as classifier:
        found = timed_windows(classifier.spec, None)
    assert found.dtype == np.int32
    assert (found.min(), found.max()) == (0, TOKENS - 1)


def test_metadata_that_disagree_with_the_model_are_refused(tmp_path):
    floats = Normalization((0.0,), (1.0,))
    path = write(tmp_path / "m.tflite", "int8", "unrolled", normalization=floats)
    for engine in (NUMPY, NATIVE):
        with pytest.raises(ModelError, match="an input of the model is int32"):
            Classifier(path, engine=engine)


@pytest.mark.parametrize(
    "changes", [{"tokens": 0}, {"tokens": 1 << 25}, {"tokens": 2.5}, {"dtype": "float32"}]
)
def test_a_damaged_normalization_is_refused(changes):
    record = NORMALIZATION.to_json()
    assert Normalization.from_json(record) == NORMALIZATION
    with pytest.raises((ValueError, TypeError)):
        Normalization.from_json({**record, **changes})


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_exported_c_takes_int32_tokens(models, tmp_path, precision, graph):
    export = export_c(models[precision, graph], tmp_path / "c", name="net")
    header = (export.folder / "src" / "net.h").read_text()
    assert "typedef int32_t net_value;" in header
    flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert (
        subprocess.run([compile_here(export, tmp_path / "probes", *flags)], check=False).returncode == 0
    )
    assert "net_from_tokens(raw" in (export.folder / "README.md").read_text()


@pytest.mark.parametrize(("precision", "graph"), [("int8", "unrolled"), ("mixed", "step")])
def test_a_conversion_is_proven_with_tokens(tmp_path, precision, graph):
    x = windows(90)
    data = read_user_data({"x": x.astype(np.int64)})
    model = network()
    source = user_source(model, lambda x: run(unroll(model), x), data, ReadOptions(), **FACTS)
    assert source.normalization == NORMALIZATION
    options = ConversionOptions(graph=graph)
    found = convert_source(source, tmp_path / "m.tflite", precision=precision, options=options)
    assert found, found
    with Classifier(found.path, engine=NATIVE, verify=True) as classifier:
        assert classifier.spec.normalization == NORMALIZATION
        assert classifier.spec.probes.dtype == "int32"
        assert classifier.spec.to_json()["format_version"] == 3
        agreement = classifier.logits(x).argmax(1) == run(unroll(model), x).argmax(1)
    assert agreement.mean() > 0.95
    with pytest.raises(DataError, match=r"^data: the input holds 30. The model takes tokens"):
        user_source(model, lambda x: x, read_user_data({"x": x + 1}), ReadOptions(), **FACTS)
