"""Recordings in memory: what every reader returns, and what windows are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
"""Names that a split column, or folders of a data set, may give."""

UNLABELLED = -1
"""The class index of a row that has no label."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One measurement without a break: its rows in the order of time."""

    name: str
    """Unique in its data set: a path relative to the data set, or a value of the recording column."""
    path: Path
    """The file that it comes from, for sentences about it."""
    values: NDArray[Any]
    """`[rows, features]` float32 or uint8. NaN where a value is missing."""
    labels: NDArray[np.int64]
    """`[rows]`: the class index of each row, or UNLABELLED."""
    group: str | None = None
    """The subject, device or site; None where nobody said."""
    split: str | None = None
    """One of SPLITS where the data set has a split of its own; None otherwise."""
    times: NDArray[np.float64] | None = None
    """`[rows]` seconds, ascending; None where the data set gives neither times nor a rate."""
    lines: NDArray[np.int64] | None = None
    """`[rows]`: the line of the file that each row stands on, from 1; None where a file has no lines."""


@dataclass(frozen=True, eq=False)
class Recordings:
    """A data set of recordings that have the same features."""

    name: str
    """For the run's record: the name of the file or folder."""
    recordings: tuple[Recording, ...]
    labels: tuple[str, ...]
    """The names of the classes, by index."""
    features: tuple[str, ...]
    """The names of the features."""
