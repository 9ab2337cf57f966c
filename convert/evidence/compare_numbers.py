"""The figures of a regression's or an embedding's outputs against the reference's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.evidence.answers import Compared, Float32, logits_sha256, window_hashes
from convert.evidence.figures import NumberFigures, OutputFigures
from convert.evidence.logit_errors import logit_errors, worst_windows
from convert.evidence.record import ResultRecord
from convert.proof.output_errors import output_errors, output_spreads
from edge_runtime.model_file.number_parity import error_limits


def compare_numbers(compared: Compared, outputs: Float32, output_scale: float | None) -> ResultRecord:
    """All figures of the model's outputs `[N, outputs]`.

    `output_scale`: of the file's output tensor; None for a float output.
    """
    reference = compared.source.logits
    return ResultRecord(
        logits_sha256=logits_sha256(outputs),
        window_hashes=window_hashes(outputs),
        logit_errors=logit_errors(reference, outputs, output_scale),
        worst=worst_windows(compared, outputs, np.zeros(len(outputs), np.bool_)),
        numbers=_figures(compared, outputs),
    )


def _figures(compared: Compared, outputs: Float32) -> NumberFigures:
    reference, labels, task = compared.source.logits, compared.source.labels, compared.task
    errors = output_errors(outputs, reference, labels, task)
    low, high = error_limits(errors.error, len(outputs))
    return NumberFigures(
        outputs=tuple(_output(compared, outputs, n) for n in range(len(labels))),
        normalized=errors.error,
        cosine_mean=errors.mean_cosine,
        cosine_min=errors.min_cosine,
        worst_output=errors.worst_output,
        normalized_low=low,
        normalized_high=high if np.isfinite(high) else None,
    )


def _output(compared: Compared, outputs: Float32, n: int) -> OutputFigures:
    """The figures of the output at position `n`."""
    reference = compared.source.logits[:, n]
    spread = float(output_spreads(compared.source.logits, compared.task)[n])
    off = np.abs(outputs[:, n].astype(np.float64) - reference)
    rmse = _rmse(outputs[:, n], reference)
    values = None if compared.values is None else compared.values[:, n]
    return OutputFigures(
        name=compared.source.labels[n],
        spread=spread,
        mean=float(off.mean()),
        p99=float(np.quantile(off, 0.99)),
        max=float(off.max()),
        rmse=rmse,
        normalized=rmse / spread,
        reference_rmse=None if values is None else _rmse(reference, values),
        model_rmse=None if values is None else _rmse(outputs[:, n], values),
    )


def _rmse(one: Float32, other: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(one.astype(np.float64) - other).mean()))
