"""`edge-rnn data`: what it finds in recordings and windows, its warnings, its JSON and its picture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edge_runtime.errors import DataError, InputError
from tests.support.commands import loaded_by
from train.data_command import data
from train.data_overview.feature_range import FeatureRanges
from train.data_overview.overview import look_at
from train.recordings.data_options import DataOptions

OPTIONS = {
    "label_column": "activity",
    "group_column": "subject",
    "recording_column": "session",
    "time_column": "t",
}
TYPED = [part for name, column in OPTIONS.items() for part in (f"--{name.replace('_', '-')}", column)]


def table(folder, edit=lambda rows: rows):
    """Three subjects, each with a recording of 40 rows at 50 Hz for `rest` and `walk`."""
    rng = np.random.default_rng(0)
    rows = []
    for subject in ("anna", "ben", "carla"):
        for activity in ("rest", "walk"):
            for row in range(40):
                x, y = rng.normal(size=2)
                cells = [subject, f"{subject}-{activity}", row / 50, activity, f"{x:.5f}", f"{y:.5f}"]
                rows.append(list(map(str, cells)))
    path = folder / "walks.csv"
    lines = [["subject", "session", "t", "activity", "ax", "ay"], *edit(rows)]
    path.write_text("\n".join(",".join(line) for line in lines) + "\n")
    return path


def facts_of(path, **options):
    return look_at(str(path), options=DataOptions(**{**OPTIONS, **options})).facts


def run(*arguments):
    result = CliRunner().invoke(data, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_recordings_classes_groups_rates_and_ranges_are_counted(tmp_path):
    facts = facts_of(table(tmp_path))
    found = facts.recordings
    assert (found.count, found.rows, found.shortest, found.longest) == (6, 240, 40, 40)
    assert found.seconds == pytest.approx(240 / 50)
    assert found.rate.median_hz == pytest.approx(50)
    assert found.rate.step_low == pytest.approx(1)
    assert (found.gaps.count, found.missing.count, found.unlabelled.count) == (0, 0, 0)
    assert [(one.label, one.recordings, one.rows, one.groups) for one in facts.classes] == [
        ("rest", 3, 120, 3),
        ("walk", 3, 120, 3),
    ]
    assert facts.classes[0].seconds == pytest.approx(120 / 50)
    assert [(one.name, one.rows_of_classes) for one in facts.groups] == [
        (name, (40, 40)) for name in ("anna", "ben", "carla")
    ]
    assert [one.name for one in facts.features] == ["ax", "ay"]


def test_gaps_and_missing_values_are_counted_where_train_would_stop(tmp_path):
    def edit(rows):
        rows[45][4] = ""  # line 47
        rows[46][5] = ""
        for row in rows[20:40]:
            row[2] = str(float(row[2]) + 0.5)  # a gap before line 22
        rows[90][2] = rows[89][2]  # line 92 repeats a time
        rows[120][3] = ""  # line 122 has no class
        return rows

    path = table(tmp_path, edit)
    facts = facts_of(path, window=8)
    found = facts.recordings
    assert (found.missing.count, found.missing.first) == (2, f"{path}, line 47")
    assert (found.gaps.count, found.gaps.first) == (
        2,
        f"{path}, line 22",
    )  # one follows the repeated time
    assert found.gaps.longest_seconds == pytest.approx(0.52)
    assert (found.not_ascending.count, found.not_ascending.first) == (1, f"{path}, line 92")
    assert (found.unlabelled.count, found.unlabelled.first) == (1, f"{path}, line 122")
    assert [one.missing for one in facts.features] == [1, 1]
    assert facts.refusal == (
        f"{path}, line 22: 0.52 s after the row before, where the median step is 0.02 s. Pass --fill "
        "previous, linear, zero or split."
    )
    assert facts.windows is None
    text = " ".join(facts.warnings)
    for words in (
        "Missing values in 2 rows, the first at",
        "2 gaps in time, the longest of 0.52 s",
        "in 1 row, the first at",
        "No class in 1 row of 240",
    ):
        assert words in text


def test_doubtful_data_sets_are_warned_of(tmp_path):
    def edit(rows):
        kept = [row for row in rows if row[1] in ("anna-rest", "ben-rest", "anna-walk")]
        kept += [row for row in rows if row[1] == "carla-rest"][:3]
        for row in kept:
            row[5] = "9.81"
            if row[1] == "ben-rest":
                row[2] = str(float(row[2]) * 2)
            if row[1] == "carla-rest":
                row[4] = "0"
        return kept

    facts = facts_of(table(tmp_path, edit), window=8)
    text = "\n".join((*facts.warnings, *facts.windows.notes))
    assert "1 of 4 recordings have fewer than 8 rows" in text
    for sentence in (
        "The rate differs between recordings, from 25 to 50 rows per second.",
        "Feature ay is 9.81 in every row, and tells nothing about the class.",
        "Feature ax does not change in 1 recording.",
        "Class walk occurs in 1 recording only. A split by recording needs 3:",
        "Only class rest occurs in groups ben, carla. A model can learn the group",
    ):
        assert sentence in text


def test_classes_of_unlike_size_are_warned_of(tmp_path):
    def edit(rows):
        return [row for row in rows if row[3] == "rest" or float(row[2]) < 0.1]

    (sentence,) = (w for w in facts_of(table(tmp_path, edit)).warnings if "times the rows" in w)
    assert sentence.startswith("Class rest has 8 times the rows of class walk.")


def test_the_windows_and_the_split_of_a_training_are_shown(tmp_path):
    facts = facts_of(table(tmp_path), window=10, hop=5)
    assert (facts.windows.steps, facts.windows.features, facts.windows.count) == (10, 2, 6 * 7)
    assert facts.windows.method == "group"
    assert facts.refusal is None
    inside = {split.name: split.groups for split in facts.windows.splits}
    assert sorted(name for groups in inside.values() for name in groups) == ["anna", "ben", "carla"]
    for group in facts.groups:
        assert group.splits == tuple(name for name, groups in inside.items() if group.name in groups)
    for one in facts.classes:
        assert sum(one.windows.values()) == 3 * 7


def test_what_is_filled_is_counted_as_it_was_and_cut_as_it_is_filled(tmp_path):
    def edit(rows):
        rows[45][4] = ""
        return rows

    facts = facts_of(table(tmp_path, edit), window=10, fill="linear")
    assert facts.recordings.missing.count == 1
    assert facts.windows.count == 6 * 4
    assert any("--fill linear takes care of them" in sentence for sentence in facts.warnings)


@pytest.fixture
def windows(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5, 2)).astype(np.float32), np.arange(60) % 3
    np.savez(tmp_path / "windows.npz", x=x, y=y, labels=["a", "b", "c"])
    return tmp_path / "windows.npz"


def test_windows_without_recordings_are_shown_too(windows):
    facts = look_at(str(windows)).facts
    assert facts.recordings is None
    assert [split.name for split in facts.windows.splits] == ["train", "validation", "test"]
    assert facts.windows.count == 60
    assert [sum(one.windows.values()) for one in facts.classes] == [20, 20, 20]
    x = np.load(windows)["x"].reshape(-1, 2)
    for index, one in enumerate(facts.features):
        measured = (one.minimum, one.maximum, one.mean, one.std)
        column = x[:, index].astype(np.float64)
        expected = (column.min(), column.max(), column.mean(), column.std())
        np.testing.assert_allclose(measured, expected, rtol=1e-9)
    with pytest.raises(InputError, match="--window: goes with recordings"):
        look_at(str(windows), options=DataOptions(window=3))


def test_ranges_do_not_depend_on_the_parts_and_leave_missing_values_out():
    values = np.random.default_rng(1).normal(1000, 1, (100, 3)).astype(np.float32)
    values[::7, 1] = np.nan
    values[:, 2] = np.nan
    ranges = FeatureRanges(("a", "b", "c"))
    for part in (values[:1], values[1:50], values[50:]):
        ranges.add(part)
    a, b, c = ranges.facts()
    np.testing.assert_allclose(
        [a.mean, a.std], [values[:, 0].mean(dtype=float), values[:, 0].std(dtype=float)]
    )
    known = values[~np.isnan(values[:, 1]), 1].astype(np.float64)
    np.testing.assert_allclose([b.mean, b.std, b.minimum], [known.mean(), known.std(), known.min()])
    assert (a.missing, b.missing, c.missing, c.mean, c.recordings_without) == (0, 15, 100, None, 3)


def test_the_command_prints_tables_and_writes_picture_and_json(tmp_path):
    path = table(tmp_path)
    picture, record = tmp_path / "out" / "data.png", tmp_path / "data.json"
    text = run(path, *TYPED, "--out", picture, "--json", record)
    assert text.startswith(
        "walks.csv: 6 recordings of 3 groups, 2 classes, 2 features, 240 rows, 4.8 s\n"
    )
    assert "Rate: 50 rows per second; even steps" in text
    assert text.endswith(f"written: {picture}\nwritten: {record}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    loaded = json.loads(record.read_text())
    assert loaded["recordings"]["count"] == 6
    assert json.loads(run(path, *TYPED, "--json", "-")) == loaded


def test_a_name_cannot_control_the_terminal(tmp_path):
    path = table(tmp_path, lambda rows: [[*row[:3], f"{row[3]}\x1b[31m", *row[4:]] for row in rows])
    assert "\x1b" not in run(path, *TYPED)
    assert "rest\\x1b[31m" in run(path, *TYPED)


def test_outputs_are_checked_before_anything_is_read(tmp_path):
    for arguments, sentence in (
        (["--out", "a.jpg"], r"--out: a\.jpg is not the name of a picture\. End it with \.png"),
        (["--json", tmp_path], "--json: .* is a folder. Name a file to write"),
        (["--data-dir", "x"], "--data-dir: names the folder of mnist's files"),
        (["--json", "absent"], "--json: absent is the data set. Choose another file"),
    ):
        with pytest.raises(InputError, match=sentence):
            run("absent", *arguments)
    with pytest.raises(DataError, match="absent"):
        run("absent")


def test_the_command_loads_click_alone():
    assert not {"numpy", "pandas", "matplotlib"} & loaded_by("import train.data_command")
