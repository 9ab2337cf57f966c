"""The record of a proof: how closely a converted model agreed with the full model in each engine.

`convert` measures it, the model file holds it, and the device can print it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.model_file.json_fields import (
    flag,
    number,
    numbers,
    optional,
    text,
    texts,
    whole,
    wholes,
)

FEW_WINDOWS = 1000
"""With fewer windows than this the report says how coarse its figures are."""


@dataclass(frozen=True)
class ParityBudget:
    """What a converted model may lose against the full model."""

    min_agreement: float
    """Least fraction of windows on which both predict the same class, 0 to 1."""
    max_logit_difference: float | None = None
    """Largest allowed absolute difference of one logit; None: not limited."""


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
    max_logit_difference: float | None = None
    mean_logit_difference: float | None = None
    original_agreement: float | None = None
    """For a fine-tuned model: how often it gives the class of the model before fine-tuning."""
    arena_bytes: int | None = None
    """Of an engine for microcontrollers: the smallest arena in which it opens the model, 64-bit."""

    def meets(self, budget: ParityBudget) -> bool:
        """Whether the engine ran the model and stayed within the budget."""
        if self.agreement is None or self.max_logit_difference is None:
            return False
        limit = budget.max_logit_difference
        # NaN fails these comparisons, so that a figure of NaN never meets a budget.
        return self.agreement >= budget.min_agreement and self.max_logit_difference <= (
            sys.float_info.max if limit is None else limit
        )


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

    def meets(self, budget: ParityBudget) -> bool:
        """Whether no row is further off than the budget allows."""
        limit = budget.max_logit_difference
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


@dataclass(frozen=True)
class ParityReport:
    """A frozen record: truthy when the proof passed, printable, JSON both ways.

    The proof passed when at least one engine of the target ran the model, every required engine stayed
    within the budget, and so did every other engine that loaded the model: a file that an engine loads
    and gets wrong is worse than one it refuses.

    Example:
        from edge_runtime import Classifier

        with Classifier("model.tflite") as classifier:
            report = classifier.spec.parity
        print(report)
    """

    precision: str
    windows: int
    """How many held-out windows were compared."""
    split: str
    """Where these windows come from."""
    full_accuracy: float | None
    """Accuracy of the full model on the same windows; None: their classes are not known."""
    budget: ParityBudget
    flatbuffer_bytes: int
    engines: tuple[EngineParity, ...]
    not_proven: tuple[str, ...] = ()
    """Engines of the target that were not installed where the file was made, by their targets' names."""
    by_row: tuple[RowParity, ...] = ()
    """For a step file: the agreement after every row."""

    def __bool__(self) -> bool:
        proven = any(result.required and result.agreement is not None for result in self.engines)
        return proven and not self.failed

    @property
    def failed(self) -> bool:
        """Whether a required engine, or any other that loaded the model, is beyond the budget."""
        demanded = [item for item in self.engines if item.required or item.agreement is not None]
        within = all(result.meets(self.budget) for result in demanded)
        return not (within and all(result.meets(self.budget) for result in self.by_row))

    def __str__(self) -> str:
        """The parity table as text."""
        width = max([24, *(len(f"{item.engine} {item.version}  ") for item in self.engines)])
        lines = [
            f"parity of {self.precision} with the full model on {self.windows:,} windows "
            f"({self.split}); model {self.flatbuffer_bytes:,} bytes",
            f"  {'engine':<{width}}"
            f"{'accuracy':>10}{'agreement':>11}{'max |diff|':>12}{'mean |diff|':>13}",
            f"  {'full model':<{width}}{_percent(self.full_accuracy):>10}",
            *(self._line(result, width) for result in self.engines),
            *(
                self._original(result)
                for result in self.engines
                if result.original_agreement is not None
            ),
            *(
                f"  {result.engine}: needs an arena of {result.arena_bytes:,} bytes, 64-bit"
                for result in self.engines
                if result.arena_bytes is not None
            ),
            f"  budget: agreement >= {_percent(self.budget.min_agreement)}"
            + (
                ""
                if self.budget.max_logit_difference is None
                else f", logit difference <= {self.budget.max_logit_difference:g}"
            )
            + f": {self.verdict}",
        ]
        lines += self._lines_by_row()
        if self.windows < FEW_WINDOWS:
            one = _percent(1 / self.windows)
            lines.append(
                f"  Weak proof: only {self.windows} held-out windows, "
                f"one of them is {one} of the agreement"
            )
        lines.append(f"  Not proven on: {', '.join(self.not_proven) or 'none'}")
        return "\n".join(lines)

    def _lines_by_row(self) -> list[str]:
        if not self.by_row:
            return []
        first = self.by_row[0]
        return [
            f"  after every row against the unrolled float network, {len(first.rows)} rows of "
            f"{first.windows} windows",
            *(
                f"  {result}{'' if result.meets(self.budget) else '  below the budget'}"
                for result in self.by_row
            ),
        ]

    @property
    def verdict(self) -> str:
        """passed, FAILED, or not proven when no engine of the target ran the model."""
        if self.failed:
            return "FAILED"
        return "passed" if self else "not proven"

    def _original(self, result: EngineParity) -> str:
        share = _percent(result.original_agreement)
        return f"  {result.engine}: same class as the model before fine-tuning on {share}"

    def _line(self, result: EngineParity, width: int) -> str:
        name = f"{result.engine} {result.version}"
        if result.agreement is None:
            aside = "" if result.required else " (not in the target)"
            return f"  {name:<{width}}  {result.failure}{aside}"
        mark = "" if result.meets(self.budget) else "  below the budget"
        return (
            f"  {name:<{width}}{_percent(result.accuracy):>10}{_percent(result.agreement):>11}"
            f"{result.max_logit_difference:>12.5f}{result.mean_logit_difference:>13.5f}{mark}"
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back to an equal record."""
        record = asdict(self)
        if not self.by_row:
            del record["by_row"]
        for result in record["engines"]:
            if result["arena_bytes"] is None:
                del result["arena_bytes"]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ParityReport:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            precision=text(record, "precision"),
            windows=whole(record, "windows", 1),
            split=text(record, "split"),
            full_accuracy=None if record["full_accuracy"] is None else number(record, "full_accuracy"),
            budget=_budget(record["budget"]),
            flatbuffer_bytes=whole(record, "flatbuffer_bytes"),
            engines=tuple(_engine_parity(result) for result in record["engines"]),
            not_proven=texts(record, "not_proven") if "not_proven" in record else (),
            by_row=tuple(_row_parity(result) for result in record.get("by_row", ())),
        )


def _budget(record: dict[str, Any]) -> ParityBudget:
    return ParityBudget(
        min_agreement=number(record, "min_agreement"),
        max_logit_difference=optional(number, record, "max_logit_difference"),
    )


def _engine_parity(record: dict[str, Any]) -> EngineParity:
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
    )
    figures = (result.agreement, result.max_logit_difference, result.mean_logit_difference)
    if figures.count(None) not in (0, len(figures)):
        raise ValueError("engines: expected all figures, or none after a failure")
    return result


def _row_parity(record: dict[str, Any]) -> RowParity:
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


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
