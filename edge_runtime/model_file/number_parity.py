"""The figures of a proof of numbers: how far a regression's or an embedding's outputs are off.

An output's error is its root mean square difference from the full model, divided by the standard
deviation of the full model's output over the same windows: 0 is the same, and 1 is as wrong as always
giving the mean. The worst output counts. The coordinates of an embedding have one unit, and share one
standard deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edge_runtime.model_file.binomial import NOT_REFUTED, PROVEN, REFUTED
from edge_runtime.model_file.json_fields import number, optional, text

NORMAL_QUANTILE = 1.6448536269514722
"""That of CONFIDENCE, 95 %."""


@dataclass(frozen=True)
class ErrorBudget:
    """What a converted regression or embedding may lose against the full model."""

    max_error: float
    """Largest allowed error of the worst output, in standard deviations of the full model's output."""
    min_cosine: float | None = None
    """Of an embedding: the smallest allowed cosine of the file's and the full model's vector, in any
    window."""

    def __str__(self) -> str:
        """`error <= 5.00 %, cosine >= 0.99`"""
        cosine = "" if self.min_cosine is None else f", cosine >= {self.min_cosine:g}"
        return f"error <= {100 * self.max_error:.2f} %{cosine}"


@dataclass(frozen=True)
class NumberErrors:
    """How far an engine's outputs are from the full model's."""

    error: float
    """That of the worst output, in standard deviations of the full model's output."""
    worst_output: str
    """The name of this output."""
    worst_rmse: float
    """Its root mean square difference, in its own unit."""
    largest: float
    """The largest difference of any output in any window, in standard deviations of that output."""
    mean_cosine: float | None = None
    min_cosine: float | None = None
    """Of an embedding: the cosine of the file's and the full model's vector, over all windows."""

    def __str__(self) -> str:
        """The columns of the parity table: see `number_columns`."""
        cosine = "" if self.min_cosine is None else f"{self.mean_cosine:>13.6f}{self.min_cosine:>14.6f}"
        return (
            f"{100 * self.error:>8.3f} %{100 * self.largest:>10.2f} %{cosine}"
            f"  {self.worst_output} ({self.worst_rmse:.4g})"
        )

    def verdict(self, budget: ErrorBudget, windows: int) -> str:
        """PROVEN, NOT_REFUTED or REFUTED on the proof's `windows`.

        The smallest cosine has no distribution that is known, so that it is compared as it is.
        """
        least = budget.min_cosine
        # NaN fails these comparisons, so that a figure of NaN never meets a budget.
        if least is not None and not (self.min_cosine is not None and self.min_cosine >= least):
            return REFUTED
        return judge_error(self.error, windows, budget.max_error)


def number_columns(cosine: bool) -> str:
    """The heading of what NumberErrors prints; `cosine`: whether it has cosines."""
    cosines = f"{'mean cosine':>13}{'least cosine':>14}" if cosine else ""
    return f"{'error':>10}{'largest':>12}{cosines}  worst output (rms error in its unit)"


def judge_error(error: float, windows: int, most: float) -> str:
    """Whether a root mean square `error` over `windows` proves that it is at most `most`.

    PROVEN: the upper limit is at most `most`. REFUTED: the lower limit is above it. Otherwise
    NOT_REFUTED.
    """
    low, high = error_limits(error, windows)
    if high <= most:
        return PROVEN
    return NOT_REFUTED if low <= most else REFUTED


def error_limits(error: float, windows: int) -> tuple[float, float]:
    """The lower and the upper one-sided limit of a root mean square error over n windows, at CONFIDENCE.

    n * error^2 / sigma^2 has the chi-squared distribution with n degrees of freedom for independent and
    normal differences. Its quantile at p is n * (1 - 2 / (9 n) + z_p * sqrt(2 / (9 n)))^3 (E. B. Wilson
    and M. M. Hilferty, "The distribution of chi-square", PNAS 17, 1931, 684-688). The worst of several
    outputs is taken as if it were the only one.
    """
    part = 2 / (9 * windows)
    low = max(0.0, 1 - part - NORMAL_QUANTILE * math.sqrt(part)) ** 1.5
    high = (1 - part + NORMAL_QUANTILE * math.sqrt(part)) ** 1.5
    return error / high, error / low if low > 0 else math.inf


def error_budget_from_json(record: dict[str, Any]) -> ErrorBudget:
    """A budget. Raises KeyError, TypeError or ValueError on anything else."""
    return ErrorBudget(number(record, "max_error"), optional(number, record, "min_cosine"))


def output_errors_from_json(record: dict[str, Any]) -> NumberErrors:
    """An engine's errors. Raises KeyError, TypeError or ValueError on anything else."""
    return NumberErrors(
        error=number(record, "error"),
        worst_output=text(record, "worst_output"),
        worst_rmse=number(record, "worst_rmse"),
        largest=number(record, "largest"),
        mean_cosine=optional(number, record, "mean_cosine"),
        min_cosine=optional(number, record, "min_cosine"),
    )
