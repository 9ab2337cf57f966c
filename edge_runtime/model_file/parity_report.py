"""The record of a proof: how closely a converted model agreed with the full model in each engine.

`convert` measures it, the model file holds it, and the device can print it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.model_file.binomial import (
    CONFIDENCE,
    NOT_REFUTED,
    PROVEN,
    REFUTED,
    lower_limit,
    windows_to_prove,
)
from edge_runtime.model_file.json_fields import number, text, texts, whole
from edge_runtime.model_file.number_parity import ErrorBudget, error_limits, number_columns
from edge_runtime.model_file.parity_figures import (
    Budget,
    EngineParity,
    RowParity,
    budget_from_json,
    engine_from_json,
    rows_from_json,
)

NOT_RUN = "not run"
"""The verdict where no engine of the target ran the model."""

_OUTCOMES = {
    PROVEN: "passed, proven",
    NOT_REFUTED: "passed, not refuted",
    REFUTED: "FAILED, refuted",
    NOT_RUN: "not run",
}


@dataclass(frozen=True)
class ParityReport:
    """A frozen record: truthy when the proof did not fail, printable, JSON both ways.

    It did not fail when at least one engine of the target ran the model, every required engine kept the
    budget, and so did every other engine that loaded the model: a file that an engine loads and gets
    wrong is worse than one it refuses. `verdict` says whether the windows prove that, or are too few.

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
    budget: Budget
    flatbuffer_bytes: int
    engines: tuple[EngineParity, ...]
    not_proven: tuple[str, ...] = ()
    """Engines of the target that were not installed where the file was made, by their targets' names."""
    by_row: tuple[RowParity, ...] = ()
    """For a step file: the agreement after every row."""

    def __bool__(self) -> bool:
        return self.verdict in (PROVEN, NOT_REFUTED)

    @property
    def failed(self) -> bool:
        """Whether a required engine, or any other that loaded the model, is beyond the budget."""
        return self.verdict == REFUTED

    @property
    def verdict(self) -> str:
        """The worst of the engines: REFUTED, NOT_RUN (by the target), NOT_REFUTED or PROVEN."""
        demanded = [item for item in self.engines if item.required or item.ran]
        found = {item.verdict(self.budget, self.windows) for item in demanded}
        if REFUTED in found or not all(result.meets(self.budget) for result in self.by_row):
            return REFUTED
        if not any(item.required and item.ran for item in self.engines):
            return NOT_RUN
        return NOT_REFUTED if NOT_REFUTED in found else PROVEN

    def __str__(self) -> str:
        """The parity table as text."""
        width = max([24, *(len(f"{item.engine} {item.version}  ") for item in self.engines)])
        lines = [
            f"parity of {self.precision} with the full model on {self.windows:,} windows "
            f"({self.split}); model {self.flatbuffer_bytes:,} bytes",
            *self._heading(width),
            *(self._line(result, width) for result in self.engines),
            *(line for result in self.engines for line in self._further_lines(result)),
            f"  budget: {self.budget}: {_OUTCOMES[self.verdict]}",
            *self._lines_by_row(),
            *self._weakness(),
            f"  Not proven on: {', '.join(self.not_proven) or 'none'}",
        ]
        return "\n".join(lines)

    @property
    def _numbers(self) -> bool:
        return isinstance(self.budget, ErrorBudget)

    def _heading(self, width: int) -> list[str]:
        if self._numbers:
            cosine = any(item.errors and item.errors.min_cosine is not None for item in self.engines)
            return [f"  {'engine':<{width}}{number_columns(cosine)}"]
        return [
            f"  {'engine':<{width}}"
            f"{'accuracy':>10}{'agreement':>11}{'max |diff|':>12}{'mean |diff|':>13}",
            f"  {'full model':<{width}}{_percent(self.full_accuracy):>10}",
        ]

    def _line(self, result: EngineParity, width: int) -> str:
        name = f"{result.engine} {result.version}"
        if not result.ran:
            aside = "" if result.required else " (not in the target)"
            return f"  {name:<{width}}  {result.failure}{aside}"
        verdict = result.verdict(self.budget, self.windows)
        beyond = "beyond the budget" if self._numbers else "below the budget"
        mark = {PROVEN: "", NOT_REFUTED: "  not refuted", REFUTED: f"  {beyond}"}[verdict]
        if result.errors is not None:
            return f"  {name:<{width}}{result.errors}{mark}"
        return (
            f"  {name:<{width}}{_percent(result.accuracy):>10}{_percent(result.agreement):>11}"
            f"{result.max_logit_difference:>12.5f}{result.mean_logit_difference:>13.5f}{mark}"
        )

    def _further_lines(self, result: EngineParity) -> list[str]:
        lines = []
        if result.near_ties:
            lines.append(
                f"  {result.engine}: {result.near_ties} of {self._flips(result)} windows with another "
                f"class not counted, as near ties (the full model's margin is below "
                f"{result.near_tie_margin:.5f})"
            )
        if result.original_agreement is not None:
            share = _percent(result.original_agreement)
            lines.append(f"  {result.engine}: same class as the model before fine-tuning on {share}")
        if result.arena_bytes is not None:
            lines.append(f"  {result.engine}: needs an arena of {result.arena_bytes:,} bytes, 64-bit")
        return lines

    def _flips(self, result: EngineParity) -> int:
        return self.windows - result.counted(self.windows)[0]

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

    def _weakness(self) -> list[str]:
        """What the windows do show, where they do not prove the budget."""
        if self.verdict != NOT_REFUTED:
            return []
        if isinstance(self.budget, ErrorBudget):
            errors = [item.errors.error for item in self.engines if item.errors is not None]
            _, shown = error_limits(max(errors), self.windows)
            return [
                f"  Weak proof on {self.windows:,} windows: they show an error of {_percent(shown)} or "
                f"less ({100 * CONFIDENCE:g} % confidence)"
            ]
        counts = [item.counted(self.windows) for item in self.engines if item.agreement is not None]
        shown = min(lower_limit(agreeing, counted) for agreeing, counted in counts)
        line = (
            f"  Weak proof on {self.windows:,} windows: they show an agreement of {_percent(shown)} or "
            f"more ({100 * CONFIDENCE:g} % confidence)"
        )
        needed = windows_to_prove(self.budget.min_agreement)
        if needed is None or needed <= min(counted for _, counted in counts):
            return [line]
        return [f"{line}; to prove the budget takes at least {needed:,}"]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back to an equal record.

        `verdict` is written for other programs, and follows from the figures.
        """
        record = {**asdict(self), "verdict": self.verdict}
        if not self.by_row:
            del record["by_row"]
        for result in record["engines"]:
            for key in ("arena_bytes", "errors"):
                if result[key] is None:
                    del result[key]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ParityReport:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            precision=text(record, "precision"),
            windows=whole(record, "windows", 1),
            split=text(record, "split"),
            full_accuracy=None if record["full_accuracy"] is None else number(record, "full_accuracy"),
            budget=budget_from_json(record["budget"]),
            flatbuffer_bytes=whole(record, "flatbuffer_bytes"),
            engines=tuple(engine_from_json(result) for result in record["engines"]),
            not_proven=texts(record, "not_proven") if "not_proven" in record else (),
            by_row=tuple(rows_from_json(result) for result in record.get("by_row", ())),
        )


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
