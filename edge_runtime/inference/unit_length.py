"""Vectors of length 1, for embeddings that their model normalizes at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_LENGTH = 1e-6
"""A vector that is shorter is divided by this, as TensorFlow's l2_normalize does (epsilon = 1e-12)."""


def scale_to_unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divides vectors `[..., n]` by their Euclidean lengths, in place; returns them."""
    lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1, keepdims=True))
    vectors /= np.maximum(lengths, LEAST_LENGTH)
    return vectors
