"""One data set from the recordings of several files: classes numbered once, names that are unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from train.recordings.recording import UNLABELLED, Recording


@dataclass(frozen=True, eq=False)
class FileRecording:
    """A recording whose labels are indices into the classes of its own file."""

    recording: Recording
    classes: tuple[str, ...]


def unify(found: Sequence[FileRecording]) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    """The recordings with labels that are indices into one list of classes, which is the second result.

    Classes are in the order of their numbers if all are numbers, of the alphabet otherwise.
    """
    classes = _in_order({name for item in found for name in item.classes})
    index = {name: number for number, name in enumerate(classes)}
    recordings = []
    for item in found:
        numbers = np.asarray([*(index[name] for name in item.classes), UNLABELLED], np.int64)
        labels = numbers[item.recording.labels]  # UNLABELLED, -1, takes the last of them
        recordings.append(replace(item.recording, labels=labels))
    return with_unique_names(recordings), classes


def with_unique_names(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """With the group in front of names that several have, or else #1, #2 behind them."""
    counts = Counter(item.name for item in recordings)
    names = [
        f"{item.group}/{item.name}"
        if counts[item.name] > 1 and item.group not in (None, item.name)
        else item.name
        for item in recordings
    ]
    counts, seen = Counter(names), Counter[str]()
    for position, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[position] = f"{name}#{seen[name]}"
    named = tuple(replace(item, name=name) for item, name in zip(recordings, names))
    # A file may be called like another one with a number behind it.
    return named if len(set(names)) == len(names) else with_unique_names(named)


def _in_order(names: set[str]) -> tuple[str, ...]:
    if all(name.isdecimal() for name in names):  # of any length, which int() would refuse
        return tuple(sorted(names, key=lambda name: (len(name.lstrip("0")), name.lstrip("0"), name)))
    return tuple(sorted(names))
