"""Rows that two recordings share: copies are found, and idle, coarse and periodic signals are none."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.signals import DIFFERENT, ROWS, smooth, steps_of
from train.splitting.overlap import overlap_at, row_hashes, shared_rows

RECORDINGS = 40


def shared(recordings, sides=None):
    hashes = np.concatenate([row_hashes(values) for values in recordings])
    lengths = np.array([len(values) for values in recordings])
    return shared_rows(hashes, lengths, np.arange(len(recordings)) % 2 if sides is None else sides)


@pytest.mark.parametrize("kind", sorted(DIFFERENT))
def test_different_recordings_share_nothing(kind):
    rng = np.random.default_rng(0)
    assert len(shared([DIFFERENT[kind](rng) for _ in range(RECORDINGS)]).pairs) == 0


@pytest.mark.parametrize("features", [1, 3])
def test_short_recordings_of_coarse_values_share_nothing(features):
    rng = np.random.default_rng(0)
    found = shared([steps_of(smooth(rng, 64, features), 1) for _ in range(400)])
    assert len(found.pairs) == 0


@pytest.mark.parametrize(
    ("features", "step", "rows"), [(3, 1e-6, 16), (3, 1, 16), (3, 4, 40), (1, 1, 40), (1, 4, 90)]
)
def test_a_copied_stretch_is_found(features, step, rows):
    """Coarse values need longer stretches."""
    rng = np.random.default_rng(0)
    recordings = [steps_of(smooth(rng, ROWS, features), step) for _ in range(10)]
    recordings[7][200 : 200 + rows] = recordings[2][900 : 900 + rows]
    found = shared(recordings)
    assert [sorted(pair) for pair in found.pairs.tolist()] == [[2, 7]]
    places = dict(zip(found.pairs[0].tolist(), found.rows[0].tolist()))
    first, second, count = overlap_at(recordings[2], recordings[7], np.array([places[2], places[7]]))
    assert 900 - first == 200 - second >= 0  # coarse rows around the copy can be equal by chance
    assert first + count >= 900 + rows


def test_a_copy_between_idle_stretches_is_found():
    rng = np.random.default_rng(0)
    recordings = [np.zeros((600, 2), np.float32) for _ in range(6)]
    for values in recordings:
        values[300:330] = rng.normal(size=(30, 2))
    recordings[4][100:130] = recordings[1][300:330]
    assert [sorted(pair) for pair in shared(recordings).pairs.tolist()] == [[1, 4]]


@pytest.mark.parametrize("hop", [1, 8, 32, 48])
def test_windows_cut_with_overlap_are_one_chain(hop):
    """However often a row is copied."""
    values = np.float32(smooth(np.random.default_rng(0), 2000, 2))
    windows = [values[start : start + 64] for start in range(0, 2000 - 64, hop)]
    clusters = shared(windows).clusters(len(windows))
    assert set(clusters) == {0}


def test_pairs_reach_across_sides():
    """Of many equal recordings, a pair with one of each side is named."""
    values = np.float32(smooth(np.random.default_rng(0), 100, 2))
    sides = np.array([0, 0, 1, 0, 1])
    found = shared([values] * 5, sides)
    assert (sides[found.pairs[:, 0]] != sides[found.pairs[:, 1]]).any()
    assert set(found.clusters(5)) == {0}


def test_minus_zero_is_zero_and_nothing_is_shared_by_nobody():
    np.testing.assert_array_equal(*(row_hashes(np.float32([[zero, 1]])) for zero in (0.0, -0.0)))
    assert row_hashes(np.float32([[1, 2]])) != row_hashes(np.float32([[2, 1]]))
    assert len(shared([np.zeros((1, 1), np.float32), np.zeros((0, 1), np.float32)]).pairs) == 0
