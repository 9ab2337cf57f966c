"""Measures recordings as they were read, with their gaps and missing values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.data_overview.facts import (
    ClassFacts,
    GapFacts,
    GroupFacts,
    Places,
    RateFacts,
    RecordingFacts,
)
from train.data_overview.feature_range import FeatureRanges
from train.recordings.fill import gaps_in, median_step
from train.recordings.recording import UNLABELLED, Recording, Recordings
from train.recordings.table import place_of_row


@dataclass(frozen=True, eq=False)
class RecordingSteps:
    """The steps in time of one recording."""

    seconds: NDArray[np.float64]
    """`[N]`: those forward."""
    median: float
    not_ascending: NDArray[np.int64]
    """Rows without a time, or with one that is not later than that of the row before."""


def steps_of(recording: Recording) -> RecordingSteps | None:
    """None without times, or with fewer than two."""
    times = recording.times
    if times is None:
        return None
    steps = np.diff(times, prepend=-np.inf)
    wrong = np.flatnonzero(~(steps > 0))  # NaN is not larger than 0
    forward = steps[1:][steps[1:] > 0]
    if not len(forward):
        return None
    return RecordingSteps(forward, median_step(times), wrong)


def measure_recordings(found: Recordings, window: int | None) -> RecordingFacts:
    """`window`: its rows, of which a recording needs as many."""
    recordings = found.recordings
    lengths = np.asarray([len(recording.values) for recording in recordings])
    steps = [steps_of(recording) for recording in recordings]
    seconds = [None if s is None else len(r.values) * s.median for r, s in zip(recordings, steps)]
    return RecordingFacts(
        count=len(recordings),
        rows=int(lengths.sum()),
        shortest=int(lengths.min()),
        median=float(np.median(lengths)),
        longest=int(lengths.max()),
        too_short=int((lengths < (window or 0)).sum()),
        seconds=_total(seconds),
        rate=_rate([s for s in steps if s is not None]),
        gaps=_gaps(recordings),
        not_ascending=_find(
            (r, np.empty(0, np.int64) if s is None else s.not_ascending)
            for r, s in zip(recordings, steps)
        ),
        missing=_find((r, np.flatnonzero(np.isnan(r.values).any(axis=1))) for r in recordings),
        unlabelled=_find((r, np.flatnonzero(r.labels == UNLABELLED)) for r in recordings),
    )


def measure_features(found: Recordings) -> FeatureRanges:
    """Ranges over all rows."""
    ranges = FeatureRanges(found.features)
    for recording in found.recordings:
        ranges.add(recording.values)
    return ranges


def measure_classes(found: Recordings) -> tuple[ClassFacts, ...]:
    """Without windows, which the split gives."""
    counts = rows_of_classes(found)
    groups = [recording.group for recording in found.recordings]
    steps = [steps_of(recording) for recording in found.recordings]
    classes = []
    for index, label in enumerate(found.labels):
        rows = counts[:, index]
        inside = [(int(n), s) for n, s in zip(rows, steps) if n]
        classes.append(
            ClassFacts(
                label,
                len(inside),
                int(rows.sum()),
                _total([None if s is None else n * s.median for n, s in inside]) if inside else None,
                len({group for n, group in zip(rows, groups) if n and group is not None}),
                {},
            )
        )
    return tuple(classes)


def measure_groups(found: Recordings) -> tuple[GroupFacts, ...]:
    """In the order of their names; none where nobody said."""
    counts = rows_of_classes(found)
    groups: dict[str, GroupFacts] = {}
    for recording, row in zip(found.recordings, counts):
        if recording.group is None:
            continue
        empty = GroupFacts(recording.group, 0, 0, (0,) * len(found.labels), ())
        known = groups.get(recording.group, empty)
        groups[recording.group] = replace(
            known,
            recordings=known.recordings + 1,
            rows=known.rows + len(recording.values),
            rows_of_classes=tuple(int(a + b) for a, b in zip(known.rows_of_classes, row)),
        )
    return tuple(groups[name] for name in sorted(groups))


def rows_of_classes(found: Recordings) -> NDArray[np.int64]:
    """`[recordings, classes]`."""
    classes = len(found.labels)
    counts = [
        np.bincount(recording.labels[recording.labels != UNLABELLED], minlength=classes)
        for recording in found.recordings
    ]
    return np.asarray(counts, np.int64).reshape(len(counts), classes)


def _total(seconds: list[float | None]) -> float | None:
    """The sum; a recording of a single row has no duration. None where none has one."""
    known = [value for value in seconds if value is not None]
    return sum(known) if known else None


def _find(places: Iterable[tuple[Recording, NDArray[np.int64]]]) -> Places:
    """`places`: recordings, each with the rows in question."""
    count, first = 0, None
    for recording, rows in places:
        count += len(rows)
        if len(rows):
            first = first or place_of_row(recording.path, recording.lines, int(rows[0]))
    return Places(count, first)


def _rate(steps: list[RecordingSteps]) -> RateFacts | None:
    if not steps:
        return None
    rates = [1 / found.median for found in steps]
    relative = np.concatenate([found.seconds / found.median for found in steps])
    low, high = np.percentile(relative, [5, 95])
    return RateFacts(float(np.median(rates)), min(rates), max(rates), float(low), float(high))


def _gaps(recordings: tuple[Recording, ...]) -> GapFacts:
    count, longest, first = 0, 0.0, None
    for recording in recordings:
        gaps = gaps_in(recording.times)
        if recording.times is not None and len(gaps):
            count += len(gaps)
            longest = max(longest, float(np.diff(recording.times)[gaps].max()))
            first = first or place_of_row(recording.path, recording.lines, int(gaps[0]) + 1)
    return GapFacts(count, longest, first)
