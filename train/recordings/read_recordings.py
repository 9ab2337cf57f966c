"""Recordings by path: tables, `.ts`, Edge Impulse's JSON, and folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_runtime.errors import DataError, InputError, reason
from edge_runtime.inputs.read_windows import looks_like_idx
from train.recordings.data_options import DataOptions
from train.recordings.fill import fill_recordings
from train.recordings.folders import TABLE_SUFFIXES, visible
from train.recordings.recording import UNLABELLED, Recordings
from train.recordings.table import place_of_row

TS_SUFFIX = ".ts"

JSON_SUFFIXES = (".json", ".cbor")
"""The second one is read only to say what to do."""

COLUMN_OPTIONS = (
    *("label_column", "recording_column", "group_column", "time_column", "split_column"),
    "feature_columns",
)
"""The settings that name columns of a table."""

SENSOR_OPTIONS = ("group_column", "feature_columns")
"""Those of them that name metadata and sensors of Edge Impulse."""

DEEPEST = 3
"""Folders below each other in which a file is looked for: SPLIT/CLASS/GROUP."""


def looks_like_recordings(path: str | Path) -> bool:
    """Whether a path is for `read_recordings`, by its name: a file that it reads, or a folder with
    anything in it but IDX files."""
    file = Path(path)
    if not file.is_dir():
        return file.suffix.lower() in (*TABLE_SUFFIXES, TS_SUFFIX, *JSON_SUFFIXES)
    entries = visible(file)
    return bool(entries) and not any(looks_like_idx(entry) for entry in entries)


def read_recordings(path: str | Path, options: DataOptions) -> Recordings:
    """The recordings in a file or a folder, for training: without missing values and gaps.

    Raises DataError, with the file and, where it has lines, the line; InputError, which names the
    option; MissingExtraError where a package that reads this kind of file is not installed.
    """
    found = fill_recordings(read_as_recorded(path, options), options.fill)
    _check_classes(found)
    return found


def read_as_recorded(path: str | Path, options: DataOptions) -> Recordings:
    """The recordings as the files have them, for a look at the data: missing values are NaN, and times
    may have gaps, stand still and go back. Raises the same errors for all else."""
    file = Path(path)
    if not file.exists():
        raise DataError(f"{path}: no such file or folder.")
    kind = _kind(file)
    if kind == TS_SUFFIX:
        from train.recordings.ts_file import read_ts

        _refuse_columns(file, options, COLUMN_OPTIONS)
        return read_ts(file)
    if kind in JSON_SUFFIXES:
        from train.recordings.edge_impulse import read_edge_impulse

        _refuse_columns(file, options, [name for name in COLUMN_OPTIONS if name not in SENSOR_OPTIONS])
        return read_edge_impulse(file, options)
    from train.recordings.tables import read_tables

    return read_tables(file, options)


def _refuse_columns(path: Path, options: DataOptions, names: Sequence[str]) -> None:
    """Raises InputError for an option that names a column of a table."""
    for name in names:
        if getattr(options, name):
            raise InputError(f"--{name.replace('_', '-')}: {path} is no table. Leave the option out.")


def _check_classes(found: Recordings) -> None:
    """Where the data set has a split: a class that is only tested cannot be learned."""
    parts = [item.labels for item in found.recordings if item.split == "train"]
    if not parts:
        return
    trained = np.unique(np.concatenate([*parts, [UNLABELLED]]))
    for item in found.recordings:
        unknown = ~np.isin(item.labels, trained)
        if unknown.any():
            row = int(unknown.argmax())
            name = reason(found.labels[item.labels[row]])
            raise DataError(
                f"{place_of_row(item.path, item.lines, row)}: class '{name}' in the {item.split} split "
                "has no rows in the train split. Add some, or remove the class."
            )


def _kind(path: Path) -> str:
    """The suffix that says who reads `path`: that of the file, or of the first file in the folder."""
    if not path.is_dir():
        return path.suffix.lower()
    found = _first_suffix(path, DEEPEST)
    return found or TABLE_SUFFIXES[0]


def _first_suffix(folder: Path, deep: int) -> str | None:
    entries = visible(folder)
    known = (*TABLE_SUFFIXES, TS_SUFFIX, *JSON_SUFFIXES)
    for entry in entries:
        if not entry.is_dir() and entry.suffix.lower() in known:
            return entry.suffix.lower()
    folders = (entry for entry in entries if entry.is_dir() and deep)
    return next((suffix for entry in folders if (suffix := _first_suffix(entry, deep - 1))), None)
