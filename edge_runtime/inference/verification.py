"""Runs a file's probes in the engine that classifies, and compares the logits with the full model's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from edge_runtime.errors import InputError, VerificationError, printable
from edge_runtime.model_file.binomial import NOT_REFUTED, PROVEN
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.parity_figures import Budget
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probes import Probes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ProbeRunner = Callable[[NDArray[Any]], NDArray[np.float32]]
    """A window `[1, steps, features]` to its logits `[1, classes]` or, in a step file, `[1, steps,
    classes]`: Classifier.logits or logits_by_row. Raises InputError for logits that are not finite."""


@dataclass(frozen=True)
class Mismatch:
    """A probe on which the engine disagrees with the full model."""

    probe: int
    """From 0."""
    expected: str
    found: str
    """The classes' labels; of a file of numbers, the output that is furthest off, with its value."""
    difference: float
    """Largest difference of an output (see `Verification.unit`); infinite when one was no number."""
    row: int | None = None
    """In a step file: the row, from 1, after which the difference is largest."""

    def __str__(self) -> str:
        """One line."""
        where = "" if self.row is None else f" after row {self.row}"
        return (
            f"probe {self.probe}: expected {printable(self.expected)}, found {printable(self.found)}, "
            f"largest difference {self.difference:.5g}{where}"
        )


@dataclass(frozen=True)
class Verification:
    """The outcome: truthy when every probe came out as expected; printable, JSON.

    Example:
        from edge_runtime import Classifier

        with Classifier("model.tflite") as classifier:
            verification = classifier.verify()
        print(verification)
    """

    path: str
    """The model file."""
    engine: str
    """The engine that ran the probes."""
    version: str
    """The version of that engine."""
    probes: int
    """How many probes were run."""
    max_logit_difference: float
    """Largest absolute difference of a logit from the full model's; of a file of numbers, that of an
    output, divided by the standard deviation of this output in the full model."""
    tolerance: float
    """Largest difference that is allowed."""
    budget: Budget | None
    """What the file was allowed to lose in its proof; None in a file without a proof."""
    proof: str | None = None
    """The verdict of the file's proof (ParityReport.verdict); None in a file without one."""
    proof_windows: int | None = None
    """The number of windows of that proof."""
    mismatches: tuple[Mismatch, ...] = ()
    """The probes that failed."""
    task: str = CLASSIFICATION
    """That of the file."""

    def __bool__(self) -> bool:
        return not self.mismatches

    def __str__(self) -> str:
        """One line; a failed one says which probes failed, a line each."""
        where = f"{self.path}: {self.engine} {self.version}"
        if self:
            return (
                f"{where}: verified, {self.probes} probes, largest {self.unit} "
                f"{self.max_logit_difference:.5f} (allowed {self.tolerance:.5g}){self._budget()}"
            )
        heading = (
            f"{where} loads this model but computes something else than the full model: "
            f"{len(self.mismatches)} of {self.probes} probes fail "
            f"(allowed {self.unit} {self.tolerance:.5g})"
        )
        return "\n".join([heading, *(f"  {mismatch}" for mismatch in self.mismatches)])

    @property
    def unit(self) -> str:
        """What is compared."""
        if self.task == CLASSIFICATION:
            return "logit difference"
        return "difference in standard deviations of the output"

    def _budget(self) -> str:
        if self.budget is None:
            return ""
        budget = self.budget
        if self.proof == NOT_REFUTED:
            return f"; weak proof on {self.proof_windows:,} windows: {budget} is not refuted"
        if self.proof == PROVEN:
            return f"; its proof met the budget: {budget}"
        return "; not proven where it was made"

    def to_json(self) -> str:
        """One line of JSON. A difference that is infinite is null."""
        budget = self.budget
        record = {
            "model": self.path,
            "engine": self.engine,
            "task": self.task,
            "version": self.version,
            "verified": bool(self),
            "probes": self.probes,
            "max_logit_difference": _finite(self.max_logit_difference),
            "tolerance": self.tolerance,
            "budget": None if budget is None else vars(budget),
            "proof": self.proof,
            "proof_windows": self.proof_windows,
            "mismatches": [
                {**vars(item), "difference": _finite(item.difference)} for item in self.mismatches
            ],
        }
        return json.dumps(record, allow_nan=False)


def verify_probes(
    probes: Probes,
    run: ProbeRunner,
    *,
    path: str,
    engine: str,
    version: str,
    labels: tuple[str, ...],
    parity: ParityReport | None = None,
    task: str = CLASSIFICATION,
) -> Verification:
    """Run every probe with `run`. Does not raise for a probe that fails.

    `path`, `engine` and `version` name what is verified, `labels` its classes or outputs. `parity`: the
    file's proof.
    """
    expected, rows = probes.final, probes.record.rows
    logits = np.stack([_logits(run, window, probes) for window in probes.windows])
    with np.errstate(invalid="ignore"):
        off = np.abs(logits.astype(np.float64) - probes.logits) / np.array(probes.record.spreads or 1.0)
    each = off.max(axis=-1)
    each = np.where(np.isfinite(each), each, np.inf).reshape(len(expected), -1)
    difference, found = each.max(axis=1), logits[:, -1] if rows else logits
    sound = difference <= probes.record.tolerance
    if task == CLASSIFICATION:
        sound &= found.argmax(axis=1) == expected.argmax(axis=1)
    last_off = off[:, -1] if rows else off

    def said(outputs: NDArray[np.float32], k: int) -> str:
        if task == CLASSIFICATION:
            return labels[int(outputs.argmax())]
        worst = int(last_off[k].argmax())
        return f"{labels[worst]}: {outputs[worst]:.6g}"

    return Verification(
        path=path,
        engine=engine,
        version=version,
        probes=len(expected),
        max_logit_difference=float(difference.max()),
        tolerance=probes.record.tolerance,
        budget=parity.budget if parity is not None else None,
        proof=parity.verdict if parity is not None else None,
        proof_windows=parity.windows if parity is not None else None,
        mismatches=tuple(
            Mismatch(
                int(k),
                said(expected[k], k),
                said(found[k], k) if np.isfinite(difference[k]) else "no number",
                float(difference[k]),
                rows[int(each[k].argmax())] if rows else None,
            )
            for k in np.flatnonzero(~sound)
        ),
        task=task,
    )


def demand(verification: Verification) -> Verification:
    """The verification itself. Raises VerificationError, which carries it, when it failed."""
    if not verification:
        raise VerificationError(str(verification), verification)
    return verification


def _logits(run: ProbeRunner, window: NDArray[Any], probes: Probes) -> NDArray[np.float32]:
    try:
        logits: NDArray[np.float32] = run(window[np.newaxis])[0]
    except InputError:  # the probes themselves are sound, so the logits are NaN or infinite
        return np.full(probes.logits.shape[1:], np.nan, np.float32)
    return logits[[row - 1 for row in probes.record.rows]] if probes.record.rows else logits


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
