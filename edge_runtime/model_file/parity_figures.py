"""The figures of a proof: what was allowed, and what each engine gave. ParityReport holds them all."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Union

from edge_runtime.model_file.binomial import REFUTED, judge
from edge_runtime.model_file.json_fields import (
    flag,
    mapping,
    number,
    numbers,
    optional,
    text,
    whole,
    wholes,
)
from edge_runtime.model_file.number_parity import (
    ErrorBudget,
    NumberErrors,
    error_budget_from_json,
    output_errors_from_json,
)


@dataclass(frozen=True)
class ParityBudget:
    """What a converted model may lose against the full model."""

    min_agreement: float
    """Least share of windows, 0 to 1, on which both predict the same class. The share of all windows
    like those of the proof is meant, which the proof's own windows show only so far (judge)."""
    max_logit_difference: float | None = None
    """Largest allowed absolute difference of one logit; None: not limited."""

    def __str__(self) -> str:
        """`agreement >= 99.50 %, logit difference <= 0.001`"""
        most = self.max_logit_difference
        limit = "" if most is None else f", logit difference <= {most:g}"
        return f"agreement >= {100 * self.min_agreement:.2f} %{limit}"


Budget = Union[ParityBudget, ErrorBudget]
"""Of a classifier, and of numbers."""


@dataclass(frozen=True)
class EngineParity:
    """One engine's result. The figures are None where the engine refused or failed on the model."""

    engine: str
    version: str
    required: bool
    """Whether the file's target includes this engine, which must then load the model and agree."""
    failure: str | None = None
    """Why the engine gave no logits: it refused to load the model, or crashed."""
    accuracy: float | None = None
    agreement: float | None = None
    """The share of windows with the full model's class, near ties not left out."""
    max_logit_difference: float | None = None
    mean_logit_difference: float | None = None
    original_agreement: float | None = None
    """For a fine-tuned model: how often it gives the class of the model before fine-tuning."""
    arena_bytes: int | None = None
    """Of an engine for microcontrollers: the smallest arena in which it opens the model, 64-bit."""
    near_ties: int = 0
    """How many windows with another class are near ties (convert.proof.near_ties); 0 in older files."""
    near_tie_margin: float = 0.0
    """In a near tie the full model's logit of its own class is ahead of the other by less than this."""
    errors: NumberErrors | None = None
    """Of numbers, which have none of the figures of classes."""

    @property
    def ran(self) -> bool:
        """Whether the engine gave outputs."""
        return self.agreement is not None or self.errors is not None

    def counted(self, windows: int) -> tuple[int, int]:
        """How many of the proof's `windows` have the full model's class, and how many count at all:
        those that are no near ties. (0, 0) where the engine gave no sound figures."""
        agreement = self.agreement
        if agreement is None or not 0 <= agreement <= 1:  # NaN fails this comparison
            return 0, 0
        agreeing = round(agreement * windows)
        return agreeing, max(agreeing, windows - self.near_ties)

    def verdict(self, budget: Budget, windows: int) -> str:
        """PROVEN, NOT_REFUTED or REFUTED on the proof's `windows`; REFUTED if it gave no outputs."""
        if isinstance(budget, ErrorBudget):
            return REFUTED if self.errors is None else self.errors.verdict(budget, windows)
        return self._verdict_on_classes(budget, windows)

    def _verdict_on_classes(self, budget: ParityBudget, windows: int) -> str:
        """The same for classes.

        An agreement is judged by the exact binomial test (binomial.judge), without near ties. The
        largest logit difference has no distribution that is known, so that it is compared as it is.
        """
        agreeing, counted = self.counted(windows)
        if counted == 0 or self.max_logit_difference is None:
            return REFUTED
        limit = budget.max_logit_difference
        # NaN fails this comparison, so that a figure of NaN never meets a budget.
        if not self.max_logit_difference <= (sys.float_info.max if limit is None else limit):
            return REFUTED
        return judge(agreeing, counted, budget.min_agreement)


WORST_ROW = 2.0
"""How much larger the mean logit difference may be after any row than after the last one."""

SMALL_DIFFERENCE = 0.02
"""A mean logit difference of this part of the logits' standard deviation is small after any row. Rows
in a wrong order or a state that is not fed back give 0.3 and more."""


@dataclass(frozen=True)
class RowParity:
    """How closely a step file's logits after every row are the unrolled float network's for those rows.

    In the middle of a window the full model itself is often undecided between classes, so that the
    logits are compared, not the classes: where the budget limits their difference, it does so after
    every row; otherwise no row's mean difference may be above WORST_ROW times that of the last row and
    above SMALL_DIFFERENCE of the logits' spread.
    """

    engine: str
    """The engine, or numpy: the converter's own run of the graph."""
    windows: int
    rows: tuple[int, ...]
    """The numbers of the rows compared, from 1."""
    max_logit_difference: float
    mean_logit_differences: tuple[float, ...]
    """After each of `rows`, the mean over windows and classes."""
    spread: float
    """Standard deviation of the float network's logits over all rows, windows and classes."""

    @property
    def worst_row(self) -> int:
        """The row with the largest mean difference."""
        return self.rows[self.mean_logit_differences.index(max(self.mean_logit_differences))]

    def meets(self, budget: Budget) -> bool:
        """Whether no row is further off than the budget allows."""
        limit = None if isinstance(budget, ErrorBudget) else budget.max_logit_difference
        if limit is not None:
            return self.max_logit_difference <= limit
        allowed = max(WORST_ROW * self.mean_logit_differences[-1], SMALL_DIFFERENCE * self.spread)
        # NaN fails this comparison.
        return all(mean <= allowed for mean in self.mean_logit_differences)

    def __str__(self) -> str:
        """One line of the parity table."""
        worst = max(self.mean_logit_differences)
        return (
            f"{self.engine + '  ':<24}max |diff| {self.max_logit_difference:.5f}, mean |diff| "
            f"{self.mean_logit_differences[-1]:.5f} after the last row, {worst:.5f} after the worst "
            f"({self.worst_row})"
        )


def budget_from_json(record: dict[str, Any]) -> Budget:
    """A budget. Raises KeyError, TypeError or ValueError on anything else."""
    if "max_error" in record:
        return error_budget_from_json(record)
    return ParityBudget(
        min_agreement=number(record, "min_agreement"),
        max_logit_difference=optional(number, record, "max_logit_difference"),
    )


def engine_from_json(record: dict[str, Any]) -> EngineParity:
    """One engine's figures. Raises KeyError, TypeError or ValueError on anything else."""
    result = EngineParity(
        engine=text(record, "engine"),
        version=text(record, "version"),
        required=flag(record, "required"),
        failure=optional(text, record, "failure"),
        accuracy=optional(number, record, "accuracy"),
        agreement=optional(number, record, "agreement"),
        max_logit_difference=optional(number, record, "max_logit_difference"),
        mean_logit_difference=optional(number, record, "mean_logit_difference"),
        original_agreement=optional(number, record, "original_agreement"),
        arena_bytes=whole(record, "arena_bytes") if "arena_bytes" in record else None,
        near_ties=whole(record, "near_ties") if "near_ties" in record else 0,
        near_tie_margin=number(record, "near_tie_margin") if "near_tie_margin" in record else 0.0,
        errors=output_errors_from_json(mapping(record, "errors")) if "errors" in record else None,
    )
    figures = (result.agreement, result.max_logit_difference, result.mean_logit_difference)
    if figures.count(None) not in (0, len(figures)):
        raise ValueError("engines: expected all figures, or none after a failure")
    return result


def rows_from_json(record: dict[str, Any]) -> RowParity:
    """The figures row by row. Raises KeyError, TypeError or ValueError on anything else."""
    result = RowParity(
        engine=text(record, "engine"),
        windows=whole(record, "windows"),
        rows=wholes(record, "rows"),
        max_logit_difference=number(record, "max_logit_difference"),
        mean_logit_differences=numbers(record, "mean_logit_differences"),
        spread=number(record, "spread"),
    )
    if len(result.mean_logit_differences) != len(result.rows) or not result.rows:
        raise ValueError("by_row: expected a mean difference for every row")
    return result
