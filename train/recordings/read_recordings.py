"""Recordings by path: tables, `.ts`, Edge Impulse's JSON, and folders of them."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import DataError
from edge_runtime.inputs.read_windows import looks_like_idx
from train.recordings.data_options import DataOptions
from train.recordings.folders import TABLE_SUFFIXES, visible
from train.recordings.recording import Recordings

TS_SUFFIX = ".ts"

JSON_SUFFIX = ".json"

DEEPEST = 3
"""Folders below each other in which a file is looked for: SPLIT/CLASS/GROUP."""


def looks_like_recordings(path: str | Path) -> bool:
    """Whether a path is for `read_recordings`, by its name: a file that it reads, or a folder with
    anything in it but IDX files."""
    file = Path(path)
    if not file.is_dir():
        return file.suffix.lower() in (*TABLE_SUFFIXES, TS_SUFFIX, JSON_SUFFIX)
    entries = visible(file)
    return bool(entries) and not any(looks_like_idx(entry) for entry in entries)


def read_recordings(path: str | Path, options: DataOptions) -> Recordings:
    """The recordings in a file or a folder, without missing values where `--fill` says so.

    Raises DataError, with the file and, where it has lines, the line; InputError, which names the
    option; MissingExtraError where a package that reads this kind of file is not installed.
    """
    file = Path(path)
    if not file.exists():
        raise DataError(f"{path}: no such file or folder.")
    kind = _kind(file)
    if kind == TS_SUFFIX:
        from train.recordings.ts_file import read_ts

        return read_ts(file)
    if kind == JSON_SUFFIX:
        from train.recordings.edge_impulse import read_edge_impulse

        return read_edge_impulse(file, options)
    from train.recordings.tables import read_tables

    return read_tables(file, options)


def _kind(path: Path) -> str:
    """The suffix that says who reads `path`: that of the file, or of the first file in the folder."""
    if not path.is_dir():
        return path.suffix.lower()
    found = _first_suffix(path, DEEPEST)
    return found or TABLE_SUFFIXES[0]


def _first_suffix(folder: Path, deep: int) -> str | None:
    entries = visible(folder)
    known = (*TABLE_SUFFIXES, TS_SUFFIX, JSON_SUFFIX)
    for entry in entries:
        if not entry.is_dir() and entry.suffix.lower() in known:
            return entry.suffix.lower()
    folders = (entry for entry in entries if entry.is_dir() and deep)
    return next((suffix for entry in folders if (suffix := _first_suffix(entry, deep - 1))), None)
