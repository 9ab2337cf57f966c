"""Reads any FlatBuffer without trusting it: every access is checked, every byte is accounted for.

Knows the encoding (https://flatbuffers.dev/internals), not the schema. A file that breaks the rules
raises MalformedError with a sentence, never an IndexError, and never loops endlessly: the size of a
broken file limits its cost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    pass

VISITS_PER_BYTE = 64
"""How often the bytes of a valid file may be visited on average. Tables that many tensors share give
about 10 visits."""

FORMATS = {"B": 1, "b": 1, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}
"""struct's letter of a little-endian number -> bytes."""

_UNPACK = {kind: struct.Struct("<" + kind).unpack_from for kind in FORMATS}


class MalformedError(ValueError):
    """The bytes break the rules of the format; says where."""


class Ledger:
    """Which part of the file every byte belongs to. The first to claim a byte keeps it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._claims: list[tuple[int, int, str]] = []
        self._visits = VISITS_PER_BYTE * max(size, 1024)

    def claim(self, start: int, end: int, part: str) -> None:
        """Give the bytes `start` to `end` that nobody has to `part`. Raises MalformedError when the file
        makes its reader visit its bytes again and again."""
        self._visits -= max(end - start, 16)
        if self._visits < 0:
            raise MalformedError("its tables overlap in a way that no converter writes")
        self._claims.append((start, end, part))

    def totals(self) -> dict[str, int]:
        """Part -> number of bytes. Bytes that nobody claimed are under the empty name."""
        parts = list(dict.fromkeys(["", *(part for _, _, part in self._claims)]))
        numbers = {part: number for number, part in enumerate(parts)}
        owner = np.zeros(self._size, np.uint8)
        for start, end, part in self._claims:
            view = owner[start:end]
            view[view == 0] = numbers[part]
        counts = np.bincount(owner, minlength=len(parts))
        return {part: int(count) for part, count in zip(parts, counts)}


class Buffer:
    """The bytes of a file, read with bounds checks."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.ledger = Ledger(len(data))

    def number(self, position: int, kind: str) -> Any:
        """The number at `position`; `kind` is one of FORMATS. Raises MalformedError beyond the end."""
        if not 0 <= position <= len(self.data) - FORMATS[kind]:
            raise MalformedError(f"it points to byte {position}, outside its {len(self.data)} bytes")
        return _UNPACK[kind](self.data, position)[0]

    def claim(self, start: int, length: int, part: str) -> None:
        """Check that these bytes are in the file, and claim them for `part`."""
        if start < 0 or start + length > len(self.data):
            raise MalformedError(
                f"it points to bytes {start} to {start + length}, outside its {len(self.data)} bytes"
            )
        self.ledger.claim(start, start + length, part)

    def root(self, part: str) -> Table:
        """The table that the first four bytes point to; they and the identifier belong to `part`."""
        self.claim(0, 8, part)
        return Table(self, self.number(0, "I"), part)


class Table:
    """A table at a position of the buffer. Fields are counted from 0, as in the schema."""

    def __init__(self, buffer: Buffer, position: int, part: str) -> None:
        self.buffer, self.position, self.part = buffer, position, part
        vtable = position - buffer.number(position, "i")
        entries, size = buffer.number(vtable, "H"), buffer.number(vtable + 2, "H")
        if entries < 4 or entries % 2 or size < 4:
            raise MalformedError(f"the table at byte {position} has no valid vtable")
        buffer.claim(vtable, entries, part)
        buffer.claim(position, size, part)
        self._vtable, self._entries, self._size = vtable, entries, size

    def _field(self, index: int) -> int | None:
        """Position of a field, or None when it is left out."""
        entry = 4 + 2 * index
        if entry >= self._entries:
            return None
        offset = self.buffer.number(self._vtable + entry, "H")
        if offset >= self._size:
            raise MalformedError(f"field {index} of the table at byte {self.position} is outside of it")
        return self.position + offset if offset else None

    def number(self, index: int, kind: str, default: int = 0) -> int:
        """The number in a field."""
        field = self._field(index)
        return default if field is None else int(self.buffer.number(field, kind))

    def _target(self, index: int) -> int | None:
        field = self._field(index)
        return None if field is None else field + self.buffer.number(field, "I")

    def table(self, index: int, part: str | None = None) -> Table | None:
        """The table that a field points to; its bytes belong to `part` (default: this table's)."""
        position = self._target(index)
        return None if position is None else Table(self.buffer, position, part or self.part)

    def vector(self, index: int, width: int, part: str | None = None) -> tuple[int, int]:
        """Position of the first element and number of the elements, of `width` bytes each.

        (0, 0) when the field is left out.
        """
        position = self._target(index)
        if position is None:
            return 0, 0
        length = self.buffer.number(position, "I")
        self.buffer.claim(position, 4 + length * width, part or self.part)
        return position + 4, length

    def span(self, index: int) -> tuple[int, int]:
        """As `vector` for bytes, but claims the length only: the caller claims the bytes."""
        position = self._target(index)
        if position is None:
            return 0, 0
        self.buffer.claim(position, 4, self.part)
        return position + 4, self.buffer.number(position, "I")

    def numbers(self, index: int, kind: str, limit: int, part: str | None = None) -> list[Any]:
        """The elements of a vector of numbers. Raises MalformedError for more than `limit`."""
        start, length = self.vector(index, FORMATS[kind], part)
        if length > limit:
            raise MalformedError(f"a list has {length} elements where at most {limit} make sense")
        return list(struct.unpack_from(f"<{length}{kind}", self.buffer.data, start))

    def string(self, index: int, limit: int = 4096, part: str | None = None) -> str:
        """A string, empty when the field is left out; bytes that are not UTF-8 are replaced."""
        start, length = self.vector(index, 1, part)
        if length > limit:
            raise MalformedError(f"a name of {length} bytes, where at most {limit} make sense")
        if length or start:
            # The NUL behind it is not in its length.
            self.buffer.claim(start, min(length + 1, len(self.buffer.data) - start), part or self.part)
        return self.buffer.data[start : start + length].decode("utf-8", "replace")

    def tables(self, index: int, part: str | None = None) -> Iterator[Table]:
        """The tables of a vector of tables; the vector itself belongs to `part` as well."""
        start, length = self.vector(index, 4, part)
        for entry in range(start, start + 4 * length, 4):
            position = entry + self.buffer.number(entry, "I")
            yield Table(self.buffer, position, part or self.part)
