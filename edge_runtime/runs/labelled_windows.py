"""Windows with their classes: what data sets, run directories and the converter pass to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelledWindows:
    """Raw windows `x` `[N, steps, features]` (uint8, float32, or int32 for
    tokens) with class indices `y` `[N]` (int64)."""

    x: NDArray[Any]
    y: NDArray[np.int64]
    groups: NDArray[np.str_] | None = None
    """`[N]`: the person, device or site that each window comes from; None where nobody said."""

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: NDArray[np.int64]) -> LabelledWindows:
        """The windows at these positions."""
        groups = None if self.groups is None else self.groups[indices]
        return LabelledWindows(self.x[indices], self.y[indices], groups)

    def stratified_sample(self, count: int, seed: int) -> LabelledWindows:
        """`count` windows, chosen by `seed`, with the classes in the same proportions as in all windows.

        When `count` is at least their number, all windows in a seeded order. Any first part of the
        sample is nearly stratified too, because the classes are interleaved.
        """
        order = np.random.default_rng(seed).permutation(len(self.y))
        rank = np.empty(len(order))
        for label in np.unique(self.y):
            members = order[self.y[order] == label]
            # Spread each class evenly over 0..1; sorting by that rank interleaves the classes.
            rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        return self.take(np.argsort(rank, kind="stable")[:count])
