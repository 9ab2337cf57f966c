"""Data sets by name or path: mnist, digits, IDX files, .npz."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.inputs.idx import read_idx
from edge_runtime.inputs.read_windows import looks_like_idx
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows
from edge_runtime.runs.npz_windows import Arrays, classes_in, labels_in, read_npz, windows_in
from train.mnist import find_mnist

NPZ_ARRAYS = ("x", "y", "labels", "test_x", "test_y")
"""What an .npz file may hold; labels, test_x and test_y may be missing."""

TEST_FRACTION = 0.2
"""The part of a data set that becomes its test split, where it has none of its own."""

DIGITS_TEST_WINDOWS = 1000
"""The number of the 1,797 digits to hold out, so that a conversion is proven on a thousand windows."""

SPLIT_SEED = 0
"""The split is part of the data set: the same for every run, whatever the run's seed."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Raw windows in two splits. The test split chooses nothing."""

    name: str
    train: LabelledWindows
    test: LabelledWindows
    labels: tuple[str, ...]
    image: bool
    """Whether a window is a picture, read row by row: moving it by a pixel keeps its meaning."""

    @property
    def digest(self) -> str:
        """SHA-256 over shapes, dtypes and bytes of both splits."""
        digest = hashlib.sha256()
        for array in (self.train.x, self.train.y, self.test.x, self.test.y):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def normalization(self) -> Normalization:
        """uint8 windows are divided by 255; others are brought to mean 0 and standard deviation 1,
        feature by feature, as measured on the training split."""
        if self.train.x.dtype == np.uint8:
            return Normalization((0.0,), (255.0,), "uint8")
        flat = self.train.x.reshape(-1, self.train.x.shape[-1]).astype(np.float64)
        mean, std = flat.mean(axis=0), flat.std(axis=0)
        std[std == 0] = 1.0  # a constant feature carries nothing; keep it finite
        return Normalization(_float32(mean), _float32(std))


def load_dataset(name: str, data_dir: str | Path | None = None) -> Dataset:
    """`mnist`, `digits`, or a path to IDX files or to an `.npz`.

    `data_dir`: where `mnist` is looked for first. Raises DataError naming the file at fault.
    """
    if name == "mnist":
        return _idx_directory(find_mnist(data_dir), "mnist")
    if name == "digits":
        return _digits()
    path = Path(name)
    if path.is_dir():
        return _idx_directory(path, path.resolve().name)
    if path.suffix == ".npz":
        return _npz(path)
    if path.is_file() and looks_like_idx(path):
        return _idx_pair(path)
    raise DataError(
        f"{name}: not a data set. Expected mnist, digits, a folder of IDX files, an IDX file of "
        "images, or an .npz file."
    )


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels, enlarged to 28x28 (bicubic)."""
    with needs_extra("workstation", "scikit-learn", "the data set digits"):
        from sklearn.datasets import load_digits
    with needs_extra("workstation", "Pillow", "the data set digits"):
        from PIL import Image
    source = load_digits()
    pixels = np.rint(source.images * (255 / 16)).astype(np.uint8)
    small = [Image.fromarray(image) for image in pixels]
    enlarged = [np.asarray(image.resize((28, 28), Image.Resampling.BICUBIC)) for image in small]
    windows = LabelledWindows(np.stack(enlarged), source.target.astype(np.int64))
    return _split(windows, "digits", _digit_labels(10), image=True, test=DIGITS_TEST_WINDOWS)


def _idx_directory(folder: Path, name: str) -> Dataset:
    """MNIST's four file names, plain or gzip, in one folder."""
    train, test = (
        _idx_windows(
            _idx_file(folder, f"{part}-images-idx3-ubyte"),
            _idx_file(folder, f"{part}-labels-idx1-ubyte"),
        )
        for part in ("train", "t10k")
    )
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            f"{folder}: the test images have shape {list(test.x.shape[1:])}, the training images "
            f"{list(train.x.shape[1:])}. Expected the same shape."
        )
    classes = int(max(train.y.max(), test.y.max())) + 1
    _check_labels(train.y, classes, folder)
    return Dataset(name, train, test, _digit_labels(classes), image=True)


def _idx_file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder}: found no {name} and no {name}.gz. Expected MNIST's four IDX files.")


def _idx_pair(images: Path) -> Dataset:
    """One file of images; its labels are beside it, with `labels-idx1` for `images-idx3` in the name."""
    labels = images.with_name(images.name.replace("images-idx3", "labels-idx1"))
    if labels == images or not labels.is_file():
        raise DataError(
            f"{images}: found no labels beside it. Expected a name with 'images-idx3-ubyte' and a file "
            "of the same name with 'labels-idx1-ubyte'."
        )
    windows = _idx_windows(images, labels)
    classes = int(windows.y.max()) + 1
    _check_labels(windows.y, classes, labels)
    return _split(windows, images.name, _digit_labels(classes), image=True)


def _idx_windows(images: Path, labels: Path) -> LabelledWindows:
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise DataError(
            f"{labels}: {len(y)} labels for the {len(x)} images in {images.name}. Expected one for each."
        )
    return LabelledWindows(x, y.astype(np.int64))


def _npz(path: Path) -> Dataset:
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
    _check_labels(y, classes, path)
    windows, names = LabelledWindows(x, y), labels or _digit_labels(classes)
    if "test_x" not in arrays:
        return _split(windows, path.name, names, image=False)
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


def _check_labels(y: NDArray[np.int64], classes: int, path: Path) -> None:
    if y.min() < 0 or y.max() >= classes:
        raise DataError(
            f"{path}: class indices from {y.min()} to {y.max()}. Expected 0 to {classes - 1}."
        )
    if classes < 2:
        raise DataError(f"{path}: every window has the same class. Expected at least two classes.")
    counts = np.bincount(y, minlength=classes)
    if counts.min() < 3:
        raise DataError(
            f"{path}: class {int(counts.argmin())} has {counts.min()} windows. Expected at least 3 of "
            f"each of the classes 0 to {classes - 1}."
        )


def _split(
    windows: LabelledWindows,
    name: str,
    labels: tuple[str, ...],
    *,
    image: bool,
    test: int | None = None,
) -> Dataset:
    """A stratified test split, the same for every run."""
    shuffled = windows.stratified_sample(len(windows), SPLIT_SEED)
    count = test or max(1, round(TEST_FRACTION * len(windows)))
    return Dataset(
        name,
        train=LabelledWindows(shuffled.x[count:], shuffled.y[count:]),
        test=LabelledWindows(shuffled.x[:count], shuffled.y[:count]),
        labels=labels,
        image=image,
    )


def _digit_labels(classes: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(classes))


def _float32(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)
