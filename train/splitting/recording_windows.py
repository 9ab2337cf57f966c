"""All windows that the recordings of a data set give, before any is cut."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, InputError, reason
from edge_runtime.runs.labelled_windows import LabelledWindows
from train.dataset import WindowOrigins
from train.recordings.data_options import DataOptions
from train.recordings.recording import UNLABELLED, Recording, Recordings
from train.splitting.windows import cut_windows, window_labels


@dataclass(frozen=True, eq=False)
class PlannedWindows:
    """Where the windows of a data set start, and their classes, in the order of the recordings. A split
    chooses among them, and only then are they cut."""

    data: Recordings
    window: int
    origins: WindowOrigins
    y: NDArray[np.int64]
    """`[N]`: the class of each window."""
    short: int
    """Recordings that are left out because they have fewer rows than a window."""
    unclassed: int
    """Windows that are left out because they have no class (`window_labels`)."""

    def take(self, chosen: NDArray[np.bool_]) -> PlannedWindows:
        """The `chosen` `[N]` windows."""
        places = np.flatnonzero(chosen)
        origins, y = self.origins.take(places), self.y[places]
        return PlannedWindows(self.data, self.window, origins, y, self.short, self.unclassed)

    def cut(self) -> LabelledWindows:
        """The windows with their rows."""
        recordings = self.data.recordings
        features = len(self.data.features)
        dtype = np.result_type(*{item.values.dtype for item in recordings})
        x = np.empty((len(self.y), self.window, features), dtype)
        numbers, firsts = np.unique(self.origins.recordings, return_index=True)  # they ascend
        for number, first, end in zip(numbers, firsts, [*firsts[1:], len(x)]):
            starts = self.origins.starts[first:end]
            x[first:end] = cut_windows(recordings[number].values, starts, self.window)
        groups = self.groups()
        return LabelledWindows(x, self.y, None if groups is None else groups[self.origins.recordings])

    def groups(self) -> NDArray[np.str_] | None:
        """`[recordings]`: the group of each recording; None where they have none."""
        names = [item.group for item in self.data.recordings]
        return None if None in names else np.array(names, np.str_)

    def splits(self) -> NDArray[np.str_] | None:
        """`[recordings]`: the split that the data set gives each recording; None where it gives none."""
        names = [item.split for item in self.data.recordings]
        return None if None in names else np.array(names, np.str_)


def plan_windows(data: Recordings, options: DataOptions, path: Path) -> PlannedWindows:
    """The windows of all recordings with `--window`, `--hop` and `--label`; without `--window`, each
    recording is a window. Raises DataError where there are none, or where recordings differ."""
    _check_consistent(data)
    if options.window is None:
        window = hop = _common_length(data, path)
        found = [_whole_recording(item) for item in data.recordings]
    else:
        window, hop = options.window, options.hop or options.window
        found = [window_labels(item.labels, window, hop, options.label) for item in data.recordings]
    if not any(len(starts) for starts, _ in found):
        longest = max(data.recordings, key=lambda item: len(item.values))
        raise DataError(
            f"{path}: no recording has the {window:,} rows of a window. The longest, "
            f"{reason(longest.name)}, has {len(longest.values):,}. Choose a smaller --window."
        )
    lengths = [len(starts) for starts, _ in found]
    recordings = np.repeat(np.arange(len(found)), lengths)
    starts, labels = (np.concatenate(parts) for parts in zip(*found))
    kept = labels != UNLABELLED
    if not kept.any():
        raise DataError(
            f"{path}: no window has a class (--label {options.label}). Label the rows, or choose "
            "another rule or a smaller --window."
        )
    _check_memory(int(kept.sum()) * window * data.recordings[0].values[:1].nbytes)
    origins = WindowOrigins(_sources(data)[recordings], recordings, starts).take(np.flatnonzero(kept))
    short = sum(length == 0 for length in lengths)
    return PlannedWindows(data, window, origins, labels[kept], short, int((~kept).sum()))


def _check_memory(size: int) -> None:
    """Raises InputError where windows of `size` bytes would fill more than half of the memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * size > memory:
        raise InputError(
            f"--hop: the windows would take {size / 2**30:.1f} GiB of the {memory / 2**30:.1f} GiB in "
            "this machine. Choose a larger --hop."
        )


def place_in(recording: Recording, row: int) -> str:
    """Where a row stands, as a message begins: the file and its line, or its row from 1."""
    if recording.lines is not None:
        return f"{recording.path}, line {recording.lines[row]}"
    return f"{recording.path}, row {row + 1}"


def _check_consistent(data: Recordings) -> None:
    """Raises DataError where some recordings have a group or a split, and others none."""
    for what, names in (
        ("group", [item.group for item in data.recordings]),
        ("split", [item.split for item in data.recordings]),
    ):
        if None in names and any(name is not None for name in names):
            without = data.recordings[names.index(None)]
            raise DataError(
                f"{without.path}: {reason(without.name)} has no {what}, and other recordings have one. "
                f"Give each recording a {what}, or none."
            )


def _common_length(data: Recordings, path: Path) -> int:
    lengths = np.array([len(item.values) for item in data.recordings])
    if lengths.min() != lengths.max():
        low, high = (data.recordings[int(k)] for k in (lengths.argmin(), lengths.argmax()))
        raise DataError(
            f"{path}: the recordings have {lengths.min():,} ({reason(low.name)}) to {lengths.max():,} "
            f"rows ({reason(high.name)}). Pass --window to cut windows of equal length from them."
        )
    return int(lengths[0])


def _whole_recording(item: Recording) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The start and the class of a recording that is one window. Rows without a class say nothing."""
    known = np.flatnonzero(item.labels != UNLABELLED)
    labels = item.labels[known]
    if len(labels) and (labels != labels[0]).any():
        row = int(known[int((labels != labels[0]).argmax())])
        raise DataError(
            f"{place_in(item, row)}: the class changes within {reason(item.name)}. Pass --window to cut "
            "windows from it."
        )
    label = labels[0] if len(labels) else UNLABELLED
    return np.zeros(1, np.int64), np.full(1, label, np.int64)


def _sources(data: Recordings) -> NDArray[np.int64]:
    """`[recordings]`: a number for each recording as it was before it was divided at gaps (NAME#1,
    NAME#2)."""
    names = [f"{item.path}\0{re.sub(r'#[0-9]+$', '', item.name)}" for item in data.recordings]
    numbers: NDArray[np.int64] = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return numbers
