"""Reads IDX files, plain or gzip: the format of MNIST.

Source: "THE IDX FILE FORMAT" on the MNIST page of LeCun, Cortes and Burges: two zero bytes, a byte for
the type (8: unsigned byte), a byte for the number of dimensions, each dimension as a big-endian
32-bit count, then the values in row-major order.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"


def looks_like_idx(path: Path) -> bool:
    """Whether the name says IDX: `*-idx3-ubyte`, `*.idx`, with or without `.gz`."""
    name = path.name[:-3] if path.name.endswith(".gz") else path.name
    return name.endswith(("-ubyte", ".idx"))


def read_idx(path: str | Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file; `dimensions` is 3 for images, 1 for labels.

    Raises DataError naming the file when it cannot be read, is no IDX file of unsigned bytes with that
    many dimensions, is empty, or is shorter or longer than it says.
    """
    data = _content(path)
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file: expected two zero bytes, found {data[:2]!r}")
    if data[2] != UNSIGNED_BYTE or data[3] != dimensions:
        raise DataError(
            f"{path}: expected an IDX file of unsigned bytes (type 8) with {dimensions} "
            f"dimension(s), found type {data[2]} with {data[3]}"
        )
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise DataError(f"{path}: truncated: the header has {len(data)} of {start} bytes")
    shape: tuple[Any, ...] = tuple(int(n) for n in np.frombuffer(data, ">u4", dimensions, 4))
    expected = start
    size = 1
    for count in shape:
        size *= count
    expected += size
    if size == 0:
        raise DataError(f"{path}: empty: its dimensions are {list(shape)}")
    if len(data) != expected:
        kind = "truncated" if len(data) < expected else "too long"
        raise DataError(
            f"{path}: {kind}: dimensions {list(shape)} need {expected} bytes, found {len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _content(path: str | Path) -> bytes:
    try:
        data = Path(path).read_bytes()
        return gzip.decompress(data) if data[:2] == GZIP_MAGIC else data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot read the file: {error.strerror}") from None
