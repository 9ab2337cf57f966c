"""What happens to a raw window before the network sees it, in training and on the device alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.model_file.json_fields import numbers, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOO_LARGE = "the input holds NaN, infinity or too large a number"


@dataclass(frozen=True)
class Normalization:
    """normalized = (raw - mean) / std, in float32.

    `mean` and `std` hold one value for all features, or one value per feature. `dtype` is that of the
    raw training windows ("uint8" or "float32"), and tells in which unit a raw window is expected.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str = "float32"

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Normalize raw windows `[..., features]` (any real dtype) to float32 of the same shape.

        Raises InputError for NaN, infinity, and numbers that become infinite in float32.
        """
        mean = np.asarray(self.mean, np.float32)
        std = np.asarray(self.std, np.float32)
        with np.errstate(over="ignore"):
            normalized: NDArray[np.float32] = (raw.astype(np.float32) - mean) / std
        if not np.isfinite(normalized).all():
            raise InputError(TOO_LARGE)
        return normalized

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        return {"mean": list(self.mean), "std": list(self.std), "dtype": self.dtype}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Normalization:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else.

        This includes a mean or std for which a byte has no normalized value in float32: such a model
        could answer nothing.
        """
        result = cls(numbers(record, "mean"), numbers(record, "std"), text(record, "dtype"))
        with np.errstate(all="ignore"):
            mean, std = np.asarray(result.mean, np.float32), np.asarray(result.std, np.float32)
            values = [mean, std, (0 - mean) / std, (255 - mean) / std]
        if not all(np.isfinite(part).all() for part in values):
            raise ValueError(
                "normalization: expected mean and std to be finite in float32, and std not to be 0"
            )
        return result
