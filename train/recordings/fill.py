"""Missing values and gaps in time: an error, or what `--fill` makes of them.

A gap is a step in time of more than GAP times the recording's median step. `previous`, `linear` and
`zero` put rows into it, so that steps are of about the median again, and give missing values a number;
`split` ends the recording at a gap and leaves rows with missing values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.recording import Recording, Recordings
from train.recordings.table import place_of_row
from train.recordings.unified import with_unique_names

GAP = 1.5
"""Steps of more than this many median steps are gaps: at least one row is missing there."""


def fill_recordings(found: Recordings, fill: str | None) -> Recordings:
    """The data set without missing values and gaps.

    Raises DataError with the line of the first one if `fill` is None, for a time that does not ascend
    (`split` ends the recording there), and for what cannot be filled.
    """
    parts = [_filled(recording, found.features, fill) for recording in found.recordings]
    flat = [recording for recordings in parts for recording in recordings]
    return replace(found, recordings=with_unique_names(flat))


def median_step(times: NDArray[np.float64]) -> float:
    """The median of the steps forward in `times` `[rows]`, in seconds; 0 if there are none."""
    steps = np.diff(times)
    forward = steps[steps > 0]
    return float(np.median(forward)) if len(forward) else 0.0


def gaps_in(times: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """The rows after which there is a gap; none in fewer than three rows, whose step nobody knows."""
    if times is None or len(times) < 3:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.diff(times) > GAP * median_step(times))


def _filled(recording: Recording, features: Sequence[str], fill: str | None) -> list[Recording]:
    if fill == "split":
        return _split(recording)
    _check_ascending(recording)
    if fill is None:
        _check_complete(recording, features)
        return [recording]
    return [_without_missing(_without_gaps(recording), features, fill)]


def _place(recording: Recording, row: int) -> str:
    return place_of_row(recording.path, recording.lines, row)


def _check_ascending(recording: Recording) -> None:
    times = recording.times
    if times is None:
        return
    missing = np.isnan(times)
    if missing.any():
        raise DataError(
            f"{_place(recording, int(missing.argmax()))}: no time. Complete the time column, or remove "
            "the line."
        )
    back = np.diff(times) <= 0
    if back.any():
        row = int(back.argmax()) + 1
        wrong = "the same time as" if times[row] == times[row - 1] else "an earlier time than"
        raise DataError(
            f"{_place(recording, row)}: {wrong} in the row before. Sort the rows by time, pass "
            "--recording-column if they belong to several recordings, or pass --fill split."
        )


def _check_complete(recording: Recording, features: Sequence[str]) -> None:
    missing = np.isnan(recording.values)
    if missing.any():
        row, column = (int(index) for index in np.argwhere(missing)[0])
        raise DataError(
            f"{_place(recording, row)}: column '{reason(features[column])}' has no value. Pass --fill "
            "previous, linear, zero or split."
        )
    gaps = gaps_in(recording.times)
    if recording.times is not None and len(gaps):
        row = int(gaps[0])
        step = recording.times[row + 1] - recording.times[row]
        raise DataError(
            f"{_place(recording, row + 1)}: {step:.4g} s after the row before, where the median step is "
            f"{median_step(recording.times):.4g} s. Pass --fill previous, linear, zero or split."
        )


def _without_gaps(recording: Recording) -> Recording:
    """With rows of missing values in its gaps, evenly spaced; their label is that of the row before."""
    times, gaps = recording.times, gaps_in(recording.times)
    if times is None or not len(gaps):
        return recording
    steps = np.diff(times, append=times[-1])
    counts = np.ones(len(times))
    counts[gaps] = np.rint(steps[gaps] / median_step(times))
    if counts.sum() > 2 * len(times):
        row = int(counts.argmax())
        raise DataError(
            f"{_place(recording, row + 1)}: {steps[row]:.4g} s after the row before. With such gaps "
            "more rows would be filled in than were recorded. Pass --fill split."
        )
    whole = counts.astype(np.int64)
    source = np.repeat(np.arange(len(times)), whole)
    position = np.arange(len(source)) - np.repeat(np.cumsum(whole) - whole, whole)
    values = recording.values[source].astype(np.float32)
    values[position > 0] = np.nan
    return replace(
        _rows(recording, source),
        values=values,
        times=times[source] + steps[source] * position / whole[source],
    )


def _without_missing(recording: Recording, features: Sequence[str], fill: str) -> Recording:
    missing = np.isnan(recording.values)
    if not missing.any():
        return recording
    if fill == "zero":
        return replace(recording, values=np.where(missing, np.float32(0), recording.values))
    times = recording.times
    at = np.arange(len(missing), dtype=np.float64) if times is None else times
    values = recording.values.copy()
    for column in np.flatnonzero(missing.any(axis=0)):
        known = np.flatnonzero(~missing[:, column])
        if not len(known):
            raise DataError(
                f"{_place(recording, 0)}: no value of '{reason(features[column])}' in the whole "
                f"recording, so --fill {fill} has none to go by. Remove the recording, or pass "
                "--fill zero."
            )
        if fill == "linear":
            values[:, column] = np.interp(at, at[known], recording.values[known, column])
        else:  # before the first value there is none to repeat; the first one stands in
            last = np.maximum(np.searchsorted(known, np.arange(len(at)), side="right") - 1, 0)
            values[:, column] = recording.values[known[last], column]
    return replace(recording, values=values)


def _split(recording: Recording) -> list[Recording]:
    """The parts between rows with missing values, gaps, and times that do not ascend."""
    times = recording.times
    whole = ~np.isnan(recording.values).any(axis=1)
    if times is not None:
        whole &= ~np.isnan(times)
    kept = np.flatnonzero(whole)
    if not len(kept):
        raise DataError(f"{_place(recording, 0)}: --fill split leaves nothing, as no row is complete.")
    ends = np.diff(kept) > 1
    if times is not None:
        ends |= np.diff(times[kept]) <= 0
        ends[gaps_in(times[kept])] = True
    return [_rows(recording, rows) for rows in np.split(kept, np.flatnonzero(ends) + 1)]


def _rows(recording: Recording, rows: NDArray[np.int64]) -> Recording:
    return replace(
        recording,
        values=recording.values[rows],
        labels=recording.labels[rows],
        times=None if recording.times is None else recording.times[rows],
        lines=None if recording.lines is None else recording.lines[rows],
    )
