"""Data sets of images: the digits of scikit-learn and IDX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.inputs.idx import read_idx
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.dataset import numbered_labels
from train.splitting.splits import check_classes
from train.splitting.window_splits import WindowSet

DIGITS_TEST_WINDOWS = 1000
"""The number of the 1,797 digits to hold out, so that a conversion is proven on a thousand windows."""

OPTIMISTIC_IMAGES = (
    "The test images are drawn at random. If several are of one person or device, the test accuracy may "
    "be optimistic. Save the images in an .npz file with an array groups [N] that says where each comes "
    "from."
)
"""What to know about a random split of images that nothing else is known about."""


def digits_windows() -> WindowSet:
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
    labels = numbered_labels(10)
    return WindowSet(
        Path("digits"), "digits", windows, labels, True, test_count=DIGITS_TEST_WINDOWS, notes=()
    )


def idx_folder_windows(folder: Path, name: str) -> WindowSet:
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
    check_classes(train.y, classes, folder)
    return WindowSet(folder, name, train, numbered_labels(classes), True, test=test)


def _idx_file(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder}: found no {name} and no {name}.gz. Expected MNIST's four IDX files.")


def idx_pair_windows(images: Path) -> WindowSet:
    """One file of images; its labels are beside it, with `labels-idx1` for `images-idx3` in the name."""
    labels = images.with_name(images.name.replace("images-idx3", "labels-idx1"))
    if labels == images or not labels.is_file():
        raise DataError(
            f"{images}: found no labels beside it. Expected a name with 'images-idx3-ubyte' and a file "
            "of the same name with 'labels-idx1-ubyte'."
        )
    windows = _idx_windows(images, labels)
    classes = int(windows.y.max()) + 1
    check_classes(windows.y, classes, labels)
    names = numbered_labels(classes)
    return WindowSet(images, images.name, windows, names, True, notes=(OPTIMISTIC_IMAGES,))


def _idx_windows(images: Path, labels: Path) -> LabelledWindows:
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise DataError(
            f"{labels}: {len(y)} labels for the {len(x)} images in {images.name}. Expected one for each."
        )
    return LabelledWindows(x, y.astype(np.int64))
