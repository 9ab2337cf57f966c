"""Reads raw windows from files: images, .npy, .npz, IDX and CSV.

The module that reads a kind of file is imported with the first file of that kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")

MOST_WINDOW_BYTES = 1 << 28
"""Limit on the windows in one file, unpacked: 85,000 of 28 x 28 float32 numbers."""

MOST_CSV_BYTES = MOST_WINDOW_BYTES // 2
"""Limit on a CSV file: two bytes of text can become a number of eight bytes."""


def read_windows(path: str | Path, steps: int, features: int, *, invert: bool = False) -> NDArray[Any]:
    """The windows in a file, `[N, steps, features]`, in the file's own dtype and unit.

    PNG and JPEG are turned upright (EXIF), converted to gray on white where they are transparent, and
    resized to `steps` rows of `features` pixels (uint8). `invert` swaps dark and light (uint8 only), and
    stretches a picture's contrast to the full range. `.npy` and `.npz` (its only array, or `x`) hold
    `[steps, features]` or `[N, steps, features]`. IDX files hold images. CSV files hold `steps` rows for
    each window, or each window on one row. Raises InputError or DataError naming the file.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file")
    if file.suffix.lower() in IMAGE_SUFFIXES:
        from edge_runtime.inputs.images import read_image

        return read_image(file, steps, features, invert=invert)[np.newaxis]
    windows = _reader(file)(file, steps, features)
    if windows.ndim != 3 or windows.shape[1:] != (steps, features):
        raise InputError(
            f"{path}: the array has shape {list(windows.shape)}. Expected [{steps}, {features}] "
            f"or [N, {steps}, {features}]."
        )
    if not len(windows):
        raise InputError(f"{path}: holds no windows")
    if invert:
        if windows.dtype != np.uint8:
            raise InputError(f"{path}: --invert needs uint8 pixels, found {windows.dtype}")
        windows = 255 - windows
    return windows


def _reader(file: Path) -> Callable[[Path, int, int], NDArray[Any]]:
    suffix = file.suffix.lower()
    if suffix in (".npy", ".npz"):
        return _numpy
    if suffix == ".csv":
        return _csv
    if looks_like_idx(file):
        return _idx
    raise InputError(
        f"{file}: unknown kind of input. Expected .png, .jpg, .jpeg, .npy, .npz, .csv, an IDX file "
        "(*-ubyte, *.idx, also with .gz) or - for standard input."
    )


def looks_like_idx(path: Path) -> bool:
    """Whether the name says IDX: `*-idx3-ubyte`, `*.idx`, with or without `.gz`."""
    return path.name.removesuffix(".gz").endswith(("-ubyte", ".idx"))


def _idx(file: Path, steps: int, features: int) -> NDArray[Any]:
    from edge_runtime.inputs.idx import read_idx

    return read_idx(file, 3, MOST_WINDOW_BYTES)


def _numpy(file: Path, steps: int, features: int) -> NDArray[Any]:
    from edge_runtime.inputs.numpy_files import read_array

    array = read_array(file, MOST_WINDOW_BYTES)
    return array[np.newaxis] if array.ndim == 2 else array


def _csv(file: Path, steps: int, features: int) -> NDArray[np.float64]:
    from edge_runtime.inputs.csv_files import read_rows

    rows = read_rows(file, MOST_CSV_BYTES)
    if rows.shape[1] == features and len(rows) % steps == 0 and len(rows):
        return rows.reshape(-1, steps, features)
    if rows.shape[1] == steps * features:
        return rows.reshape(-1, steps, features)
    raise InputError(
        f"{file}: {rows.shape[0]} rows of {rows.shape[1]} columns. Expected a multiple of {steps} "
        f"rows of {features}, or rows of {steps * features}."
    )
