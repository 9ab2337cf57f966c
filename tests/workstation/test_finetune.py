"""`edge-rnn train --finetune`: Keras predicts the file's results, and the proof names its models."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.finetune_record import record_of
from convert.model_file.flatbuffer import serialize
from convert.source_model.network import Bidirectional, Network
from edge_runtime import Classifier
from edge_runtime.errors import DataError
from edge_runtime.model_file.read_file import read_model
from edge_runtime.numpy_engine.interpret import run as run_graph
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.runs.graph_record import GraphRecord
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.recorded_graph import graph_of
from edge_runtime.runs.run_directory import Run
from tests.support import commands
from tests.support.command_server import edge_rnn, run_script
from tests.support.commands import CHILDREN, PROVING, succeed
from tests.support.networks import RandomLayers, random_network, random_windows
from train.finetuning.finetune import held_out_windows

PRECISIONS = ("int8", "mixed")
CASES = ("int8", pytest.param("mixed", marks=pytest.mark.nightly))


@pytest.fixture(scope="module", params=CASES)
def finetuned(request, digits_run, tmp_path_factory):
    """Precision, run directory and printed text."""
    out = tmp_path_factory.mktemp("finetuned") / "run"
    arguments = ("--precision", request.param, "--iterations", 60, "--batch-size", 64, "--quiet")
    printed = succeed(
        commands.edge_rnn("train", "--finetune", digits_run.path, "--out", out, *arguments)
    )
    return request.param, out, printed


def numpy_logits(record: GraphRecord, windows: np.ndarray) -> np.ndarray:
    graph = graph_of(record)
    integers = run_graph(graph, graph.tensors[graph.input].encode(windows))
    return graph.tensors[graph.output].decode(integers)


def test_the_keras_evaluation_predicts_the_file(finetuned, tmp_path):
    _, path, _ = finetuned
    run = Run.open(path)
    succeed(run_script(CHILDREN / "finetuned_child.py", path, tmp_path / "k.npy"))
    keras = np.load(tmp_path / "k.npy")
    np.testing.assert_allclose(keras, run.predicted_logits(), atol=1e-5)
    record = run.finetuned_graph()
    unit = record.tensors["logits"].scale[0]
    windows = run.record.normalization.apply(run.test_windows().x)
    difference = np.abs(keras - numpy_logits(record, windows)) / unit
    assert difference.max() <= 1e-3


def trained_networks(steps=4) -> dict[str, Network]:
    """What `edge-rnn train` makes of --cell, --units and --bidirectional, with random weights."""
    make, networks = RandomLayers(3), {}
    sequence, backward = {"return_sequences": True}, {"go_backwards": True}
    for cell, layer in (("lstm", make.lstm), ("gru", make.gru), ("rnn", make.simple)):
        networks[cell] = Network(steps, 5, (layer(5, 6), make.dense(6, 3)))
        first = layer(5, 4, f"{cell}_1", **sequence), layer(5, 4, f"{cell}_1", **sequence, **backward)
        last = layer(8, 3, f"{cell}_2"), layer(8, 3, f"{cell}_2", **backward)
        both = Bidirectional("bidirectional_1", *first), Bidirectional("bidirectional_2", *last)
        networks[f"{cell}, two layers, bidirectional"] = Network(steps, 5, (*both, make.dense(6, 3)))
    return networks


BY_DAY = {("gru", "int8"), ("rnn", "int8"), ("lstm, two layers, bidirectional", "mixed")}
ALL = {(name, precision) for name in trained_networks() for precision in PRECISIONS}


@pytest.mark.parametrize(
    "cases", [BY_DAY, pytest.param(ALL - BY_DAY, marks=pytest.mark.nightly)], ids=["day", "night"]
)
def test_every_cell_is_tuned_and_its_file_predicted_exactly(cases, tmp_path):
    networks, folders = trained_networks(), {}
    for number, (name, precision) in enumerate(sorted(cases)):
        folder = folders[name, precision] = tmp_path / str(number)
        folder.mkdir()
        windows = 2 * random_windows(networks[name], 2000)
        np.save(folder / "windows.npy", windows)
        graph = lower(networks[name], windows[:100], precision=precision)
        record_of(graph, precision, "any").save(folder / "graph.npz")
    succeed(run_script(CHILDREN / "fake_quantized_child.py", *folders.values()))
    for case, folder in folders.items():
        record = GraphRecord.load(folder / "tuned.npz")
        matmuls = [item for item in record.operators if item.op == "FULLY_CONNECTED"]
        trained = {constant for item in matmuls for constant in item.inputs[1:]}
        assert {*json.loads((folder / "moved.json").read_text())} == trained, case
        file = read_graph(serialize(graph_of(record)))
        integers = run_graph(file, file.tensors[file.input].encode(np.load(folder / "windows.npy")))
        found = file.tensors[file.output].decode(integers)
        unit = record.tensors["logits"].scale[0]
        assert np.abs(np.load(folder / "logits.npy") - found).max() <= 1e-3 * unit, case


def test_whole_groups_judge_the_weights():
    y, groups = np.arange(200) % 4, np.array([f"person {k % 5}" for k in range(200)])
    x = np.arange(200.0, dtype=np.float32).reshape(200, 1, 1)
    held_out, train = held_out_windows(LabelledWindows(x, y, groups), seed=0)
    assert len({*held_out.groups}) == 1
    assert not {*held_out.groups} & {*train.groups}
    assert sorted([*held_out.x.flat, *train.x.flat]) == [*range(200)]
    held_out, train = held_out_windows(LabelledWindows(x, y), seed=0)
    assert (len(held_out), len(train)) == (20, 180)


@pytest.mark.nightly
def test_a_stacked_bidirectional_gru_keeps_its_groups_and_is_proven(tmp_path):
    rng = np.random.default_rng(0)
    y, groups = np.arange(600) % 3, np.arange(600) // 100
    x = rng.normal(0, 1, (600, 6, 4)).astype(np.float32) + y[:, np.newaxis, np.newaxis]
    np.savez(tmp_path / "w.npz", x=x, y=y, groups=groups)
    network = ("--cell", "gru", "--units", "6,4", "--bidirectional", "--dropout", "0.2")
    given = ("--data", tmp_path / "w.npz", *network, "--iterations", 100, "--quiet")
    succeed(edge_rnn("train", "--out", tmp_path / "run", *given))
    tuning = ("--iterations", 20, "--quiet", "--out", tmp_path / "tuned")
    succeed(edge_rnn("train", "--finetune", tmp_path / "run", *tuning))
    before, after = Run.open(tmp_path / "run"), Run.open(tmp_path / "tuned")
    for kept in ("calibration_windows", "validation_windows", "test_windows"):
        assert (getattr(after, kept)().groups == getattr(before, kept)().groups).all()
    record, test = after.finetuned_graph(), after.test_windows()
    assert {*test.groups} < {*map(str, range(6))}
    logits = numpy_logits(record, after.record.normalization.apply(test.x))
    assert np.abs(after.predicted_logits() - logits).max() <= 1e-3 * record.tensors["logits"].scale[0]
    printed = succeed(
        edge_rnn("convert", tmp_path / "tuned", "--precision", "int8", "--out", tmp_path / "t.tflite")
    )
    assert "same class as the model before fine-tuning on" in printed


def test_the_file_is_proven_against_the_fine_tuned_model_and_names_both_agreements(
    finetuned, digits_run, tmp_path
):
    precision, path, _ = finetuned
    out = tmp_path / "m.tflite"
    printed = succeed(edge_rnn("convert", path, "--precision", precision, "--out", out))
    _, metadata = read_model(out)
    assert metadata.parity
    test, predicted = digits_run.run.test_windows(), Run.open(path).predicted_logits()
    for result in metadata.parity.engines:
        assert f"{result.engine}: same class as the model before fine-tuning on" in printed
        with Classifier(out, engine=result.engine) as classifier:
            classes = classifier.logits(test.x).argmax(axis=1)
        original = (classes == digits_run.full_logits.argmax(axis=1)).mean()
        assert result.original_agreement == pytest.approx(original)
        assert result.agreement == pytest.approx((classes == predicted.argmax(axis=1)).mean())
        assert result.agreement >= 0.995
        assert result.original_agreement >= 0.995
    assert {result.engine for result in metadata.parity.engines} == set(PROVING)


def test_fine_tuning_never_leaves_worse_weights(finetuned, digits_run):
    _, path, printed = finetuned
    record = Run.open(path).record
    metrics = record.finetuned["metrics"]
    assert metrics["held_out_logit_error"] <= metrics["held_out_logit_error_before"]
    assert f"{100 * metrics['test_agreement']:.2f} %" in printed
    assert record.finetuned["from"] == "digits"
    assert record.model_sha256 == digits_run.run.record.model_sha256


def test_other_precisions_of_a_fine_tuned_run_are_those_of_the_run_it_started_from(
    finetuned, digits_run, tmp_path
):
    _, path, _ = finetuned
    out = tmp_path / "f.tflite"
    printed = succeed(edge_rnn("convert", path, "--precision", "float32", "--out", out))
    assert "before fine-tuning" not in printed
    original = tmp_path / "original.tflite"
    succeed(edge_rnn("convert", digits_run.path, "--precision", "float32", "--out", original))
    assert read_model(out)[0] == read_model(original)[0]


def test_a_changed_graph_is_refused(finetuned, tmp_path):
    _, path, _ = finetuned
    shutil.copytree(path, tmp_path / "copy")
    (tmp_path / "copy" / "finetuned.npz").write_bytes(b"PK")
    result = edge_rnn("convert", tmp_path / "copy")
    assert result.returncode == 2
    assert "finetuned.npz: not the file that run.json describes" in result.stderr


def test_a_recipe_that_would_not_be_followed_is_refused(finetuned, tmp_path):
    precision, path, _ = finetuned
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[range]]\ntensors = "c*"\nlow = -4.0\nhigh = 4.0\n', "utf-8")
    result = edge_rnn("convert", path, "--precision", precision, "--recipe", recipe)
    assert result.returncode == 2
    assert f"{recipe}: the scales of a fine-tuned run are fixed. Leave out" in result.stderr
    result = edge_rnn("convert", path, "--write-graph", tmp_path / "g.npz", "--recipe", recipe)
    assert result.returncode == 2
    assert "--recipe: has no meaning with --write-graph." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--finetune", "RUN", "--precision", "float16"),
            "--precision: cannot be 'float16'. Choose int8, mixed.",
        ),
        (("--finetune", "nowhere"), "nowhere: not a run directory"),
        (
            ("--finetune", "RUN", "--units", "8"),
            "--units: has no meaning with --finetune. Leave one of them out.",
        ),
        (("--finetune", "RUN", "--iterations", "0"), "--iterations: expected at least 1, found 0"),
        (("--finetune", "RUN", "--learning-rate", "-1"), "expected a number above 0"),
        (("--finetune", "RUN", "--target", "coral"), "--target: cannot be 'coral'. Choose any,"),
        (("--precision", "int8"), "--precision: goes with --finetune only."),
    ],
)
def test_bad_arguments_are_named_and_leave_nothing(digits_run, tmp_path, arguments, words):
    given = [str(digits_run.path) if item == "RUN" else item for item in arguments]
    result = edge_rnn("train", "--out", tmp_path / "r", *given)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_fine_tuned_run_cannot_be_fine_tuned_again(finetuned, tmp_path):
    _, path, _ = finetuned
    result = edge_rnn("train", "--finetune", path, "--out", tmp_path / "r")
    assert result.returncode == 2
    assert "is fine-tuned already. Name the run that it started from" in result.stderr


@pytest.mark.parametrize("precision", CASES)
def test_a_recorded_graph_gives_the_same_file_again(precision, tmp_path):
    network = random_network(features=5, units=12)
    graph = lower(network, random_windows(network), precision=precision)
    record_of(graph, precision, "any").save(tmp_path / "g.npz")
    assert serialize(graph_of(GraphRecord.load(tmp_path / "g.npz"))) == serialize(graph)


def test_a_file_that_is_not_a_graph_is_named(tmp_path):
    path = tmp_path / "g.npz"
    for content in (b"", b"PK\x03\x04", json.dumps({"graph": 1}).encode()):
        path.write_bytes(content)
        with pytest.raises(DataError, match="g.npz: not a quantized graph"):
            GraphRecord.load(path)


def test_mixed_loses_little_more_than_half_of_what_int8_loses(digits_run, tmp_path):
    test = digits_run.run.test_windows()
    error = {}
    for name in PRECISIONS:
        out = tmp_path / f"{name}.tflite"
        succeed(edge_rnn("convert", digits_run.path, "--precision", name, "--out", out))
        with Classifier(out) as classifier:
            error[name] = np.abs(classifier.logits(test.x) - digits_run.full_logits).mean()
    assert error["mixed"] < 0.6 * error["int8"], error


def test_mixed_agrees_with_the_full_model_on_mnist(mnist_run, tmp_path):
    """At most five of 10,000 windows get another class, in every engine."""
    out = tmp_path / "m.tflite"
    succeed(edge_rnn("convert", mnist_run.path, "--precision", "mixed", "--out", out))
    _, metadata = read_model(out)
    assert metadata.parity.windows == 10_000
    assert {result.engine for result in metadata.parity.engines} >= set(PROVING)
    for result in metadata.parity.engines:
        assert result.agreement >= 0.9995, result
