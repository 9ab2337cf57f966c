"""Reads CSV files of numbers, and says in which line a file is something else."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime.errors import InputError, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENCODING = "utf-8-sig"
"""Spreadsheets begin the file with a byte order mark."""

LONGEST_CELL = 30
"""Characters of a cell that a message shows."""


def read_rows(path: Path, most: int) -> NDArray[np.float64]:
    """The numbers of a CSV file of at most `most` bytes, `[rows, columns]`; empty for an empty file.

    Numbers are separated by commas and have decimal points. What follows a # is a comment. Raises
    InputError naming the file and the line for anything else.
    """
    size = path.stat().st_size
    if size > most:
        raise InputError(f"{path}: holds {size:,} bytes. Expected at most {most:,}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an empty file
            return np.loadtxt(path, delimiter=",", ndmin=2, encoding=ENCODING)
    except (ValueError, OSError) as error:
        fault = _first_fault(path) or f"cannot read the numbers ({reason(error)})."
        raise InputError(f"{path}: {fault}") from None


def _first_fault(path: Path) -> str | None:
    """What is wrong in the first line that is not numbers, and what to do; None if none is found."""
    try:
        with path.open(encoding=ENCODING) as file:
            found = ((number, _fault(line)) for number, line in enumerate(file, 1))
            return next((f"line {number} {fault}" for number, fault in found if fault), None)
    except (OSError, UnicodeDecodeError):
        return None


def _fault(line: str) -> str | None:
    text = line.partition("#")[0].strip()
    if ";" in text:
        return (
            "separates numbers with ';'. Expected commas between numbers, and points in them. Save the "
            "file with these."
        )
    cells = [cell.strip() for cell in text.split(",")] if text else []
    odd = next((cell for cell in cells if not _is_number(cell)), None)
    if odd is None:
        return None
    if not odd:
        return "lacks a number beside a comma. Fill the gap."
    shown = reason(odd[:LONGEST_CELL])
    return (
        f"holds '{shown}', which is no number. Expected numbers separated by commas, without a line of "
        "names."
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
