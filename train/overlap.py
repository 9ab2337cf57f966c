"""Finds stretches of rows that two recordings share: copies, and files cut with overlap from one recording.

A single equal row proves nothing. Rows of an idle sensor are all alike, and coarse values meet by chance.
So a stretch counts as shared where it is too improbable to occur twice by chance:

1. Each row gets its surprise in bits: how improbable it is after the row before it, as counted in all
   recordings. With c the number of places of a pair of rows, n that of its first row and p the frequency
   of its second one, one place left out and the frequency mixed in with weight PRIOR (Cleary and Witten
   1984), it is -log2((c - 1 + PRIOR p) / (n - 1 + PRIOR)), and at most log2(PRIOR). A row that always
   follows the row before has 0 bits, so constant stretches never count, however long they are. A row that
   occurs once counts no more than log2(PRIOR) bits, since little is known about it.
2. From each row on, the shortest stretch is taken that has log2(N^2) + MARGIN bits, N being the number of
   rows: N^2 pairs of places could agree by chance. Such stretches are compared by a hash.
3. A stretch that occurs twice in its own recording is a pattern of the signal, such as the period of a
   machine without noise, and does not count.

In a hundred thousand rows of sensors with noise that is a stretch of 14 equal rows; in ten million, 17.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIOR = 16.0
"""Weight of a row's overall frequency beside what followed the row before it."""

MARGIN = 20.0
"""Bits beyond those that exclude a chance: one false alarm in a million data sets."""

SCALE = 256
"""Surprise is added up in whole numbers of 1 / SCALE bits, so that equal stretches have equal sums."""

ODD = np.uint64(0x9E3779B97F4A7C15)
"""The odd constant of SplitMix64 (Steele et al. 2014)."""


@dataclass(frozen=True)
class Overlap:
    """Rows that stand in two recordings."""

    first: int
    second: int
    """The recordings, by their positions in the list; `first` is the smaller one on its side."""
    first_row: int
    second_row: int
    """Where the shared rows begin, from 0."""
    rows: int
    """How many rows in sequence are equal."""


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Which recordings share stretches of rows."""

    pairs: NDArray[np.int64]
    """`[pairs, 2]`: recordings that share a stretch. They connect all recordings that share it, but
    not every two of them make a pair."""
    rows: NDArray[np.int64]
    """`[pairs, 2]`: where the stretches begin in the recordings."""

    def clusters(self, count: int) -> NDArray[np.int64]:
        """`[count]`: a number for each of `count` recordings, equal where a chain of pairs connects."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        ones = np.ones(len(self.pairs), np.int8)
        graph = coo_matrix((ones, (self.pairs[:, 0], self.pairs[:, 1])), shape=(count, count))
        numbers: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
        return numbers


def shared_rows(recordings: Sequence[NDArray[Any]], sides: NDArray[np.int64]) -> SharedRows:
    """The pairs of `recordings`, each `[rows, features]`, that share a stretch of rows.

    `sides` `[recordings]`: the split of each. Where recordings of two sides share a stretch, a pair with
    one recording of each side is among the pairs.
    """
    lengths = np.array([len(values) for values in recordings], np.int64)
    owners = np.repeat(np.arange(len(recordings)), lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = row_ids(recordings)
    starts, keys = _stretches(ids, owners, offsets)
    kept = _in_two_recordings(keys, owners[starts])
    starts, keys = starts[kept], keys[kept]
    held = owners[starts]
    order = np.lexsort((held, sides[held], keys))
    starts, keys, held = starts[order], keys[order], held[order]
    meets = np.flatnonzero((keys[1:] == keys[:-1]) & (held[1:] != held[:-1]))
    pairs = np.stack([held[meets], held[meets + 1]], axis=1)
    rows = np.stack([starts[meets], starts[meets + 1]], axis=1) - offsets[pairs]
    _, first = np.unique(pairs[:, 0] * len(recordings) + pairs[:, 1], return_index=True)
    return SharedRows(pairs[first], rows[first])


def overlap_at(first: NDArray[Any], second: NDArray[Any], rows: NDArray[np.int64]) -> tuple[int, int, int]:
    """The whole stretch around the equal rows at `rows` `[2]`: its beginnings and its number of rows."""
    a, b = int(rows[0]), int(rows[1])
    before = min(a, b)
    equal = _equal_rows(first[a - before : a], second[b - before : b])[::-1]
    back = int(equal.argmin()) if not equal.all() else before
    after = min(len(first) - a, len(second) - b)
    equal = _equal_rows(first[a : a + after], second[b : b + after])
    ahead = int(equal.argmin()) if not equal.all() else after
    return a - back, b - back, back + ahead


def _equal_rows(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = (first == second).all(axis=1)
    return equal


def row_ids(recordings: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """`[rows of all recordings]`: equal numbers for equal rows, from 0 without a gap. By a hash of 64 bits:
    in ten million rows two different ones get one number with a probability of 3e-6."""
    hashes = np.concatenate([_row_hashes(values) for values in recordings])
    return _numbered(hashes)


def _row_hashes(values: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of each row of `[rows, features]`."""
    if values.dtype == np.float32:
        bits = np.ascontiguousarray(values + np.float32(0)).view(np.uint32)  # -0 becomes 0
    else:
        bits = values
    hashes = np.zeros(len(values), np.uint64)
    for column in range(values.shape[1]):
        hashes = _mixed(hashes + bits[:, column].astype(np.uint64))
    return hashes


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of SplitMix64 for each value, which spreads every bit over all others."""
    mixed = values + ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _numbered(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The values as numbers from 0, equal where they are equal."""
    order = np.argsort(values)
    ordered = values[order]
    steps = np.concatenate([[False], ordered[1:] != ordered[:-1]])
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.cumsum(steps)
    return numbers


def _surprise(ids: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[rows]`: the bits of each row, times SCALE, in the context that makes it the least surprising; 0 for
    the first row of a recording."""
    firsts = offsets[:-1][np.diff(offsets) > 0]
    begins = np.zeros(len(ids), bool)
    begins[firsts] = True
    frequency = PRIOR * np.bincount(ids)[ids] / len(ids)
    bits = np.full(len(ids), np.log2(PRIOR))
    for contexts in (ids, _runs(ids, begins)):
        np.minimum(bits, _bits_after(contexts, ids, begins, frequency), out=bits)
    return np.rint(np.maximum(bits, 0) * SCALE).astype(np.int64)


def _runs(ids: NDArray[np.int64], begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`[rows]`: a number for the row, how many rows before are equal to it, and the row before those."""
    changes = begins.copy()
    changes[1:] |= ids[1:] != ids[:-1]
    places = np.arange(len(ids))
    run_starts = np.maximum.accumulate(np.where(changes, places, 0))
    before = np.where(begins[run_starts], -1, ids[run_starts - 1])
    hashes = _mixed(_mixed(before.view(np.uint64)) + ids.view(np.uint64))
    return _numbered(_mixed(hashes + (places - run_starts).view(np.uint64)))


def _bits_after(
    contexts: NDArray[np.int64],
    ids: NDArray[np.int64],
    begins: NDArray[np.bool_],
    frequency: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`[rows]`: the bits of each row after the context of the row before; 0 where a recording begins."""
    follows = np.flatnonzero(~begins)
    before = contexts[follows - 1]
    seen = np.bincount(before, minlength=1)[before]
    pairs = _numbered(_mixed(before.view(np.uint64)) + ids[follows].view(np.uint64))
    together = np.bincount(pairs, minlength=1)[pairs]
    bits = np.zeros(len(ids))
    bits[follows] = -np.log2((together - 1 + frequency[follows]) / (seen - 1 + PRIOR))
    return bits


def _stretches(
    ids: NDArray[np.int64], owners: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The first rows of the shortest stretches with enough surprise, and a hash of each stretch.

    The sum leaves out the first row of a stretch, since the row before it is not part of the stretch.
    """
    needed = int(SCALE * (2 * np.log2(max(2, len(ids))) + MARGIN))
    sums = np.cumsum(_surprise(ids, offsets))
    ends = np.searchsorted(sums, sums + needed) + 1  # behind the last row
    starts = np.flatnonzero(ends <= offsets[1:][owners])
    ends = ends[starts]
    # The sum of row k times ODD**k, moved to the power 0 by the inverse of ODD**start, modulo 2**64.
    powers = _powers(ODD, len(ids) + 1)
    inverse = _powers(np.uint64(pow(int(ODD), -1, 2**64)), len(ids))
    totals = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(ids.view(np.uint64)) * powers[:-1])])
    hashes = (totals[ends] - totals[starts]) * inverse[starts]
    return starts, _mixed(hashes + (ends - starts).astype(np.uint64))


def _powers(base: np.uint64, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base)
    factors[0] = 1
    powers: NDArray[np.uint64] = np.cumprod(factors, dtype=np.uint64)
    return powers


def _in_two_recordings(keys: NDArray[np.uint64], owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the keys that occur in several recordings and at most once in their own."""
    order = np.argsort(keys, kind="stable")  # owners ascend among equal keys
    keys, owners = keys[order], owners[order]
    equal = keys[1:] == keys[:-1]
    near, same = np.zeros((2, len(keys)), bool)
    near[1:] |= equal
    near[:-1] |= equal
    twice = equal & (owners[1:] == owners[:-1])
    same[1:] |= twice
    same[:-1] |= twice
    return np.sort(order[near & ~same])
