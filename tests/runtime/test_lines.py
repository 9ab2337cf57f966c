"""Bytes to lines: the rows do not depend on how bytes arrive, and no line takes all the memory."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import InputError
from edge_runtime.inputs.lines import Line, longest_line, read_lines
from edge_runtime.inputs.text import parse_row
from edge_runtime.stream.drop_late import Dropped, drop_late

LIMIT = 20
BITS = [b"1.5", b" ", b",", b"\n", b"\r\n", b"\r", b"\xff\xfe", b"\0", b"[", b"2]", b"7" * 15, b"x" * 50]


class Chunks(io.RawIOBase):
    """A file whose reads return one chunk after the other, as from a network."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks, self.largest = [chunk for chunk in chunks if chunk], 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self.chunks:
            return 0
        chunk = self.chunks.pop(0)
        count = min(len(chunk), len(buffer))
        buffer[:count] = chunk[:count]
        if chunk[count:]:
            self.chunks.insert(0, chunk[count:])
        return count


def lines(*chunks: bytes, limit: int = LIMIT, cut: bool = False) -> list[Line]:
    return list(read_lines(io.BufferedReader(Chunks(list(chunks)), 16), limit, cut=cut))


def defined(data: bytes, cut: bool) -> list[tuple[int, str | None]]:
    """Number and text of every line that is not blank, by splitting all the bytes at once."""
    *whole, last = data.split(b"\n")
    found: list[tuple[int, str | None]] = []
    for number, line in enumerate([*whole, last], start=1):
        ended = number <= len(whole)
        if len(line) > LIMIT or (cut and not ended and line.strip()):
            found.append((number, None))
        elif line.strip():
            found.append((number, line.decode("utf-8", "replace").rstrip("\r")))
    return found


@given(st.lists(st.sampled_from(BITS), max_size=30), st.data(), st.booleans())
def test_any_chunking_of_the_bytes_gives_the_same_rows(bits, draw, cut):
    data = b"".join(bits)
    ends = draw.draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
    chunks = [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)])]
    found = [(line.number, None if line.problem else line.text) for line in lines(*chunks, cut=cut)]
    assert found == defined(data, cut)


def test_the_ends_of_lines():
    assert [line.text for line in lines(b"1 2\r\n3 4\n5 6")] == ["1 2", "3 4", "5 6"]
    assert [(line.number, line.text) for line in lines(b"\n \r\n1\n\n2")] == [(3, "1"), (5, "2")]


def test_a_line_that_a_lost_connection_may_have_cut_is_not_a_row():
    """If `1 25` arrived as `1 2`, it would be another row."""
    whole, last = lines(b"1 25\n1 2", cut=True)
    assert (whole.text, whole.problem) == ("1 25", None)
    assert last.problem == "the connection ended in the middle of the line"
    assert lines(b"1 25\n \r", cut=True) == [whole]


def test_a_long_line_is_answered_before_it_ends():
    def endless():
        yield b"1 2\n"
        while True:
            yield b"7" * 16

    class Endless(Chunks):
        def readinto(self, buffer) -> int:
            self.chunks = [next(chunks)]
            return super().readinto(buffer)

    chunks = endless()
    found = read_lines(io.BufferedReader(Endless([]), 16), LIMIT)
    assert next(found).text == "1 2"
    assert "longer than 20 bytes" in next(found).problem


def test_no_row_is_longer_than_the_limit():
    """The widest way to write float64 numbers, in JSON with its blanks."""
    row = [float(-np.nextafter(2.2250738585072014e-308, 1))] * 50
    text = "[ " + " , ".join(map(repr, row)) + " ]\r\n"
    (line,) = lines(text.encode(), limit=longest_line(50))
    np.testing.assert_array_equal(parse_row(line.text, 50), row)


@pytest.mark.parametrize("line", ["1,2,3", "1 2 3", " 1, 2,\t3\n", "[1, 2.0, 3e0]"])
def test_rows(line):
    np.testing.assert_array_equal(parse_row(line, 3), [1, 2, 3])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2", r"an array of shape \[2\]. Expected \[3\]"),
        ("[[1,2,3]]", r"an array of shape \[1, 3\]. Expected \[3\]"),
        ("a b c", "not a row of numbers"),
        ("1 2 3\0", "not a row of numbers"),
        ("[1, 2, [3]]", "not a row of numbers"),
        ('["1", "2", "3"]', "not a row of numbers"),
        ("[" * 100_000, "not a row of numbers"),
        ("1,,2,3", "a number is missing beside a comma"),
        ("1,2,3,", "a number is missing beside a comma"),
        ("[1,2,3,]", "a number is missing beside a comma"),
        ("1_0 2 3", "it holds something else"),
        ("1;2;3", "as ';' separates them. Expected commas or spaces"),
        ("[true, 1.5, 2]", "it holds something else"),
    ],
)
def test_bad_rows_are_typed_errors(line, message):
    with pytest.raises(InputError, match=message):
        parse_row(line, 3)


def test_late_lines_are_dropped_the_oldest_first_and_what_was_read_is_told_before_an_error():
    def broken():
        yield from (Line(number) for number in (1, 2, 5, 6, 7))
        raise InputError("broken off")

    found = drop_late(broken(), 2)
    told: list[Line | Dropped] = []
    with pytest.raises(InputError, match="broken off"):
        told.extend(found)
    kept = [item.number for item in told if isinstance(item, Line)]
    lost = [item for item in told if isinstance(item, Dropped)]
    assert kept[-2:] == [6, 7]
    assert len(kept) + sum(item.count for item in lost) == 5
    assert all(item.first <= item.last < 6 for item in lost)
