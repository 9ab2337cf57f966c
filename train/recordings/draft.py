"""A recording of one file before its names and classes are compared with those of the other files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.recording import UNLABELLED, Recording
from train.recordings.table import place


@dataclass(frozen=True, eq=False)
class Draft:
    """A recording whose labels are numbered by the file's own names; otherwise like Recording."""

    name: str
    path: Path
    values: NDArray[np.float32]
    codes: NDArray[np.int64]
    """`[rows]`: indices into `names`, or UNLABELLED."""
    names: tuple[str, ...]
    """The classes of the file."""
    group: str | None
    split: str | None
    times: NDArray[np.float64] | None
    lines: NDArray[np.int64] | None

    def place(self, row: int) -> str:
        """Where a row stands, as a message begins."""
        return place(self.path, self.lines, row)


def finish(drafts: Sequence[Draft]) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    """Recordings with names of their own, and the classes of all of them in order.

    Raises DataError where a class of a validation or test recording has no row for training.
    """
    classes = _in_order({name for draft in drafts for name in draft.names})
    index = {name: number for number, name in enumerate(classes)}
    recordings = tuple(_recording(draft, name, index) for draft, name in zip(drafts, _own_names(drafts)))
    _check_trained(recordings, classes)
    return recordings, classes


def _recording(draft: Draft, name: str, index: dict[str, int]) -> Recording:
    numbers = np.asarray([*(index[text] for text in draft.names), UNLABELLED], np.int64)
    return Recording(
        name,
        draft.path,
        draft.values,
        numbers[draft.codes],  # UNLABELLED, -1, is the last of them
        draft.group,
        draft.split,
        draft.times,
        draft.lines,
    )


def _in_order(names: set[str]) -> tuple[str, ...]:
    """By number if all are numbers, by alphabet otherwise."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _own_names(drafts: Sequence[Draft]) -> list[str]:
    """Each draft's name; with its group in front, or #1 and #2 behind, where several have the same."""
    names = [draft.name for draft in drafts]
    counts = Counter(names)
    names = [
        f"{draft.group}/{name}" if counts[name] > 1 and draft.group not in (None, name) else name
        for draft, name in zip(drafts, names)
    ]
    counts, seen = Counter(names), Counter[str]()
    for position, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[position] = f"{name}#{seen[name]}"
    return names


def _check_trained(recordings: Sequence[Recording], classes: tuple[str, ...]) -> None:
    """Where the data set has a split: a class that is only tested cannot be learned."""
    trained = {int(label) for item in recordings if item.split == "train" for label in set(item.labels)}
    for item in recordings if trained else ():
        unknown = ~np.isin(item.labels, [*trained, UNLABELLED])
        if unknown.any():
            row = int(unknown.argmax())
            raise DataError(
                f"{place(item.path, item.lines, row)}: class '{reason(classes[item.labels[row]])}' in "
                f"the {item.split} split has no rows in the train split. Add some, or remove the class."
            )
