"""How windows and recordings are divided into training, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.dataset import SPLIT_SEED, Dataset

TEST_FRACTION = 0.2
"""The part of a data set that becomes its test split, where it has none of its own."""


def check_classes(y: NDArray[np.int64], classes: int, path: Path) -> None:
    """Raises DataError, beginning with `path`, unless each class has three windows in `y` `[N]`."""
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


def random_split(
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


class HeldBack(NamedTuple):
    """The training split of a data set, divided into what trains and what validates."""

    train: LabelledWindows
    validation: LabelledWindows
    about: dict[str, Any]
    """How it was divided, for run.json."""


def hold_back_validation(dataset: Dataset, fraction: float, seed: int) -> HeldBack:
    """Windows that train and windows that validate, from the training split of `dataset`.

    A validation split that the data set brings is taken as it is. Otherwise about `fraction` of the
    training windows is held back: stratified and at random by `seed`. Raises DataError where nothing
    would be left to train on.
    """
    if dataset.validation is not None:
        return HeldBack(dataset.train, dataset.validation, {"split": "given"})
    return _random_validation(dataset.train, fraction, seed)


def _random_validation(windows: LabelledWindows, fraction: float, seed: int) -> HeldBack:
    shuffled = windows.stratified_sample(len(windows), seed)
    count = max(1, round(fraction * len(windows)))
    if count >= len(windows):
        raise DataError(
            f"--validation-fraction: {fraction} of {len(windows)} windows leaves no training window. "
            "Choose a smaller fraction."
        )
    return HeldBack(
        shuffled.take(np.arange(count, len(windows))),
        shuffled.take(np.arange(count)),
        {"split": "windows"},
    )
