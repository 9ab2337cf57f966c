"""Near ties: windows whose class changed although the full model itself hardly prefers one class.

Quantization moves every logit a little. Where the full model's own preference is smaller than that, the
file's other class says nothing about the file: another calibration would tip the window back. Such
windows are counted apart in the proof. What may count as one is limited twice, so that a file that is
wrong cannot excuse itself by being wrong by much:

- by the error that the file *usually* makes: the median over all windows of the largest logit error;
- by the full model's own decisions: NEAR_TIE_PART of its median margin. A file that is off everywhere
  thus gets no larger allowance, and fewer than half of the windows can ever be near ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAR_TIE_PART = 0.05
"""Largest margin of a near tie, as a part of the full model's median margin."""


def near_ties(full: NDArray[np.float32], logits: NDArray[np.float32]) -> tuple[NDArray[np.bool_], float]:
    """For each window whether it is a near tie, `[N]`, and the margin that a near tie stays below.

    `full`, `logits`: the full model's logits and the file's, `[N, classes]`, of at least two classes. A
    near tie is a window of another class, where the full model's largest logit is ahead of its logit of
    the file's class by less than the margin. Logits that are not finite have none.
    """
    margins = full.max(axis=1) - np.partition(full, -2, axis=1)[:, -2].astype(np.float64)
    errors = np.abs(logits.astype(np.float64) - full).max(axis=1)
    margin = float(np.minimum(np.median(errors), NEAR_TIE_PART * np.median(margins)))
    if not np.isfinite(margin):
        return np.zeros(len(full), np.bool_), 0.0
    chosen = logits.argmax(axis=1)
    behind = full.max(axis=1) - full[np.arange(len(full)), chosen].astype(np.float64)
    return (chosen != full.argmax(axis=1)) & (behind < margin), margin
