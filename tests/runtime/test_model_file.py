"""The file contract: what is written, what is read back, what is refused."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from convert.model_file.archive import embed
from edge_runtime.errors import InputError, ModelError
from edge_runtime.model_file.metadata import FORMAT_VERSION
from edge_runtime.model_file.parity_figures import EngineParity, ParityBudget
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probe_record import ProbeRecord, Synthetic
from edge_runtime.model_file.probes import read_probes
from edge_runtime.model_file.read_file import ModelFile, read_model
from tests.fuzz.archive_mutations import Parts
from tests.support.model_files import metadata_for, write_model

REPORT = ParityReport(
    "float32",
    1000,
    "test split",
    0.99,
    ParityBudget(0.9999, 1e-3),
    4000,
    (EngineParity("tflite-runtime", "2.14.0", True, None, 0.99, 1.0, 1e-6, 1e-7),),
    ("ai-edge-litert",),
)


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.tflite")


def test_metadata_is_read_back_as_written(tmp_path):
    path = write_model(tmp_path / "m.tflite", parity=REPORT, source={"dataset": "x"}, tools={"t": "1"})
    flatbuffer, metadata = read_model(path)
    assert metadata == metadata_for(flatbuffer, parity=REPORT, source={"dataset": "x"}, tools={"t": "1"})
    assert path.read_bytes().startswith(flatbuffer)


def test_zipfile_reads_the_associated_files(model):
    with zipfile.ZipFile(model) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt") == b"idle\nwalk\nrun\nfall"
        record = json.loads(archive.read("edge_rnn.json"))
    assert record["format_version"] == 1
    assert set(record) >= {
        "features",
        "flatbuffer",
        "format_version",
        "normalization",
        "parity",
        "precision",
        "source",
        "steps",
        "target",
        "tools",
    }


@pytest.mark.parametrize("label", ["", "a\nb", "b\r", "\u2028", "a"])
def test_labels_that_labels_txt_cannot_hold_are_refused(label):
    with pytest.raises(InputError, match="label"):
        embed(b"", metadata_for(b"", labels=("a", label)))


@pytest.mark.parametrize("kept", [0, 3, 100, 5000, -1, -30, -300])
def test_truncated_file_is_refused(model, kept):
    model.write_bytes(model.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model\.tflite: (cut short|not a TFLite model)"):
        read_model(model)


def test_every_damaged_byte_is_noticed(model):
    data = model.read_bytes()
    sound = read_model(model)
    for position in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        model.write_bytes(damaged)
        try:
            # A few bytes of a ZIP archive have no meaning (dates, flags). The answer is then the same.
            assert read_model(model) == sound
        except ModelError as error:
            assert str(model) in str(error)


def test_flipped_weight_byte_is_named_damage(model):
    data = bytearray(model.read_bytes())
    data[len(read_model(model)[0]) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        read_model(model)


def test_other_files_are_refused_by_name(tmp_path, model):
    text = tmp_path / "notes.txt"
    text.write_text("no model at all")
    with pytest.raises(ModelError, match=r"notes\.txt: not a TFLite model"):
        read_model(text)
    bare = tmp_path / "foreign.tflite"
    flatbuffer = read_model(model)[0].replace(b"made by edge-rnn", b"made by others..")
    bare.write_bytes(flatbuffer)
    with pytest.raises(ModelError, match=r"foreign\.tflite: a TFLite model without edge-rnn metadata"):
        read_model(bare)
    with pytest.raises(ModelError, match=r"absent\.tflite: cannot read"):
        read_model(tmp_path / "absent.tflite")
    with pytest.raises(ModelError, match="cannot read"):
        read_model(tmp_path)


def _with_record(model, change) -> None:
    flatbuffer, metadata = read_model(model)
    record = metadata.to_json()
    change(record)
    buffer = io.BytesIO(flatbuffer)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("labels.txt", "idle\nwalk\nrun\nfall")
        archive.writestr("edge_rnn.json", json.dumps(record))
    model.write_bytes(buffer.getvalue())


def test_newer_format_version_says_to_upgrade(model):
    _with_record(model, lambda record: record.update(format_version=FORMAT_VERSION + 1))
    with pytest.raises(
        ModelError, match=r"format version \d, and this edge-rnn reads up to \d.*upgrade"
    ):
        read_model(model)


@pytest.mark.parametrize("key", ["steps", "normalization", "flatbuffer", "parity", "format_version"])
def test_missing_key_is_damaged_metadata(model, key):
    _with_record(model, lambda record: record.pop(key))
    with pytest.raises(ModelError, match="the metadata is damaged"):
        read_model(model)


WRONG = [
    ("steps", float("inf")),
    ("steps", "many"),
    ("steps", 0),
    ("steps", 1_000_000_000),
    ("features", 10**4000),
    ("normalization", {"mean": [1, 2], "std": [1, 2], "dtype": "float32"}),
    ("normalization", {"mean": [0], "std": [0], "dtype": "float32"}),
    ("normalization", {"mean": [float("nan")], "std": [1], "dtype": "float32"}),
    ("normalization", {"mean": [0], "std": [1e-46], "dtype": "float32"}),  # 0 in float32
    ("normalization", {"mean": [0], "std": [1e39], "dtype": "float32"}),
    ("normalization", {"mean": [3e38], "std": [0.1], "dtype": "float32"}),
    ("flatbuffer", []),
    ("precision", ["int8"]),
    ("source", {"dataset": {"a": 1}}),
    ("tools", [["numpy", "1"]]),
    ("choices", "a sentence"),
    ("choices", [["nested"]]),
    ("graph", ["step"]),
    ("shared_weights", "no"),
    ("format_version", 10**4000),
    ("probes", {"count": 10**4000, "dtype": "uint8", "tolerance": 1, "origin": "x", "synthetic": None}),
    ("probes", {"count": 1, "dtype": "uint8", "tolerance": 10**400, "origin": "x", "synthetic": None}),
    (
        "probes",
        {
            "count": 1,
            "dtype": "uint8",
            "tolerance": 1.0,
            "origin": "x",
            "synthetic": {"seed": 1, "low": -1.7e308, "high": 1.7e308},
        },
    ),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_senseless_value_is_damaged_metadata(model, key, value):
    _with_record(model, lambda record: record.update({key: value}))
    with pytest.raises(ModelError, match=r"the metadata is damaged|format version") as caught:
        read_model(model)[1].check(model)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(model)) + 500


WRONG_PROOF = [
    (("windows",), 0),
    (("windows",), "many"),
    (("split",), ["test"]),
    (("full_accuracy",), 10**400),
    (("budget",), None),
    (("budget", "min_agreement"), [0.9]),
    (("budget", "min_agreement"), float("nan")),
    (("budget", "max_logit_difference"), "1"),
    (("engines",), [1]),
    (("engines", 0, "agreement"), None),  # with a difference all the same
    (("engines", 0, "max_logit_difference"), {}),
    (("engines", 0, "required"), 1),
    (("not_proven",), [["x"]]),
    (("by_row",), [{"engine": "numpy"}]),
]


@pytest.mark.parametrize(("place", "value"), WRONG_PROOF)
def test_a_senseless_proof_is_damage_and_never_a_crash(tmp_path, place, value):
    model = write_model(tmp_path / "m.tflite", parity=REPORT)

    def change(record) -> None:
        parent = record["parity"]
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = value

    _with_record(model, change)
    with pytest.raises(ModelError, match="the metadata is damaged"):
        str(read_model(model)[1].parity)


def test_deeply_nested_records_are_damaged_metadata(model):
    _with_record(model, lambda record: record.update(tools={"a": _nested(900)}))
    with pytest.raises(ModelError, match="the metadata is damaged"):
        read_model(model)


def _nested(depth: int):
    result: list = []
    for _ in range(depth):
        result = [result]
    return result


def test_a_label_that_is_empty_is_damage(model):
    parts = Parts.of(model.read_bytes())
    parts.entries["labels.txt"] = b"idle\n\nrun\nfall"
    model.write_bytes(parts.file())
    with pytest.raises(ModelError, match=r"a label in labels\.txt is empty"):
        read_model(model)


def test_unknown_keys_of_a_later_edge_rnn_are_ignored(tmp_path):
    model = write_model(tmp_path / "m.tflite", parity=REPORT)

    def add(record) -> None:
        for place in (
            record,
            record["parity"],
            record["parity"]["budget"],
            record["parity"]["engines"][0],
        ):
            place["added"] = "later"

    _with_record(model, add)
    assert read_model(model)[1].parity == REPORT


def test_a_window_that_readers_refuse_is_not_written():
    with pytest.raises(InputError, match="a window has 1000000 x 3000 values, but a model file is for"):
        embed(b"", metadata_for(b"", steps=1_000_000, features=3000))


def test_millions_of_synthetic_windows_are_damage(tmp_path):
    """Synthetic windows are made one number after the other."""
    recipe = Synthetic(1, 0.0, 1.0)
    record = ProbeRecord(17, "uint8", 1.0, "", recipe)
    metadata = metadata_for(b"", steps=1000, features=1000).with_probes(record)
    file = ModelFile(b"", metadata, bytes(17 * 4 * 4))
    with pytest.raises(ModelError, match=r"damaged. Its probes would be windows of \[17, 1000, 1000\]"):
        read_probes(file, "m.tflite")
