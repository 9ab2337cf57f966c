"""Reads IDX files, plain or gzip: the format of MNIST.

Source: "THE IDX FILE FORMAT" on the MNIST page of LeCun, Cortes and Burges: two zero bytes, a byte for
the type (8: unsigned byte), a byte for the number of dimensions, each dimension as a big-endian
32-bit count, then the values in row-major order.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError, reason

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"

MOST_ARRAY_BYTES = 1 << 30
"""Limit on an array unless the caller sets another: twice the largest data set of this kind, EMNIST."""


def read_idx(path: str | Path, dimensions: int, most: int = MOST_ARRAY_BYTES) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file; `dimensions` is 3 for images, 1 for labels.

    Raises DataError naming the file when it cannot be read, is not an IDX file of unsigned bytes with
    that many dimensions, is empty, has more than `most` bytes, or is shorter or longer than its header
    says. No more is unpacked than the header says.
    """
    try:
        with open(path, "rb") as plain:
            packed = plain.read(2) == GZIP_MAGIC
            plain.seek(0)
            file: Any = gzip.GzipFile(fileobj=plain) if packed else plain
            return _array(file, path, dimensions, most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({reason(error)}).") from None
    except OSError as error:
        raise DataError(f"{path}: cannot read the file ({error.strerror}).") from None


def _array(file: IO[bytes], path: str | Path, dimensions: int, most: int) -> NDArray[np.uint8]:
    start = 4 + 4 * dimensions
    header = file.read(start)
    if len(header) < 4 or header[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file. Expected two zero bytes, found {header[:2]!r}.")
    if header[2] != UNSIGNED_BYTE or header[3] != dimensions:
        raise DataError(
            f"{path}: expected an IDX file of unsigned bytes (type 8) with {dimensions} "
            f"dimension(s), found type {header[2]} with {header[3]}."
        )
    if len(header) < start:
        raise DataError(f"{path}: truncated. The header has {len(header)} of {start} bytes.")
    shape = [int(n) for n in np.frombuffer(header, ">u4", dimensions, 4)]
    size = math.prod(shape)
    if size == 0:
        raise DataError(f"{path}: empty. Its dimensions are {shape}.")
    if size > most:
        raise DataError(f"{path}: dimensions {shape} need {size:,} bytes. Expected at most {most:,}.")
    data, needed = file.read(size), f"Dimensions {shape} need {start + size} bytes"
    if len(data) < size:
        raise DataError(f"{path}: truncated. {needed}, found {start + len(data)}.")
    if file.read(1):
        raise DataError(f"{path}: too long. {needed}, found more.")
    return np.frombuffer(data, np.uint8).reshape(shape)
