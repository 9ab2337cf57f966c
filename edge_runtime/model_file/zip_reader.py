"""Reads an untrusted ZIP archive at the end of a file, and no more of an entry than the caller allows.

Model files carry one. The standard library's zipfile reads every kind of archive, but importing it takes
about 12 ms on a workstation, longer than reading the model, on the way to every first prediction.
Source of the structures: PKWARE's APPNOTE.TXT 6.3.10, 4.3.7 local header, 4.3.12 central directory,
4.3.16 its end record.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
LOCAL_FIELDS = struct.Struct("<4s5H3I2H")
CENTRAL_FIELDS = struct.Struct("<4s6H3I5H2I")
END_FIELDS = struct.Struct("<4s4H2IH")
LONGEST_COMMENT = (1 << 16) - 1
"""Bytes that may stand behind the end record."""

STORED, DEFLATED = 0, 8
METHODS = (STORED, DEFLATED)
"""How an entry may be packed. The converter writes no other, and bzip2 and LZMA need as much memory to
unpack as the file says."""

ENCRYPTED = 1
"""Bit of the flags."""


class ArchiveError(ValueError):
    """There is no archive, or its directory is damaged."""


class Entry(NamedTuple):
    """What the directory says of an entry."""

    name: str
    flags: int
    method: int
    crc: int
    """CRC-32 of the content."""
    packed: int
    size: int
    """Bytes in the archive, and of the content."""
    header: int
    """Where in the data the entry's local header is."""


def read_directory(data: bytes) -> dict[str, Entry]:
    """Name -> entry of the archive at the end of `data`; of entries with the same name, the last.

    Raises ArchiveError when there is no archive or its directory is damaged.
    """
    found = data.rfind(END, max(0, len(data) - END_FIELDS.size - LONGEST_COMMENT))
    if found < 0 or found + END_FIELDS.size > len(data):
        raise ArchiveError("no archive")
    _, _, _, _, count, size, start, _ = END_FIELDS.unpack_from(data, found)
    before = found - size - start  # bytes in front of the archive, which its offsets do not count
    position, entries = start + before, {}
    if before < 0 or count * CENTRAL_FIELDS.size > size:
        raise ArchiveError("the archive's end record contradicts itself")
    for _ in range(count):
        entry, position = _entry(data, position, found, before)
        entries[entry.name] = entry
    return entries


def _entry(data: bytes, position: int, end: int, before: int) -> tuple[Entry, int]:
    """The entry whose central header is at `position`, and where the next one is."""
    name_start = position + CENTRAL_FIELDS.size
    if name_start > end or not data.startswith(CENTRAL, position):
        raise ArchiveError("the archive's directory is damaged")
    fields = CENTRAL_FIELDS.unpack_from(data, position)
    _, _, _, flags, method, _, _, crc, packed, size, name_size, extra, comment, _, _, _, header = fields
    # Names that are not of this encoding are not ours.
    name = data[name_start : name_start + name_size].decode("utf-8", "replace")
    entry = Entry(name, flags, method, crc, packed, size, header + before)
    return entry, name_start + name_size + extra + comment


def unpack(data: bytes, entry: Entry, most: int) -> bytes:
    """The content of an entry of `data`, of at most `most` bytes.

    Raises ValueError when it is larger, packed in another way, encrypted or damaged.
    """
    check_packing(entry.name, entry.method, entry.size, most)
    if entry.flags & ENCRYPTED:
        raise ValueError(f"{entry.name} is encrypted")
    content = _content(data, entry)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise ValueError(f"{entry.name} does not match its size and CRC-32")
    return content


def check_packing(name: str, method: int, size: int, most: int) -> None:
    """Raises ValueError for an entry of more than `most` bytes, or not packed by one of METHODS."""
    if method not in METHODS:
        raise ValueError(f"{name} is packed by method {method}, expected deflate or none")
    if size > most:
        raise ValueError(f"{name} unpacks to {size:,} bytes, expected at most {most:,}")


def _content(data: bytes, entry: Entry) -> bytes:
    start = entry.header + LOCAL_FIELDS.size
    if start > len(data) or not data.startswith(LOCAL, entry.header):
        raise ValueError(f"{entry.name} is not where the archive's directory says")
    *_, name_size, extra = LOCAL_FIELDS.unpack_from(data, entry.header)
    if data[start : start + name_size].decode("utf-8", "replace") != entry.name:
        raise ValueError(f"{entry.name} has another name in front of its content")
    start += name_size + extra
    packed = data[start : start + entry.packed]
    if entry.method == STORED:
        return packed
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise ValueError(f"{entry.name} cannot be unpacked ({error})") from None
