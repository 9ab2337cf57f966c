"""What must not be divided between training and test: groups, recordings, or blocks of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.dataset import WindowOrigins
from train.splitting.stratified_units import class_counts

MOST_BLOCKS = 20
"""The number of blocks of time that a long recording is divided into."""

SHORTEST_BLOCK = 3
"""The length of a block in windows: one window is left of it with a gap of one window on either side."""


class SplitUnits(NamedTuple):
    """Units that stay whole, window by window."""

    units: NDArray[np.int64]
    """`[N]`: the unit of each window, from 0."""
    blocks: NDArray[np.int64]
    """`[N]`: the block of time in its recording, from 0; -1 where the whole recording is in the unit."""
    how: str
    """`recording`, `time`, or `recording and time`."""


def block_rows(rows: int, window: int) -> int:
    """The rows of each block of time in a recording of `rows` rows. The last block may be shorter."""
    blocks = min(MOST_BLOCKS, max(1, rows // (SHORTEST_BLOCK * window)))
    return -(-rows // blocks)


def recording_units(origins: WindowOrigins, y: NDArray[np.int64], window: int) -> SplitUnits:
    """A unit for each recording, and for each block of time in a recording that alone has some class.

    Without the blocks, no window of that class could be both trained and tested. `y` `[N]`: the classes.
    """
    _, sources = np.unique(origins.sources, return_inverse=True)
    counts = class_counts(sources, y)
    alone = (counts > 0).sum(axis=0) == 1
    divided = (counts[:, alone] > 0).any(axis=1)[sources]
    blocks = np.full(len(y), -1, np.int64)
    for recording in np.unique(origins.recordings[divided]):
        members = origins.recordings == recording
        starts = origins.starts[members]
        blocks[members] = starts // block_rows(int(starts.max()) + window, window)
    _, parts = np.unique(origins.recordings, return_inverse=True)
    whole = np.stack([sources, np.where(divided, parts, -1), blocks])
    _, units = np.unique(whole, axis=1, return_inverse=True)
    how = "time" if divided.all() else "recording and time" if divided.any() else "recording"
    return SplitUnits(units.reshape(-1).astype(np.int64), blocks, how)


def group_units(groups: NDArray[np.str_], origins: WindowOrigins | None) -> SplitUnits:
    """A unit for each group; one for several groups whose recordings share rows."""
    _, units = np.unique(groups, return_inverse=True)
    if origins is not None:
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        count = int(units.max()) + 1
        size = count + int(origins.sources.max()) + 1  # groups and sources are the nodes of a graph
        links = np.unique(np.stack([units, count + origins.sources]), axis=1)
        graph = coo_matrix((np.ones(links.shape[1], np.int8), tuple(links)), shape=(size, size))
        units = connected_components(graph, directed=False)[1][units]
        _, units = np.unique(units, return_inverse=True)
    return SplitUnits(units.astype(np.int64), np.full(len(units), -1, np.int64), "group")


def clear_of(origins: WindowOrigins, held: NDArray[np.bool_], window: int) -> NDArray[np.bool_]:
    """`[N]`: whether a window is at least one window away from all windows of its recording that are
    `held` `[N]`, so that it shares no row with them and does not follow on them."""
    clear = ~held
    both = np.intersect1d(origins.recordings[held], origins.recordings[~held])
    for recording in both:
        members = np.flatnonzero((origins.recordings == recording) & ~held)
        others = np.sort(origins.starts[held & (origins.recordings == recording)])
        starts = origins.starts[members]
        after = np.searchsorted(others, starts)
        ahead = others[np.minimum(after, len(others) - 1)] - starts
        behind = starts - others[np.maximum(after - 1, 0)]
        near = np.minimum(np.abs(ahead), np.abs(behind))
        clear[members] = near >= 2 * window
    return clear
