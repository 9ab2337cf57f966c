"""Windows inside one recording: where they start, their classes, their rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.recordings.recording import UNLABELLED
from train.splitting.windows import cut_windows, window_labels

ROWS = st.lists(st.integers(UNLABELLED, 2), min_size=1, max_size=40)


def majority(window):
    """The rule in plain Python."""
    best = max(window.count(label) for label in set(window))
    tied = [label for label in set(window) if window.count(label) == best and label != UNLABELLED]
    last = {label: max(k for k, other in enumerate(window) if other == label) for label in tied}
    return max(tied, key=last.get) if tied else UNLABELLED


def pure(window):
    return window[0] if len(set(window)) == 1 else UNLABELLED


RULES = {"majority": majority, "last": lambda window: window[-1], "pure": pure}


@pytest.mark.parametrize("rule", sorted(RULES))
@settings(max_examples=80, deadline=None)
@given(rows=ROWS, window=st.integers(1, 12), hop=st.integers(1, 15))
def test_windows_and_their_classes(rule, rows, window, hop):
    labels = np.array(rows)
    starts, found = window_labels(labels, window, hop, rule)
    assert starts.tolist() == list(range(0, len(rows) - window + 1, hop))
    assert found.tolist() == [RULES[rule](rows[start : start + window]) for start in starts]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "rule", "expected"),
    [
        ([0, 0, 1, 1], "majority", 1),  # as many rows of each: the class that comes last
        ([1, 1, 0, 0], "majority", 0),
        ([0, 1, 1, 0, 2], "majority", 0),
        ([UNLABELLED, UNLABELLED, 1, 1], "majority", 1),  # a class wins against none
        ([1, 1, UNLABELLED, UNLABELLED], "majority", 1),
        ([UNLABELLED, UNLABELLED, UNLABELLED, 1, 1], "majority", UNLABELLED),
        ([1, 1, 1, UNLABELLED], "last", UNLABELLED),
        ([1, 1, 1, UNLABELLED], "pure", UNLABELLED),
        ([2, 2, 2, 2], "pure", 2),
    ],
)
def test_class_of_a_window(labels, rule, expected):
    _, found = window_labels(np.array(labels), len(labels), 1, rule)
    assert found.tolist() == [expected]


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 40), window=st.integers(1, 12), hop=st.integers(1, 15))
def test_windows_hold_the_rows_of_the_recording(rows, window, hop):
    values = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
    starts, _ = window_labels(np.zeros(rows, np.int64), window, hop, "last")
    if len(starts):
        cut = cut_windows(values, starts, window)
        assert cut.shape == (len(starts), window, 3)
        assert cut.dtype == np.float32
        assert cut.flags.c_contiguous
        for k, start in enumerate(starts):
            np.testing.assert_array_equal(cut[k], values[start : start + window])


def test_windows_keep_bytes_as_bytes():
    values = np.arange(20, dtype=np.uint8).reshape(10, 2)
    assert cut_windows(values, np.array([0, 5]), 4).dtype == np.uint8
