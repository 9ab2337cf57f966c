"""Recordings from tables: every layout, every option, and every way in which a table can be wrong."""

from __future__ import annotations

import csv
import io
import os
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import DataError, EdgeRnnError, MissingExtraError
from tests.support.broken_tables import CASES, MEASURED, TABLE
from tests.support.commands import edge_rnn
from train.recordings.data_options import FILLS, DataOptions
from train.recordings.read_recordings import looks_like_recordings, read_as_recorded, read_recordings
from train.recordings.recording import UNLABELLED

LABEL = DataOptions(label_column="act")
TIME = {"label_column": "act", "time_column": "time"}


def written(folder, files):
    """Files of text in a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def one(folder, text, **options):
    """The recordings in one table of text."""
    path = written(folder, {"t.csv": text}) / "t.csv"
    return read_recordings(path, DataOptions(**{"label_column": "act", **options}))


def values(found):
    return [item.values.tolist() for item in found.recordings]


def described(found):
    return [(item.name, item.group, item.split) for item in found.recordings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_data_is_refused_with_one_sentence(case, tmp_path, monkeypatch):
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgeRnnError) as caught:
        read_recordings(case.data, DataOptions(**case.options))
    begin, dots, end = case.sentence.partition("...")  # in place of what pyarrow says
    assert str(caught.value) == case.sentence or (dots and str(caught.value).startswith(begin))
    assert str(caught.value).endswith(end)
    assert caught.value.exit_code == 2


def test_the_command_prints_the_sentence(tmp_path):
    path = written(tmp_path, {"t.csv": TABLE + "1,2\n"}) / "t.csv"
    found = edge_rnn("data", path, "--label-column", "act")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"Error: {path}, line 6: 2 cells. Expected 3,")
    assert found.stderr.count("\n") == 1


def test_a_table_with_a_label_column(tmp_path):
    found = one(tmp_path, "x,y,act\n1,2.5,walk\n3,4,\n5,6,run\n")
    assert (found.name, found.labels, found.features) == ("t.csv", ("run", "walk"), ("x", "y"))
    (recording,) = found.recordings
    assert recording.name == "t.csv"
    assert recording.values.dtype == np.float32
    np.testing.assert_array_equal(recording.values, [[1, 2.5], [3, 4], [5, 6]])
    np.testing.assert_array_equal(recording.labels, [1, UNLABELLED, 0])
    np.testing.assert_array_equal(recording.lines, [2, 3, 4])


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffx,act\r\n1.5,a\r\n\r\n2,b\r\n",  # a byte order mark, Windows' line ends, a blank line
        "x,act\r1.5,a\r2,b\r",
        "x;act\n1,5;a\n2;b\n",
        "x\tact\n1.5\ta\n2\tb\n",
        "x;act\n" + "2;b\n" * 300 + "1,5;a\n",  # the first lines do not show the decimal sign
        " x , act \n 1.5 , a \n 2 , b \n",
        '"x","act"\n"1.5","a"\n2,b\n',
        '# of "today\nx,act\n1.5,a\n2,b\n',
        "x,act,\n1.5,a,\n2,b,\n",  # each line ends with a delimiter
        "x,act\n1.5,a,\n2,b,\n",
    ],
)
def test_how_a_csv_file_may_be_written(text, tmp_path):
    found = one(tmp_path, text)
    assert (found.labels, found.features) == (("a", "b"), ("x",))
    (recording,) = found.recordings
    assert set(recording.values[:, 0]) == {1.5, 2.0}
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line, value in zip(recording.lines, recording.values[:, 0]):
        assert f"{value:g}" in lines[line - 1].replace(",", ".")


def test_a_table_without_a_header_has_numbered_columns(tmp_path):
    found = one(tmp_path, "1,2,walk\n3,4,run\n", label_column="3")
    assert (found.features, found.labels) == (("1", "2"), ("run", "walk"))
    assert one(tmp_path, "time,1,2,act\n0,1,2,a\n", time_column="time").features == ("1", "2")


def test_classes_are_in_the_order_of_numbers_or_of_the_alphabet(tmp_path):
    assert one(tmp_path, "x,act\n1,10\n2,9\n3,2\n").labels == ("2", "9", "10")
    assert one(tmp_path, "x,act\n1,b\n2,10\n3,a\n").labels == ("10", "a", "b")
    assert one(tmp_path, "x,act\n1,None\n2,null\n3,NaN\n").labels == ("None", "null")


def test_features_are_chosen_by_name(tmp_path):
    text = "id,x,note,y,act\n9,1,hi,2,a\n9,3,there,4,b\n"
    assert values(one(tmp_path, text, feature_columns=("y", "x"))) == [[[2, 1], [4, 3]]]


def test_recordings_of_a_table(tmp_path):
    """They are told apart by group, recording and split, and keep the order of their first rows."""
    text = (
        "id,who,part,x,act\n1,a,train,1,u\n1,b,Training,2,v\n1,a,train,3,v\n1,a,test,4,u\n2,a,val,5,u\n"
        "1,a,TEST,6,u\n"
    )
    columns = {"recording_column": "id", "group_column": "who"}
    found = one(tmp_path, text, **columns, split_column="part")
    assert described(found) == [
        ("a/1#1", "a", "train"),
        ("a/1#2", "a", "test"),
        ("b/1", "b", "train"),
        ("2", "a", "validation"),
    ]
    assert values(found) == [[[1], [3]], [[4], [6]], [[2]], [[5]]]
    text = "id,part,x,act\na,test,1,u\na,train,2,u\na#1,train,3,u\n"
    found = one(tmp_path, text, recording_column="id", split_column="part")
    assert len({item.name for item in found.recordings}) == 3
    found = one(tmp_path, "who,x,act\na,1,u\na,2,v\nb,3,u\na,4,v\n", group_column="who")
    assert described(found) == [("a#1", "a", None), ("b", "b", None), ("a#2", "a", None)]
    assert values(found) == [[[1], [2]], [[3]], [[4]]]


@pytest.mark.parametrize(
    ("name", "cells", "seconds"),
    [
        ("time", ("5", "5.25"), 0.25),
        ("time_ms", ("5", "5.25"), 0.25e-3),
        ("Zeit [us]", ("5", "7"), 2e-6),
        ("t (ns)", ("1700000000000000001", "1700000000000000003"), 2e-9),
        ("time", ("2025-01-31T12:00:00", "2025-01-31 12:00:00.5"), 0.5),
        ("time", ("2025-01-31T12:00:00+01:00", "2025-01-31T11:00:01Z"), 1.0),
        ("time", ("23:59:59.75", "23:59:59.875"), 0.125),
    ],
)
def test_times_are_seconds_since_the_first_row(name, cells, seconds, tmp_path):
    text = f"x,act,{name}\n1,a,{cells[0]}\n2,b,{cells[1]}\n"
    (recording,) = one(tmp_path, text, time_column=name).recordings
    np.testing.assert_allclose(recording.times, [0, seconds], rtol=1e-12)


GAPS = "time,x,y,act\n0,1,,a\n1,,1,a\n2,3,2,b\n3,4,3,b\n6,7,6,b\n7,8,7,a\n8,9,8,a\n"
"""No y in the first row, no x in the second, two rows missing between 3 s and 6 s."""


@pytest.mark.parametrize(
    ("fill", "x", "y"),
    [
        ("previous", [1, 1, 3, 4, 4, 4, 7, 8, 9], [1, 1, 2, 3, 3, 3, 6, 7, 8]),
        ("linear", [1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("zero", [1, 0, 3, 4, 0, 0, 7, 8, 9], [0, 1, 2, 3, 0, 0, 6, 7, 8]),
    ],
)
def test_fill(fill, x, y, tmp_path):
    (recording,) = one(tmp_path, GAPS, **TIME, fill=fill).recordings
    np.testing.assert_array_equal(recording.values, np.transpose([x, y]))
    np.testing.assert_array_equal(recording.times, np.arange(9))
    assert recording.labels.tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    assert recording.lines.tolist() == [2, 3, 4, 5, 5, 5, 6, 7, 8]
    assert recording.values.dtype == np.float32


def test_fill_split_makes_several_recordings(tmp_path):
    found = one(tmp_path, GAPS + "8,10,9,a\n3,11,10,b\n", **TIME, fill="split")
    assert [item.name for item in found.recordings] == [f"t.csv#{number}" for number in (1, 2, 3, 4)]
    assert [item.lines.tolist() for item in found.recordings] == [[4, 5], [6, 7, 8], [9], [10]]
    assert [item.labels.tolist() for item in found.recordings] == [[1, 1], [1, 0, 0], [0], [1]]


def test_gaps_are_steps_of_more_than_one_and_a_half_medians(tmp_path):
    uneven = "time,x,act\n0,1,a\n1,2,a\n2,3,a\n3.5,4,b\n4,5,b\n5,6,b\n"
    assert len(one(tmp_path, uneven, **TIME).recordings) == 1
    assert len(one(tmp_path, uneven.replace("3.5", "3.51"), **TIME, fill="split").recordings) == 2


def test_data_as_recorded_keeps_missing_values_and_gaps(tmp_path):
    path = written(tmp_path, {"t.csv": GAPS + "5,9,9,a\n"}) / "t.csv"
    (recording,) = read_as_recorded(path, DataOptions(**TIME)).recordings
    assert np.isnan(recording.values).sum() == 2
    assert recording.times.tolist() == [0, 1, 2, 3, 6, 7, 8, 5]


@pytest.mark.parametrize("fill", FILLS)
def test_nothing_to_fill_changes_nothing(fill, tmp_path):
    assert values(one(tmp_path, TABLE, fill=fill)) == values(one(tmp_path, TABLE))


def test_a_folder_for_each_class(tmp_path):
    names = ("walk/ann/a", "walk/bob/a", "run/ann/a")
    written(tmp_path, {f"{name}.csv": MEASURED for name in names})
    written(tmp_path, {"README.md": "", ".DS_Store": "", "walk/ann/.~lock": "", "run/Thumbs.db": ""})
    found = read_recordings(tmp_path, DataOptions())
    assert looks_like_recordings(tmp_path)
    assert found.labels == ("run", "walk")
    assert described(found) == [
        ("run/ann/a.csv", "ann", None),
        ("walk/ann/a.csv", "ann", None),
        ("walk/bob/a.csv", "bob", None),
    ]
    assert [item.labels.tolist() for item in found.recordings] == [[0, 0], [1, 1], [1, 1]]


def test_folders_for_train_and_test(tmp_path):
    written(tmp_path, dict.fromkeys(("Train/walk/a.csv", "test/walk/b.csv", "val/walk/c.csv"), MEASURED))
    assert described(read_recordings(tmp_path, DataOptions())) == [
        ("Train/walk/a.csv", None, "train"),
        ("val/walk/c.csv", None, "validation"),
        ("test/walk/b.csv", None, "test"),
    ]


def test_a_class_may_be_called_train(tmp_path):
    written(tmp_path, dict.fromkeys(("train/a.csv", "bus/a.csv"), MEASURED))
    found = read_recordings(tmp_path, DataOptions())
    assert (found.labels, {item.split for item in found.recordings}) == (("bus", "train"), {None})


def test_folders_of_tables_with_labels(tmp_path):
    written(tmp_path, {"ann/a.csv": TABLE, "bob/a.csv": "act,y,x\nwalk,2,1\nswim,4,3\n"})
    found = read_recordings(tmp_path, LABEL)
    assert described(found) == [("ann/a.csv", "ann", None), ("bob/a.csv", "bob", None)]
    assert values(found)[1] == [[1, 2], [3, 4]]  # in the order of the first file
    assert found.labels == ("run", "swim", "walk")
    assert found.recordings[1].labels.tolist() == [2, 1]
    found = read_recordings(
        tmp_path, DataOptions(label_column="act", recording_column="x", feature_columns=("y",))
    )
    assert [item.name for item in found.recordings][-2:] == ["bob/a.csv:1", "bob/a.csv:3"]


def test_what_looks_like_recordings(tmp_path):
    for name in ("a.csv", "b.TSV", "c.parquet", "d.ts", "e.json"):
        assert looks_like_recordings(tmp_path / name)
    assert not looks_like_recordings("mnist")
    assert not looks_like_recordings(tmp_path)
    written(tmp_path, {"train-images-idx3-ubyte.gz": ""})
    assert not looks_like_recordings(tmp_path)


def parquet(folder, frame, **options):
    frame.to_parquet(folder / "t.parquet")
    return read_recordings(folder / "t.parquet", DataOptions(**{"label_column": "act", **options}))


def test_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime([0, 10, 20, 30], unit="ms", utc=True),
            "x": [1, 2, 3, 4],
            "on": [True, False, None, True],
            "small": pd.array([1, None, 3, 4], "Int64"),
            "act": pd.Categorical(["a", None, "b", "b"]),
        }
    )
    found = parquet(tmp_path, frame[frame.x > 1], time_column="when", fill="linear")
    assert (found.features, found.labels) == (("x", "on", "small"), ("b",))
    (recording,) = found.recordings
    assert recording.values.tolist() == [[2, 0, 3], [3, 0.5, 3], [4, 1, 4]]
    assert recording.labels.tolist() == [UNLABELLED, 0, 0]
    np.testing.assert_allclose(recording.times, [0, 0.01, 0.02])
    assert recording.lines is None
    assert values(parquet(tmp_path, frame[["x", "act", "when"]].set_index("when"), time_column="when"))
    numbers = parquet(tmp_path, pd.DataFrame({"x": [1.0, 2, 3], "act": [1, None, 3]}))
    assert numbers.labels == ("1", "3")


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([1.0, None], "DATA/t.parquet, row 2: column 'x' has no value."),
        ([1.0, np.inf], "DATA/t.parquet, row 2: column 'x' holds infinity."),
        (["1", "u"], "DATA/t.parquet, row 2: column 'x' holds 'u', which is no number."),
        ([[1], [2]], "DATA/t.parquet, row 1: column 'x' holds '[1]', which is no number."),
        (pd.to_datetime([1, 2]), "DATA/t.parquet, row 1: column 'x' holds '1970-01-01"),
    ],
)
def test_parquet_names_the_row(column, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DATA").mkdir()
    with pytest.raises(EdgeRnnError) as caught:
        parquet(
            (tmp_path / "DATA").relative_to(tmp_path), pd.DataFrame({"x": column, "act": ["a", "b"]})
        )
    assert str(caught.value).startswith(sentence)


NAMES = st.text(
    st.characters(categories=("L", "P", "S"), exclude_characters="#"), min_size=1, max_size=8
)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NAMES, NAMES), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t"),
    comma=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_written_and_read_gives_the_same(rows, delimiter, comma, quoting, end, tmp_path_factory):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["x", "y", "act", "who"])
    decimal = "," if comma and delimiter != "," else "."
    for x, y, act, who in rows:
        writer.writerow([repr(x).replace(".", decimal), repr(y).replace(".", decimal), act, who])
    folder = tmp_path_factory.mktemp("table")
    found = one(folder, text.getvalue(), group_column="who")
    assert found.labels == tuple(sorted({act for _, _, act, _ in rows}))
    read = [
        (float(pair[0]), float(pair[1]), found.labels[label], item.group)
        for item in found.recordings
        for pair, label in zip(item.values, item.labels)
    ]
    assert read == rows
    frame = pd.DataFrame(rows, columns=["x", "y", "act", "who"])
    assert np.concatenate(values(parquet(folder, frame, group_column="who"))).tolist() == [
        list(row[:2]) for row in rows
    ]


def test_pandas_comes_with_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"A table needs pandas.*edge-rnn\[tables\]"):
        one(tmp_path, TABLE)


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "a.csv").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"a\.csv: no such file\. Expected a CSV file\."):
        read_recordings(tmp_path, DataOptions())
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: is no file with a content\. Expected a CSV file\."):
        read_recordings(tmp_path / "t.csv", LABEL)
