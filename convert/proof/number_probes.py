"""Chooses the probe windows of a file that gives numbers; `choose_probes` says how far they may be off.

Candidates are windows over the range of each output: the smallest and the largest, the median and the
quartiles. A candidate qualifies if every engine is within a third of the tolerance on it, so that a good
file stays within it on another CPU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.proof.output_errors import output_spreads
from convert.source_model.source_model import SourceModel
from edge_runtime.model_file.metadata import CLASSIFICATION

QUANTILES = (1.0, 0.0, 0.5, 0.25, 0.75)
MOST_OUTPUTS = 10
"""Outputs whose range gives candidates; of more outputs this many, evenly spaced."""
MOST_NUMBER_PROBES = 8


def recorded_spreads(source: SourceModel) -> tuple[float, ...]:
    """The standard deviations in which a probe's differences are told; empty for a classifier."""
    if source.task == CLASSIFICATION:
        return ()
    return tuple(float(f"{spread:.6g}") for spread in output_spreads(source.logits, source.task))


def number_candidates(outputs: NDArray[np.float32]) -> list[int]:
    """The positions of windows whose `outputs` `[N, outputs]` cover the range, without repetitions."""
    count, width = outputs.shape
    chosen = np.unique(np.linspace(0, width - 1, min(width, MOST_OUTPUTS)).round()).astype(int)
    orders = [np.argsort(outputs[:, output], kind="stable") for output in chosen]
    return list(
        dict.fromkeys(int(order[round(part * (count - 1))]) for part in QUANTILES for order in orders)
    )


def qualified_numbers(differences: NDArray[np.float64], tolerance: float, least: int) -> list[int]:
    """The first candidates that qualify; if none does, the `least` with the smallest difference."""
    close = [int(index) for index in np.flatnonzero(differences <= tolerance / 3)]
    smallest = [int(index) for index in np.argsort(differences, kind="stable")]
    return close[:MOST_NUMBER_PROBES] or smallest[:least]
