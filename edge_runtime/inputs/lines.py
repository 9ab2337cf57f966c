"""Numbered lines from standard input, a serial port or a connection, with a limit on their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import BinaryIO

BYTES_OF_A_LINE = 1024
BYTES_OF_A_NUMBER = 64
"""The most bytes that a line may have: these for itself, and these for each of its numbers. A float64
has up to 24 characters; the rest is for spaces and superfluous digits."""


@dataclass(frozen=True)
class Line:
    """One line that is not blank, or what was wrong with it."""

    number: int
    """From 1; blank lines count."""
    text: str = ""
    """Without the end of the line; bytes that are not UTF-8 are replaced by U+FFFD."""
    problem: str | None = None
    """Why there is no text."""


def longest_line(numbers: int) -> int:
    """The most bytes that a line with `numbers` numbers, a row or a window, may have."""
    return BYTES_OF_A_LINE + BYTES_OF_A_NUMBER * numbers


def read_lines(file: BinaryIO, limit: int, *, cut: bool = False) -> Iterator[Line]:
    """The lines of a buffered `file` as they arrive; they end with LF or CRLF.

    A line of more than `limit` bytes is reported at once and skipped up to its end; no more than `limit`
    bytes of it are held. `cut`: text after the last LF is not a row, because its last number may lack
    digits. Without `cut` the last line needs no LF.
    """
    for number in count(1):
        data = file.readline(limit + 1)
        if not data:
            return
        ended = data.endswith(b"\n")
        if len(data) > limit and not ended:
            yield Line(
                number, problem=f"the line is longer than {limit} bytes, the most for its numbers"
            )
            _skip_line(file, limit)
        elif data.strip() and cut and not ended:
            yield Line(number, problem="the connection ended in the middle of the line")
        elif data.strip():
            yield Line(number, data.decode("utf-8", "replace").rstrip("\r\n"))


def _skip_line(file: BinaryIO, limit: int) -> None:
    data = b"x"
    while data and not data.endswith(b"\n"):
        data = file.readline(limit + 1)
