"""Missing values and gaps in time: an error, or what `--fill` makes of them.

A gap is a step in time of more than GAP times the recording's median step. `previous`, `linear` and
`zero` put rows into it, so that steps are of about the median again, and give missing values a number;
`split` ends the recording at a gap and leaves rows with missing values out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.draft import Draft

GAP = 1.5
"""Steps of more than this many median steps are gaps: at least one row is missing there."""


def fill_draft(draft: Draft, features: tuple[str, ...], fill: str | None) -> list[Draft]:
    """The recording without missing values and gaps: one, or several with `split`.

    Raises DataError with the line for the first missing value or gap if `fill` is None, for a time that
    does not ascend (`split` ends the recording there), and for what cannot be filled.
    """
    if fill == "split":
        return _split(draft)
    _check_ascending(draft)
    if fill is None:
        _check_complete(draft, features)
        return [draft]
    return [_without_missing(_without_gaps(draft), features, fill)]


def _steps(times: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The steps in time `[rows - 1]`, and the median of those forward."""
    steps = np.diff(times)
    forward = steps[steps > 0]
    return steps, float(np.median(forward)) if len(forward) else 0.0


def _gaps(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows after which there is a gap."""
    steps, median = _steps(times)
    return np.flatnonzero(steps > GAP * median) if len(times) > 2 else np.empty(0, np.int64)


def _check_ascending(draft: Draft) -> None:
    if draft.times is None:
        return
    missing = np.isnan(draft.times)
    if missing.any():
        raise DataError(
            f"{draft.place(int(missing.argmax()))}: has no time. Complete the time column, or remove "
            "the line."
        )
    back = np.diff(draft.times) <= 0
    if back.any():
        row = int(back.argmax()) + 1
        verb = "repeats the time of" if draft.times[row] == draft.times[row - 1] else "is earlier than"
        raise DataError(
            f"{draft.place(row)}: {verb} the row before. Sort the rows by time, pass --recording-column "
            "or pass --fill split to begin a new recording there."
        )


def _check_complete(draft: Draft, features: tuple[str, ...]) -> None:
    missing = np.isnan(draft.values)
    if missing.any():
        row, column = (int(index) for index in np.argwhere(missing)[0])
        raise DataError(
            f"{draft.place(row)}: column '{reason(features[column])}' has no value. Pass --fill "
            "previous, linear, zero or split."
        )
    if draft.times is None:
        return
    gaps = _gaps(draft.times)
    if len(gaps):
        steps, median = _steps(draft.times)
        row = int(gaps[0])
        raise DataError(
            f"{draft.place(row + 1)}: {steps[row]:.4g} s after the row before, where the median step is "
            f"{median:.4g} s. Pass --fill previous, linear, zero or split."
        )


def _without_gaps(draft: Draft) -> Draft:
    """With rows of missing values in its gaps, evenly spaced; their label is that of the row before."""
    if draft.times is None or not len(_gaps(draft.times)):
        return draft
    steps, median = _steps(draft.times)
    counts = np.ones(len(draft.times), np.int64)
    gaps = _gaps(draft.times)
    wanted = np.rint(steps[gaps] / median)
    if wanted.sum() > len(draft.times):
        row = int(gaps[wanted.argmax()])
        raise DataError(
            f"{draft.place(row + 1)}: {steps[row]:.4g} s after the row before, too long a gap: the "
            "recording would consist of filled rows for the most part. Pass --fill split."
        )
    counts[gaps] = wanted.astype(np.int64)
    source = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = draft.values[source]
    values[position > 0] = np.nan
    widths = np.append(steps, 0.0)[source]
    return replace(
        draft,
        values=values,
        codes=draft.codes[source],
        times=draft.times[source] + widths * position / counts[source],
        lines=None if draft.lines is None else draft.lines[source],
    )


def _without_missing(draft: Draft, features: tuple[str, ...], fill: str) -> Draft:
    missing = np.isnan(draft.values)
    if not missing.any():
        return draft
    values = draft.values.copy()
    if fill == "zero":
        values[missing] = 0.0
        return replace(draft, values=values)
    at = np.arange(len(values), dtype=np.float64) if draft.times is None else draft.times
    for column in np.flatnonzero(missing.any(axis=0)):
        known = np.flatnonzero(~missing[:, column])
        if not len(known):
            raise DataError(
                f"{draft.place(0)}: no value in column '{reason(features[column])}' of the whole "
                f"recording, so --fill {fill} has none to fill with. Remove it, or pass --fill zero."
            )
        if fill == "linear":
            values[:, column] = np.interp(at, at[known], draft.values[known, column])
        else:  # before the first value there is none to repeat; the first one stands in
            last = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
            values[:, column] = draft.values[known[last], column]
    return replace(draft, values=values)


def _split(draft: Draft) -> list[Draft]:
    """The parts between rows with missing values, gaps, and times that do not ascend."""
    whole = ~np.isnan(draft.values).any(axis=1)
    ends = np.zeros(len(whole), bool)  # whether a part ends after the row
    if draft.times is not None:
        whole &= ~np.isnan(draft.times)
        steps, median = _steps(draft.times[whole])
        kept = np.flatnonzero(whole)[:-1] if len(steps) else np.empty(0, np.int64)
        ends[kept] = (steps <= 0) | ((steps > GAP * median) & (len(steps) > 1))
    part = np.cumsum(~whole) + np.append(0, np.cumsum(ends)[:-1])
    numbers = np.unique(part[whole])
    if not len(numbers):
        raise DataError(f"{draft.place(0)}: --fill split leaves nothing, as no row is complete.")
    return [_rows(draft, np.flatnonzero(whole & (part == number))) for number in numbers]


def _rows(draft: Draft, rows: NDArray[np.int64]) -> Draft:
    return replace(
        draft,
        values=draft.values[rows],
        codes=draft.codes[rows],
        times=None if draft.times is None else draft.times[rows],
        lines=None if draft.lines is None else draft.lines[rows],
    )
