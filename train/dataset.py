"""A data set that is ready for training: raw windows in splits, and how they came about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.labelled_windows import LabelledWindows

SPLIT_SEED = 0
"""The split is part of the data set: the same for every run, whatever the run's seed."""


@dataclass(frozen=True, eq=False)
class WindowOrigins:
    """Where windows were cut, window by window."""

    sources: NDArray[np.int64]
    """`[N]`: a number for what must stay together: the recording, with all others that share rows with
    it."""
    recordings: NDArray[np.int64]
    """`[N]`: the recording, by number."""
    starts: NDArray[np.int64]
    """`[N]`: the first row of the window in its recording."""

    def take(self, indices: NDArray[np.int64]) -> WindowOrigins:
        """The origins at these positions."""
        return WindowOrigins(self.sources[indices], self.recordings[indices], self.starts[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Raw windows in two or three splits. The test split chooses nothing."""

    name: str
    train: LabelledWindows
    test: LabelledWindows
    labels: tuple[str, ...]
    image: bool
    """Whether a window is a picture, read row by row: moving it by a pixel keeps its meaning."""
    validation: LabelledWindows | None = None
    """The validation split that the data set brings. None: a part of `train` is held back."""
    about: dict[str, Any] = field(default_factory=dict)
    """How the data set came about, for run.json: how it was split, and for recordings the window, the
    hop, the rule of the label, features, rate, recordings and groups of each split."""
    notes: tuple[str, ...] = ()
    """Sentences that whoever trains must read, because they limit what the accuracy means."""
    origins: WindowOrigins | None = None
    """Where the windows of `train` were cut; None where the data set consists of windows."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shapes, dtypes and bytes of all splits."""
        digest = hashlib.sha256()
        for windows in (self.train, self.test, self.validation):
            if windows is None:
                continue
            for array in (windows.x, windows.y):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def normalization(self) -> Normalization:
        """uint8 windows are divided by 255; others are brought to mean 0 and standard deviation 1,
        feature by feature, as measured on the training split."""
        if self.train.x.dtype == np.uint8:
            return Normalization((0.0,), (255.0,), "uint8")
        flat = self.train.x.reshape(-1, self.train.x.shape[-1]).astype(np.float64)
        mean, std = flat.mean(axis=0), flat.std(axis=0)
        std[std == 0] = 1.0  # a constant feature carries nothing; keep it finite
        return Normalization(_float32(mean), _float32(std))


def numbered_labels(classes: int) -> tuple[str, ...]:
    """The names of classes that have none: their numbers."""
    return tuple(str(index) for index in range(classes))


def _float32(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)
