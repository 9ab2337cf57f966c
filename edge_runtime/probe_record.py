"""What a model file says of its probes; the windows are in probes.bin (edge_runtime.probes)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

DTYPES = ("uint8", "float32")
"""Types of raw windows."""


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
    """Of the raw windows, one of DTYPES."""
    tolerance: float
    """Largest allowed difference of a logit from the full model's."""
    origin: str
    """Where the windows come from."""
    synthetic: Synthetic | None = None
    """Set when the windows are not in probes.bin."""
    rows: tuple[int, ...] = ()
    """Of a step file: the rows, numbered from 1 up to the last one, after which logits are compared."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back to an equal record."""
        record = asdict(self)
        if not self.rows:
            del record["rows"]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ProbeRecord:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        result = cls(
            count=int(record["count"]),
            dtype=str(record["dtype"]),
            tolerance=float(record["tolerance"]),
            origin=str(record["origin"]),
            synthetic=_synthetic(record["synthetic"]),
            rows=tuple(int(row) for row in record.get("rows", ())),
        )
        if result.count < 1 or result.dtype not in DTYPES or not 0 < result.tolerance < math.inf:
            raise ValueError("probes: expected a count, a dtype and a tolerance")
        return result


def _synthetic(record: dict[str, Any] | None) -> Synthetic | None:
    if record is None:
        return None
    low, high = float(record["low"]), float(record["high"])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("probes: expected a finite range")
    return Synthetic(int(record["seed"]), low, high)
