"""Reads entries of a ZIP archive that anybody may have written: never more of one than is asked for."""

from __future__ import annotations

import zipfile

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How an entry may be packed. The others are never written here, and bzip2 and LZMA need memory of their
own to unpack, as much as the file says."""


def read_entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of an entry, of at most `most` bytes.

    Raises KeyError when there is none of that name, ValueError when it is larger or packed in another
    way, and what zipfile and zlib raise when it is damaged.
    """
    entry = archive.getinfo(name)
    if entry.compress_type not in METHODS:
        raise ValueError(f"{name} is packed by method {entry.compress_type}: expected deflate or none")
    if entry.file_size > most:
        raise ValueError(f"{name} unpacks to {entry.file_size:,} bytes: expected at most {most:,}")
    with archive.open(entry) as file:
        # Without a number, zipfile unpacks everything before it looks at the size that it was told.
        return file.read(entry.file_size + 1)
