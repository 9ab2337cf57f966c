"""The precisions that a model can be converted to, and the default parity budget of each.

An agreement is proven by a test (edge_runtime.model_file.binomial), and 0.9997 is the most that the
10,000 windows of a proof can show: 9,985 windows without another class prove it.
"""

from __future__ import annotations

from dataclasses import dataclass

from convert.targets.target import Target
from edge_runtime.errors import InputError
from edge_runtime.model_file.number_parity import ErrorBudget
from edge_runtime.model_file.parity_figures import ParityBudget


@dataclass(frozen=True)
class Precision:
    """A named arithmetic of converted files."""

    name: str
    budget: ParityBudget
    """Default parity budget of a classifier against the full model."""
    number_budget: ErrorBudget
    """That of a regression; that of an embedding has its cosine, too."""
    schemes: tuple[str, ...]
    """The quantization schemes that implement it, the most accurate first (convert.targets.target)."""


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float32", ParityBudget(0.9997, 1e-3), ErrorBudget(0.001, 0.9999), ("float32",)),
        Precision("float16", ParityBudget(0.999), ErrorBudget(0.01, 0.999), ("float16",)),
        Precision(
            "dynamic",
            ParityBudget(0.999),
            ErrorBudget(0.05, 0.99),
            ("dynamic-per-channel", "dynamic-per-tensor"),
        ),
        Precision(
            "int4", ParityBudget(0.99), ErrorBudget(0.2, 0.8), ("int4-per-channel", "int4-per-tensor")
        ),
        Precision("int16x8", ParityBudget(0.999), ErrorBudget(0.05, 0.99), ("int16x8",)),
        Precision("mixed", ParityBudget(0.998), ErrorBudget(0.1, 0.95), ("int8-float-state",)),
        Precision("int8", ParityBudget(0.995), ErrorBudget(0.1, 0.95), ("int8",)),
    )
}
"""Name -> Precision, ordered from float arithmetic to integer arithmetic."""


def precision_named(name: str) -> Precision:
    """Look a precision up. Raises InputError that lists the choices."""
    try:
        return PRECISIONS[name]
    except KeyError:
        raise InputError(
            f"--precision: unknown precision {name!r}. Choose {', '.join(PRECISIONS)}."
        ) from None


def offered(target: Target) -> list[str]:
    """The precisions that every engine of `target` loads and computes correctly."""
    return [name for name, item in PRECISIONS.items() if set(item.schemes) & target.schemes]


def scheme_for(precision: str, target: Target) -> str:
    """The most accurate quantization scheme of `precision` that every engine of `target` gets right.

    Raises InputError when the target has none, naming the precisions that it has.
    """
    found = [name for name in precision_named(precision).schemes if name in target.schemes]
    if not found:
        names = ", ".join(offered(target))
        raise InputError(f"--precision: target {target.name} has no {precision}. Choose {names}.")
    return found[0]
