"""Which windows of another class the proof leaves out, and that a broken file cannot use that."""

from __future__ import annotations

import numpy as np
import pytest

from convert.proof.near_ties import NEAR_TIE_PART, near_ties
from edge_runtime.model_file.parity_figures import EngineParity, ParityBudget

FULL = np.array([[5, 0, 0]] * 24 + [[0, 4, 1]] * 2 + [[2.0, 2.01, 0]], np.float32)
"""27 windows; the full model hardly prefers class 1 to class 0 in the last one."""


def noise(size: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, FULL.shape).astype(np.float32)


def verdict(full: np.ndarray, logits: np.ndarray, budget: float = 0.995) -> str:
    ties, margin = near_ties(full, logits)
    agreement = float((full.argmax(axis=1) == logits.argmax(axis=1)).mean())
    largest = float(np.abs(full - logits).max())
    ties = int(ties.sum())
    result = EngineParity("native", "1", True, None, None, agreement, largest, 0.0, near_ties=ties)
    assert ties == 0 or margin > 0
    return result.verdict(ParityBudget(budget), len(full))


def test_a_flip_within_the_usual_error_is_a_near_tie():
    logits = FULL + noise(0.02)
    logits[-1] = [2.015, 2.0, 0]
    ties, margin = near_ties(FULL, logits)
    assert list(np.flatnonzero(ties)) == [len(FULL) - 1]
    assert 0.01 < margin < 0.1
    assert verdict(FULL, logits) == "not refuted"


def test_a_flip_beyond_the_usual_error_counts():
    logits = FULL + noise(0.001)
    logits[-1] = [2.015, 2.0, 0]
    assert not near_ties(FULL, logits)[0].any()


def test_a_large_error_excuses_only_what_the_full_model_leaves_open():
    logits = FULL + noise(3.0)
    _, margin = near_ties(FULL, logits)
    assert margin == pytest.approx(NEAR_TIE_PART * 5)
    assert verdict(FULL, logits) == "refuted"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("windows", [27, 200, 10_000])
def test_a_file_at_chance_is_refuted(scale, windows):
    rng = np.random.default_rng(windows)
    full = (scale * rng.normal(0, 1, (windows, 3))).astype(np.float32)
    for size in (0.1, 1.0, 1e3):
        logits = (scale * size * rng.normal(0, 1, full.shape)).astype(np.float32)
        assert verdict(full, logits) == "refuted"


def test_a_file_that_always_gives_one_class_is_refuted():
    rng = np.random.default_rng(0)
    full = rng.normal(0, 1, (27, 4)).astype(np.float32)
    assert verdict(full, np.tile(np.float32([9, 0, 0, 0]), (27, 1))) == "refuted"


def test_logits_without_any_preference_have_no_near_ties():
    ties, margin = near_ties(np.zeros((9, 3), np.float32), np.eye(9, 3, 1, np.float32))
    assert (ties.any(), margin) == (False, 0.0)


def test_logits_that_are_no_numbers_have_no_near_ties():
    ties, margin = near_ties(FULL, np.full_like(FULL, np.nan))
    assert (ties.any(), margin) == (False, 0.0)
