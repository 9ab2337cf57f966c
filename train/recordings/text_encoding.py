"""Whether a file is text in UTF-8, and what it is otherwise, in one sentence."""

from __future__ import annotations

import codecs
from pathlib import Path

from edge_runtime.errors import DataError, reason

MOST_TEXT_BYTES = 1 << 31
"""Limit on a table of text."""

BLOCK_BYTES = 1 << 20

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
        raise DataError(f"{path}: {_no_file(path)}. Expected a CSV file.")
    try:
        size = path.stat().st_size
        start, zero_line = _scan(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error.strerror)}).") from None
    if size > MOST_TEXT_BYTES:
        raise DataError(f"{path}: holds {size:,} bytes. Expected at most {MOST_TEXT_BYTES:,}.")
    _check_kind(path, start)
    if zero_line is not None:
        raise DataError(
            f"{path}, line {zero_line}: holds zero bytes, which loggers leave that lost their power. "
            "Remove the line."
        )


def _check_kind(path: Path, start: bytes) -> None:
    """Refuses what begins like a file of another kind."""
    for magic, kind, advice in MAGICS:
        if start.startswith(magic):
            raise DataError(f"{path}: is {kind}, not text. {advice}")
    if start.startswith(UTF16_MARKS) or start[:4:2] == b"\0\0" or start[1:4:2] == b"\0\0":
        raise DataError(f"{path}: is text in UTF-16. Save it in UTF-8.")
    if b"\0" in start.split(b"\n", 1)[0]:
        raise DataError(f"{path}: is a binary file, not text. Expected a CSV file.")


def _scan(path: Path) -> tuple[bytes, int | None]:
    """The first block of a file, and the line of the first zero byte in it."""
    line = 1
    with path.open("rb") as file:
        start = block = file.read(BLOCK_BYTES)
        while block:
            zero = block.find(b"\0")
            if zero >= 0:
                return start, line + block.count(b"\n", 0, zero)
            line += block.count(b"\n")
            block = file.read(BLOCK_BYTES)
    return start, None


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    return "is no file with a content" if path.exists() else "no such file"


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
