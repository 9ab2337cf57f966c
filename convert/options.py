"""What a conversion may be told: one record instead of a dozen arguments."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from convert.compiler.recipe import Recipe, read_recipe
from convert.targets.precision import Precision
from convert.targets.target import TARGETS, Target, target_named
from edge_runtime.errors import InputError
from edge_runtime.model_file.metadata import UNROLLED
from edge_runtime.model_file.parity_report import ParityBudget


@dataclass(frozen=True)
class Settings:
    """How a source is converted, whatever the precision."""

    target: Target = TARGETS["any"]
    graph: str = UNROLLED
    """unrolled, or step for one row at a time."""
    min_agreement: float | None = None
    """0 to 1, in place of the precision's own budget."""
    max_logit_difference: float | None = None
    """In place of the precision's own budget."""
    require_engine: bool = False
    """Write no file that is not proven in every engine of the target."""

    explain: str | None = None
    """Folder for the loss by step and gate (convert.explain.loss_by_step), as JSON and as a picture."""
    recipe: Recipe | None = None
    """Ranges and weight formats by tensor (compiler.recipe); Settings.of takes a path as well."""
    strip: bool = False
    """Write no tensor names (flatbuffer.serialize)."""

    @classmethod
    def of(cls, options: dict[str, Any]) -> Settings:
        """Take the settings out of `options`, which keeps the rest; `target` may be a name.

        Raises InputError for an unknown target, and for a budget out of range.
        """
        values = {item.name: options.pop(item.name) for item in fields(cls) if item.name in options}
        if "target" in values:
            values["target"] = target_named(values["target"])
        if isinstance(values.get("recipe"), (str, Path)):
            values["recipe"] = read_recipe(values["recipe"])
        agreement, difference = values.get("min_agreement"), values.get("max_logit_difference")
        if agreement is not None and not 0 <= agreement <= 1:
            raise InputError(f"--min-agreement is {agreement}: expected 0 to 1")
        if difference is not None and not difference >= 0:
            raise InputError(f"--max-logit-difference is {difference}: expected at least 0")
        return cls(**values)

    def budget(self, precision: Precision) -> ParityBudget:
        """The parity budget of a file in `precision`."""
        own = precision.budget
        return ParityBudget(
            own.min_agreement if self.min_agreement is None else self.min_agreement,
            own.max_logit_difference if self.max_logit_difference is None else self.max_logit_difference,
        )
