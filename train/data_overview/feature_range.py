"""Ranges of the features of a data set, measured part by part, as a copy may not fit in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.data_overview.facts import FeatureFacts


class FeatureRanges:
    """Minimum, maximum, mean, standard deviation and missing values of each feature."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        size = len(names)
        self._lowest, self._highest = np.full(size, np.inf), np.full(size, -np.inf)
        self._count, self._mean, self._squares = np.zeros(size), np.zeros(size), np.zeros(size)
        self._missing = np.zeros(size, np.int64)
        self._without, self._constant = np.zeros(size, np.int64), np.zeros(size, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """The rows `[rows, features]` of one recording, NaN where a value is missing.

        Means and squares of the parts are combined as in Chan, Golub and LeVeque (1979), Updating
        Formulae and a Pairwise Algorithm for Computing Sample Variances, equations 2.1.
        """
        known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        count = known.sum(axis=0)
        rows = values.astype(np.float64)
        lowest = np.min(rows, axis=0, where=known, initial=np.inf)
        highest = np.max(rows, axis=0, where=known, initial=-np.inf)
        mean = np.sum(rows, axis=0, where=known) / np.maximum(count, 1)
        squares = np.sum((rows - mean) ** 2, axis=0, where=known)
        both = np.maximum(self._count + count, 1)
        self._squares += squares + (mean - self._mean) ** 2 * self._count * count / both
        self._mean += (mean - self._mean) * count / both
        self._count += count
        self._lowest, self._highest = (
            np.minimum(self._lowest, lowest),
            np.maximum(self._highest, highest),
        )
        self._missing += len(values) - count
        self._without += count == 0
        self._constant += (lowest == highest) & (count > 1)

    def facts(self) -> tuple[FeatureFacts, ...]:
        """One for each feature, in their order."""
        std = np.sqrt(self._squares / np.maximum(self._count, 1))
        return tuple(self._fact(index, float(std[index])) for index in range(len(self._names)))

    def _fact(self, index: int, std: float) -> FeatureFacts:
        known = bool(self._count[index])
        return FeatureFacts(
            self._names[index],
            float(self._lowest[index]) if known else None,
            float(self._highest[index]) if known else None,
            float(self._mean[index]) if known else None,
            std if known else None,
            int(self._missing[index]),
            int(self._without[index]),
            int(self._constant[index]),
        )
