"""Recordings from tables: every layout, every option, and every way in which a table can be wrong."""

from __future__ import annotations

import numpy as np

from train.recordings.data_options import DataOptions
from train.recordings.read_recordings import looks_like_recordings, read_recordings
from train.recordings.recording import UNLABELLED


def written(folder, **files):
    """Files of text below a folder, with `__` for slashes in their names and .csv behind them."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_table_with_a_label_column(tmp_path):
    path = written(tmp_path, one="x,y,act\n1,2.5,walk\n3,4,\n5,6,run\n") / "one.csv"
    found = read_recordings(path, DataOptions(label_column="act"))
    assert (found.name, found.labels, found.features) == ("one.csv", ("run", "walk"), ("x", "y"))
    (recording,) = found.recordings
    assert recording.name == "one.csv"
    assert recording.values.dtype == np.float32
    np.testing.assert_array_equal(recording.values, [[1, 2.5], [3, 4], [5, 6]])
    np.testing.assert_array_equal(recording.labels, [1, UNLABELLED, 0])
    np.testing.assert_array_equal(recording.lines, [2, 3, 4])


def test_a_folder_for_each_class(tmp_path):
    data = "x,y\n1,2\n3,4\n"
    written(tmp_path, walk__ann__a=data, walk__bob__a=data, run__ann__a=data)
    found = read_recordings(tmp_path, DataOptions())
    assert looks_like_recordings(tmp_path)
    assert found.labels == ("run", "walk")
    assert [(item.name, item.group) for item in found.recordings] == [
        ("run/ann/a.csv", "ann"),
        ("walk/ann/a.csv", "ann"),
        ("walk/bob/a.csv", "bob"),
    ]
    assert [item.labels.tolist() for item in found.recordings] == [[0, 0], [1, 1], [1, 1]]


def test_folders_for_train_and_test(tmp_path):
    data = "x,y\n1,2\n3,4\n"
    written(tmp_path, train__walk__a=data, train__run__a=data, test__walk__b=data)
    found = read_recordings(tmp_path, DataOptions())
    assert {item.name: item.split for item in found.recordings} == {
        "train/run/a.csv": "train",
        "train/walk/a.csv": "train",
        "test/walk/b.csv": "test",
    }
