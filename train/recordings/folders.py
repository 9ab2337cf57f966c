"""Folders of files: flat, a folder for each class, and train and test folders above either."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime.errors import DataError, reason
from train.recordings.table_files import CSV_SUFFIXES, PARQUET_SUFFIXES

TABLE_SUFFIXES = (*CSV_SUFFIXES, *PARQUET_SUFFIXES)

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
"""Split -> the names that folders and the cells of a split column have for it, in any case."""

HARMLESS = ("desktop.ini", "thumbs.db", "__macosx")
HARMLESS_STEMS = ("readme", "license", "licence")
"""What stands beside data and is no data, in lower case. Hidden files are passed over too."""


@dataclass(frozen=True)
class SourceFile:
    """A file of recordings, and what its folders say about it."""

    path: Path
    name: str
    """Relative to the data set, with slashes."""
    label: str | None = None
    group: str | None = None
    split: str | None = None


def find_files(root: Path, *, labelled: bool) -> tuple[SourceFile, ...]:
    """The tables in a folder, in the order of their names.

    `labelled`: whether a column holds the labels. Then files lie in the folder itself, or in folders
    that name their groups; otherwise in CLASS/FILE or CLASS/GROUP/FILE. All that may lie below folders
    named train and test (validation). Raises DataError for anything else.
    """
    splits = _split_folders(root)
    parts = splits or {None: root}
    files = [
        replace(file, split=split, name=file.path.relative_to(root).as_posix())
        for split, folder in parts.items()
        for file in _find_in(folder, labelled)
    ]
    return tuple(files)


def visible(folder: Path) -> list[Path]:
    """What is in a folder, by name, without what is harmless."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({reason(error.strerror)}).") from None
    return [entry for entry in entries if not _harmless(entry)]


def split_called(name: str) -> str | None:
    """The split that a folder or a cell names, or None."""
    lower = name.strip().lower()
    return next((split for split, names in SPLIT_NAMES.items() if lower in names), None)


def _harmless(path: Path) -> bool:
    name = path.name.lower()
    return name.startswith((".", "~$")) or name in HARMLESS or path.stem.lower() in HARMLESS_STEMS


def _split_folders(root: Path) -> dict[str | None, Path] | None:
    """Split -> folder, if there are folders for training and for test; a class may be called `train`."""
    entries = visible(root)
    found: dict[str | None, Path] = {}
    for entry in entries:
        split = split_called(entry.name) if entry.is_dir() else None
        if split in found:
            raise DataError(f"{entry}: a second folder for {split}, beside {found[split].name}/.")
        if split is not None:
            found[split] = entry
    if "train" not in found or len(found) < 2:
        return None
    other = next((entry for entry in entries if entry not in found.values()), None)
    if other is not None:
        names = " and ".join(f"{folder.name}/" for folder in found.values())
        raise DataError(f"{other}: lies beside {names}. Expected nothing but these.")
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _find_in(folder: Path, labelled: bool) -> list[SourceFile]:
    files, folders = _parted(folder)
    if files and folders:
        raise DataError(
            f"{folder}: holds files ({files[0].name}) and folders ({folders[0].name}). Expected one "
            "kind."
        )
    if not labelled and files:
        raise DataError(
            f"{folder}: nothing says the class of {files[0].name}. Pass --label-column, or put the "
            "files into a folder for each class."
        )
    if not files and not folders:
        raise DataError(f"{folder}: holds no files. Expected {', '.join(TABLE_SUFFIXES)}.")
    if labelled:
        return [*_plain(files), *_grouped(folders)]
    found = [replace(file, label=entry.name) for entry in folders for file in _in_class(entry)]
    _check_groups(found)
    return found


def _check_groups(files: list[SourceFile]) -> None:
    grouped = next((file for file in files if file.group is not None), None)
    alone = next((file for file in files if file.group is None), None)
    if grouped is not None and alone is not None:
        raise DataError(
            f"{alone.path}: lies in no folder for its group, as {grouped.path} does. Expected folders "
            "for groups in each class, or in none."
        )


def _in_class(folder: Path) -> list[SourceFile]:
    files, folders = _parted(folder)
    if files and folders:
        raise DataError(
            f"{folder}: holds files ({files[0].name}) and folders ({folders[0].name}). Expected files, "
            "or a folder of files for each group."
        )
    found = [*_plain(files), *_grouped(folders)]
    if not found:
        raise DataError(f"{folder}: the class has no files. Add some, or remove the folder.")
    return found


def _grouped(folders: list[Path]) -> list[SourceFile]:
    found = []
    for folder in folders:
        files, deeper = _parted(folder)
        if deeper:
            raise DataError(f"{deeper[0]}: one folder too deep. Expected files in {folder.name}/.")
        if not files:
            raise DataError(f"{folder}: holds no files. Add some, or remove the folder.")
        found += [replace(file, group=folder.name) for file in _plain(files)]
    return found


def _plain(files: list[Path]) -> list[SourceFile]:
    return [SourceFile(file, file.name) for file in files]


def _parted(folder: Path) -> tuple[list[Path], list[Path]]:
    """The tables and the folders in a folder. Raises DataError for anything else."""
    entries = visible(folder)
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    for entry in folders:
        if entry.suffix.lower() in TABLE_SUFFIXES:
            raise DataError(f"{entry}: is a folder, though its name is that of a file. Rename it.")
    for entry in files:
        if entry.suffix.lower() not in TABLE_SUFFIXES:
            raise DataError(
                f"{entry}: is no table. Expected {', '.join(TABLE_SUFFIXES)}. Move it out of the "
                "data set."
            )
    return files, folders
