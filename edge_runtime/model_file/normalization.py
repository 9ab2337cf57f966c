"""What happens to a raw window before the network sees it, in training and on the device alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.model_file.json_fields import numbers, text, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOO_LARGE = "the input holds NaN, infinity or too large a number"

TOKEN_DTYPE = "int32"
"""The dtype of windows of tokens."""

MOST_TOKENS = 1 << 24
"""Whole numbers up to here are exact in float32."""


@dataclass(frozen=True)
class Normalization:
    """normalized = (raw - mean) / std, in float32.

    `mean` and `std` hold one value for all features, or one value per feature. `dtype` is that of the
    raw training windows ("uint8" or "float32"; "int32" for tokens), and tells in which unit a raw window
    is expected.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str = "float32"
    tokens: int = 0
    """For windows of tokens, how many tokens there are: such a window holds whole numbers below that,
    which stay as they are. 0 for other windows."""

    @classmethod
    def of_tokens(cls, tokens: int) -> Normalization:
        """For windows of tokens."""
        return cls((0.0,), (1.0,), TOKEN_DTYPE, tokens)

    def apply(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Normalize raw windows `[..., features]` (any real dtype) to float32 of the same shape.

        Tokens become int32. Raises InputError for NaN, infinity, and numbers that become infinite in
        float32, and for numbers that are no tokens.
        """
        if self.tokens:
            return self._whole(raw)
        mean = np.asarray(self.mean, np.float32)
        std = np.asarray(self.std, np.float32)
        with np.errstate(over="ignore"):
            normalized: NDArray[np.float32] = (raw.astype(np.float32) - mean) / std
        if not np.isfinite(normalized).all():
            raise InputError(TOO_LARGE)
        return normalized

    def _whole(self, raw: NDArray[Any]) -> NDArray[np.int32]:
        with np.errstate(invalid="ignore"):
            sound = (raw >= 0) & (raw < self.tokens) & (np.floor(raw) == raw)
        if not sound.all():
            found = raw[~sound].reshape(-1)[0]
            shown = f"{found:.9g}" if raw.dtype.kind == "f" else f"{found}"
            raise InputError(
                f"the input holds {shown}. The model takes tokens: whole numbers from 0 to "
                f"{self.tokens - 1}."
            )
        return raw.astype(np.int32)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        record = {"mean": list(self.mean), "std": list(self.std), "dtype": self.dtype}
        return {**record, "tokens": self.tokens} if self.tokens else record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Normalization:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else.

        This includes a mean or std for which a byte has no normalized value in float32: such a model
        could answer nothing.
        """
        tokens = whole(record, "tokens", 1) if "tokens" in record else 0
        result = cls(numbers(record, "mean"), numbers(record, "std"), text(record, "dtype"), tokens)
        if tokens > MOST_TOKENS or (result.dtype == TOKEN_DTYPE) != (tokens > 0):
            raise ValueError(
                f"normalization: expected tokens up to {MOST_TOKENS:,} for windows of {TOKEN_DTYPE} only"
            )
        with np.errstate(all="ignore"):
            mean, std = np.asarray(result.mean, np.float32), np.asarray(result.std, np.float32)
            values = [mean, std, (0 - mean) / std, (255 - mean) / std]
        if not all(np.isfinite(part).all() for part in values):
            raise ValueError(
                "normalization: expected mean and std to be finite in float32, and std not to be 0"
            )
        return result
