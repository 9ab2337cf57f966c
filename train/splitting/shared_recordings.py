"""Recordings that share rows: an error between splits, and kept together within one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from train.splitting.overlap import SharedRows, overlap_at, row_hashes, shared_rows
from train.splitting.recording_windows import PlannedWindows, place_in

DIVIDED = -1
"""The split of a recording whose blocks of time are in several ones."""

REMEDIES = ("give recordings that share rows the same group", "move them into one split")
"""What else helps where rows are shared: in a split of ours, and in one that the data set gives."""


def keep_shared_together(
    planned: PlannedWindows, splits: NDArray[np.int64], names: tuple[str, ...], how: str
) -> PlannedWindows:
    """The windows, with recordings that share rows as one source of `origins`.

    `splits` `[N]`: the split of each window, by number, or a negative one where it is in none; `names`:
    what the splits are called; `how`: what they were made by. Raises DataError that names both files
    where recordings of two splits share rows.
    """
    used = splits >= 0
    numbers = np.unique(planned.origins.recordings[used])
    recordings = [planned.data.recordings[number] for number in numbers]
    sides = _sides(planned.origins.recordings[used], splits[used])
    hashes = np.concatenate([row_hashes(item.values) for item in recordings])
    shared = shared_rows(hashes, np.array([len(item.values) for item in recordings]), sides)
    first, second = sides[shared.pairs].T
    leaks = np.flatnonzero((first != second) | (first == DIVIDED))
    if len(leaks):
        leak = _leak(planned, numbers, sides, shared, leaks, names)
        raise DataError(f"{leak} Remove the copies, or {REMEDIES[how == 'given']}.")
    links = np.concatenate([numbers[shared.pairs], _same_source(planned)])
    together = SharedRows(links, links).clusters(len(planned.data.recordings))
    origins = replace(planned.origins, sources=together[planned.origins.recordings])
    return replace(planned, origins=origins)


def _sides(recordings: NDArray[np.int64], splits: NDArray[np.int64]) -> NDArray[np.int64]:
    """The split of each recording that has windows, in order; DIVIDED for one in several splits."""
    _, numbers = np.unique(recordings, return_inverse=True)
    low = np.full(int(numbers.max()) + 1, int(splits.max()), np.int64)
    high = np.full(len(low), DIVIDED, np.int64)
    np.minimum.at(low, numbers, splits)
    np.maximum.at(high, numbers, splits)
    low[low != high] = DIVIDED
    return low


def _same_source(planned: PlannedWindows) -> NDArray[np.int64]:
    """`[pairs, 2]`: recordings next to each other of the same source."""
    sources, recordings = planned.origins.sources, planned.origins.recordings
    order = np.lexsort((recordings, sources))
    same = np.flatnonzero(np.diff(sources[order]) == 0)
    pairs = np.stack([recordings[order[same]], recordings[order[same + 1]]], axis=1)
    found: NDArray[np.int64] = np.unique(pairs, axis=0)
    return found


def _leak(
    planned: PlannedWindows,
    numbers: NDArray[np.int64],
    sides: NDArray[np.int64],
    shared: SharedRows,
    leaks: NDArray[np.int64],
    names: tuple[str, ...],
) -> str:
    """What the first pair of recordings in two splits shares."""
    pair, rows = shared.pairs[leaks[0]], shared.rows[leaks[0]]
    first, second = (planned.data.recordings[number] for number in numbers[pair])
    row, other_row, count = overlap_at(first.values, second.values, rows)
    one, other = ("several splits" if side == DIVIDED else names[side] for side in sides[pair])
    more = f" So do {len(leaks) - 1:,} more pairs of recordings." if len(leaks) > 1 else ""
    told = (
        f"{place_in(first, row)}: {count:,} rows from here on are in {place_in(second, other_row)}, "
        f"too. The first are in {one}, the second in {other}, so the accuracy would be too good."
    )
    return told + more
