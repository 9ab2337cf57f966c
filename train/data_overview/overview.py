"""Looks at a data set: recordings as they were read, and the windows and the split of a training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, InputError
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.data_overview.cautions import cautions
from train.data_overview.facts import (
    ClassFacts,
    DataFacts,
    FeatureFacts,
    GroupFacts,
    SplitFacts,
    WindowFacts,
)
from train.data_overview.feature_range import FeatureRanges
from train.data_overview.measure import (
    measure_classes,
    measure_features,
    measure_groups,
    measure_recordings,
)
from train.dataset import Dataset
from train.datasets.load import load_dataset
from train.hyperparameters import Hyperparameters
from train.recordings.data_options import DataOptions
from train.recordings.read_recordings import looks_like_recordings, read_as_recorded
from train.recordings.recording import Recordings
from train.splitting.splits import hold_back_validation

SAMPLE_ROWS = 200
"""Rows of a class that the picture shows, where no window says how many."""

WINDOWS_AT_ONCE = 1000
"""Windows that are measured at once."""

Splits = dict[str, LabelledWindows]


@dataclass(frozen=True, eq=False)
class DataOverview:
    """What is known about a data set, and rows of each class to look at."""

    facts: DataFacts
    samples: tuple[NDArray[Any] | None, ...]
    """For each class `[rows, features]` in sequence; None where a class has none."""


def look_at(
    name: str, data_dir: str | Path | None = None, options: DataOptions | None = None
) -> DataOverview:
    """A data set by the name or path that `edge-rnn train --data` takes.

    Gaps and missing values of recordings are counted, whatever `options.fill` says. What else
    `edge-rnn train` would stop at is kept as `refusal`. Raises DataError or InputError where nothing can
    be read.
    """
    chosen = options or DataOptions()
    if name in ("mnist", "digits") or not looks_like_recordings(name):
        return _windows_only(load_dataset(name, data_dir, chosen))
    found = read_as_recorded(name, chosen)
    dataset, splits, refusal = None, {}, None
    try:
        dataset = load_dataset(name, data_dir, chosen)
        splits = _splits(dataset)
    except (DataError, InputError) as error:
        refusal = str(error)
    classes = _with_windows(measure_classes(found), splits, dataset)
    facts = DataFacts(
        found.name,
        image=False,
        classes=classes,
        groups=_with_splits(measure_groups(found), splits),
        features=measure_features(found).facts(),
        recordings=measure_recordings(found, chosen.window),
        windows=None if dataset is None else _window_facts(dataset, splits),
        refusal=refusal,
        fill=chosen.fill,
    )
    samples = tuple(_sample(found, index, chosen.window) for index in range(len(found.labels)))
    return DataOverview(replace(facts, warnings=cautions(facts)), samples)


def _windows_only(dataset: Dataset) -> DataOverview:
    splits = _splits(dataset)
    empty = [ClassFacts(label, 0, 0, None, 0, {}) for label in dataset.labels]
    facts = DataFacts(
        dataset.name,
        dataset.image,
        classes=_with_windows(tuple(empty), splits, dataset),
        groups=_with_splits(_groups_of_windows(splits, len(dataset.labels)), splits),
        features=_features_of_windows(splits),
        recordings=None,
        windows=_window_facts(dataset, splits),
        refusal=None,
    )
    samples = tuple(_first_window(splits, index) for index in range(len(dataset.labels)))
    return DataOverview(replace(facts, warnings=cautions(facts)), samples)


def _splits(dataset: Dataset) -> Splits:
    """The parts as a training with default hyperparameters makes them."""
    defaults = Hyperparameters()
    held = hold_back_validation(dataset, defaults.validation_fraction, defaults.seed)
    return {"train": held.train, "validation": held.validation, "test": dataset.test}


def _window_facts(dataset: Dataset, splits: Splits) -> WindowFacts:
    steps, features = dataset.train.x.shape[1:]
    method = dataset.about.get("split")
    return WindowFacts(
        int(steps),
        int(features),
        str(dataset.train.x.dtype),
        None if method is None else str(method),
        tuple(SplitFacts(name, len(part), _groups_in(part)) for name, part in splits.items()),
        dataset.notes,
    )


def _groups_in(windows: LabelledWindows) -> tuple[str, ...]:
    return () if windows.groups is None else tuple(map(str, np.unique(windows.groups)))


def _with_windows(
    classes: tuple[ClassFacts, ...], splits: Splits, dataset: Dataset | None
) -> tuple[ClassFacts, ...]:
    """With the windows of each class. The data set's classes may be fewer than those of the files."""
    if dataset is None:
        return classes
    numbers = {label: index for index, label in enumerate(dataset.labels)}
    counts = {name: np.bincount(part.y, minlength=len(dataset.labels)) for name, part in splits.items()}
    return tuple(
        replace(
            one,
            windows={
                name: int(count[numbers[one.label]]) if one.label in numbers else 0
                for name, count in counts.items()
            },
        )
        for one in classes
    )


def _with_splits(groups: tuple[GroupFacts, ...], splits: Splits) -> tuple[GroupFacts, ...]:
    members = {name: set(_groups_in(part)) for name, part in splits.items()}
    return tuple(
        replace(group, splits=tuple(name for name, inside in members.items() if group.name in inside))
        for group in groups
    )


def _sample(found: Recordings, label: int, window: int | None) -> NDArray[Any] | None:
    """Rows of one class in sequence, from the recording with most of it."""
    best = max(found.recordings, key=lambda recording: int((recording.labels == label).sum()))
    inside = np.flatnonzero(best.labels == label)
    if not len(inside):
        return None
    runs = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
    longest = max(runs, key=len)
    rows: NDArray[Any] = best.values[longest[: window or SAMPLE_ROWS]]
    return rows


def _first_window(splits: Splits, label: int) -> NDArray[Any] | None:
    for part in splits.values():
        inside = np.flatnonzero(part.y == label)
        if len(inside):
            window: NDArray[Any] = part.x[inside[0]]
            return window
    return None


def _blocks(splits: Splits) -> Iterator[NDArray[Any]]:
    for part in splits.values():
        for start in range(0, len(part), WINDOWS_AT_ONCE):
            block = part.x[start : start + WINDOWS_AT_ONCE]
            yield block.reshape(-1, block.shape[-1])


def _features_of_windows(splits: Splits) -> tuple[FeatureFacts, ...]:
    names = [str(number) for number in range(1, splits["train"].x.shape[-1] + 1)]
    ranges = FeatureRanges(tuple(names))
    for block in _blocks(splits):
        ranges.add(block)
    return tuple(replace(one, recordings_without=0, recordings_constant=0) for one in ranges.facts())


def _groups_of_windows(splits: Splits, classes: int) -> tuple[GroupFacts, ...]:
    """Each with its windows in place of rows."""
    groups: dict[str, NDArray[np.int64]] = {}
    for part in splits.values():
        for name in _groups_in(part):
            counts = np.bincount(part.y[part.groups == name], minlength=classes)
            groups[name] = groups.get(name, np.zeros(classes, np.int64)) + counts
    return tuple(
        GroupFacts(name, 0, int(groups[name].sum()), tuple(map(int, groups[name])), ())
        for name in sorted(groups)
    )
