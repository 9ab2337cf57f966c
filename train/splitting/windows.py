"""Windows inside one recording: where they start, their classes, their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.recordings.recording import UNLABELLED


def window_labels(
    labels: NDArray[np.int64], window: int, hop: int, rule: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first rows of the windows of a recording and their classes, `[N]` each.

    The windows have `window` rows, start every `hop` rows, and lie in the recording as a whole. `labels`
    `[rows]`: the class of each row, or UNLABELLED. `rule`, one of LABEL_RULES, gives a window its class:

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


def _majority(labels: NDArray[np.int64], starts: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """The class of most rows of each window. One pass for each class keeps the memory of long ones
    low."""
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


def cut_windows(values: NDArray[Any], starts: NDArray[np.int64], window: int) -> NDArray[Any]:
    """`[N, window, features]`: copies of the windows of `values` `[rows, features]` that start at the
    rows `starts` `[N]`."""
    views = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    return np.ascontiguousarray(views[starts].transpose(0, 2, 1))
