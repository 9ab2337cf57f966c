"""The record of a model file's probes; the windows are in probes.bin (model_file.probes)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.model_file.json_fields import number, numbers, text, whole, wholes

DTYPES = ("uint8", "float32", "int32")
"""Types of raw windows; int32 for tokens."""

MOST_PROBES = 1000
"""Limit on the number of probes; the converter's 2,000 bytes hold fewer."""

LARGEST_VALUE = 3.4e38
"""Limit on a value of a float32 window."""


@dataclass(frozen=True)
class Synthetic:
    """Probe windows that are made by a formula (probes.synthetic_windows) instead of being stored."""

    seed: int
    low: float
    high: float
    """Range of the raw values."""


@dataclass(frozen=True)
class ProbeRecord:
    """How many probe windows there are, what they are, and how far an engine's logits may be off."""

    count: int
    dtype: str
    """dtype of the raw windows, one of DTYPES."""
    tolerance: float
    """Largest allowed difference of a logit from the full model's."""
    origin: str
    """Where the windows come from, as text."""
    synthetic: Synthetic | None = None
    """Set when the windows are not in probes.bin."""
    rows: tuple[int, ...] = ()
    """In a step file: the rows, numbered from 1 up to the last one, after which logits are compared."""
    spreads: tuple[float, ...] = ()
    """In a file of numbers: the standard deviation of each output of the full model. Differences of an
    output are compared in this unit. Empty in a classifier's file."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back to an equal record."""
        record = asdict(self)
        if not self.rows:
            del record["rows"]
        if not self.spreads:
            del record["spreads"]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ProbeRecord:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        result = cls(
            count=whole(record, "count", 1),
            dtype=text(record, "dtype"),
            tolerance=number(record, "tolerance"),
            origin=text(record, "origin"),
            synthetic=_synthetic(record["synthetic"]),
            rows=wholes(record, "rows", 1) if "rows" in record else (),
            spreads=numbers(record, "spreads") if "spreads" in record else (),
        )
        if not all(spread > 0 for spread in result.spreads):
            raise ValueError("probes: expected spreads above 0")
        if result.count > MOST_PROBES or result.dtype not in DTYPES or result.tolerance <= 0:
            raise ValueError(
                f"probes: expected a count up to {MOST_PROBES}, a dtype of {', '.join(DTYPES)}, and a "
                "tolerance above 0"
            )
        return result


def _synthetic(record: dict[str, Any] | None) -> Synthetic | None:
    if record is None:
        return None
    result = Synthetic(whole(record, "seed"), number(record, "low"), number(record, "high"))
    if not -LARGEST_VALUE <= result.low <= result.high <= LARGEST_VALUE:
        raise ValueError("synthetic: expected low and high, a range of float32")
    return result
