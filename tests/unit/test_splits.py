"""Splits: no group, no recording and no row is in two of them, and they are the same every time."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import DataError, InputError
from train.dataset import WindowOrigins
from train.datasets.load import load_dataset, load_folds
from train.recordings.data_options import DataOptions
from train.recordings.recording import Recording, Recordings
from train.splitting.recording_windows import plan_windows
from train.splitting.split_units import clear_of, group_units, recording_units
from train.splitting.splits import hold_back_validation
from train.splitting.stratified_units import choose_units, class_counts, fold_units

ALONE = DataOptions(window=10, hop=5, label_column="label")
OPTIONS = replace(ALONE, group_column="subject")


def write(path, rows, label, group=None, start=0, **columns):
    """A CSV file. Its feature n numbers the rows of all files, so a window tells where it is from."""
    labels = [label] * rows if isinstance(label, str) else label
    noise = np.random.default_rng(start).normal(size=rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["n", "v", "label", *(["subject"] if group else []), *columns])
        for k in range(rows):
            extra = [value[k] if isinstance(value, list) else value for value in columns.values()]
            writer.writerow([start + k, noise[k], labels[k], *([group] if group else []), *extra])
    return path


def people(folder, count=6, classes=("sit", "walk"), rows=60):
    for person in range(count):
        for k, name in enumerate(classes):
            start = 10_000 * person + 1000 * k
            write(folder / f"p{person}_{name}.csv", rows, name, f"p{person}", start)
    return str(folder)


def rows_of(windows):
    return {int(n) for n in windows.x[:, :, 0].ravel()}


def held_back(dataset, fraction=0.2):
    held = hold_back_validation(dataset, fraction, 0)
    return held.train, held.validation, dataset.test


def assert_apart(*splits):
    for k, one in enumerate(splits):
        for other in splits[k + 1 :]:
            assert not rows_of(one) & rows_of(other)
            if one.groups is not None:
                assert not set(one.groups) & set(other.groups)


def test_groups_stay_whole_in_all_three_splits(tmp_path):
    dataset = load_dataset(people(tmp_path), options=OPTIONS)
    train, validation, test = held_back(dataset)
    assert_apart(train, validation, test)
    for windows in (train, validation, test):
        assert set(windows.y) == {0, 1}
    assert dataset.about["split"] == "group"
    groups = dataset.about["groups"]
    assert sorted(groups["train"] + groups["test"]) == [f"p{k}" for k in range(6)]
    assert dataset.about["recordings"] == {
        "train": 2 * len(groups["train"]),
        "test": 2 * len(groups["test"]),
    }
    assert dataset.notes == ()
    assert hold_back_validation(dataset, 0.2, 0).about["validation_split"] == "group"


def test_a_split_is_the_same_every_time_whatever_the_seed_of_the_run(tmp_path):
    first, second = (load_dataset(people(tmp_path), options=OPTIONS) for _ in range(2))
    assert first.digest == second.digest
    held = [hold_back_validation(first, 0.2, seed).validation.x for seed in (0, 1)]
    np.testing.assert_array_equal(*held)


def test_two_groups_are_split_by_recording_and_the_note_says_what_that_means(tmp_path):
    for person in range(2):
        for k in range(8):
            write(tmp_path / f"{person}{k}.csv", 40, "ab"[k % 2], f"p{person}", 1000 * (8 * person + k))
    dataset = load_dataset(str(tmp_path), options=OPTIONS)
    assert dataset.about["split"] == "recording"
    assert "2 group(s) (p0, p1), too few" in dataset.notes[0]
    train, validation, test = held_back(dataset)
    for one, other in ((train, validation), (train, test), (validation, test)):
        assert not rows_of(one) & rows_of(other)


def test_a_class_in_one_group_alone_is_named(tmp_path):
    for k in range(3):
        write(tmp_path / f"{k}.csv", 40, f"class{k}", f"p{k}", 1000 * k)
    with pytest.raises(DataError, match=r"class class0 occurs in 1 of 3 groups \(p0\), so it cannot be"):
        load_dataset(str(tmp_path), options=OPTIONS)


def test_a_class_that_only_training_can_have_is_a_note(tmp_path):
    people(tmp_path)
    write(tmp_path / "rare.csv", 40, "fall", "p3", 90_000)
    dataset = load_dataset(str(tmp_path), options=OPTIONS)
    assert dataset.about["groups"]["test"] != ["p3"]
    assert any("No test window has the class fall" in note for note in dataset.notes)


def test_a_single_recording_is_divided_in_time_with_a_gap_of_a_window(tmp_path):
    labels = [("sit", "walk")[k // 100 % 2] for k in range(2000)]
    dataset = load_dataset(str(write(tmp_path / "one.csv", 2000, labels)), options=ALONE)
    assert dataset.about["split"] == "time"
    assert "divided in time" in dataset.notes[0]
    assert 0.1 < len(dataset.test) / 400 < 0.3
    splits = held_back(dataset)
    for k, one in enumerate(splits):
        for other in splits[k + 1 :]:
            distance = np.abs(np.subtract.outer(sorted(rows_of(one)), sorted(rows_of(other)))).min()
            assert distance > ALONE.window
        assert set(one.y) == {0, 1}
    assert dataset.about["left_out"]["windows_in_gaps"] > 0


def test_only_the_recording_that_has_a_class_alone_is_divided(tmp_path):
    for k in range(6):
        write(tmp_path / f"walk{k}.csv", 100, "walk", start=1000 * k)
    write(tmp_path / "sit.csv", 600, "sit", start=9000)
    dataset = load_dataset(str(tmp_path), options=ALONE)
    assert dataset.about["split"] == "recording and time"
    train, validation, test = held_back(dataset)
    assert_apart(train, validation, test)
    walks = [{row // 1000 for row in rows_of(part) if row < 9000} for part in (train, validation, test)]
    assert sum(map(len, walks)) == 6
    assert all(set(part.y) == {0, 1} for part in (train, test))


def test_a_recording_that_is_too_short_to_divide_is_named(tmp_path):
    write(tmp_path / "a.csv", 50, "sit")
    write(tmp_path / "b.csv", 50, "walk", start=1000)
    with pytest.raises(
        DataError, match=r"class sit occurs in 1 of 2 recordings \(a.csv\).*takes 60 rows"
    ):
        load_dataset(str(tmp_path), options=ALONE)


def test_a_given_split_is_kept_and_validation_is_made_by_group(tmp_path):
    for k in range(5):
        for name in ("sit", "walk"):
            part = "test" if k == 4 else "train"
            write(tmp_path / part / f"{name}{k}.csv", 60, name, f"p{k}", 1000 * k + 100 * len(name))
    dataset = load_dataset(str(tmp_path), options=OPTIONS)
    assert dataset.about["split"] == "given"
    assert set(dataset.test.groups) == {"p4"}
    assert_apart(*held_back(dataset))
    assert dataset.notes == ()


def test_a_given_validation_split_is_taken_as_it_is(tmp_path):
    for k, part in enumerate(("train", "train", "validation", "test")):
        for name in ("sit", "walk"):
            write(tmp_path / f"{name}{k}.csv", 60, name, f"p{k}", 1000 * k + 100 * len(name), split=part)
    dataset = load_dataset(str(tmp_path), options=replace(OPTIONS, split_column="split"))
    assert set(dataset.validation.groups) == {"p2"}
    held = hold_back_validation(dataset, 0.5, 0)
    assert held.validation is dataset.validation
    assert held.about == {"validation_split": "given"}


def test_groups_on_both_sides_of_a_given_split_are_a_note(tmp_path):
    for k, part in enumerate(("train", "train", "test")):
        for name in ("sit", "walk"):
            write(tmp_path / part / f"{name}{k}.csv", 60, name, "ann", 1000 * k + 100 * len(name))
    dataset = load_dataset(str(tmp_path), options=OPTIONS)
    assert "1 groups (ann) are in the training and in the test split" in dataset.notes[0]


def test_recordings_that_share_rows_across_a_split_are_an_error_with_both_places(tmp_path):
    write(tmp_path / "train" / "a.csv", 60, "sit", start=0)
    write(tmp_path / "train" / "b.csv", 60, "walk", start=1000)
    lines = (tmp_path / "train" / "b.csv").read_text().splitlines()
    write(tmp_path / "test" / "c.csv", 60, "walk", start=2000)
    copied = (tmp_path / "test" / "c.csv").read_text().splitlines()
    copied[11:41] = lines[21:51]
    (tmp_path / "test" / "c.csv").write_text("\n".join(copied) + "\n")
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path), options=ALONE)
    message = str(caught.value)
    assert f"{tmp_path / 'train' / 'b.csv'}, line 22" in message
    assert f"{tmp_path / 'test' / 'c.csv'}, line 12" in message
    assert "30 rows from here on" in message
    assert message.endswith("Remove the copies, or move them into one split.")


def test_files_cut_with_overlap_are_an_error_however_they_are_split(tmp_path):
    values = np.random.default_rng(0).normal(size=(2000, 1))
    for k in range(40):
        label = ("sit", "walk")[k // 5 % 2]
        (tmp_path / label).mkdir(exist_ok=True)
        rows = values[25 * k : 25 * k + 50, 0]
        (tmp_path / label / f"{k:02}.csv").write_text("v\n" + "".join(f"{value}\n" for value in rows))
    with pytest.raises(DataError, match=r"25 rows from here on are in .* more pairs of recordings"):
        load_dataset(str(tmp_path))


def test_recordings_of_one_part_that_share_rows_validate_together(tmp_path):
    values = np.random.default_rng(0).normal(size=(4000, 1))
    for k in range(24):
        part = "test" if k >= 20 else "train"
        start = 25 * k + 100 * (k // 2)
        rows = values[start : start + 50, 0]
        folder = tmp_path / part / ("sit", "walk")[k // 2 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{k:02}.csv").write_text("v\n" + "".join(f"{value}\n" for value in rows))
    dataset = load_dataset(str(tmp_path))
    train, validation, _ = held_back(dataset)
    assert not {*train.x.ravel()} & {*validation.x.ravel()}


def test_recordings_without_a_window_need_one_length_and_one_class(tmp_path):
    write(tmp_path / "a.csv", 50, "sit")
    write(tmp_path / "b.csv", 40, "walk", start=1000)
    with pytest.raises(DataError, match=r"40 \(b.csv\) to 50 rows \(a.csv\)\. Pass --window"):
        load_dataset(str(tmp_path), options=DataOptions(label_column="label"))
    write(tmp_path / "b.csv", 50, ["walk"] * 20 + ["sit"] * 30, start=1000)
    with pytest.raises(
        DataError, match=r"b.csv, line 22: the class changes within b.csv\. Pass --window"
    ):
        load_dataset(str(tmp_path), options=DataOptions(label_column="label"))


def test_short_recordings_and_windows_without_a_class_are_counted(tmp_path):
    people(tmp_path)
    write(tmp_path / "short.csv", 7, "sit", "p0", 90_000)
    write(tmp_path / "half.csv", 20, [""] * 12 + ["walk"] * 8, "p1", 91_000)
    dataset = load_dataset(str(tmp_path), options=OPTIONS)
    assert dataset.about["left_out"] == {
        "short_recordings": 1,
        "windows_without_class": 2,
        "windows_in_gaps": 0,
    }
    assert dataset.notes[:2] == (
        "1 of 14 recordings have fewer than 10 rows and are left out.",
        "2 windows have no class of their own and are left out.",
    )
    with pytest.raises(DataError, match=r"no recording has the 1,000 rows of a window\. The longest"):
        load_dataset(str(tmp_path), options=replace(OPTIONS, window=1000))


def test_windows_beyond_the_memory_are_refused(tmp_path):
    options = replace(ALONE, window=30_000_000, hop=1)
    with pytest.raises(DataError, match="no recording has the 30,000,000 rows"):
        load_dataset(str(write(tmp_path / "a.csv", 50, ["a", "b"] * 25)), options=options)
    rows = 60_000
    data = Recordings(
        "long",
        (Recording("a", tmp_path, np.zeros((rows, 4000), np.uint8), np.zeros(rows, np.int64)),),
        ("a",),
        ("v",) * 4000,
    )
    with pytest.raises(InputError, match=r"--hop: the windows would take .* GiB of the .* GiB in this"):
        plan_windows(data, replace(ALONE, window=30_000, hop=1), tmp_path)


def test_parts_of_a_recording_with_gaps_stay_together(tmp_path):
    for k in range(8):
        times = [row / 50 + (row >= 30) for row in range(60)]
        write(tmp_path / f"{k}.csv", 60, "ab"[k % 2], start=1000 * k, time=times)
    options = replace(ALONE, time_column="time", fill="split")
    dataset = load_dataset(str(tmp_path), options=options)
    assert dataset.about["rate"] == pytest.approx(50)
    assert sum(dataset.about["recordings"].values()) == 16
    files = [{row // 1000 for row in rows_of(part)} for part in held_back(dataset)]
    assert sum(map(len, files)) == 8


def test_groups_that_share_rows_validate_together():
    groups = np.repeat(["a", "b", "c", "d"], 2)
    origins = WindowOrigins(np.array([0, 1, 1, 2, 3, 3, 4, 4]), np.arange(8), np.zeros(8, np.int64))
    units = group_units(groups, origins).units
    assert units.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert group_units(groups, None).units.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_options_of_recordings_do_not_go_with_windows():
    with pytest.raises(InputError, match="--window: goes with recordings, and digits holds windows"):
        load_dataset("digits", options=OPTIONS)


# Windows in an .npz file


def npz(path, **arrays):
    np.savez(path / "s.npz", **arrays)
    return str(path / "s.npz")


def chains(count, length=12, hop=4, steps=16):
    """Windows with overlap from `count` recordings of noise, and the recording of each."""
    rng = np.random.default_rng(0)
    x, owners = [], []
    for recording in range(count):
        values = rng.normal(size=(steps + hop * length, 2))
        x += [values[hop * k : hop * k + steps] for k in range(length)]
        owners += [recording] * length
    return np.float32(x), np.array(owners)


@pytest.mark.parametrize("name", ["groups", "group"])
def test_groups_of_an_npz_stay_whole(tmp_path, name):
    x = np.random.default_rng(0).normal(size=(200, 8, 2))
    groups = np.repeat([f"p{k}" for k in range(10)], 20)
    dataset = load_dataset(npz(tmp_path, x=x, y=np.arange(200) % 2, **{name: groups}))
    train, validation, test = held_back(dataset)
    assert set(train.groups) | set(validation.groups) | set(test.groups) == set(groups)
    assert dataset.about["groups"]["test"] == sorted(set(test.groups))
    for one, other in ((train, validation), (train, test), (validation, test)):
        assert not set(one.groups) & set(other.groups)
    assert dataset.about["split"] == "group"
    assert dataset.notes == ()


def test_windows_alone_get_a_note_and_the_split_that_they_always_had(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 8, 2))
    dataset = load_dataset(npz(tmp_path, x=x, y=np.arange(100) % 2))
    assert "may be optimistic. Save an array groups [N]" in dataset.notes[0]
    held = hold_back_validation(dataset, 0.25, seed=3)
    shuffled = dataset.train.stratified_sample(80, 3)
    np.testing.assert_array_equal(held.validation.x, shuffled.x[:20])
    np.testing.assert_array_equal(held.train.x, shuffled.x[20:])
    assert load_dataset("digits").notes == ()


def test_windows_that_share_rows_stay_together(tmp_path):
    x, owners = chains(12, steps=32)
    dataset = load_dataset(npz(tmp_path, x=x, y=owners % 2))
    train, validation, test = held_back(dataset)
    assert len(train) + len(validation) + len(test) == len(x)
    rows = [{*part.x[:, :, 0].ravel()} for part in (train, validation, test)]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]
    assert "144 of the 144 windows share rows with others" in dataset.notes[0]
    assert "in 12 parts" in dataset.notes[0]


def test_windows_of_one_chain_cannot_be_split(tmp_path):
    x, _ = chains(1, length=100, steps=32)
    message = r"100 of the 100 windows share rows.* would be no test\. Save an array groups \[N\]"
    with pytest.raises(DataError, match=message):
        load_dataset(npz(tmp_path, x=x, y=np.arange(len(x)) // 10 % 2))


def test_a_test_split_that_shares_rows_with_training_windows_is_refused(tmp_path):
    x, owners = chains(4, steps=32)
    y = owners % 2
    with pytest.raises(
        DataError, match=r"of the 24 windows in test_x share rows with windows in x, such"
    ):
        load_dataset(npz(tmp_path, x=x[::2], y=y[::2], test_x=x[1::2], test_y=y[1::2]))
    test = owners >= 2
    dataset = load_dataset(npz(tmp_path, x=x[~test], y=y[~test], test_x=x[test], test_y=y[test]))
    assert len(dataset.test) == 24


def test_groups_that_share_rows_are_refused(tmp_path):
    x, owners = chains(6, steps=32)
    groups = np.arange(len(x)) % 5
    with pytest.raises(DataError, match=r"windows of the groups \d and \d share rows"):
        load_dataset(npz(tmp_path, x=x, y=owners % 2, groups=groups))


# Folds


def test_folds_by_group_test_each_group_once(tmp_path):
    folds = load_folds(people(tmp_path), 3, options=OPTIONS)
    tested = [set(fold.test.groups) for fold in folds]
    assert sorted(group for groups in tested for group in groups) == [f"p{k}" for k in range(6)]
    for fold in folds:
        assert_apart(*held_back(fold))
    assert folds[0].about["split"] == "group, fold 1 of 3"
    with pytest.raises(InputError, match="--folds: 7 is more than the 6 groups of the data set"):
        load_folds(people(tmp_path), 7, options=OPTIONS)
    with pytest.raises(InputError, match="--folds: expected at least 2, found 1"):
        load_folds(people(tmp_path), 1, options=OPTIONS)


def test_a_given_test_split_is_in_no_fold(tmp_path):
    for k in range(5):
        for name in ("sit", "walk"):
            part = "test" if k == 4 else "train"
            write(tmp_path / part / f"{name}{k}.csv", 60, name, f"p{k}", 1000 * k + 100 * len(name))
    folds = load_folds(str(tmp_path), 4, options=OPTIONS)
    tested = {group for fold in folds for group in fold.test.groups}
    assert tested == {"p0", "p1", "p2", "p3"}


def test_folds_in_time_of_a_single_recording_share_no_row(tmp_path):
    labels = [("sit", "walk")[k // 100 % 2] for k in range(2000)]
    path = write(tmp_path / "one.csv", 2000, labels)
    for fold in load_folds(str(path), 4, options=ALONE):
        assert not rows_of(fold.train) & rows_of(fold.test)


def test_folds_of_windows_are_stratified_and_test_each_window_once(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 8, 2))
    folds = load_folds(npz(tmp_path, x=x, y=np.repeat([0, 1], [40, 20])), 5)
    assert [np.bincount(fold.test.y).tolist() for fold in folds] == [[8, 4]] * 5
    tested = np.concatenate([fold.test.x for fold in folds])
    assert {window.tobytes() for window in tested} == {window.tobytes() for window in np.float32(x)}
    with pytest.raises(
        InputError, match="--folds: 21 is more than the 20 windows of the smallest class"
    ):
        load_folds(npz(tmp_path, x=x, y=np.repeat([0, 1], [40, 20])), 21)


def test_folds_of_digits_leave_out_nothing():
    folds = load_folds("digits", 3)
    assert sum(len(fold.test) for fold in folds) == 1797


# Properties of the parts


@st.composite
def tables(draw):
    """The windows of each class in each unit."""
    units = draw(st.integers(1, 8))
    classes = draw(st.integers(2, 4))
    cells = draw(st.lists(st.integers(0, 9), min_size=units * classes, max_size=units * classes))
    return np.array(cells).reshape(units, classes)


@settings(max_examples=60, deadline=None)
@given(tables(), st.floats(0.05, 0.9))
def test_chosen_units_leave_each_class_and_are_found_where_that_is_possible(counts, fraction):
    held = choose_units(counts, fraction)
    if held is None:
        single = [(counts.sum(axis=0) - row)[counts.sum(axis=0) > 0] for row in counts if row.any()]
        assert not any(left.all() for left in single)
    else:
        assert counts[held].sum() > 0
        assert counts[~held].sum(axis=0)[counts.sum(axis=0) > 0].all()
        np.testing.assert_array_equal(held, choose_units(counts, fraction))
        for label in np.flatnonzero(counts.any(axis=0) & ~counts[held].any(axis=0)):
            for unit in np.flatnonzero(counts[:, label]):  # the rest needs each unit of the class
                rest = ~held
                rest[unit] = False
                assert (counts.any(axis=0) & ~counts[rest].any(axis=0)).any()


def test_classes_in_few_units_are_all_held_out():
    counts = np.kron(np.eye(3, dtype=np.int64), np.ones((3, 1), np.int64))  # 3 recordings of each class
    for fraction in (0.05, 0.2):
        held = choose_units(counts, fraction)
        np.testing.assert_array_equal(counts[held].sum(axis=0), [1, 1, 1])


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(2, 8))
def test_each_unit_is_in_one_fold_and_no_fold_is_empty(counts, folds):
    present = counts.sum(axis=1) > 0
    if present.sum() < folds:
        return
    numbers = fold_units(counts, folds)
    assert set(numbers[present]) == set(range(folds))
    assert (numbers[~present] == -1).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 3)), min_size=1, max_size=6),
    st.integers(1, 20),
    st.integers(1, 30),
    st.floats(0.05, 0.6),
)
def test_no_row_is_in_two_splits(lengths, window, hop, fraction):
    """Recordings of any lengths, each with its class, windows and hops of any size."""
    parts = [
        (k, start, label)
        for k, (rows, label) in enumerate(lengths)
        for start in range(0, rows - window + 1, hop)
    ]
    if not parts:
        return
    recordings, starts, y = np.array(parts).T
    origins = WindowOrigins(recordings, recordings, starts)
    units = recording_units(origins, y, window)
    held = choose_units(class_counts(units.units, y), fraction)
    if held is None:
        return
    test = held[units.units]
    clear = clear_of(origins, test, window)
    assert not (test & clear).any()
    for recording in np.unique(recordings):
        own = recordings == recording
        one, other = starts[own & test], starts[own & clear]
        if len(one) and len(other):  # a window, and a gap of one
            assert np.abs(np.subtract.outer(one, other)).min() >= 2 * window


def test_a_class_that_a_gap_would_take_from_training_is_named():
    from edge_runtime.runs.labelled_windows import LabelledWindows
    from train.dataset import Dataset

    starts = np.array([0, 30, 60, 61])
    origins = WindowOrigins(np.zeros(4, np.int64), np.zeros(4, np.int64), starts)
    windows = LabelledWindows(np.zeros((4, 10, 1), np.float32), np.array([0, 0, 1, 1]))
    dataset = Dataset("s", windows, windows, ("a", "b"), False, origins=origins)
    with pytest.raises(DataError):
        hold_back_validation(dataset, 0.5, 0)
    assert replace(dataset, validation=windows).validation is windows
