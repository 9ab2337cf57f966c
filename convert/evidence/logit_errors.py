"""How far outputs are off, and on which windows most: for classes and for numbers alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from convert.evidence.answers import Compared, Float32
from convert.evidence.figures import LogitErrors, ShownWindow, WorstWindow
from convert.proof.output_errors import output_spreads
from edge_runtime.model_file.metadata import CLASSIFICATION

WORST = 10
"""How many windows are shown."""

MOST_SHOWN_VALUES = 4096
"""Of a window with more values, every second, third, ... row is shown."""

DIGITS = 7
"""Significant digits of a shown float32 value."""


def logit_errors(reference: Float32, logits: Float32, output_scale: float | None) -> LogitErrors:
    """The absolute differences of all logits `[N, classes]`; `output_scale`: None for a float output."""
    off = np.abs(logits.astype(np.float64) - reference)
    largest = float(off.max())
    return LogitErrors(
        mean=float(off.mean()),
        p99=float(np.quantile(off, 0.99)),
        max=largest,
        max_in_output_steps=None if output_scale is None else largest / output_scale,
    )


def worst_windows(
    compared: Compared, logits: Float32, near_ties: NDArray[np.bool_]
) -> tuple[WorstWindow, ...]:
    """The windows with the largest error of a logit, those with another class first, near ties last.

    Of numbers those with the largest error in standard deviations of the output.
    """
    reference = compared.source.logits
    errors = np.abs(logits.astype(np.float64) - reference)
    off = errors.max(axis=1)
    if compared.task == CLASSIFICATION:
        classes, found = reference.argmax(axis=1), logits.argmax(axis=1)
        rank = np.lexsort((-off, near_ties, classes == found))
    else:
        classes = found = np.zeros(len(off), np.int64)
        rank = np.argsort(
            -(errors / output_spreads(reference, compared.task)).max(axis=1), kind="stable"
        )
    return tuple(
        WorstWindow(
            window=int(compared.positions[n]),
            truth=int(compared.truth[n]) if compared.labelled else None,
            group=None if compared.groups is None else str(compared.groups[n]),
            reference=int(classes[n]),
            model=int(found[n]),
            reference_logits=significant(reference[n].tolist()),
            model_logits=significant(logits[n].tolist()),
            max_logit_error=float(off[n]),
            near_tie=bool(near_ties[n]),
        )
        for n in rank[:WORST]
    )


def shown_windows(compared: Compared, positions: Iterable[int]) -> tuple[ShownWindow, ...]:
    """The raw values of the windows at these positions in the data, in that order."""
    index = {int(position): n for n, position in enumerate(compared.positions)}
    x = compared.source.held_out.x
    step = -(-x[0].size // MOST_SHOWN_VALUES)
    return tuple(
        ShownWindow(
            position, tuple(significant(row) for row in x[index[position]][::step].tolist()), step
        )
        for position in sorted(set(positions))
    )


def significant(values: Iterable[float]) -> tuple[float, ...]:
    """The values with as many digits as a float32 has."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
