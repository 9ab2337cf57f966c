"""The user's own windows: an .npz file (or its arrays), split for calibration and proof.

Keys: `x` `[N, steps, features]`, or `calibration_x` and `test_x` where the split is already made; the
classes `y` (`calibration_y`, `test_y`) and `labels`, the classes' names, may be missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows

Arrays = dict[str, NDArray[Any]]
DataSource = Union[str, Path, Mapping[str, Any], "UserData"]

SPLIT_SEED = 0
CALIBRATION_PART = 3
"""Where there are few windows, one of this many goes to calibration, the others to the proof."""


@dataclass(frozen=True, eq=False)
class UserData:
    """Windows as the user's model takes them, read and checked."""

    name: str
    """The file's, for reports and messages."""
    digest: str
    """SHA-256 of the arrays."""
    labels: tuple[str, ...]
    """Empty: not given."""
    labelled: bool
    """Whether classes were given. Otherwise every `y` here is 0."""
    windows: LabelledWindows | None
    """Every window, raw, when the split is left to us."""
    calibration: LabelledWindows | None
    test: LabelledWindows | None
    """The user's own split."""

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
        raise DataError(f"{name}: {given[0]} alone: expected {' and '.join(classes)}, or neither")
    parts = {
        key: LabelledWindows(_x(content, f"{key}x", name), _y(content, key, name))
        for key in (("calibration_", "test_") if "test_x" in content else ("",))
    }
    result = UserData(
        name=name,
        digest=_digest(content),
        labels=_labels(content.get("labels"), name),
        labelled=bool(given),
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
        name, content = str(data), _npz(data)
    if {"x", "calibration_x", "test_x"} & set(content) in ({"x"}, {"calibration_x", "test_x"}):
        return name, content
    raise DataError(
        f"{name}: expected an array x [N, steps, features] (and y [N] with the classes), or "
        f"calibration_x and test_x, found {', '.join(content) or 'nothing'}"
    )


def _npz(path: str | Path) -> Arrays:
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file: --data names an .npz file with the array x")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array: save it with numpy.savez(path, x=array)")
        with archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds
        raise DataError(f"{path}: cannot read the .npz file: {error}") from None


def _x(content: Arrays, key: str, name: str) -> NDArray[Any]:
    x = content[key]
    if x.ndim != 3 or 0 in x.shape:
        raise DataError(
            f"{name}: {key} has shape {list(x.shape)}: expected [N, steps, features], none of them 0"
        )
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "fiu":
        raise DataError(f"{name}: {key} has dtype {x.dtype}: expected uint8, an integer or a float")
    with np.errstate(over="ignore"):
        converted = x.astype(np.float32)
    if not np.isfinite(converted).all():
        raise DataError(f"{name}: {key} holds NaN, infinity or too large a number for float32")
    return converted


def _y(content: Arrays, prefix: str, name: str) -> NDArray[np.int64]:
    key, count = f"{prefix}y", len(content[f"{prefix}x"])
    y = content.get(key)
    if y is None:
        return np.zeros(count, np.int64)
    if y.shape != (count,):
        advice = " (one-hot? save y.argmax(axis=1))" if y.ndim == 2 else ""
        raise DataError(f"{name}: {key} has shape {list(y.shape)}: expected [{count}]{advice}")
    if y.dtype.kind not in "iu":
        raise DataError(f"{name}: {key} has dtype {y.dtype}: expected integer class indices")
    return y.astype(np.int64)


def _labels(labels: NDArray[Any] | None, name: str) -> tuple[str, ...]:
    return () if labels is None else checked_labels([str(label) for label in labels.reshape(-1)], name)


def checked_labels(labels: list[str], name: str) -> tuple[str, ...]:
    """Raises DataError, beginning with `name`, unless the labels can stand in a model file."""
    if len(set(labels)) != len(labels) or any(
        not label or label.splitlines() != [label] for label in labels
    ):
        raise DataError(
            f"{name}: labels are {labels}: expected one name a class, all different, none empty or "
            "with a line break"
        )
    return tuple(labels)


def _check_split(data: UserData) -> None:
    if data.windows is not None:
        if len(data.windows) < 2:
            raise DataError(f"{data.name}: one window: expected at least 2, to calibrate and to prove")
        return
    assert data.calibration is not None
    assert data.test is not None
    one, other = data.calibration.x, data.test.x
    if one.shape[1:] != other.shape[1:] or one.dtype != other.dtype:
        raise DataError(
            f"{data.name}: calibration_x holds {one.dtype} windows of {list(one.shape[1:])}, test_x "
            f"{other.dtype} windows of {list(other.shape[1:])}: expected the same"
        )


def _digest(content: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(content):
        array = np.ascontiguousarray(content[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
