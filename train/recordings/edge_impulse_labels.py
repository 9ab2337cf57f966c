"""Which files a data set of Edge Impulse has, and what is said about each: class, split, metadata.

`info.labels` comes with an exported data set (docs.edgeimpulse.com, Tools, Specifications, Data
annotation). Without it, the folders and the names of the files say it, as for Edge Impulse's uploader.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_runtime.errors import DataError, reason

INFO_LABELS = "info.labels"

CATEGORIES = {
    "training": "train",
    "train": "train",
    "validation": "validation",
    "testing": "test",
    "test": "test",
}
"""Edge Impulse's name of a split, or that of a folder -> ours."""

Segment = tuple[str, float, "float | None"]
"""Class, first and last instant, both inclusive; the last is None where all rows are of the class."""


@dataclass(frozen=True)
class LabelledFile:
    """One file of measurements."""

    path: Path
    name: str
    """The path relative to the data set."""
    split: str | None
    segments: tuple[Segment, ...]
    """In the order of time; none where the file has no label."""
    metadata: dict[str, str] = field(default_factory=dict)


def labelled_files(path: Path) -> list[LabelledFile]:
    """All files of a data set, in the order of their names. Raises DataError.

    A split is one only where a data set has at least two of its parts: an export of training data
    alone has none.
    """
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path}: no such file or folder.")
        return [LabelledFile(path, path.name, None, _whole(_class_in_name(path)))]
    lists = [folder / INFO_LABELS for folder in (path, *_split_folders(path))]
    lists = [file for file in lists if file.is_file()]
    if lists and lists[0].parent == path:
        lists = lists[:1]  # the list of the whole data set; those in the folders repeat it
    found = [entry for file in lists for entry in _listed(file, path)] if lists else _named(path)
    if not found:
        raise DataError(
            f"{path}: holds no .json files. Expected Edge Impulse's data acquisition format."
        )
    if len({file.split for file in found}) == 1:
        found = [replace(file, split=None) for file in found]
    return sorted(found, key=lambda file: file.name)


def read_json(path: Path) -> Any:
    """Any JSON document. Raises DataError with the line at fault."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error.strerror)}.") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: is not JSON: {reason(error.msg)}. Export the data set again."
        ) from error
    except (ValueError, RecursionError) as error:  # other encodings; lists in lists without end
        raise DataError(f"{path}: is not JSON in UTF-8. Export the data set again.") from error


def finite_number(value: Any) -> float | None:
    """A number of JSON, or None for anything else and for one that no float64 holds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _split_folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.name.lower() in CATEGORIES)


def _whole(name: str) -> tuple[Segment, ...]:
    return ((name, 0.0, None),)


def _class_in_name(path: Path) -> str:
    """`idle` for idle.01.json, as Edge Impulse's uploader names it."""
    return path.name.split(".")[0]


def _named(folder: Path) -> list[LabelledFile]:
    """Files without a list: a folder that names no split names the class, otherwise the file does."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".json", ".cbor") or not path.is_file():
            continue
        folders = path.relative_to(folder).parts[:-1]
        splits = [CATEGORIES[name.lower()] for name in folders if name.lower() in CATEGORIES]
        classes = [name for name in folders if name.lower() not in CATEGORIES]
        name = classes[-1] if classes else _class_in_name(path)
        split = splits[0] if splits else None
        found.append(LabelledFile(path, path.relative_to(folder).as_posix(), split, _whole(name)))
    unsplit = [file for file in found if file.split is None]
    if unsplit and len(unsplit) < len(found):
        raise DataError(
            f"{unsplit[0].path}: lies outside the folders of the split, which other files lie in. Move "
            "it into one of them."
        )
    return found


def _listed(info: Path, root: Path) -> list[LabelledFile]:
    """The files in an info.labels."""
    document = read_json(info)
    entries = document.get("files") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{info}: expected an object with files, a list. Export the data set again.")
    return [_entry(entry, f"{info}: files[{index}]", info, root) for index, entry in enumerate(entries)]


def _entry(entry: Any, where: str, info: Path, root: Path) -> LabelledFile:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise DataError(f"{where}: expected an object with a path. Export the data set again.")
    path = _file_of(entry["path"], info, root)
    if path is None:
        raise DataError(
            f"{where}: there is no file {reason(entry['path'])!r}. Export the data set again."
        )
    if path.suffix.lower() not in (".json", ".cbor"):
        raise DataError(f"{path}: is not JSON in the data acquisition format. Remove it from {info}.")
    category = str(entry.get("category", "")).lower()
    if category and category not in CATEGORIES:
        raise DataError(f"{where}: category {reason(category)!r}. Expected training or testing.")
    metadata = entry.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise DataError(f"{where}: expected metadata to be an object. Export the data set again.")
    return LabelledFile(
        path,
        path.relative_to(root).as_posix(),
        CATEGORIES.get(category),
        _segments(entry.get("label"), where),
        {str(key): str(value) for key, value in metadata.items()},
    )


def _file_of(name: str, info: Path, root: Path) -> Path | None:
    """A list in training/ may name its files relative to that folder or to the data set. Names that
    lead out of the data set are not followed."""
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts:
        return None
    for folder in (info.parent, root):
        with contextlib.suppress(OSError):  # a name that is too long
            if (folder / name).is_file():
                return folder / name
    return None


def _segments(label: Any, where: str) -> tuple[Segment, ...]:
    """The types of a label: unlabeled, label, multi-label. Older exports hold the name alone."""
    if isinstance(label, str) and label:
        return _whole(label)
    kind = label.get("type") if isinstance(label, dict) else None
    if label is None or kind == "unlabeled":
        return ()
    if kind == "label" and isinstance(label.get("label"), (str, int, float)):
        return _whole(str(label["label"]))
    if kind == "multi-label" and isinstance(label.get("labels"), list) and label["labels"]:
        segments = tuple(_segment(part, where) for part in label["labels"])
        starts = [start for _, start, _ in segments]
        if starts != sorted(starts):
            raise DataError(f"{where}: its labels are not in the order of time. Sort them.")
        return segments
    raise DataError(
        f"{where}: label {reason(json.dumps(label))}. Expected the type label, multi-label or unlabeled."
    )


def _segment(part: Any, where: str) -> Segment:
    fields: dict[str, Any] = part if isinstance(part, dict) else {}
    name = fields.get("label")
    start, end = finite_number(fields.get("startIndex")), finite_number(fields.get("endIndex"))
    if not isinstance(name, str) or start is None or end is None or not 0 <= start <= end:
        raise DataError(
            f"{where}: {reason(json.dumps(part))}. Expected label, startIndex and endIndex, in order."
        )
    return name, start, end
