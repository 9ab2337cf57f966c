"""Measures the errors of numbers: a regression's or an embedding's outputs against the full model's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convert.source_model.source_model import SourceModel
from edge_runtime.model_file.metadata import CLASSIFICATION, EMBEDDING
from edge_runtime.model_file.number_parity import NumberErrors
from edge_runtime.tflite.graph import Graph

SHORTEST = 1e-12
"""A vector that is shorter has no direction; its cosine with another is 0."""

COARSE = 0.25
"""A step of this part of a standard deviation adds an error of 7 %, as it is COARSE / sqrt(12)."""

SIGNIFICANT = 6
"""Errors are recorded to this many significant digits."""

NEVER_CHANGES = 1e-6
"""An output whose standard deviation is a smaller part of its values is constant in float32."""


def output_spreads(full: NDArray[np.float32], task: str) -> NDArray[np.float64]:
    """The standard deviation of each output, `[outputs]`, of the full model's outputs `[N, outputs]`.

    All coordinates of an embedding get the root mean square of theirs. An output that is constant gets
    its size, or 1 if it is zero, so that an error of it can be told in parts of that.
    """
    outputs = full.astype(np.float64)
    spreads: NDArray[np.float64] = outputs.std(axis=0)
    sizes = np.abs(outputs).max(axis=0)
    if task == EMBEDDING:
        spreads = np.full_like(spreads, np.sqrt(np.square(spreads).mean()))
        sizes = np.full_like(sizes, sizes.max())
    constant = spreads <= NEVER_CHANGES * sizes
    return np.where(constant, np.where(sizes > 0, sizes, 1.0), spreads)


def output_errors(
    outputs: NDArray[np.float32], full: NDArray[np.float32], names: Sequence[str], task: str
) -> NumberErrors:
    """The errors of an engine's `outputs` `[N, outputs]`; `full`: those of the full model."""
    spreads = output_spreads(full, task)
    difference = outputs.astype(np.float64) - full
    rmse = np.sqrt(np.square(difference).mean(axis=0))
    errors = rmse / spreads
    worst = int(np.argmax(errors))  # the first NaN, if there is one
    cosine = _cosines(outputs, full) if task == EMBEDDING else None
    return NumberErrors(
        error=_rounded(errors[worst]),
        worst_output=names[worst],
        worst_rmse=_rounded(rmse[worst]),
        largest=_rounded(np.abs(difference / spreads).max()),
        mean_cosine=None if cosine is None else _rounded(cosine.mean()),
        min_cosine=None if cosine is None else _rounded(cosine.min()),
    )


def _cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    result: NDArray[np.float64] = (a * b).sum(axis=1) / np.maximum(lengths, SHORTEST**2)
    return result


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT}g}")


def output_step_note(graph: Graph, source: SourceModel, precision: str) -> str | None:
    """A sentence on the step of a quantized output; None for classes, floats and vectors of length 1."""
    quantization = graph.tensors[graph.output].quantization
    if source.task == CLASSIFICATION or source.unit_length or quantization is None:
        return None
    step, spreads = float(quantization.scale[0]), output_spreads(source.logits, source.task)
    worst = int(spreads.argmin())
    part = step / spreads[worst]
    note = (
        f"{precision}: the outputs have steps of {step:.3g}, at most {100 * part:.1f} % of an output's "
        f"standard deviation ({source.labels[worst]})"
    )
    if part <= COARSE:
        return note
    return f"{note}. Train on targets of one size, or convert to int16x8 or a float precision"
