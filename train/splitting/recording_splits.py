"""Which windows of recordings test: a given split, groups, recordings, or blocks of time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.recording import SPLITS
from train.splitting.recording_windows import PlannedWindows
from train.splitting.split_units import SplitUnits, clear_of, group_units, recording_units
from train.splitting.stratified_units import (
    FEWEST_GROUPS,
    check_folds,
    choose_units,
    class_counts,
    fold_units,
)

LEFT_OUT = -1
"""The split of a window in the gap between a training block of time and one that is held out."""


@dataclass(frozen=True, eq=False)
class TestChoice:
    """Which window is in which split."""

    __test__ = False  # not a test of pytest

    splits: NDArray[np.int64]
    """`[N]`: an index into SPLITS, or LEFT_OUT."""
    how: str
    """`given`, `group`, `recording`, `time`, or `recording and time`."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FoldChoice:
    """Which window is in which fold."""

    splits: NDArray[np.int64]
    """`[N]`: the fold, from 0."""
    how: str
    notes: tuple[str, ...] = ()

    def fold(self, planned: PlannedWindows, number: int) -> TestChoice:
        """The split whose test windows are those of fold `number`."""
        splits = _train_and_test(planned, self.splits == number)
        return TestChoice(
            splits, f"{self.how}, fold {number + 1} of {self.splits.max() + 1}", self.notes
        )


def choose_test(planned: PlannedWindows, path: Path, fraction: float) -> TestChoice:
    """The split that the data set gives, or one of our own with about `fraction` of the windows in test.

    Raises DataError where a class cannot be both trained and tested.
    """
    own = planned.splits()
    if own is not None:
        return _given(planned, own, path)
    units, names, notes = _units(planned)
    counts = class_counts(units.units, planned.y)
    held = choose_units(counts, fraction)
    if held is None:
        raise DataError(f"{path}: {_impossible(planned, counts, units, names)}")
    splits = _train_and_test(planned, held[units.units])
    return TestChoice(splits, units.how, notes)


def fold_choice(planned: PlannedWindows, path: Path, folds: int) -> FoldChoice:
    """Every window in one of `folds` folds, whose units stay whole. Raises InputError for more folds
    than units, and DataError where a class would be tested that no other fold trains."""
    units, names, notes = _units(planned)
    counts = class_counts(units.units, planned.y)
    check_folds(folds, len(counts), _plural(units.how))
    numbers = fold_units(counts, folds)
    for fold in range(folds):
        held = counts[numbers == fold].sum(axis=0)
        if ((held == counts.sum(axis=0)) & (held > 0)).any():
            raise DataError(f"{path}: {_impossible(planned, counts, units, names)}")
    return FoldChoice(numbers[units.units], units.how, notes)


def _plural(how: str) -> str:
    """What the units of a split are called."""
    return {"group": "groups", "recording": "recordings"}.get(how, "recordings and blocks of time")


def _given(planned: PlannedWindows, own: NDArray[np.str_], path: Path) -> TestChoice:
    """The split of the data set."""
    splits = np.array([SPLITS.index(name) for name in own], np.int64)[planned.origins.recordings]
    for name in ("train", "test"):
        if not (splits == SPLITS.index(name)).any():
            raise DataError(
                f"{path}: the split of the data set has no {name} windows. Give train and test, or no "
                "split."
            )
    groups = planned.groups()
    notes: tuple[str, ...] = ()
    if groups is not None:
        both = np.intersect1d(groups[own == "train"], groups[own == "test"])
        if len(both):
            notes = (
                f"{len(both):,} groups ({_some(both)}) are in the training and in the test split, so "
                "the test accuracy is that for known people, devices or sites.",
            )
    return TestChoice(splits, "given", notes)


def _units(planned: PlannedWindows) -> tuple[SplitUnits, NDArray[np.str_], tuple[str, ...]]:
    """The units, a name for each, and what to know about them."""
    groups = planned.groups()
    notes: tuple[str, ...] = ()
    if groups is not None:
        own = groups[planned.origins.recordings]
        names = np.unique(own)
        if len(names) >= FEWEST_GROUPS:
            return group_units(own, None), names, ()
        notes = (
            f"The data set has {len(names)} group(s) ({_some(names)}), too few for a split by group. So "
            "the test accuracy is that for known people, devices or sites. Expect less for others.",
        )
    units = recording_units(planned.origins, planned.y, planned.window)
    _, firsts = np.unique(units.units, return_index=True)
    numbers = planned.origins.recordings[firsts]
    names = np.array([planned.data.recordings[number].name for number in numbers], np.str_)
    if units.how != "recording":
        notes = (
            *notes,
            "A class occurs in one recording only, so recordings are divided in time. Such windows are "
            "alike, and the test accuracy may be optimistic. Record each class several times.",
        )
    return units, names, notes


def _train_and_test(planned: PlannedWindows, held: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`[N]`: TEST where `held`, LEFT_OUT within a window of those, TRAIN elsewhere."""
    clear = clear_of(planned.origins, held, planned.window)
    outside = np.where(clear, SPLITS.index("train"), LEFT_OUT)
    return np.where(held, SPLITS.index("test"), outside)


def _impossible(
    planned: PlannedWindows, counts: NDArray[np.int64], units: SplitUnits, names: NDArray[np.str_]
) -> str:
    """Why no unit can be held out: the first class that only one unit has."""
    holders = (counts > 0).sum(axis=0)
    label = int(np.flatnonzero(holders == 1)[0])
    unit = int(counts[:, label].argmax())
    name, what = reason(planned.data.labels[label]), "group" if units.how == "group" else "recording"
    advice = (
        "Record it with more groups, or leave the group out if an accuracy for known ones is enough."
        if what == "group"
        else f"It is too short to be divided in time, which takes {6 * planned.window:,} rows. Record "
        "the class several times, or choose a smaller --window."
    )
    return (
        f"class {name} occurs in 1 of {len(counts)} {what}s ({reason(names[unit])}), so it cannot be "
        f"both trained and tested. {advice}"
    )


def _some(names: NDArray[np.str_], most: int = 3) -> str:
    shown = ", ".join(reason(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown}, ..."
