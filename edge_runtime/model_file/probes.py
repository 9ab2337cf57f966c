"""Probes: a few windows in the model file, with the full model's logits, to run on the device.

An engine may load a file and compute something else than the engines of its proof did: another version,
another CPU, a model changed by other tools. The probes find out in the device's own engine, through
the same code that classifies.

Content of probes.bin (docs/reference/format.md): the raw windows `[count, steps, features]` in their own
dtype unless they are synthetic, then the full model's logits in float32, `[count, classes]` or, of a
step file, `[count, rows, classes]`; little-endian, C order, nothing else.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engines.engine import engine_version
from edge_runtime.errors import InputError, ModelError, VerificationError, printable
from edge_runtime.model_file.metadata import PROBES_NAME, STEP, ModelFile
from edge_runtime.model_file.parity_report import ParityBudget
from edge_runtime.model_file.probe_record import ProbeRecord, Synthetic

if TYPE_CHECKING:
    from edge_runtime.inference.classifier import Classifier


MOST_SYNTHETIC = 1 << 24
"""Values of synthetic windows: four windows of the largest size, and seconds to make."""


@dataclass(frozen=True, eq=False)
class Probes:
    """The probes of a file."""

    record: ProbeRecord
    windows: NDArray[Any]
    """Raw, `[count, steps, features]`, uint8 or float32."""
    logits: NDArray[np.float32]
    """The full model's, `[count, classes]`; of a step file `[count, rows, classes]`, after each of the
    record's rows."""

    @property
    def final(self) -> NDArray[np.float32]:
        """Those after the last row, `[count, classes]`."""
        return self.logits[:, -1] if self.record.rows else self.logits

    def to_bytes(self) -> bytes:
        """The content of probes.bin."""
        windows = b"" if self.record.synthetic else _little_endian(self.windows)
        return windows + _little_endian(self.logits)


def read_probes(file: ModelFile, path: str) -> Probes | None:
    """The probes of a model file, or None when it carries none. Raises ModelError for damaged ones."""
    metadata = file.metadata
    record = metadata.probes
    if record is None:
        return None
    windows_shape = (record.count, metadata.steps, metadata.features)
    _check_rows(record, file, path)
    logits_shape = (record.count, *([len(record.rows)] if record.rows else []), len(metadata.labels))
    dtype = np.dtype(record.dtype).newbyteorder("<")
    stored = 0 if record.synthetic else math.prod(windows_shape) * dtype.itemsize
    expected = stored + 4 * math.prod(logits_shape)
    content = file.probes or b""
    if len(content) != expected:
        raise ModelError(
            f"{path}: damaged: {PROBES_NAME} has {len(content)} bytes, expected {expected} "
            "(copy or convert it again)"
        )
    if record.synthetic and math.prod(windows_shape) > MOST_SYNTHETIC:
        raise ModelError(f"{path}: damaged: its probes would be windows of {list(windows_shape)}")
    if record.synthetic:
        windows = synthetic_windows(record.synthetic, windows_shape, record.dtype)
    else:
        windows = np.frombuffer(content[:stored], dtype).reshape(windows_shape).astype(record.dtype)
    logits = np.frombuffer(content[stored:], "<f4").reshape(logits_shape).astype(np.float32)
    return Probes(record, windows, logits)


def _check_rows(record: ProbeRecord, file: ModelFile, path: str) -> None:
    steps, step_file = file.metadata.steps, file.metadata.graph == STEP
    rows = record.rows
    ascending = all(0 < one < other for one, other in zip(rows, rows[1:]))
    if rows and not (step_file and ascending and rows[-1] == steps):
        raise ModelError(f"{path}: damaged: its probes name rows that a window of {steps} does not have")


def synthetic_windows(recipe: Synthetic, shape: tuple[int, int, int], dtype: str) -> NDArray[Any]:
    """Windows of uniform noise, the same with every version of numpy and on every machine.

    x_0 = seed; x_(n+1) = (1664525 * x_n + 1013904223) mod 2^32 (the generator of Numerical Recipes);
    value n = low + (high - low) * floor(x_n / 256) / 2^24, in float64, rounded to `dtype` at the end.
    """
    state, values = recipe.seed % 2**32, np.empty(math.prod(shape))
    for n in range(len(values)):
        state = (1664525 * state + 1013904223) % 2**32
        values[n] = state >> 8
    values = recipe.low + (recipe.high - recipe.low) * (values / 2**24)
    if dtype == "uint8":
        values = np.clip(np.rint(values), 0, 255)
    return values.reshape(shape).astype(dtype)


@dataclass(frozen=True)
class Mismatch:
    """A probe on which the engine disagrees with the full model."""

    probe: int
    """From 0."""
    expected: str
    found: str
    """The classes' labels."""
    difference: float
    """Largest difference of a logit; infinite when a logit was no number."""
    row: int | None = None
    """Of a step file: the row after which it shows, from 1."""

    def __str__(self) -> str:
        """One line."""
        where = "" if self.row is None else f" after row {self.row}"
        return (
            f"probe {self.probe}: expected {printable(self.expected)}, found {printable(self.found)}, "
            f"largest logit difference {self.difference:.5g}{where}"
        )


@dataclass(frozen=True)
class Verification:
    """The outcome: truthy when every probe came out as expected; printable, JSON."""

    path: str
    engine: str
    version: str
    probes: int
    max_logit_difference: float
    tolerance: float
    budget: ParityBudget | None
    """What the file was allowed to lose in its proof; None in a file without a proof."""
    mismatches: tuple[Mismatch, ...] = ()

    def __bool__(self) -> bool:
        return not self.mismatches

    def __str__(self) -> str:
        """One line; a failed one says which probes failed, a line each."""
        where = f"{self.path}: {self.engine} {self.version}"
        if self:
            return (
                f"{where}: verified, {self.probes} probes, largest logit difference "
                f"{self.max_logit_difference:.5f} (allowed {self.tolerance:.5g}){self._budget()}"
            )
        heading = (
            f"{where} loads this model but computes something else than the full model: "
            f"{len(self.mismatches)} of {self.probes} probes fail "
            f"(allowed logit difference {self.tolerance:.5g})"
        )
        return "\n".join([heading, *(f"  {mismatch}" for mismatch in self.mismatches)])

    def _budget(self) -> str:
        if self.budget is None:
            return ""
        return f"; its proof met the budget: agreement >= {100 * self.budget.min_agreement:.2f} %"

    def to_json(self) -> str:
        """One line of JSON. A difference that is infinite is null."""
        budget = self.budget
        record = {
            "model": self.path,
            "engine": self.engine,
            "version": self.version,
            "verified": bool(self),
            "probes": self.probes,
            "max_logit_difference": _finite(self.max_logit_difference),
            "tolerance": self.tolerance,
            "budget": None if budget is None else vars(budget),
            "mismatches": [
                {**vars(item), "difference": _finite(item.difference)} for item in self.mismatches
            ],
        }
        return json.dumps(record, allow_nan=False)


def verify_probes(classifier: Classifier, probes: Probes) -> Verification:
    """Run every probe in the classifier's engine. Does not raise for a probe that fails."""
    expected, labels, rows = probes.final, classifier.labels, probes.record.rows
    logits = np.stack([_logits(classifier, window, probes) for window in probes.windows])
    with np.errstate(invalid="ignore"):
        each = np.abs(logits.astype(np.float64) - probes.logits).max(axis=-1)
    each = np.where(np.isfinite(each), each, np.inf).reshape(len(expected), -1)
    difference, found = each.max(axis=1), logits[:, -1] if rows else logits
    sound = (difference <= probes.record.tolerance) & (found.argmax(axis=1) == expected.argmax(axis=1))
    parity = classifier.spec.parity
    return Verification(
        path=classifier.path,
        engine=classifier.engine,
        version=engine_version(classifier.engine),
        probes=len(expected),
        max_logit_difference=float(difference.max()),
        tolerance=probes.record.tolerance,
        budget=parity.budget if parity else None,
        mismatches=tuple(
            Mismatch(
                int(k),
                labels[int(expected[k].argmax())],
                labels[int(found[k].argmax())] if np.isfinite(difference[k]) else "no number",
                float(difference[k]),
                rows[int(each[k].argmax())] if rows else None,
            )
            for k in np.flatnonzero(~sound)
        ),
    )


def demand(verification: Verification) -> Verification:
    """The verification itself. Raises VerificationError, which carries it, when it failed."""
    if not verification:
        raise VerificationError(str(verification), verification)
    return verification


def _logits(classifier: Classifier, window: NDArray[Any], probes: Probes) -> NDArray[np.float32]:
    try:
        if probes.record.rows:
            positions = [row - 1 for row in probes.record.rows]
            after: NDArray[np.float32] = classifier.logits_by_row(window[np.newaxis])[0][positions]
            return after
        logits: NDArray[np.float32] = classifier.logits(window)[0]
        return logits
    except InputError:  # the probes themselves are sound: these are logits that are no numbers
        return np.full(probes.logits.shape[1:], np.nan, np.float32)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _little_endian(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
