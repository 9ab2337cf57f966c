"""The `.ts` files of the UEA archive of time series, read by aeon: each series is one recording.

A problem of the archive is a pair of files, NAME_TRAIN.ts and NAME_TEST.ts, which is its split.
aeon writes class names in lower case; they are spelled as in the file again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from edge_runtime.host.optional_packages import needs_extra
from train.recordings.recording import Recording, Recordings

TRAIN_END = "_TRAIN.ts"
TEST_END = "_TEST.ts"

TRUE = "true"


@dataclass(frozen=True)
class _Header:
    """What stands above the series."""

    classes: tuple[str, ...]
    data_line: int
    """The line of @data, from 1: series i, from 1, stands on line data_line + i."""


def read_ts(path: str | Path) -> Recordings:
    """The series of NAME_TRAIN.ts and of NAME_TEST.ts beside it, of a folder with both, or of one file.

    Values float32 `[rows, channels]`, NaN for `?`. The classes are in the order of the header. Raises
    DataError, which names the file and, where it is known, the line; MissingExtraError without aeon.
    """
    first, second = _files(Path(path))
    splits = (None, None) if second is None else ("train", "test")
    found = [_read_file(file, split) for file, split in zip((first, second), splits) if file is not None]
    labels = list(dict.fromkeys(name for part in found for name in part.labels))
    for part in found[1:]:
        if part.features != found[0].features:
            raise DataError(
                f"{second}: its series have {len(part.features)} channels, those of {first.name} "
                f"{len(found[0].features)}. Expected as many."
            )
    recordings = tuple(
        _renumbered(recording, [labels.index(name) for name in part.labels])
        for part in found
        for recording in part.recordings
    )
    return Recordings(_name(first, second), recordings, tuple(labels), found[0].features)


def _files(path: Path) -> tuple[Path, Path | None]:
    """The file to read, and the file of the test split where there are two."""
    if not path.is_dir():
        test = path.with_name(path.name[: -len(TRAIN_END)] + TEST_END)
        return path, test if path.name.endswith(TRAIN_END) and test.is_file() else None
    files = sorted(path.glob("*.ts"))
    trains = [file for file in files if file.name.endswith(TRAIN_END)] or files
    if len(trains) != 1:
        names = ", ".join(file.name for file in trains) or "none"
        raise DataError(f"{path}: expected one data set in .ts files, found {names}. Name one file.")
    return _files(trains[0])


def _name(first: Path, second: Path | None) -> str:
    return first.name if second is None else first.name[: -len(TRAIN_END)]


def _renumbered(recording: Recording, order: list[int]) -> Recording:
    labels = np.asarray(order, np.int64)[recording.labels]
    return Recording(
        recording.name,
        recording.path,
        recording.values,
        labels,
        split=recording.split,
        lines=recording.lines,
    )


def _read_file(path: Path, split: str | None) -> Recordings:
    header = _read_header(path)
    series, names = _load(path, header)
    if not len(series):
        raise DataError(f"{path}: holds no series. Expected one on each line after @data.")
    spelling = {_as_aeon_writes(name): index for index, name in enumerate(header.classes)}
    recordings = []
    for index, (values, name) in enumerate(zip(series, names)):
        line = header.data_line + index + 1
        if name not in spelling:
            raise DataError(
                f"{path}, line {line}: class {reason(str(name))!r} is not in the header. Expected one "
                f"of {', '.join(header.classes)}."
            )
        recordings.append(
            Recording(
                f"{path.name}, series {index + 1}",
                path,
                np.ascontiguousarray(values.T, dtype=np.float32),
                np.full(values.shape[1], spelling[name], np.int64),
                split=split,
                lines=np.full(values.shape[1], line, np.int64),
            )
        )
    channels = tuple(f"channel_{number + 1}" for number in range(recordings[0].values.shape[1]))
    return Recordings(path.name, tuple(recordings), header.classes, channels)


def _as_aeon_writes(name: str) -> str:
    """A class name as aeon's reader returns it (aeon.datasets._data_loaders, release 1.3)."""
    return name.lower().replace("nan", "NaN").replace("?", "NaN")


def _read_header(path: Path) -> _Header:
    """Its own reading: aeon's does not say where the series begin, and does not keep names' spelling."""
    tags: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                words = line.split()
                if words and words[0].startswith("@"):
                    tags[words[0].lower()] = words[1:]
                if "@data" in tags:
                    return _checked(path, tags, number)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error.strerror)}.") from error
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    raise DataError(f"{path}: has no line @data. Expected a .ts file of the UEA archive.")


def _checked(path: Path, tags: dict[str, list[str]], number: int) -> _Header:
    """Refuses what no classifier can be trained on, and time stamps: aeon 1.3 reads the values beside
    them without their signs."""
    if _is_true(tags, "@targetlabel"):
        raise DataError(f"{path}: its series have a number to predict. Expected classes (@classLabel).")
    if _is_true(tags, "@timestamps"):
        raise DataError(
            f"{path}: time stamps are not supported. Save them as CSV, and pass --time-column."
        )
    if not _is_true(tags, "@classlabel"):
        raise DataError(
            f"{path}: its series have no class (@classLabel false). Training needs one for each."
        )
    classes = tags["@classlabel"][1:]
    folded = [_as_aeon_writes(name) for name in classes]
    if len(set(folded)) < len(folded):
        raise DataError(f"{path}: two classes in its header differ in case only. Rename one of them.")
    if not classes:
        raise DataError(f"{path}: its header names no classes. Expected @classLabel true and the names.")
    return _Header(tuple(classes), number)


def _is_true(tags: dict[str, list[str]], tag: str) -> bool:
    return [word.lower() for word in tags.get(tag, [])[:1]] == [TRUE]


def _load(path: Path, header: _Header) -> tuple[list[NDArray[Any]], list[str]]:
    """Series `[channels, rows]` and the classes, as aeon returns them."""
    with needs_extra("timeseries", "aeon", "A .ts file"):
        from aeon.datasets import load_from_ts_file
    try:
        series, names = load_from_ts_file(str(path))
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    except (OSError, ValueError, IndexError) as error:
        raise _located(path, header, error) from error
    return list(series), [str(name).strip() for name in names]


def _not_text(path: Path) -> DataError:
    return DataError(f"{path}: is not text in UTF-8. Expected a .ts file.")


def _located(path: Path, header: _Header, error: Exception) -> DataError:
    """aeon's error as a sentence, with the line of the series, or of the text that is no number."""
    message = str(error)
    case = re.search(r"\bcase (\d+)", message)
    text = re.search(r"could not convert string to float: '(.*)'", message)
    if case:
        line: int | None = header.data_line + int(case[1])
        wrong = "a channel is missing, or a channel has another length"
        if "univariate" in message:
            wrong = "has several channels, while the header says @univariate true"
    elif text:
        line = _line_of(path, header, text[1].strip())
        wrong = f"{reason(text[1])!r} is not a number" if text[1].strip() else "a value is empty"
    else:
        line, wrong = None, f"cannot be read: {reason(message).rstrip('.')}"
    where = f"{path}, line {line}" if line else str(path)
    return DataError(f"{where}: {wrong}. Expected numbers or ?, ':' between channels, and a class.")


def _line_of(path: Path, header: _Header, text: str) -> int | None:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            channels = line.strip().lower().split(":")
            values = [value.strip() for part in channels[:-1] or channels for value in part.split(",")]
            if number > header.data_line and text in values:
                return number
    return None
