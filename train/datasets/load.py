"""Data sets by name or path: mnist, digits, IDX files, .npz, and recordings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from edge_runtime.errors import DataError, InputError
from edge_runtime.inputs.read_windows import looks_like_idx
from train.dataset import Dataset
from train.datasets.image_datasets import digits_windows, idx_folder_windows, idx_pair_windows
from train.datasets.mnist import find_mnist
from train.datasets.npz_dataset import npz_windows
from train.datasets.recording_dataset import recording_dataset, recording_folds
from train.recordings.data_options import DataOptions
from train.recordings.read_recordings import looks_like_recordings
from train.splitting.window_splits import WindowSet, fold_windows, split_windows


def load_dataset(
    name: str, data_dir: str | Path | None = None, options: DataOptions | None = None
) -> Dataset:
    """`mnist`, `digits`, or a path to recordings, to IDX files or to an `.npz`.

    - `data_dir`: where `mnist` is looked for first.
    - `options`: how recordings are to be understood. Data sets of windows take none.

    Raises DataError naming the file at fault, and InputError naming an option that does not apply.
    """
    if _holds_recordings(name):
        return recording_dataset(Path(name), options or DataOptions())
    found = _windows(name, data_dir)
    _refuse_options(name, options or DataOptions())
    return split_windows(found)


def load_folds(
    name: str, folds: int, data_dir: str | Path | None = None, options: DataOptions | None = None
) -> list[Dataset]:
    """The data set `folds` times, each time with another fold as its test split, for cross-validation.

    The folds consist of whole groups where there are any, otherwise of whole recordings, or of windows,
    drawn at random from each class, where there are neither. Windows of a test split that the data set
    brings are in none of them. Raises what `load_dataset` raises, and InputError for more folds than
    groups.
    """
    if _holds_recordings(name):
        return recording_folds(Path(name), options or DataOptions(), folds)
    found = _windows(name, data_dir)
    _refuse_options(name, options or DataOptions())
    return fold_windows(found, folds)


def _holds_recordings(name: str) -> bool:
    return name not in ("mnist", "digits") and Path(name).exists() and looks_like_recordings(name)


def _windows(name: str, data_dir: str | Path | None) -> WindowSet:
    """A data set of windows that are cut already."""
    if name == "mnist":
        return idx_folder_windows(find_mnist(data_dir), "mnist")
    if name == "digits":
        return digits_windows()
    path = Path(name)
    if path.is_dir():
        return idx_folder_windows(path, path.resolve().name)
    if path.suffix == ".npz":
        return npz_windows(path)
    if path.is_file() and looks_like_idx(path):
        return idx_pair_windows(path)
    raise DataError(
        f"{name}: not a data set. Expected mnist, digits, a folder of recordings or of IDX files, a "
        "CSV, Parquet, .ts or JSON file, an IDX file of images, or an .npz file."
    )


def _refuse_options(name: str, options: DataOptions) -> None:
    """Raises InputError for the first option of recordings that is set."""
    for field in fields(DataOptions):
        if getattr(options, field.name) != field.default:
            option = field.name.replace("_", "-")
            raise InputError(
                f"--{option}: goes with recordings, and {name} holds windows that are cut already. "
                "Leave it out."
            )
