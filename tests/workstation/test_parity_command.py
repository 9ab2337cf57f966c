"""`edge-rnn parity` from models and data to its files, with a reference that needs no TensorFlow."""

from __future__ import annotations

import hashlib
import json
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from convert import convert_model
from convert.evidence import ParityOptions, prove_parity, read_evidence
from convert.model_file.archive import embed
from edge_runtime.engines.engine import installed_engines, native_kernels
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.read_file import read_model_file
from edge_runtime.numpy_engine.read_graph import read_graph
from tests.support.command_server import edge_rnn
from tests.support.commands import succeed
from tests.support.tiny_reference import PERSONS, tiny_reference


@dataclass(frozen=True)
class Proven:
    """A reference, its data, a file that was converted from them, and what the command wrote."""

    folder: Path
    reference: Path
    data: Path
    model: Path
    printed: str

    def parity(self, model: Path, *arguments: object):
        return edge_rnn("parity", self.reference, model, "--data", self.data, *arguments)


@pytest.fixture(scope="module")
def proven(tmp_path_factory) -> Proven:
    folder = tmp_path_factory.mktemp("parity")
    reference, data = tiny_reference(folder)
    model = folder / "tiny.tflite"
    convert_model(reference, data, model, precision="int8")
    command = ["parity", reference, model, "--data", data]
    for option, name in (("--json", "a.json"), ("--junit", "a.xml"), ("--vectors", "golden")):
        command += [option, folder / name]
    printed = succeed(edge_rnn(*command, "--report", folder / "a.html"))
    return Proven(folder, reference, data, model, printed)


def with_a_flipped_matrix(model: Path, out: Path) -> Path:
    """The file with the sign of all weights of its last matrix turned, and a digest that matches."""
    file = read_model_file(model)
    graph = read_graph(file.flatbuffer)
    head = graph.tensors[list(graph.matrices())[-1]].values
    before, after = head.tobytes(), (-head).tobytes()
    assert file.flatbuffer.count(before) == 1
    flatbuffer = file.flatbuffer.replace(before, after)
    digest = hashlib.sha256(flatbuffer).hexdigest()
    out.write_bytes(embed(flatbuffer, replace(file.metadata, flatbuffer_sha256=digest)))
    return out


def test_one_line_and_four_outputs(proven):
    evidence = read_evidence(proven.folder / "a.json")
    (model,) = evidence.models
    assert proven.printed == f"{evidence.summary}\n"
    assert proven.printed.startswith("proven: ")
    assert evidence.identity.command.startswith("edge-rnn parity ")
    assert model.sha256 == hashlib.sha256(proven.model.read_bytes()).hexdigest()
    names = [run.name for run in model.runs]
    assert names == [*(f"native {name}" for name in native_kernels()), *installed_engines()]
    assert {run.verdict for run in model.runs} == {"proven"}
    first = model.results[model.runs[0].result]
    # The integer kernels of native give the same bits.
    assert {run.result for run in model.runs if run.engine == "native"} == {model.runs[0].result}
    assert {item.group for item in first.groups} == {*PERSONS}
    assert first.accuracy.share == pytest.approx(0.98, abs=0.01)
    assert model.drift.layers[0].errors["h"][-1] > 0
    assert (model.sizes.cost is None) == ("cost" in model.sizes.not_measured)
    assert model.sizes.flash_bytes > model.sizes.weight_bytes > 0
    assert len(evidence.windows) >= 10
    cases = ElementTree.parse(proven.folder / "a.xml").getroot().iter("testcase")
    assert any("agreement" in case.get("name") for case in cases)
    assert (proven.folder / "golden" / "tiny" / "tiny_vectors.h").is_file()
    assert evidence.summary in (proven.folder / "a.html").read_text("utf-8")


def test_the_compared_windows_did_not_calibrate(proven):
    """The file was converted with this data, whose calibration windows are left out again."""
    reference = read_evidence(proven.folder / "a.json").reference
    file = read_model_file(proven.model).metadata
    assert (reference.data_sha256, reference.count) == (file.source["dataset_digest"], 1000)
    x = np.load(proven.data)["x"]
    shown = read_evidence(proven.folder / "a.json").windows[0]
    np.testing.assert_allclose(shown.rows, x[shown.window], rtol=1e-6)


def test_a_flipped_matrix_is_refuted_and_breaks_the_baseline(proven, tmp_path):
    wrong = with_a_flipped_matrix(proven.model, tmp_path / "tiny.tflite")
    written = ("--baseline", proven.folder / "a.json", "--json", tmp_path / "b.json")
    result = proven.parity(wrong, *written)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("refuted: ")
    (model,) = read_evidence(tmp_path / "b.json").models
    differences = model.baseline.differences
    assert {name for item in differences for name in item.runs} == {run.name for run in model.runs}
    for item in differences:
        assert item.verdict == "worse"
        assert len(item.broken) > len(item.mended)
    assert {run.verdict for run in model.runs} == {"refuted"}


def test_the_same_file_on_a_part_of_the_data(proven, tmp_path):
    """Data that the conversion has not seen is compared whole, and is too little to prove anything."""
    with np.load(proven.data) as arrays:
        part = {name: arrays[name][:60] for name in ("x", "y")}
    evidence = prove_parity(proven.reference, proven.model, part, command="pytest")
    assert (evidence.verdict, evidence.reference.count) == ("not refuted", 60)
    assert evidence
    assert not replace(evidence, strict=True)
    assert evidence.models[0].results[0].groups == ()
    assert "groups" in {item.what for item in evidence.models[0].not_proven}


def test_a_regression_is_compared_by_its_numbers(proven, tmp_path):
    x = np.load(proven.data)["x"][:400]
    y = np.random.default_rng(0).normal(0, 1, (len(x), 4))
    data = {"x": x, "y": y, "labels": np.array(["a", "b", "c", "d"])}
    model = tmp_path / "numbers.tflite"
    convert_model(proven.reference, data, model, precision="int8", task="regression")
    evidence = prove_parity(proven.reference, model, data, command="pytest")  # the file tells the task
    (record,) = evidence.models
    assert (evidence.verdict, evidence.reference.task, evidence.reference.classes) == (
        *("proven", "regression", ()),
    )
    assert [item.name for item in record.results[0].numbers.outputs] == ["a", "b", "c", "d"]
    assert record.results[0].numbers.outputs[0].reference_rmse > 0.5
    assert record.budget.max_normalized_error == 0.1
    with pytest.raises(InputError, match="--min-agreement: does not go with the task regression"):
        prove_parity(proven.reference, model, data, options=ParityOptions(min_agreement=0.9))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"group": np.array(["a"])}, "group has shape [1]. Expected [1500], one group for each window"),
        ({"x": np.zeros((9, 6, 4)), "y": np.zeros(9, int)}, "the windows have shape [6, 4]"),
    ],
)
def test_data_that_does_not_fit_is_refused(proven, change, sentence):
    with np.load(proven.data) as arrays:
        data = {**{name: arrays[name] for name in arrays}, **change}
    if "x" in change:
        del data["group"]
    with pytest.raises((DataError, InputError)) as refused:
        prove_parity(proven.reference, proven.model, data)
    assert sentence in str(refused.value)


def test_bad_input_is_one_sentence_and_writes_nothing(proven, tmp_path):
    for arguments, sentence in (
        (("--json", proven.model), "is read or written twice. Choose another --json"),
        (("--report", tmp_path), "is a folder. --report names the file to write"),
        (("--baseline", proven.data), "not a record that can be read"),
        (("--min-agreement", "7"), "--min-agreement: expected 0 to 1, found 7.0"),
        ((proven.folder / "golden" / ".." / "tiny.tflite",), "two files have the same name"),
    ):
        result = proven.parity(proven.model, *arguments, "--junit", tmp_path / "never.xml")
        assert (result.returncode, result.stdout) == (2, "")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_run_directory_on_the_users_own_windows(digits_run, digits_models, tmp_path):
    """The data take the place of the run's test split; positions are those in the data."""
    windows = digits_run.run.test_windows()
    x, y = windows.x[:50], windows.y[:50]
    y[7] = (y[7] + 1) % 10
    np.savez(tmp_path / "own.npz", x=x, y=y, groups=np.arange(50) // 25)
    written = ("--json", tmp_path / "a.json", "--data", tmp_path / "own.npz")
    result = edge_rnn("parity", digits_run.path, digits_models["int8"], *written)
    assert result.returncode == 0, result.stderr
    evidence = read_evidence(tmp_path / "a.json")
    reference = evidence.reference
    assert (reference.count, reference.positions, reference.truth) == (50, (), tuple(y.tolist()))
    assert reference.classes == tuple(digits_run.full_logits[:50].argmax(axis=1).tolist())
    assert evidence.verdict == "not refuted"
    assert evidence.models[0].drift is not None
    for shown in evidence.windows:
        assert shown.rows == tuple(map(tuple, x[shown.window].astype(float).tolist()))
    assert [item.windows for item in evidence.models[0].results[0].groups] == [25, 25]


def test_the_groups_of_a_runs_test_windows(digits_run, digits_models, tmp_path):
    """A run that was trained on recordings keeps the group of each test window."""
    run = tmp_path / "run"
    shutil.copytree(digits_run.path, run)
    with np.load(run / "windows.npz") as archive:
        arrays = dict(archive)
    people = np.where(np.arange(len(arrays["test_y"])) % 4 == 0, "ann", "bob")
    np.savez(run / "windows.npz", **arrays, test_groups=people)
    record = json.loads((run / "run.json").read_text())
    record["windows_sha256"] = hashlib.sha256((run / "windows.npz").read_bytes()).hexdigest()
    (run / "run.json").write_text(json.dumps(record))
    result = edge_rnn("parity", run, digits_models["int8"], "--json", tmp_path / "a.json")
    assert result.returncode == 0, result.stderr
    evidence = read_evidence(tmp_path / "a.json")
    groups = evidence.models[0].results[0].groups
    right = digits_run.full_logits.argmax(axis=1) == arrays["test_y"]
    assert {item.group: item.windows for item in groups} == {"ann": 250, "bob": 750}
    for item in groups:
        assert item.reference_accuracy.count == right[people == item.group].sum()
