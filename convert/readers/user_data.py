"""The user's own windows: an .npz file (or its arrays), split for calibration and proof.

Keys: `x` `[N, steps, features]`, or `calibration_x` and `test_x` where the split is already made. The
classes `y` (`calibration_y`, `test_y`) and `labels`, the names of the classes, may be missing. Of a
regression, `y` are the numbers that its outputs should be, `[N]` or `[N, outputs]`.

Windows in another form than `[N, steps, features]` are brought into it (convert.readers.window_forms):
tokens, parts of windows, and `static`, a second input beside the sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np

from convert.readers.model_task import CLASSES, VALUES
from convert.readers.window_forms import as_windows
from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.npz_windows import Arrays, classes_in, labels_in, read_npz, windows_in

DataSource = Union[str, Path, Mapping[str, Any], "UserData"]

SPLIT_SEED = 0
CALIBRATION_PART = 3
"""When there are few windows, one in this many goes to calibration and the others to the proof."""


@dataclass(frozen=True, eq=False)
class UserData:
    """Windows as the user's model takes them, read and checked."""

    name: str
    """The name of the file, for reports and messages."""
    digest: str
    """SHA-256 over names, dtypes, shapes and bytes of the arrays, hexadecimal."""
    labels: tuple[str, ...]
    """Empty when they were not given."""
    labelled: bool
    """Whether classes were given. Otherwise every `y` is 0."""
    not_classes: str | None
    """Why the `y` that were given cannot be classes; None where they are, or where none were given."""
    windows: LabelledWindows | None
    """Every window, raw; None when the user made the split."""
    calibration: LabelledWindows | None
    test: LabelledWindows | None
    """The user's own split; None when `windows` is set."""

    @property
    def y_kind(self) -> str | None:
        """What `y` are: model_task.CLASSES or VALUES; None where none were given."""
        if self.not_classes is not None:
            return VALUES
        return CLASSES if self.labelled else None

    @property
    def two_classes(self) -> bool:
        """Whether classes were given, and all of them are 0 or 1."""
        parts = [part for part in (self.windows, self.calibration, self.test) if part is not None]
        return self.labelled and all(part.y.min() >= 0 and part.y.max() <= 1 for part in parts)

    @property
    def window_shape(self) -> tuple[int, int]:
        """(steps, features)"""
        some = self.windows or self.test
        assert some is not None  # read_user_data sets one of them
        return some.x.shape[1], some.x.shape[2]

    def split(
        self, calibration_samples: int, calibration_seed: int, parity_windows: int
    ) -> tuple[LabelledWindows, LabelledWindows]:
        """Calibration and held-out windows, disjoint, each stratified where classes are known.

        `calibration_seed` does not change which windows are held out.
        """
        if self.calibration is not None and self.test is not None:
            return (
                self.calibration.stratified_sample(calibration_samples, calibration_seed),
                self.test.stratified_sample(parity_windows, SPLIT_SEED),
            )
        assert self.windows is not None  # read_user_data sets one of them
        count = len(self.windows)
        shuffled = self.windows.stratified_sample(count, SPLIT_SEED)
        kept = max(1, min(calibration_samples, count // CALIBRATION_PART))
        held_out = min(parity_windows, count - kept)
        pool = shuffled.take(np.arange(held_out, count))
        return (
            pool.stratified_sample(calibration_samples, calibration_seed),
            shuffled.take(np.arange(held_out)),
        )


def read_user_data(data: DataSource) -> UserData:
    """Read `data`: the path of an .npz file, or its arrays by name.

    `x` of dtype uint8 is kept, other real numbers become float32. Raises DataError naming the file and
    the array at fault.
    """
    if isinstance(data, UserData):
        return data
    name, content = _content(data)
    classes = ("calibration_y", "test_y") if "test_x" in content else ("y",)
    given = [key for key in classes if key in content]
    if given and len(given) < len(classes):
        raise DataError(f"{name}: found {given[0]} alone. Expected {' and '.join(classes)}, or neither.")
    prefixes = ("calibration_", "test_") if "test_x" in content else ("",)
    faults = [_not_classes(content, prefix, name) for prefix in prefixes]
    not_classes = next((fault for fault in faults if fault is not None), None)
    parts = {prefix: _part(content, prefix, name, not_classes) for prefix in prefixes}
    result = UserData(
        name=name,
        digest=_digest(content),
        labels=labels_in(content, name),
        labelled=bool(given) and not_classes is None,
        not_classes=not_classes,
        windows=parts.get(""),
        calibration=parts.get("calibration_"),
        test=parts.get("test_"),
    )
    _check_split(result)
    return result


def _content(data: str | Path | Mapping[str, Any]) -> tuple[str, Arrays]:
    if isinstance(data, Mapping):
        name, content = "data", {key: np.asarray(value) for key, value in data.items()}
    else:
        name, content = str(data), read_npz(data)
    if {"x", "calibration_x", "test_x"} & set(content) in ({"x"}, {"calibration_x", "test_x"}):
        return name, as_windows(content, name)
    raise DataError(
        f"{name}: found {', '.join(content) or 'no arrays'}. Expected an array x [N, steps, features] "
        "(and y [N] with the classes), or calibration_x and test_x."
    )


def _part(content: Arrays, prefix: str, name: str, not_classes: str | None) -> LabelledWindows:
    x = windows_in(content, f"{prefix}x", name)
    key = f"{prefix}y"
    if key in content and not_classes is None:
        return LabelledWindows(x, classes_in(content, key, len(x), name))
    return LabelledWindows(x, np.zeros(len(x), np.int64))


def _not_classes(content: Arrays, prefix: str, name: str) -> str | None:
    """Why `y` cannot be classes, if they may be numbers. Raises DataError if they are neither."""
    key = f"{prefix}y"
    if key not in content:
        return None
    y, count = content[key], len(content[f"{prefix}x"])
    try:
        classes_in(content, key, count, name)
    except DataError as error:
        numbers = y.ndim in (1, 2) and len(y) == count and y.dtype.kind in "fiu"
        if not numbers or not np.isfinite(y).all():
            raise
        return str(error)
    return None


def _check_split(data: UserData) -> None:
    if data.windows is not None:
        if len(data.windows) < 2:
            raise DataError(
                f"{data.name}: found one window. Expected at least 2, to calibrate and to prove."
            )
        return
    assert data.calibration is not None
    assert data.test is not None
    one, other = data.calibration.x, data.test.x
    if one.shape[1:] != other.shape[1:] or one.dtype != other.dtype:
        raise DataError(
            f"{data.name}: calibration_x holds {one.dtype} windows of {list(one.shape[1:])}, and test_x "
            f"{other.dtype} windows of {list(other.shape[1:])}. Expected the same shape and dtype."
        )


def _digest(content: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(content):
        array = np.ascontiguousarray(content[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
