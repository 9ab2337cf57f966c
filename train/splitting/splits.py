"""How windows are divided into training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.dataset import SPLIT_SEED, Dataset
from train.splitting.split_units import SplitUnits, clear_of, group_units, recording_units
from train.splitting.stratified_units import TEST_FRACTION, choose_units, class_counts


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
    notes: tuple[str, ...] = (),
) -> Dataset:
    """A stratified test split, the same for every run."""
    shuffled = windows.stratified_sample(len(windows), SPLIT_SEED)
    count = test or max(1, round(TEST_FRACTION * len(windows)))
    return Dataset(
        name,
        train=shuffled.take(np.arange(count, len(windows))),
        test=shuffled.take(np.arange(count)),
        labels=labels,
        image=image,
        about={"split": "windows"},
        notes=notes,
    )


class HeldBack(NamedTuple):
    """The training split of a data set, divided into what trains and what validates."""

    train: LabelledWindows
    validation: LabelledWindows
    about: dict[str, Any]
    """How it was divided, for run.json: `validation_split` and, where there are groups, those of the
    validation windows, `validation_groups`."""


def hold_back_validation(dataset: Dataset, fraction: float, seed: int) -> HeldBack:
    """Windows that train and windows that validate, from the training split of `dataset`.

    A validation split that the data set brings is taken as it is. Otherwise about `fraction` of the
    training windows is held back: whole groups where the test split consists of such, or else whole
    recordings or blocks of time, the same every time; or, where the data set consists of windows alone,
    stratified and at random by `seed`. Raises DataError where nothing would be left to train on.
    """
    if dataset.validation is not None:
        return HeldBack(dataset.train, dataset.validation, {"validation_split": "given"})
    for units in _validation_units(dataset):
        held = choose_units(class_counts(units.units, dataset.train.y), fraction)
        if held is not None:
            return _held_units(dataset, held[units.units], units.how)
    if dataset.origins is not None:
        raise DataError(
            f"{dataset.name}: no recording can be held back for validation, as each has all windows of "
            "some class. Record each class several times, or give a validation split."
        )
    return _random_validation(dataset.train, fraction, seed)


def _validation_units(dataset: Dataset) -> Iterator[SplitUnits]:
    """What may stay whole between training and validation, the best first."""
    train, origins = dataset.train, dataset.origins
    by_group = str(dataset.about.get("split", "")).startswith(("group", "given"))
    if train.groups is not None and by_group:
        yield group_units(train.groups, origins)
    if origins is not None:
        yield recording_units(origins, train.y, train.x.shape[1])


def _held_units(dataset: Dataset, held: NDArray[np.bool_], how: str) -> HeldBack:
    kept = ~held
    if dataset.origins is not None:
        kept = clear_of(dataset.origins, held, dataset.train.x.shape[1])
    missing = np.setdiff1d(dataset.train.y, dataset.train.y[kept])
    if len(missing):
        raise DataError(
            f"{dataset.name}: class {dataset.labels[missing[0]]} has too few windows to divide its "
            "recording in time for validation. Record it several times, or choose a smaller --hop."
        )
    train = dataset.train.take(np.flatnonzero(kept))
    validation = dataset.train.take(np.flatnonzero(held))
    about: dict[str, Any] = {"validation_split": how}
    if validation.groups is not None:
        about["validation_groups"] = np.unique(validation.groups).tolist()
    return HeldBack(train, validation, about)


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
        {"validation_split": "windows"},
    )


def split_at(dataset: Dataset, held: NDArray[np.bool_], how: str) -> Dataset:
    """The data set with the `held` `[N]` windows of its training split as its test split."""
    test, train = (np.flatnonzero(mask) for mask in (held, ~held))
    parts = {"train": dataset.train.take(train), "test": dataset.train.take(test)}
    about: dict[str, Any] = {**dataset.about, "split": how}
    groups = dataset.train.groups
    if groups is not None:
        places = {"train": train, "test": test}
        about["groups"] = {name: np.unique(groups[own]).tolist() for name, own in places.items()}
    origins = None if dataset.origins is None else dataset.origins.take(train)
    return replace(dataset, train=parts["train"], test=parts["test"], origins=origins, about=about)
