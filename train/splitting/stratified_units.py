"""Divides units, which stay whole, so that every part has each class in about the same proportion.

A unit is what must not be divided between training and test: a group, a recording or a block of time.
scikit-learn's StratifiedGroupKFold makes the folds.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InputError
from edge_runtime.host.optional_packages import needs_extra
from train.dataset import SPLIT_SEED

TEST_FRACTION = 0.2
"""The part of a data set that becomes its test split, where it has none of its own."""

FEWEST_GROUPS = 3
"""Groups that a split by group needs: one each for training, validation and test."""

LARGEST_SAMPLE = 20_000
"""Most samples that StratifiedGroupKFold is given. It looks at nothing but how many windows of each
class a unit has, so larger numbers are scaled down."""


def class_counts(units: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[units, classes]`: the windows of each class in each unit, from the unit and the class of each
    window, both `[N]` and from 0."""
    counts = np.zeros((int(units.max()) + 1, int(y.max()) + 1), np.int64)
    np.add.at(counts, (units, y), 1)
    return counts


def choose_units(counts: NDArray[np.int64], fraction: float) -> NDArray[np.bool_] | None:
    """Which units to hold out, `[units]`, with about `fraction` of the windows of each class.

    `counts`: `class_counts`. Each class keeps a unit in the rest, and is held out too if that is
    possible. None where nothing can be held out: then any unit has all windows of some class. The choice
    is the same every time.
    """
    present = np.flatnonzero(counts.sum(axis=1))
    candidates = np.zeros((0, len(counts)), bool)
    if len(present) >= 2:
        parts = min(len(present), max(2, round(1 / fraction)))
        folds = fold_units(counts, parts)
        candidates = np.stack([folds == fold for fold in range(parts)])
    found = _best(candidates, counts, fraction)
    if found is None:  # if any choice is possible, each of its units alone is one
        single = np.zeros((len(present), len(counts)), bool)
        single[np.arange(len(present)), present] = True
        found = _best(single, counts, fraction)
    return None if found is None else _with_all_classes(found, counts)


def _with_all_classes(held: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`held` `[units]` with one more unit, the smallest that will do, for each class that it lacks.

    Where classes are in few units each, a choice by size alone would hold out some classes only, and
    the accuracy would not speak of the others. Each class keeps a unit in the rest.
    """
    held = held.copy()
    by_size = np.argsort(counts.sum(axis=1), kind="stable")
    for label in range(counts.shape[1]):
        for unit in by_size[counts[by_size, label] > 0]:
            if counts[held, label].any():
                break
            rest = ~held
            rest[unit] = False
            if (counts[rest].any(axis=0) >= counts.any(axis=0)).all():
                held[unit] = True
    return held


def fold_units(counts: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """The fold of each unit, `[units]`, from `class_counts`; -1 for a unit without windows.

    There must be at least `folds` units with windows. Every fold gets one.
    """
    with needs_extra("workstation", "scikit-learn", "splitting a data set"):
        from sklearn.model_selection import StratifiedGroupKFold
    scale = max(1.0, counts.sum() / LARGEST_SAMPLE)
    samples = np.ceil(counts / scale).astype(np.int64)
    units, classes = np.indices(counts.shape)
    unit = np.repeat(units.ravel(), samples.ravel())
    y = np.repeat(classes.ravel(), samples.ravel())
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SPLIT_SEED)
    chosen = np.full(len(counts), -1, np.int64)
    if y.size and np.bincount(y).max() >= folds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a class has fewer members than there are folds
            for fold, (_, held_out) in enumerate(splitter.split(y, y, unit)):
                chosen[unit[held_out]] = fold
    _fill_empty_folds(chosen, counts, folds)
    return chosen


def check_folds(folds: int, units: int, what: str) -> None:
    """Raises InputError unless there are 2 to `units` folds. `what`: what the units are, in the
    plural."""
    if folds < 2:
        raise InputError(f"--folds: expected at least 2, found {folds}.")
    if folds > units:
        raise InputError(
            f"--folds: {folds} is more than the {units} {what} of the data set, and each fold tests at "
            f"least one. Choose at most {units}."
        )


def _fill_empty_folds(chosen: NDArray[np.int64], counts: NDArray[np.int64], folds: int) -> None:
    """Gives each unit with windows a fold, and each fold without a unit the smallest of the fold with
    most of them. StratifiedGroupKFold leaves folds empty where that makes the classes more even."""
    sizes = counts.sum(axis=1)
    chosen[(chosen < 0) & (sizes > 0)] = 0
    for fold in range(folds):
        if not (chosen == fold).any():
            members = np.flatnonzero(chosen == np.bincount(chosen[chosen >= 0]).argmax())
            chosen[members[sizes[members].argmin()]] = fold


def _best(
    candidates: NDArray[np.bool_], counts: NDArray[np.int64], fraction: float
) -> NDArray[np.bool_] | None:
    """The candidate whose fraction of each class is nearest to `fraction`; None if none leaves all."""
    totals = counts.sum(axis=0)
    used = totals > 0
    held = candidates.astype(np.int64) @ counts
    possible = (held[:, used] < totals[used]).all(axis=1) & (held.sum(axis=1) > 0)
    if not possible.any():
        return None
    distance = np.abs(held[:, used] / totals[used] - fraction).sum(axis=1)
    best: NDArray[np.bool_] = candidates[np.where(possible, distance, np.inf).argmin()]
    return best
