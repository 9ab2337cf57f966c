"""Data sets of recordings: split first, by group, by recording or by time, and then cut into windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import DataError, reason
from train.dataset import Dataset
from train.recordings.data_options import DataOptions
from train.recordings.read_recordings import read_recordings
from train.recordings.recording import SPLITS
from train.splitting.recording_splits import TestChoice, choose_test, fold_choice
from train.splitting.recording_windows import PlannedWindows, plan_windows
from train.splitting.shared_recordings import keep_shared_together
from train.splitting.stratified_units import TEST_FRACTION


def recording_dataset(path: Path, options: DataOptions) -> Dataset:
    """The windows of the recordings at `path`, split by the data set's own split, by group, by recording
    or by time, in this order of preference.

    Raises DataError for recordings of two splits that share rows, and for classes that cannot be
    trained.
    """
    planned = plan_windows(read_recordings(path, options), options, path)
    choice = choose_test(planned, path, TEST_FRACTION)
    planned = keep_shared_together(planned, choice.splits, SPLITS, choice.how)
    return _dataset(planned, choice, options, path)


def recording_folds(path: Path, options: DataOptions, folds: int) -> list[Dataset]:
    """`folds` data sets, whose test splits are the folds of all recordings that are not in a test split
    of the data set's own. Raises as `recording_dataset` does."""
    planned = plan_windows(read_recordings(path, options), options, path)
    own = planned.splits()
    if own is not None:
        planned = planned.take(own[planned.origins.recordings] != "test")
    choices = fold_choice(planned, path, folds)
    names = tuple(f"fold {fold + 1}" for fold in range(folds))
    planned = keep_shared_together(planned, choices.splits, names, choices.how)
    return [_dataset(planned, choices.fold(planned, k), options, path) for k in range(folds)]


def _dataset(planned: PlannedWindows, choice: TestChoice, options: DataOptions, path: Path) -> Dataset:
    parts = {SPLITS[k]: planned.take(choice.splits == k) for k in range(len(SPLITS))}
    _check_trained(parts["train"], planned, choice, path)
    notes = (*choice.notes, *_left_out(planned), *_untested(parts["test"], planned))
    return Dataset(
        planned.data.name,
        train=parts["train"].cut(),
        test=parts["test"].cut(),
        labels=planned.data.labels,
        image=False,
        validation=parts["validation"].cut() if len(parts["validation"].y) else None,
        about=_about(planned, parts, choice, options),
        notes=notes,
        origins=parts["train"].origins,
    )


def _about(
    planned: PlannedWindows, parts: dict[str, PlannedWindows], choice: TestChoice, options: DataOptions
) -> dict[str, Any]:
    data, groups = planned.data, planned.groups()
    used = {name: np.unique(part.origins.recordings) for name, part in parts.items() if len(part.y)}
    about: dict[str, Any] = {
        "split": choice.how,
        "window": planned.window,
        "hop": options.hop or planned.window,
        "label": options.label,
        "features": list(data.features),
        "rate": _rate(planned),
        "recordings": {name: len(numbers) for name, numbers in used.items()},
        "left_out": {
            "short_recordings": planned.short,
            "windows_without_class": planned.unclassed,
            "windows_in_gaps": int((choice.splits < 0).sum()),
        },
    }
    if groups is not None:
        about["groups"] = {name: np.unique(groups[numbers]).tolist() for name, numbers in used.items()}
    return about


def _rate(planned: PlannedWindows) -> float | None:
    """Rows per second, the median of the recordings; None where the data set does not say."""
    times = [item.times for item in planned.data.recordings if item.times is not None]
    steps = [float(np.median(np.diff(seconds))) for seconds in times if len(seconds) > 1]
    steps = [step for step in steps if step > 0]
    return 1 / float(np.median(steps)) if steps else None


def _check_trained(
    train: PlannedWindows, planned: PlannedWindows, choice: TestChoice, path: Path
) -> None:
    """Raises DataError for the first class without a training window, and where there is one class."""
    labels = planned.data.labels
    if len(labels) < 2:
        raise DataError(
            f"{path}: every recording has the same class, {reason(labels[0])}. Expected at least two "
            "classes."
        )
    counts = np.bincount(train.y, minlength=len(labels))
    if counts.all():
        return
    label = int(counts.argmin())
    whole = int((planned.y == label).sum())
    if whole == 0:
        raise DataError(
            f"{path}: class {reason(labels[label])} has no window of {planned.window:,} rows. Choose a "
            "smaller --window, or remove the class."
        )
    raise DataError(
        f"{path}: class {reason(labels[label])} has {whole:,} windows, and none of them is left for "
        f"training in a split by {choice.how}. Record more of it, or remove the class."
    )


def _left_out(planned: PlannedWindows) -> tuple[str, ...]:
    notes = []
    if planned.short:
        notes.append(
            f"{planned.short:,} of {len(planned.data.recordings):,} recordings have fewer than "
            f"{planned.window:,} rows and are left out."
        )
    if planned.unclassed:
        notes.append(f"{planned.unclassed:,} windows have no class of their own and are left out.")
    return tuple(notes)


def _untested(test: PlannedWindows, planned: PlannedWindows) -> tuple[str, ...]:
    """A note for each class that no test window has."""
    counts = np.bincount(test.y, minlength=len(planned.data.labels))
    return tuple(
        f"No test window has the class {reason(name)}, so the test accuracy does not speak of it. "
        "Record it in more recordings or groups."
        for name, count in zip(planned.data.labels, counts)
        if count == 0
    )
