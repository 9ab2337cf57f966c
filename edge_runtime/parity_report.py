"""The record of a proof: how closely a converted model agreed with the full model, engine by engine.

`convert` measures it, the model file carries it, the device can print it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from typing import Any

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
    """True when the file's target includes this engine: it must load and agree."""
    failure: str | None = None
    """Why the engine gave no logits: load refused, crashed."""
    accuracy: float | None = None
    agreement: float | None = None
    max_logit_difference: float | None = None
    mean_logit_difference: float | None = None

    def meets(self, budget: ParityBudget) -> bool:
        """Whether the engine ran the model and stayed within the budget."""
        if self.agreement is None or self.max_logit_difference is None:
            return False
        limit = budget.max_logit_difference
        # Comparisons that NaN fails: figures that are no numbers never meet a budget.
        return self.agreement >= budget.min_agreement and self.max_logit_difference <= (
            sys.float_info.max if limit is None else limit
        )


@dataclass(frozen=True)
class ParityReport:
    """A frozen record: truthy when the proof passed, printable, JSON both ways.

    It passed when at least one engine of the target ran the model, every required engine stayed within
    the budget, and so did every other engine that loaded the model: a file that an engine loads and
    gets wrong is worse than one it refuses.
    """

    precision: str
    windows: int
    """How many held-out windows were compared."""
    split: str
    """Where those windows come from."""
    full_accuracy: float | None
    """Accuracy of the full model on the same windows; None: their classes are not known."""
    budget: ParityBudget
    flatbuffer_bytes: int
    engines: tuple[EngineParity, ...]
    not_proven: tuple[str, ...] = ()
    """Engines of the target that are not installed where the file was made."""

    def __bool__(self) -> bool:
        ran = [result for result in self.engines if result.agreement is not None]
        demanded = [result for result in self.engines if result.required or result in ran]
        proven = any(result.required for result in ran)
        return proven and all(result.meets(self.budget) for result in demanded)

    def __str__(self) -> str:
        """The parity table as text."""
        lines = [
            f"parity of {self.precision} with the full model on {self.windows:,} windows "
            f"({self.split}); model {self.flatbuffer_bytes:,} bytes",
            f"  {'engine':<24}{'accuracy':>10}{'agreement':>11}{'max |diff|':>12}{'mean |diff|':>13}",
            f"  {'full model':<24}{_percent(self.full_accuracy):>10}",
            *(self._line(result) for result in self.engines),
            f"  budget: agreement >= {_percent(self.budget.min_agreement)}"
            + (
                ""
                if self.budget.max_logit_difference is None
                else f", logit difference <= {self.budget.max_logit_difference:g}"
            )
            + f": {'passed' if self else 'FAILED'}",
        ]
        if self.windows < FEW_WINDOWS:
            one = _percent(1 / self.windows)
            lines.append(
                f"  Weak proof: only {self.windows} held-out windows, "
                f"one of them is {one} of the agreement"
            )
        if self.not_proven:
            lines.append(f"  Not proven on: {', '.join(self.not_proven)} (not installed here)")
        return "\n".join(lines)

    def _line(self, result: EngineParity) -> str:
        name = f"{result.engine} {result.version}"
        if result.agreement is None:
            aside = "" if result.required else " (not in the target)"
            return f"  {name:<24}  {result.failure}{aside}"
        mark = "" if result.meets(self.budget) else "  below the budget"
        return (
            f"  {name:<24}{_percent(result.accuracy):>10}{_percent(result.agreement):>11}"
            f"{result.max_logit_difference:>12.5f}{result.mean_logit_difference:>13.5f}{mark}"
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back to an equal record."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ParityReport:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        values = _known(cls, record)
        values["budget"] = ParityBudget(**_known(ParityBudget, record["budget"]))
        values["engines"] = tuple(
            EngineParity(**_known(EngineParity, result)) for result in record["engines"]
        )
        values["not_proven"] = tuple(record["not_proven"])
        return cls(**values)


def _known(kind: type, record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass in a JSON object; keys that a later version added are left out."""
    return {item.name: record[item.name] for item in fields(kind)}


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
