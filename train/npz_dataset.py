"""Data sets of windows in an .npz file."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.npz_windows import Arrays, classes_in, labels_in, read_npz, windows_in
from train.dataset import Dataset, numbered_labels
from train.splits import check_classes, random_split

NPZ_ARRAYS = ("x", "y", "labels", "test_x", "test_y")
"""What an .npz file may hold; labels, test_x and test_y may be missing."""


def npz_dataset(path: Path) -> Dataset:
    """`x`, `y` and optionally `labels`, `test_x` and `test_y` (edge_runtime.runs.npz_windows)."""
    arrays = read_npz(path)
    _check_names(arrays, path)
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        raise DataError(
            f"{path}: no array named {' and '.join(missing)}. Expected x [N, steps, features] and "
            f"y [N], found {', '.join(arrays) or 'nothing'}."
        )
    x = windows_in(arrays, "x", str(path))
    y = classes_in(arrays, "y", len(x), str(path))
    labels = labels_in(arrays, str(path))
    classes = len(labels) or int(y.max()) + 1
    check_classes(y, classes, path)
    windows, names = LabelledWindows(x, y), labels or numbered_labels(classes)
    if "test_x" not in arrays:
        return random_split(windows, path.name, names, image=False)
    test = _npz_test(arrays, windows, classes, path)
    return Dataset(path.name, train=windows, test=test, labels=names, image=False)


def _check_names(arrays: Arrays, path: Path) -> None:
    """Refuses arrays that would be ignored: a split that the user has made must never be lost."""
    if "groups" in arrays:
        raise DataError(
            f"{path}: groups are not supported yet. Save the windows of the groups to hold out as "
            "test_x and test_y, and leave groups out."
        )
    unknown = [name for name in arrays if name not in NPZ_ARRAYS]
    if unknown:
        raise DataError(
            f"{path}: no use for {', '.join(unknown)}. Expected only {', '.join(NPZ_ARRAYS)}; the last "
            "three may be missing."
        )
    split = [name for name in ("test_x", "test_y") if name in arrays]
    if len(split) == 1:
        raise DataError(f"{path}: found {split[0]} alone. Expected test_x and test_y, or neither.")


def _npz_test(arrays: Arrays, train: LabelledWindows, classes: int, path: Path) -> LabelledWindows:
    """The user's own test split, for which a class may have no window."""
    x = windows_in(arrays, "test_x", str(path))
    if x.shape[1:] != train.x.shape[1:] or x.dtype != train.x.dtype:
        raise DataError(
            f"{path}: x holds {train.x.dtype} windows of {list(train.x.shape[1:])}, and test_x "
            f"{x.dtype} windows of {list(x.shape[1:])}. Expected the same shape and dtype."
        )
    y = classes_in(arrays, "test_y", len(x), str(path))
    if y.min() < 0 or y.max() >= classes:
        raise DataError(
            f"{path}: class indices from {y.min()} to {y.max()} in test_y. Expected 0 to {classes - 1}, "
            "the classes of y."
        )
    return LabelledWindows(x, y)
