"""Edge Impulse's data acquisition format: single files, folders, exported data sets, broken files."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest

from edge_runtime.errors import DataError, EdgeRnnError, InputError
from tests.fuzz.json_mutations import mutated_json
from tests.support.broken_recordings import JSON_CASES, ROWS, SENSORS, document
from train.recordings.data_options import DataOptions
from train.recordings.edge_impulse import read_edge_impulse
from train.recordings.read_recordings import read_recordings
from train.recordings.recording import UNLABELLED


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(path, **options):
    return read_edge_impulse(path, DataOptions(**options))


def classes_of(found):
    return {r.name: [found.labels[i] for i in dict.fromkeys(r.labels)] for r in found.recordings}


def test_a_file_is_a_recording_with_times_and_the_class_of_its_name(tmp_path):
    found = read(write(tmp_path / "idle.01.json", document()))
    (recording,) = found.recordings
    assert found.labels == ("idle",)
    assert found.features == ("accX", "accY")
    np.testing.assert_array_equal(recording.values, np.array(ROWS, np.float32))
    np.testing.assert_allclose(recording.times, [0, 0.01, 0.02, 0.03])
    assert recording.labels.tolist() == [0] * 4
    assert (recording.group, recording.split) == (None, None)


def test_one_sensor_may_have_plain_numbers_and_null_is_a_missing_value(tmp_path):
    audio = document(sensors=[{"name": "audio", "units": "wav"}], values=[-10, None, 3], interval_ms=0)
    (recording,) = read(write(tmp_path / "a.json", audio)).recordings
    np.testing.assert_array_equal(recording.values, [[-10], [np.nan], [3]])
    assert recording.times is None


def test_folders_give_split_and_class_and_devices_give_groups(tmp_path):
    for place, device in (
        ("training/wave.1.json", "a"),
        ("training/idle.1.json", "b"),
        ("testing/snake/one.json", "c"),
    ):
        write(tmp_path / place, document(device_name=device))
    found = read(tmp_path)
    assert classes_of(found) == {
        "testing/snake/one.json": ["snake"],
        "training/idle.1.json": ["idle"],
        "training/wave.1.json": ["wave"],
    }
    assert [recording.split for recording in found.recordings] == ["test", "train", "train"]
    assert [recording.group for recording in found.recordings] == ["c", "b", "a"]


def test_devices_are_no_groups_unless_every_file_names_one(tmp_path):
    write(tmp_path / "a.1.json", document(device_name="a"))
    write(tmp_path / "a.2.json", document(device_name="b"))
    write(tmp_path / "a.3.json", document(device_name=None))
    assert {recording.group for recording in read(tmp_path).recordings} == {None}


def exported(tmp_path, *entries, place=""):
    names = ["training/x.1.json", "testing/x.2.json"]
    for name in names:
        write(tmp_path / name, document())
    files = [
        {"path": name, "name": "x", "category": name.split("/")[0], **entry}
        for name, entry in zip(names, entries)
    ]
    write(tmp_path / place / "info.labels", {"version": 1, "files": files})
    return tmp_path


def test_an_exported_data_set_has_labels_split_and_metadata(tmp_path):
    exported(
        tmp_path,
        {"label": {"type": "label", "label": "up"}, "metadata": {"site": "Bonn"}},
        {"label": {"type": "unlabeled"}, "metadata": {"site": 7}},
    )
    found = read(tmp_path, group_column="site", feature_columns=("accY",))
    test, train = found.recordings
    assert (train.split, train.group, test.split, test.group) == ("train", "Bonn", "test", "7")
    assert found.labels == ("up",)
    assert set(test.labels) == {UNLABELLED}
    np.testing.assert_array_equal(train.values[:, 0], np.float32([0.03, 0.04, 0.03, 0.01]))


def test_the_list_may_lie_in_the_folders_and_a_single_part_is_no_split(tmp_path):
    exported(tmp_path, {"label": "up"}, place="training")
    (recording,) = read(tmp_path).recordings
    assert recording.split is None
    assert recording.name == "training/x.1.json"


@pytest.mark.parametrize(("first", "last"), [((0, 1), (2, 3)), ((0, 19), (20, 39))])
def test_segments_count_rows_or_milliseconds(tmp_path, first, last):
    parts = [
        {"label": name, "startIndex": start, "endIndex": end}
        for name, (start, end) in (("up", first), ("down", last))
    ]
    label = {"label": {"type": "multi-label", "labels": parts}}
    found = read(exported(tmp_path, label, label))
    assert [found.labels[i] for i in found.recordings[0].labels] == ["up", "up", "down", "down"]


def test_null_is_an_error_or_filled(tmp_path):
    write(tmp_path / "training" / "a.1.json", document(values=[[1, 2], [None, 3], [3, 4]]))
    with pytest.raises(DataError, match=r"a.1.json, row 2: column 'accX' has no value\. Pass --fill"):
        read_recordings(tmp_path, DataOptions())
    (filled,) = read_recordings(tmp_path, DataOptions(fill="previous")).recordings
    np.testing.assert_array_equal(filled.values[:, 0], [1, 1, 3])
    with pytest.raises(InputError, match=r"--label-column: .* is no table"):
        read_recordings(tmp_path, DataOptions(label_column="label"))


@pytest.mark.parametrize("case", JSON_CASES, ids=lambda case: case.name)
def test_broken_data_is_refused_with_one_sentence(case, tmp_path, monkeypatch):
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_recordings(case.data, DataOptions())
    assert str(caught.value) == case.sentence


def test_mutated_files_end_in_a_sentence_or_in_recordings(tmp_path):
    parts = [{"label": name, "startIndex": 2 * k, "endIndex": 2 * k + 1} for k, name in enumerate("ab")]
    label = {"label": {"type": "multi-label", "labels": parts}, "metadata": {"site": "x"}}
    texts = {"training/x.1.json": json.dumps(document())}
    texts["info.labels"] = json.dumps({"version": 1, "files": [{"path": "training/x.1.json", **label}]})
    refused = 0
    for index in range(300):
        rng = Random(index)
        changed = rng.choice(list(texts))
        for name, text in texts.items():
            write(tmp_path / name, mutated_json(rng, text) if name == changed else text)
        try:
            found = read_recordings(tmp_path, DataOptions(fill="zero"))
        except EdgeRnnError as error:
            refused += 1
            assert str(error).isprintable()
            assert len(str(error)) < 1000
        else:
            assert all(len(r.labels) == len(r.values) > 0 for r in found.recordings)
    assert 100 < refused < 300


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    write(tmp_path / "a.1.json", document())
    other = tmp_path / "b.1.json"
    for sensors, sentence in (
        ([SENSORS[0], {"name": "accZ"}], "has no sensor 'accY', which"),
        ([SENSORS[0], {"name": "accY", "units": "g"}], "sensor 'accY' is in 'g', and in 'm/s2' in"),
    ):
        write(other, document(sensors=sensors))
        with pytest.raises(DataError, match=f"b.1.json: {sentence}"):
            read(tmp_path)
    write(other, document(sensors=[*SENSORS, {"name": "t"}], values=[[1, 2, 3]]))
    with pytest.raises(DataError, match=r"b.1.json: has a sensor 't', which"):
        read(tmp_path)
    assert len(read(tmp_path, feature_columns=("accX", "accY")).recordings) == 2
    write(other, document(sensors=SENSORS[::-1]))  # another order is none of the user's concern
    np.testing.assert_array_equal(read(tmp_path).recordings[1].values[0], np.float32([0.03, -9.81]))
    with pytest.raises(InputError, match=r"^--feature-columns: .* has no sensor 'z'\. Choose among"):
        read(tmp_path, feature_columns=("z",))


def test_folders_without_use_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json files"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"absent: no such file or folder"):
        read(tmp_path / "absent")
    write(tmp_path / "training" / "a.json", document())
    write(tmp_path / "b.json", document())
    with pytest.raises(DataError, match=r"b.json: lies outside the folders of the split"):
        read(tmp_path)
    (tmp_path / "b.json").rename(tmp_path / "training" / "b.cbor")
    with pytest.raises(DataError, match=r"b.cbor: CBOR is not supported\. Export the data set as JSON"):
        read(tmp_path)


def test_a_list_without_the_group_column_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no 'site' in the metadata of info\.labels"):
        read(exported(tmp_path, {"label": "a"}, {"label": "a"}), group_column="site")
    write(tmp_path / "info.labels", {"files": 3})
    with pytest.raises(DataError, match=r"info\.labels: expected an object with files, a list"):
        read(tmp_path)
