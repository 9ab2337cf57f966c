"""Whether a file is text in UTF-8, and what it is otherwise, in one sentence."""

from __future__ import annotations

import codecs
from pathlib import Path

from edge_runtime.errors import DataError, reason

MOST_TEXT_BYTES = 1 << 31
"""Limit on a table of text."""

FIRST_BYTES = 1 << 20

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

MAGICS = (
    (b"PK\x03\x04", "a ZIP archive or an Excel file", "Unpack it, or save it as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "Save it as CSV."),
    (b"PAR1", "a Parquet file", "Rename it to .parquet."),
    (b"\x1f\x8b", "a gzip file", "Unpack it."),
)
"""First bytes, what begins so, and what to do."""


def check_text(path: Path) -> None:
    """Raises DataError unless `path` is a file that may be text: not too large, not of another kind."""
    if not path.is_file():
        raise DataError(f"{path}: {_no_file(path)}. Expected a file.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error.strerror)}).") from None
    if size > MOST_TEXT_BYTES:
        raise DataError(f"{path}: holds {size:,} bytes. Expected at most {MOST_TEXT_BYTES:,}.")
    for magic, kind, advice in MAGICS:
        if start.startswith(magic):
            raise DataError(f"{path}: is {kind}, not text. {advice}")
    if start.startswith(UTF16_MARKS) or (b"\0" in start[:4] and len(start) % 2 == 0):
        raise DataError(f"{path}: is text in UTF-16. Save it in UTF-8.")
    if b"\0" in start:
        raise DataError(f"{path}: is a binary file, not text. Expected a CSV file.")


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    return "is no regular file" if path.exists() else "no such file"


def not_utf8(path: Path) -> DataError:
    """The error for a file in which decoding has failed, with the first line at fault."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                found = f"byte 0x{line[error.start]:02x}"
                return DataError(
                    f"{path}, line {number}: is not text in UTF-8 ({found}; Windows-1252 or Latin-1?). "
                    "Save the file in UTF-8."
                )
    return DataError(f"{path}: is not text in UTF-8. Save the file in UTF-8.")
