"""Cuts windows from a recording and gives each of them a class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.recordings.recording import UNLABELLED, Recording


class CutWindows(NamedTuple):
    """The windows of one recording, and what was left out."""

    windows: NDArray[Any]
    """`[N, window, features]` in the dtype of the recording."""
    labels: NDArray[np.int64]
    """`[N]` class indices."""
    starts: NDArray[np.int64]
    """`[N]`: the first row of each window."""
    left_out: int
    """How many more windows there would be if all rows had a label, or with `pure`, the same one."""


def cut_windows(recording: Recording, window: int, hop: int, rule: str) -> CutWindows:
    """The windows of `window` rows that start every `hop` rows and lie in `recording` as a whole.

    `rule`: what gives a window its class, one of LABEL_RULES (`window_labels`). Windows without a class
    are left out. A recording with fewer than `window` rows has none.
    """
    starts, labels = window_labels(recording.labels, window, hop, rule)
    labelled = labels != UNLABELLED
    kept = starts[labelled]
    if len(recording.values) < window:
        empty = np.empty((0, window, recording.values.shape[1]), recording.values.dtype)
        return CutWindows(empty, labels, starts, 0)
    views = np.lib.stride_tricks.sliding_window_view(recording.values, window, axis=0)
    windows = np.ascontiguousarray(views[kept].transpose(0, 2, 1))
    return CutWindows(windows, labels[labelled], kept, len(starts) - len(kept))


def window_labels(
    labels: NDArray[np.int64], window: int, hop: int, rule: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first rows of the windows and their classes, `[N]` each, from the classes of `rows`, `[rows]`.

    - `majority`: the class of most rows. Of classes with equally many rows, the one whose last row comes
      last. A window has no class (UNLABELLED) where more rows have none than have any one class.
    - `last`: the class of the last row, if it has one.
    - `pure`: the class of all rows. Where they differ, or one has none, the window has none.
    """
    starts = np.arange(0, len(labels) - window + 1, hop, dtype=np.int64)
    if len(starts) == 0:
        return starts, starts
    lasts = labels[starts + window - 1]
    if rule == "last":
        return starts, lasts
    if rule == "pure":
        changes = np.concatenate([[0], np.cumsum(labels[1:] != labels[:-1])])
        return starts, np.where(changes[starts + window - 1] == changes[starts], lasts, UNLABELLED)
    return starts, _majority(labels, starts, window)


def _majority(
    labels: NDArray[np.int64], starts: NDArray[np.int64], window: int
) -> NDArray[np.int64]:
    """The class of most rows of each window. One pass for each class keeps the memory of long ones low."""
    ends = starts + window - 1
    places = np.arange(len(labels))
    best = np.full(len(starts), -1, np.int64)
    chosen = np.full(len(starts), UNLABELLED, np.int64)
    for label in np.unique(labels):
        equal = labels == label
        counts = np.concatenate([[0], np.cumsum(equal)])
        rows = counts[ends + 1] - counts[starts]
        # The number of rows decides, then the place of the last one in the window, from 1.
        last = np.maximum.accumulate(np.where(equal, places, -1))[ends] - starts + 1
        score = np.where(rows > 0, rows * (window + 1) + last * (label != UNLABELLED), -1)
        better = score > best
        best[better], chosen[better] = score[better], label
    return chosen
