"""Recordings from tables: which rows belong together, and what their labels are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, InputError, reason
from train.recordings.data_options import DataOptions
from train.recordings.folders import SourceFile, find_files, split_called
from train.recordings.recording import UNLABELLED, Recording, Recordings
from train.recordings.table import DataTable
from train.recordings.table_files import read_table
from train.recordings.times import times_in
from train.recordings.unified import FileRecording, unify

Texts = NDArray[np.object_]


def read_tables(path: Path, options: DataOptions) -> Recordings:
    """The recordings in a table, a folder of tables, or folders of them (train.recordings.folders),
    with NaN where a value is missing.

    A recording is what has one value of the recording column, within a file and, if there is a group
    column, within a group. Without a recording column it is the file, and a new one begins where the
    group changes. It ends, too, where the split column changes. An empty label means UNLABELLED. Raises
    DataError, with file and line, or InputError, which names the option.
    """
    sources = _sources(path, options)
    found: list[FileRecording] = []
    features: tuple[str, ...] | None = None
    for source in sources:
        table = read_table(source.path, options, features)
        features = table.columns.features
        found += _in_file(table, source, alone=path == source.path)
    recordings, classes = unify(found)
    return Recordings(path.resolve().name, recordings, classes, features or ())


def _sources(path: Path, options: DataOptions) -> tuple[SourceFile, ...]:
    if not path.is_dir():
        if options.label_column is None:
            raise InputError(
                f"--label-column: missing. Which column of {path} holds the class of each row?"
            )
        return (SourceFile(path, path.name),)
    sources = find_files(path, labelled=options.label_column is not None)
    if options.split_column is not None and any(source.split for source in sources):
        raise InputError(f"--split-column: {path} has folders for its splits. Leave the option out.")
    return sources


def _in_file(table: DataTable, source: SourceFile, *, alone: bool) -> Iterator[FileRecording]:
    """The recordings in a file, in the order of their first rows."""
    classes, codes = _labels(table, source)
    values = table.numbers()
    columns = {role: _complete(table, role) for role in ("recording", "group", "split")}
    splits = _splits(table, columns["split"])
    time = table.columns.roles.get("time")
    times = None if time is None else times_in(table, time)
    for rows in _pieces(len(table), columns["recording"], columns["group"], splits):
        first = rows[0]
        own = {role: texts[first] for role, texts in columns.items() if texts is not None}
        part = own.get("recording", own.get("group"))
        recording = Recording(
            _name(source, part, alone),
            source.path,
            values[rows],
            codes[rows],
            own.get("group", source.group),
            source.split if splits is None else splits[first],
            None if times is None else times[rows],
            None if table.lines is None else table.lines[rows],
        )
        yield FileRecording(recording, classes)


def _name(source: SourceFile, part: str | None, alone: bool) -> str:
    if part is None:
        return source.name
    return part if alone else f"{source.name}:{part}"


def _labels(table: DataTable, source: SourceFile) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The classes of a file, and the index of each row's."""
    column = table.columns.roles.get("label")
    if column is None:
        return (source.label or "",), np.zeros(len(table), np.int64)
    texts = table.text(column)
    numbers: dict[str, int] = {}
    codes = [UNLABELLED if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
    if not numbers:
        raise DataError(f"{table.path}: column '{reason(column)}' is empty. Expected a class in it.")
    return tuple(numbers), np.asarray(codes, np.int64)


def _complete(table: DataTable, role: str) -> Texts | None:
    """The cells of a role's column, none of them empty; None if the role has no column."""
    column = table.columns.roles.get(role)
    if column is None:
        return None
    texts = table.text(column)
    for row, text in enumerate(texts):
        if text is None:
            raise DataError(
                f"{table.place(row)}: column '{reason(column)}' is empty. Complete it, or remove "
                "the line."
            )
    return texts


def _splits(table: DataTable, texts: Texts | None) -> Texts | None:
    if texts is None:
        return None
    known = {text: split_called(text) for text in set(texts)}
    for row, text in enumerate(texts):
        if known[text] is None:
            raise DataError(
                f"{table.place(row)}: column '{reason(table.columns.roles['split'])}' holds "
                f"'{reason(text)}'. Expected train, validation or test."
            )
    return np.asarray([known[text] for text in texts], object)


def _pieces(
    rows: int, recording: Texts | None, group: Texts | None, split: Texts | None
) -> list[NDArray[np.int64]]:
    """The rows of each recording, ascending."""
    whole = np.arange(rows)
    if recording is None:
        return _runs(whole, group, split)
    members: dict[tuple[str, ...], list[int]] = {}
    keys = zip(recording) if group is None else zip(group, recording)
    for row, key in enumerate(keys):
        members.setdefault(key, []).append(row)
    return [run for found in members.values() for run in _runs(np.asarray(found), split)]


def _runs(rows: NDArray[np.int64], *columns: Texts | None) -> list[NDArray[np.int64]]:
    """`rows` in parts in which none of the columns changes."""
    changes = np.zeros(len(rows) - 1, bool)
    for column in columns:
        if column is not None:
            changes |= column[rows[1:]] != column[rows[:-1]]
    return np.split(rows, np.flatnonzero(changes) + 1)
