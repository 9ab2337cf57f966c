"""The test split of windows that are cut already: given, by group, by shared rows, or at random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.dataset import SPLIT_SEED, Dataset, WindowOrigins
from train.splitting.overlap import SharedRows, row_hashes, shared_rows
from train.splitting.splits import random_split, split_at
from train.splitting.stratified_units import (
    FEWEST_GROUPS,
    TEST_FRACTION,
    check_folds,
    choose_units,
    class_counts,
    fold_units,
)

MOST_COMPARED_ROWS = 20_000_000
"""Rows that are compared. Of more windows, those at the beginning are: memory and time end somewhere."""

WHAT_BELONGS_TOGETHER = (
    "Save an array groups [N] that says which person, device or recording each window comes from"
)

OPTIMISTIC = (
    "The test windows are drawn at random, and windows of one recording or person are alike. So the "
    f"test accuracy may be optimistic. {WHAT_BELONGS_TOGETHER}."
)
"""What to know about a random split of windows of which nothing else is known."""


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows as a file holds them, before they are split."""

    path: Path
    """For messages."""
    name: str
    windows: LabelledWindows
    labels: tuple[str, ...]
    image: bool = False
    """Whether the windows are pictures. Nobody cuts those from recordings."""
    test: LabelledWindows | None = None
    """The test split of the file's own."""
    test_count: int | None = None
    """How many windows to hold out at random; None: TEST_FRACTION."""
    notes: tuple[str, ...] = (OPTIMISTIC,)
    """Notes of a random split."""


@dataclass(frozen=True, eq=False)
class _Parts:
    """What must stay whole."""

    how: str
    what: str
    """What a part is, for messages."""
    names: NDArray[np.str_]
    units: NDArray[np.int64]
    """`[N]`: the part of each window."""
    origins: WindowOrigins | None
    notes: tuple[str, ...] = ()


def split_windows(found: WindowSet) -> Dataset:
    """The file's own test split, or one of about a fifth: whole groups, or at random where there are
    none.

    Windows that share rows are never divided. Raises DataError where a class or the rows make it
    impossible.
    """
    if found.test is not None:
        if not found.image:
            _check_test(found.windows, found.test, found.path)
        about = {"split": "given"}
        return Dataset(found.name, found.windows, found.test, found.labels, found.image, about=about)
    parts, notes = _parts(found)
    if parts is None:
        return random_split(
            found.windows,
            found.name,
            found.labels,
            image=found.image,
            test=found.test_count,
            notes=notes,
        )
    counts = class_counts(parts.units, found.windows.y)
    held = choose_units(counts, TEST_FRACTION)
    if held is None or (parts.how != "group" and _uneven(counts, held)):
        raise DataError(f"{found.path}: {_impossible(found, parts, counts)}")
    _check_groups(found, held[parts.units].astype(np.int64))
    return split_at(_whole(found, parts), held[parts.units], parts.how)


def fold_windows(found: WindowSet, folds: int) -> list[Dataset]:
    """`folds` data sets, whose test splits are the folds of all windows but those of the file's own test
    split. Parts that a split keeps whole stay whole.

    Raises InputError for more folds than parts, and DataError where a class would be tested that no
    other fold trains.
    """
    parts, notes = _parts(found)
    if parts is None:
        return _random_folds(found, folds, notes)
    counts = class_counts(parts.units, found.windows.y)
    check_folds(folds, len(counts), f"{parts.what}s")
    numbers = fold_units(counts, folds)
    for fold in range(folds):
        if ((counts[numbers != fold].sum(axis=0) == 0) & (counts.sum(axis=0) > 0)).any():
            raise DataError(f"{found.path}: {_impossible(found, parts, counts)}")
    _check_groups(found, numbers[parts.units])
    whole = _whole(found, parts)
    return [
        split_at(whole, numbers[parts.units] == fold, f"{parts.how}, fold {fold + 1} of {folds}")
        for fold in range(folds)
    ]


def _random_folds(found: WindowSet, folds: int, notes: tuple[str, ...]) -> list[Dataset]:
    """Folds of windows, drawn at random from each class."""
    y, count = found.windows.y, len(found.windows)
    check_folds(folds, int(np.bincount(y).min()), "windows of the smallest class")
    order = LabelledWindows(np.arange(count), y).stratified_sample(count, SPLIT_SEED).x
    whole = Dataset(found.name, found.windows, found.windows, found.labels, found.image, notes=notes)
    held = np.zeros((folds, count), bool)
    for fold, members in enumerate(np.array_split(order, folds)):
        held[fold, members] = True
    return [split_at(whole, held[k], f"windows, fold {k + 1} of {folds}") for k in range(folds)]


def _parts(found: WindowSet) -> tuple[_Parts | None, tuple[str, ...]]:
    """What must stay whole; None and the notes of a random split where nothing must."""
    groups = found.windows.groups
    if groups is None:
        return _by_rows(found, found.notes)
    names, units = np.unique(groups, return_inverse=True)
    if len(names) >= FEWEST_GROUPS:
        return _Parts("group", "group", names, units.astype(np.int64), None), ()
    note = (
        f"The data set has {len(names)} group(s), too few for a split by group. So the test accuracy is "
        "that for known people, devices or sites. Expect less for others."
    )
    return _by_rows(found, (note,))


def _by_rows(found: WindowSet, notes: tuple[str, ...]) -> tuple[_Parts | None, tuple[str, ...]]:
    """Chains of windows that share rows, where there are any."""
    count = len(found.windows)
    if found.image:
        return None, notes
    shared = _shared(found.windows.x, np.zeros(count, np.int64))
    if len(shared.pairs) == 0:
        return None, notes
    chains = shared.clusters(count)
    note = (
        f"{len(np.unique(shared.pairs)):,} of the {count:,} windows share rows with others. The split "
        f"keeps those together, in {int(chains.max()) + 1:,} parts. The test accuracy may still be "
        f"optimistic. {WHAT_BELONGS_TOGETHER}."
    )
    origins = WindowOrigins(chains, np.arange(count), np.zeros(count, np.int64))
    names = np.unique(chains).astype(np.str_)
    return _Parts("windows that share rows", "part", names, chains, origins, (*notes[1:], note)), ()


def _whole(found: WindowSet, parts: _Parts) -> Dataset:
    """A data set that trains and tests with all windows, to be divided."""
    return Dataset(
        found.name,
        found.windows,
        found.windows,
        found.labels,
        found.image,
        notes=parts.notes,
        origins=parts.origins,
    )


def _uneven(counts: NDArray[np.int64], held: NDArray[np.bool_]) -> bool:
    """Whether a split leaves a class without test windows, or has more test than training windows."""
    test, total = counts[held].sum(axis=0), counts.sum(axis=0)
    return bool((test[total > 0] == 0).any() or 2 * test.sum() > total.sum())


def _impossible(found: WindowSet, parts: _Parts, counts: NDArray[np.int64]) -> str:
    """Why the parts cannot be divided."""
    if parts.how != "group":
        sharing = int((np.bincount(parts.units)[parts.units] > 1).sum())
        return (
            f"{sharing:,} of the {len(found.windows):,} windows share rows with others, so a random "
            f"test split would be no test. {WHAT_BELONGS_TOGETHER}, or hold out whole recordings as "
            "test_x and test_y."
        )
    alone = np.flatnonzero((counts > 0).sum(axis=0) == 1)
    if not len(alone):
        return "a fold would have all windows of some class. Choose fewer --folds."
    label = int(alone[0])
    return (
        f"class {reason(found.labels[label])} occurs in 1 of {len(parts.names)} groups "
        f"({reason(parts.names[counts[:, label].argmax()])}), so it cannot be both trained and tested. "
        "Record it with more groups, or leave groups out if an accuracy for known ones is enough."
    )


def _check_test(train: LabelledWindows, test: LabelledWindows, path: Path) -> None:
    """Raises DataError where windows of the file's own test split share rows with training windows."""
    leaks = _leaks(train, test)
    if len(leaks):
        raise DataError(
            f"{path}: at least {len(np.unique(leaks[:, 1])):,} of the {len(test):,} windows in test_x "
            f"share rows with windows in x, such as test_x[{leaks[0, 1]}] with x[{leaks[0, 0]}]. The "
            "accuracy would be too good. Hold out whole recordings."
        )


def _check_groups(found: WindowSet, sides: NDArray[np.int64]) -> None:
    """Raises DataError where windows of groups on two `sides` `[N]` share rows."""
    groups = found.windows.groups
    if groups is None:
        return
    pairs = _shared(found.windows.x, sides).pairs
    across = pairs[sides[pairs[:, 0]] != sides[pairs[:, 1]]]
    if len(across):
        one, other = np.sort(groups[across[0]])
        raise DataError(
            f"{found.path}: windows of the groups {reason(one)} and {reason(other)} share rows, and the "
            "groups are in two splits. Give windows that share rows the same group."
        )


def _leaks(train: LabelledWindows, test: LabelledWindows) -> NDArray[np.int64]:
    """`[pairs, 2]`: positions of a training and a test window that share rows."""
    sides = np.repeat([0, 1], [len(train), len(test)])
    pairs = np.sort(_shared(np.concatenate([train.x, test.x]), sides).pairs, axis=1)
    across: NDArray[np.int64] = pairs[sides[pairs[:, 0]] != sides[pairs[:, 1]]]
    return across - [0, len(train)]


def _shared(x: NDArray[Any], sides: NDArray[np.int64]) -> SharedRows:
    """Which windows share rows."""
    count, steps, features = x.shape
    compared = min(count, MOST_COMPARED_ROWS // steps)
    hashes = row_hashes(x[:compared].reshape(-1, features))
    return shared_rows(hashes, np.full(compared, steps, np.int64), sides[:compared])
