"""Data sets by name or path: mnist, digits, IDX files, .npz, and recordings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from edge_runtime.errors import DataError, InputError
from edge_runtime.inputs.read_windows import looks_like_idx
from train.dataset import Dataset
from train.image_datasets import digits_dataset, idx_folder_dataset, idx_pair_dataset
from train.mnist import find_mnist
from train.npz_dataset import npz_dataset
from train.recordings.data_options import DataOptions


def load_dataset(
    name: str, data_dir: str | Path | None = None, options: DataOptions | None = None
) -> Dataset:
    """`mnist`, `digits`, or a path to IDX files or to an `.npz`.

    - `data_dir`: where `mnist` is looked for first.
    - `options`: how recordings are to be understood. Data sets of windows take none.

    Raises DataError naming the file at fault, and InputError naming an option that does not apply.
    """
    path = Path(name)
    if name == "mnist":
        dataset = idx_folder_dataset(find_mnist(data_dir), "mnist")
    elif name == "digits":
        dataset = digits_dataset()
    elif path.is_dir():
        dataset = idx_folder_dataset(path, path.resolve().name)
    elif path.suffix == ".npz":
        dataset = npz_dataset(path)
    elif path.is_file() and looks_like_idx(path):
        dataset = idx_pair_dataset(path)
    else:
        raise DataError(
            f"{name}: not a data set. Expected mnist, digits, a folder of IDX files, an IDX file of "
            "images, or an .npz file."
        )
    _refuse_options(name, options or DataOptions())
    return dataset


def _refuse_options(name: str, options: DataOptions) -> None:
    """Raises InputError for the first option of recordings that is set."""
    for field in fields(DataOptions):
        if getattr(options, field.name) != field.default:
            option = field.name.replace("_", "-")
            raise InputError(
                f"--{option}: goes with recordings, and {name} holds windows that are cut already. "
                "Leave it out."
            )
