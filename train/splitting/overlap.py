"""Finds stretches of rows that two recordings share: copies, and files cut with overlap from one
recording.

A single equal row proves nothing. Rows of an idle sensor are all alike, and coarse values meet by
chance. So a stretch counts as shared where it is too improbable to occur twice by chance:

1. Each row gets its surprise in bits: how improbable it is after the rows before it, as counted in all
   recordings. With c the number of places where the row follows its context, n that of the context and p
   the frequency of the row, one place left out and the frequency mixed in with weight PRIOR (as in
   Cleary and Witten 1984), it is -log2((c - 1 + PRIOR p) / (n - 1 + PRIOR)), between 0 and log2(PRIOR).
   There are two contexts: the row before, and the run of equal rows before with the row before that run,
   which knows how long coarse values last and whether they rise. The smaller surprise counts. So
   constant stretches have 0 bits, however long they are, and no row has more than log2(PRIOR).
2. Places where the GRAM rows up to here are the same in several recordings count as those of one
   recording: copies must not make themselves look common.
3. From each row on, the shortest stretch is taken that has log2(N^2) + MARGIN bits, N being the number
   of rows: N^2 pairs of places could agree by chance. Such stretches are compared by a hash.
4. A stretch that occurs twice in its own recording is a pattern of the signal, such as the period of a
   machine without noise, and does not count.

In a hundred thousand rows of sensors with noise that is a stretch of 15 equal rows; in ten million, 18.
What it cannot tell apart is a signal without noise in coarse steps: two such recordings can be equal by
chance for longer than this model of them says, and fewer rows with little in them can be a true copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIOR = 16.0
"""Weight of a row's overall frequency beside what followed the row before it."""

MARGIN = 20.0
"""Bits beyond those that exclude a chance: one false alarm in a million data sets."""

GRAM = 24
"""Rows that make a place, at most: two places with the same rows are copies of each other, or chance. In
short recordings, a quarter of their length."""

THINNEST = 8
"""Most rows of a stretch for each bit that it needs. In a longer one hardly anything happens."""

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


def shared_rows(
    hashes: NDArray[np.uint64], lengths: NDArray[np.int64], sides: NDArray[np.int64]
) -> SharedRows:
    """The pairs of recordings that share a stretch of rows.

    `hashes`: `row_hashes` of all recordings, one after the other; `lengths` `[recordings]`: their rows;
    `sides` `[recordings]`: the split of each. Where recordings of two sides share a stretch, a pair with
    one recording of each side is among the pairs.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = _Rows(_numbered(hashes), owners, offsets[:-1], offsets[1:])
    starts, keys = _stretches(rows)
    kept = _in_two_recordings(keys, owners[starts])
    starts, keys = starts[kept], keys[kept]
    held = owners[starts]
    order = np.lexsort((held, sides[held], keys))
    starts, keys, held = starts[order], keys[order], held[order]
    meets = np.flatnonzero((keys[1:] == keys[:-1]) & (held[1:] != held[:-1]))
    pairs = np.stack([held[meets], held[meets + 1]], axis=1)
    places = np.stack([starts[meets], starts[meets + 1]], axis=1) - offsets[pairs]
    _, first = np.unique(pairs[:, 0] * len(lengths) + pairs[:, 1], return_index=True)
    return SharedRows(pairs[first], places[first])


def overlap_at(
    first: NDArray[Any], second: NDArray[Any], rows: NDArray[np.int64]
) -> tuple[int, int, int]:
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


def row_hashes(values: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of 64 bits for each row of `[rows, features]`. In ten million rows two different ones have
    the same with a probability of 3e-6."""
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


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of all recordings, one after the other."""

    ids: NDArray[np.int64]
    """Equal numbers for equal rows, from 0 without a gap."""
    owners: NDArray[np.int64]
    """The recording of each row."""
    firsts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """`[recordings]`: the first row, and the row behind the last."""


def _stretches(rows: _Rows) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The first rows of the shortest stretches with enough surprise, and a hash of each stretch.

    The sum leaves out the first row of a stretch, since the row before it is not part of the stretch.
    """
    count = len(rows.ids)
    needed = int(SCALE * (2 * np.log2(max(2, count)) + MARGIN))
    stretch_hashes = _StretchHashes(rows.ids)
    sums = np.cumsum(_surprise(rows, stretch_hashes))
    ends = np.searchsorted(sums, sums + needed) + 1  # behind the last row
    starts = np.flatnonzero(ends <= rows.ends[rows.owners])
    starts = starts[ends[starts] - starts <= THINNEST * needed // SCALE]
    ends = ends[starts]
    return starts, _mixed(stretch_hashes(starts, ends) + (ends - starts).astype(np.uint64))


class _StretchHashes:
    """Hashes of stretches of rows: the sum of row k times ODD**k, moved to the power 0 by the inverse of
    ODD**start, modulo 2**64."""

    def __init__(self, ids: NDArray[np.int64]) -> None:
        terms = _mixed(ids.view(np.uint64)) * _powers(ODD, len(ids))
        self._totals = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
        self._inverse = _powers(np.uint64(pow(int(ODD), -1, 2**64)), len(ids))

    def __call__(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The hashes of the rows from `starts` to before `ends`."""
        hashes: NDArray[np.uint64] = (self._totals[ends] - self._totals[starts]) * self._inverse[starts]
        return hashes


def _powers(base: np.uint64, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base)
    factors[:1] = 1
    powers: NDArray[np.uint64] = np.cumprod(factors, dtype=np.uint64)
    return powers


def _surprise(rows: _Rows, stretch_hashes: _StretchHashes) -> NDArray[np.int64]:
    """`[rows]`: the bits of each row, times SCALE, in the context that makes it the least surprising; 0
    for the first row of a recording."""
    begins = np.zeros(len(rows.ids), bool)
    begins[rows.firsts[rows.firsts < rows.ends]] = True
    weights = _weights(rows, stretch_hashes)
    frequency = PRIOR * np.bincount(rows.ids, weights)[rows.ids] / max(1.0, weights.sum())
    bits = np.full(len(rows.ids), np.log2(PRIOR))
    for contexts in (rows.ids, _runs(rows.ids, begins)):
        np.minimum(bits, _bits_after(contexts, rows.ids, begins, weights, frequency), out=bits)
    scaled: NDArray[np.int64] = np.rint(np.maximum(bits, 0) * SCALE).astype(np.int64)
    return scaled


def _weights(rows: _Rows, stretch_hashes: _StretchHashes) -> NDArray[np.float64]:
    """`[rows]`: what a place counts: the places with the same GRAM rows up to here in all recordings
    count as much as those in the one recording that has most of them. Places with fewer rows before
    count 0."""
    ends = np.arange(1, len(rows.ids) + 1)
    gram = min(GRAM, max(1, int((rows.ends - rows.firsts).max()) // 4))
    places = np.flatnonzero(ends - gram >= rows.firsts[rows.owners])
    weights = np.zeros(len(rows.ids))
    if len(places):
        hashes = stretch_hashes(ends[places] - gram, ends[places])
        everywhere = _numbered(hashes)
        own = _numbered(_mixed(hashes) + rows.owners[places].view(np.uint64))
        own_counts = np.bincount(own)[own]
        most = np.zeros(int(everywhere.max()) + 1, np.int64)
        np.maximum.at(most, everywhere, own_counts)
        weights[places] = (most / np.bincount(everywhere))[everywhere]
    return weights


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
    weights: NDArray[np.float64],
    frequency: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`[rows]`: the bits of each row after the context of the row before; 0 where a recording begins."""
    follows = np.flatnonzero(~begins)
    before, counted = contexts[follows - 1], weights[follows]
    seen = np.bincount(before, counted, minlength=1)[before]
    pairs = _numbered(_mixed(before.view(np.uint64)) + ids[follows].view(np.uint64))
    together = np.bincount(pairs, counted, minlength=1)[pairs]
    bits = np.zeros(len(ids))
    others = np.maximum(together - 1, 0) + frequency[follows]
    bits[follows] = -np.log2(np.maximum(others, 1e-9) / (np.maximum(seen - 1, 0) + PRIOR))
    return bits


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
