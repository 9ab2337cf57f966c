"""Windows, classes and labels in an .npz file, as `train` and `convert` take them.

    x        [N, steps, features]   uint8, another integer or a float; finite numbers
    y        [N]                    integer class indices
    labels   [classes]              the names of the classes; may be missing
    test_x   [N, steps, features]   the windows of the test split, for `train`; may be missing
    test_y   [N]                    their classes

The rule for labels is that of labels.txt in a model file, so that what was trained can be converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason

Arrays = dict[str, NDArray[Any]]


def read_npz(path: str | Path) -> Arrays:
    """Every array of an .npz file, by name. Pickled objects are not read.

    Raises DataError naming the file when it is missing, or is not an .npz file of arrays.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file. Expected an .npz file with the array x.")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds a single array. Save it with numpy.savez(path, x=array)")
        with archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds
        raise DataError(f"{path}: cannot read the .npz file, as {reason(error)}.") from None


def windows_in(arrays: Mapping[str, NDArray[Any]], key: str, name: str) -> NDArray[Any]:
    """The windows `arrays[key]`, `[N, steps, features]`: uint8 as it is, other numbers as float32.

    Raises DataError, beginning with `name`, for another shape or dtype and for numbers that float32
    cannot hold.
    """
    x = arrays[key]
    if x.ndim != 3 or 0 in x.shape:
        raise DataError(
            f"{name}: {key} has shape {list(x.shape)}. Expected [N, steps, features], none of them 0."
        )
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "fiu":
        raise DataError(f"{name}: {key} has dtype {x.dtype}. Expected uint8, an integer or a float.")
    with np.errstate(over="ignore"):
        converted = x.astype(np.float32)
    if not np.isfinite(converted).all():
        raise DataError(
            f"{name}: {key} holds NaN or infinity, or a number too large for float32. "
            "Expected finite numbers."
        )
    return converted


def classes_in(arrays: Mapping[str, NDArray[Any]], key: str, count: int, name: str) -> NDArray[np.int64]:
    """The class indices `arrays[key]` of `count` windows, `[count]`.

    Raises DataError, beginning with `name`, for another shape or dtype.
    """
    y = arrays[key]
    if y.shape != (count,):
        advice = " Save y.argmax(axis=1) in place of a one-hot y." if y.ndim == 2 else ""
        raise DataError(
            f"{name}: {key} has shape {list(y.shape)}. Expected [{count}], one class for each window."
            f"{advice}"
        )
    if y.dtype.kind not in "iu":
        raise DataError(f"{name}: {key} has dtype {y.dtype}. Expected integer class indices.")
    return y.astype(np.int64)


def labels_in(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[str, ...]:
    """The names of the classes, `arrays["labels"]`; empty where the array is missing.

    Raises DataError, beginning with `name`, for labels that a model file cannot hold.
    """
    labels = arrays.get("labels")
    if labels is None:
        return ()
    if labels.ndim != 1:
        raise DataError(
            f"{name}: labels have shape {list(labels.shape)}. Expected [classes], one name for each."
        )
    return checked_labels(map(str, labels), name)


def checked_labels(labels: Iterable[str], name: str) -> tuple[str, ...]:
    """The labels. Raises DataError, beginning with `name`, for labels that a model file cannot hold."""
    found = tuple(labels)
    fault = label_fault(found)
    if fault:
        raise DataError(
            f"{name}: {fault}. Expected one name for each class, all different, none empty or with a "
            "line break."
        )
    return found


def label_fault(labels: Iterable[str]) -> str | None:
    """What keeps the labels out of a model file, as a clause; None when nothing does.

    labels.txt holds one label on each line, whatever a reader takes for a line break (str.splitlines).
    """
    seen = set()
    for label in labels:
        if label.splitlines() != [label]:
            return f"the label {label!r} is empty or holds a line break"
        if label in seen:
            return f"the label {label!r} occurs twice"
        seen.add(label)
    return None
