"""Data sets of windows in an .npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.npz_windows import Arrays, classes_in, labels_in, read_npz, windows_in
from train.dataset import numbered_labels
from train.splitting.splits import check_classes
from train.splitting.window_splits import WindowSet

NPZ_ARRAYS = ("x", "y", "labels", "groups", "test_x", "test_y", "test_groups")
"""What an .npz file may hold; all but x and y may be missing."""

OTHER_NAMES = {"group": "groups", "test_group": "test_groups"}
"""Other names of the arrays."""


def npz_windows(path: Path) -> WindowSet:
    """`x`, `y` and optionally `labels`, `groups`, `test_x`, `test_y` and `test_groups`
    (edge_runtime.runs.npz_windows)."""
    arrays = _renamed(read_npz(path), path)
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
    windows = LabelledWindows(x, y, _groups(arrays, "groups", len(x), path))
    names = labels or numbered_labels(classes)
    test = _npz_test(arrays, windows, classes, path) if "test_x" in arrays else None
    return WindowSet(path, path.name, windows, names, test=test)


def _renamed(arrays: Arrays, path: Path) -> Arrays:
    for other, name in OTHER_NAMES.items():
        if other in arrays and name in arrays:
            raise DataError(f"{path}: found {other} and {name}, which mean the same. Leave one out.")
    return {OTHER_NAMES.get(name, name): array for name, array in arrays.items()}


def _check_names(arrays: Arrays, path: Path) -> None:
    """Refuses arrays that would be ignored: a split that the user has made must never be lost."""
    unknown = [name for name in arrays if name not in NPZ_ARRAYS]
    if unknown:
        raise DataError(
            f"{path}: no use for {', '.join(unknown)}. Expected only {', '.join(NPZ_ARRAYS)}; all but x "
            "and y may be missing."
        )
    split = [name for name in ("test_x", "test_y") if name in arrays]
    if len(split) == 1:
        raise DataError(f"{path}: found {split[0]} alone. Expected test_x and test_y, or neither.")
    if "test_groups" in arrays and not split:
        raise DataError(f"{path}: found test_groups without test_x. Expected test_x and test_y, too.")


def _groups(arrays: Arrays, key: str, count: int, path: Path) -> NDArray[np.str_] | None:
    """The group of each window as text: names or whole numbers."""
    groups = arrays.get(key)
    if groups is None:
        return None
    if groups.shape != (count,):
        raise DataError(
            f"{path}: {key} has shape {list(groups.shape)}. Expected [{count}], one group for each "
            "window."
        )
    if groups.dtype.kind not in "iuU":
        raise DataError(f"{path}: {key} has dtype {groups.dtype}. Expected names or whole numbers.")
    names = groups.astype(np.str_)
    if (names == "").any():
        raise DataError(f"{path}: {key} holds an empty name. Expected a group for each window.")
    return names


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
    return LabelledWindows(x, y, _groups(arrays, "test_groups", len(x), path))
