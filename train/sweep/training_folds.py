"""Folds of the training split, for sweeps that judge a configuration on all of its windows in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InputError
from train.dataset import SPLIT_SEED, Dataset
from train.splitting.splits import split_at
from train.splitting.stratified_units import class_counts, fold_units


def training_folds(dataset: Dataset, folds: int, where: str) -> list[Dataset]:
    """`folds` data sets whose test splits are the folds of the training split of `dataset`.

    The test split of `dataset` is in none of them. Whole groups stay together, or whole recordings where
    there are no groups; windows of which neither is known are drawn at random from each class. Raises
    InputError, which begins with `where`, when there are too few of them.
    """
    what, units = _units(dataset, folds)
    counts = class_counts(units, dataset.train.y)
    if folds > len(counts):
        raise InputError(
            f"{where}: {folds} is more than the {len(counts)} {what} of the training split. Choose "
            f"at most {len(counts)}."
        )
    numbers = fold_units(counts, folds)
    for fold in range(folds):
        alone = (counts[numbers != fold].sum(axis=0) == 0) & (counts.sum(axis=0) > 0)
        if alone.any():
            label = dataset.labels[int(np.flatnonzero(alone)[0])]
            raise InputError(
                f"{where}: a fold would have all windows of class {label}. Choose fewer folds, or leave "
                "them out."
            )
    held = numbers[units]
    return [split_at(dataset, held == k, f"fold {k + 1} of {folds}") for k in range(folds)]


def _units(dataset: Dataset, folds: int) -> tuple[str, NDArray[np.int64]]:
    """What stays whole, in the plural, and its number for each window of the training split."""
    train = dataset.train
    if train.groups is not None:
        _, units = np.unique(train.groups, return_inverse=True)
        return "groups", units.astype(np.int64)
    if dataset.origins is not None:
        _, units = np.unique(dataset.origins.sources, return_inverse=True)
        return "recordings", units.astype(np.int64)
    generator = np.random.default_rng(SPLIT_SEED)
    units = np.empty(len(train), np.int64)
    for label in np.unique(train.y):
        members = generator.permutation(np.flatnonzero(train.y == label))
        units[members] = np.arange(len(members)) % folds
    return "windows", units
