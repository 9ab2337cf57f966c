""".ts files of the UEA archive. The only test module that loads aeon, which takes seconds."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import DataError, InputError, MissingExtraError
from scripts.sample_recordings import samples, write_ts
from tests.support.broken_recordings import EQUAL, GOOD, TS_CASES, UNEQUAL
from train.recordings.data_options import DataOptions
from train.recordings.read_recordings import read_as_recorded, read_recordings
from train.recordings.ts_file import read_ts

spec = importlib.util.find_spec("aeon")
DATA = Path(spec.origin if spec and spec.origin else ".").parent / "datasets" / "data"
needs_aeon = pytest.mark.skipif(spec is None, reason="needs the package aeon")


def written(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@needs_aeon
def test_basic_motions_is_read_with_its_split():
    found = read_ts(DATA / "BasicMotions" / "BasicMotions_TRAIN.ts")
    assert found.name == "BasicMotions"
    assert found.labels == ("Standing", "Running", "Walking", "Badminton")
    assert len(found.features) == 6
    assert len({recording.name for recording in found.recordings}) == 80
    assert [recording.split for recording in found.recordings] == ["train"] * 40 + ["test"] * 40
    assert {recording.values.shape for recording in found.recordings} == {(100, 6)}
    classes = [int(recording.labels[0]) for recording in found.recordings]
    assert np.bincount(classes).tolist() == [20] * 4
    first = found.recordings[0]
    assert first.values.dtype == np.float32
    np.testing.assert_allclose(first.values[:3, 0], [0.079106, 0.079106, -0.903497], rtol=1e-6)
    text = first.path.read_text().splitlines()[first.lines[0] - 1]
    assert text.startswith("0.079106,0.079106,-0.903497")
    folder = read_ts(DATA / "BasicMotions")
    assert [r.name for r in folder.recordings] == [r.name for r in found.recordings]


@needs_aeon
def test_the_sample_of_the_guide_is_read(tmp_path):
    write_ts(tmp_path, list(samples()))
    found = read_ts(tmp_path)
    assert found.labels == ("running", "sitting", "walking")
    assert [recording.split for recording in found.recordings] == ["train"] * 9 + ["test"] * 3


@needs_aeon
def test_series_of_unequal_length_are_recordings_of_their_own_length():
    found = read_ts(DATA / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts")
    lengths = {len(recording.values) for recording in found.recordings}
    assert (min(lengths), max(lengths)) == (7, 29)
    assert all(len(r.labels) == len(r.values) == len(r.lines) for r in found.recordings)


@needs_aeon
def test_missing_values_and_the_spelling_of_classes_are_kept(tmp_path):
    found = read_ts(written(tmp_path, "demo.ts", EQUAL + GOOD))
    assert found.labels == ("Walk", "baNana")
    assert [int(recording.labels[0]) for recording in found.recordings] == [0, 1]
    np.testing.assert_array_equal(found.recordings[1].values, [[7, -1], [np.nan, -2], [9, -3]])
    assert found.recordings[0].split is None
    unequal = read_ts(written(tmp_path, "u.ts", UNEQUAL + "1:2:Walk\n1,2:3,4:banana\n"))
    assert [len(recording.values) for recording in unequal.recordings] == [1, 2]


@needs_aeon
@pytest.mark.parametrize("case", TS_CASES, ids=lambda case: case.name)
def test_broken_files_are_one_sentence(case, tmp_path, monkeypatch):
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_ts(case.data)
    assert str(caught.value) == case.sentence


@needs_aeon
def test_files_that_do_not_belong_together_are_refused(tmp_path):
    written(tmp_path, "demo_TRAIN.ts", EQUAL + GOOD)
    written(tmp_path, "demo_TEST.ts", EQUAL + "1,2,3:walk\n")
    with pytest.raises(DataError, match=r"demo_TEST.ts: its series have 1 channels, those of"):
        read_ts(tmp_path)
    shutil.copy(tmp_path / "demo_TRAIN.ts", tmp_path / "other_TRAIN.ts")
    with pytest.raises(DataError, match=r"found demo_TRAIN.ts, other_TRAIN.ts\. Name one file"):
        read_ts(tmp_path)
    with pytest.raises(DataError, match=r"absent.ts: cannot be read"):
        read_ts(tmp_path / "absent.ts")


@needs_aeon
def test_missing_values_are_an_error_or_filled(tmp_path):
    path = written(tmp_path, "demo.ts", EQUAL + GOOD)
    with pytest.raises(
        DataError, match=r"demo.ts, line 10: column 'channel_1' has no value\. Pass --fill"
    ):
        read_recordings(path, DataOptions())
    assert np.isnan(read_as_recorded(path, DataOptions()).recordings[1].values).any()
    filled = read_recordings(path, DataOptions(fill="linear"))
    np.testing.assert_array_equal(filled.recordings[1].values[:, 0], [7, 8, 9])
    with pytest.raises(InputError, match=r"--feature-columns: .*demo.ts is no table"):
        read_recordings(path, DataOptions(feature_columns=("channel_1",)))


def test_without_aeon_the_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon.datasets", None)
    with pytest.raises(MissingExtraError, match=r"A \.ts file needs aeon.*edge-rnn\[timeseries\]"):
        read_ts(written(tmp_path, "demo.ts", EQUAL + GOOD))
