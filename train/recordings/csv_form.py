"""How a CSV file is written, found out from its first lines and checked on all of them: encoding,
delimiter, decimal sign, header, and as many cells in each line.

pandas reads the numbers afterwards. It fills short lines up without a word, so they are looked for here.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason
from train.recordings.text_encoding import check_text, not_utf8

CSV_ENCODING = "utf-8-sig"
"""UTF-8; spreadsheets begin the file with a byte order mark."""

DELIMITERS = "\t;,"
"""In the order in which they are tried: where semicolons separate, commas are decimal signs."""

SAMPLE_LINES = 200
"""The lines from which delimiter and decimal sign are found out."""

MOST_CELL = 1 << 17
"""Characters of a cell, the limit of Python's module csv."""

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")


@dataclass(frozen=True)
class CsvForm:
    """How to read a CSV file, whose lines all have as many cells as there are names."""

    names: tuple[str, ...]
    """The names of the columns; their numbers from 1 where the file has no header."""
    unnamed: tuple[str, ...]
    """Those of `names` that stand for a column without a name in the header."""
    delimiter: str
    decimal: str
    """As far as the first lines show."""
    skipped: int
    """Lines before the first row: comments, which begin with #, and the header."""
    lines: NDArray[np.int64]
    """`[rows]`: the line on which each row ends, from 1."""


def read_csv_form(path: Path) -> CsvForm:
    """The form of a CSV file. Raises DataError, with the line, for a file that is no table."""
    check_text(path)
    with _reading(path):
        sample, comments = _sample(path)
        if not sample:
            raise DataError(f"{path}: is empty. Expected rows of numbers.")
        delimiter = _delimiter(sample)
        rows = [row for row in _reader(sample, delimiter) if not _blank(row)]
        header = _header(rows, delimiter)
        width = len(header or rows[0])
        _check_separated(path, rows)
        lines, last_is_empty = _lines(path, comments, delimiter, width, bool(header))
    if not len(lines):
        raise DataError(f"{path}: holds a header and no rows. Expected rows of numbers.")
    names = header or [str(number) for number in range(1, width + 1)]
    if last_is_empty and (not header or not names[-1]):
        names = names[:-1]  # each line ends with a delimiter
    named = tuple(name or f"(column {number})" for number, name in enumerate(names, start=1))
    unnamed = tuple(name for name, written in zip(named, names) if not written)
    _check_names(path, named)
    first_row = comments + (_header_lines(sample, delimiter) if header else 0)
    return CsvForm(named, unnamed, delimiter, _decimal(rows, delimiter), first_row, lines)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except csv.Error as error:
        raise DataError(
            f"{path}: a cell or a quotation mark without an end ({reason(error)}). Expected a CSV file."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error.strerror)}).") from None


def _sample(path: Path) -> tuple[list[str], int]:
    """The first lines that are not blank or comments, and the number of lines before them."""
    with path.open(encoding=CSV_ENCODING, newline="") as file:
        comments = 0
        for line in file:
            if line.strip() and not line.startswith("#"):
                return [line, *itertools.islice(file, SAMPLE_LINES)], comments
            comments += 1
    return [], comments


def _reader(lines: list[str] | TextIO, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


def _blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _delimiter(sample: list[str]) -> str:
    """The delimiter that gives each line as many cells, or else the most frequent one."""
    for delimiter in DELIMITERS:
        widths = {len(row) for row in _reader(sample, delimiter) if not _blank(row)}
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return max(reversed(DELIMITERS), key="".join(sample).count)


def _header(rows: list[list[str]], delimiter: str) -> list[str] | None:
    """The names of the columns, if the first row is a header: a text over a number, or no number."""
    names = [cell.strip() for cell in rows[0]]
    if len(rows) > 1 and len(rows[1]) == len(names) + 1 and not rows[1][-1]:
        names = [*names, ""]  # the rows end with a delimiter, and the header does not
    texts = [bool(name) and not _is_number(name, delimiter) for name in names]
    below = rows[1] if len(rows) > 1 else []
    text_over_number = any(text and _is_number(cell, delimiter) for text, cell in zip(texts, below))
    numbers = any(name and not text for name, text in zip(names, texts))
    return names if any(texts) and (text_over_number or not numbers) else None


def _is_number(cell: str, delimiter: str) -> bool:
    try:
        float(cell if delimiter == "," else cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _check_separated(path: Path, rows: list[list[str]]) -> None:
    """Spaces between numbers are hard to tell from spaces in names, so they separate nothing here."""
    if {len(row) for row in rows} == {1} and all(len(row[0].split()) > 1 for row in rows):
        raise DataError(
            f"{path}: spaces separate the columns. Expected commas, semicolons or tabs. Replace them."
        )


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    return "," if any(DECIMAL_COMMA.fullmatch(cell.strip()) for row in rows for cell in row) else "."


def _header_lines(sample: list[str], delimiter: str) -> int:
    """The lines that the header takes, more than one if a name in quotation marks is broken."""
    reader = csv.reader(sample, delimiter=delimiter, skipinitialspace=True)
    next(reader)
    return reader.line_num


def _lines(
    path: Path, comments: int, delimiter: str, width: int, header: bool
) -> tuple[NDArray[np.int64], bool]:
    """The line of each row below the header, and whether the last cell of each is empty."""
    lines: list[int] = []
    filled = False
    begun = 0
    with path.open(encoding=CSV_ENCODING, newline="") as file:
        for _ in range(comments):
            file.readline()
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            if header:
                next(reader)
            for row in reader:
                begun = reader.line_num
                if len(row) == width:
                    filled = filled or row[-1] != ""
                    lines.append(begun)
                elif not _blank(row):
                    raise _other_width(path, comments + begun, len(row), width)
        except csv.Error as error:
            raise DataError(
                f"{path}, line {comments + begun + 1}: quotation marks that do not fit "
                f"({reason(error)}). Correct or remove them."
            ) from None
    return np.asarray(lines, np.int64) + comments, not filled


def _other_width(path: Path, line: int, cells: int, width: int) -> DataError:
    found = "1 cell" if cells == 1 else f"{cells} cells"
    return DataError(
        f"{path}, line {line}: {found}. Expected {width}, as in the first line. Complete the line "
        "or remove it."
    )


def _check_names(path: Path, names: tuple[str, ...]) -> None:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise DataError(f"{path}: two columns have the name '{reason(twice)}'. Rename one of them.")
