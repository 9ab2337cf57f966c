"""The precisions a model can be converted to, and what each may lose by default."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import InputError
from edge_runtime.parity_report import ParityBudget


@dataclass(frozen=True)
class Precision:
    """A name for the arithmetic of a converted file."""

    name: str
    budget: ParityBudget
    """Default parity budget against the full model."""


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float32", ParityBudget(0.9999, 1e-3)),
        Precision("float16", ParityBudget(0.999)),
        Precision("dynamic", ParityBudget(0.999)),
        Precision("int8", ParityBudget(0.995)),
    )
}
"""Name -> Precision, from the largest file to the most integer one."""


def precision_named(name: str) -> Precision:
    """Look a precision up. Raises InputError that lists the choices."""
    try:
        return PRECISIONS[name]
    except KeyError:
        raise InputError(f"unknown precision {name!r}: choose {', '.join(PRECISIONS)} or all") from None
