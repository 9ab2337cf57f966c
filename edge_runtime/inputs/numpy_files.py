"""Reads .npy and .npz files from untrusted sources: numbers only, and no more than the file holds.

numpy itself refuses pickles on request, but allocates as many numbers as a header asks for, and unpacks
as much as an archive holds.
"""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy.lib.format

from edge_runtime.errors import InputError, reason
from edge_runtime.model_file.zip_reader import check_packing

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
"""First bytes of a ZIP archive, the second without an entry."""

npy: Any = numpy.lib.format  # it has no types
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Version of the format -> what reads its header; version 3 is for names of fields only."""


LONGEST_HEADER = 1 << 16
"""Bytes; numpy refuses headers of a sixth of this size."""


def read_array(path: Path, most: int) -> NDArray[Any]:
    """The array in a `.npy` file, or in a `.npz` file its only one or `x`; of at most `most` bytes.

    Raises InputError naming the file for anything else, and for values that are not numbers.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd spellings in a header
            start = file.read(4)
            file.seek(0)
            if start in ARCHIVE_STARTS:
                return _from_archive(file, path, most)
            return _array(file, path.stat().st_size, most)
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds
        raise InputError(f"{path}: cannot read the array ({reason(error)}).") from None


def _from_archive(file: BinaryIO, path: Path, most: int) -> NDArray[Any]:
    import zipfile  # not on the way to every prediction

    with zipfile.ZipFile(file) as archive:
        entries = {name[:-4]: name for name in archive.namelist() if name.endswith(".npy")}
        entry = archive.getinfo(entries[_only_array(list(entries), path)])
        # The header comes on top of the numbers.
        check_packing(entry.filename, entry.compress_type, entry.file_size, most + LONGEST_HEADER)
        with archive.open(entry) as packed:
            # Without a number, zipfile unpacks everything before it looks at the size that it was told.
            content = packed.read(entry.file_size + 1)
    return _array(io.BytesIO(content), len(content), most)


def _only_array(names: list[str], path: Path) -> str:
    if len(names) == 1:
        return names[0]
    if "x" in names:
        return "x"
    found = reason(", ".join(names) or "none")
    raise InputError(f"{path}: expected one array or one named x, found {found}.")


def _array(file: BinaryIO, size: int, most: int) -> NDArray[Any]:
    """The array in a `.npy` file of `size` bytes, once its header has been checked."""
    start = io.BytesIO(file.read(LONGEST_HEADER))  # whatever length it gives itself
    version = npy.read_magic(start)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format, expected one of {list(HEADERS)}")
    shape, _, dtype = HEADERS[version](start)
    if dtype.kind not in "biuf":
        raise ValueError(f"its elements are {dtype}, expected real numbers")
    needed, held = math.prod(shape) * dtype.itemsize, size - start.tell()
    if min(shape, default=0) < 0 or needed > held:
        raise ValueError(f"{dtype}{list(shape)} does not fit into the {held:,} bytes of data")
    if needed > most:
        raise ValueError(f"{dtype}{list(shape)} takes {needed:,} bytes, expected at most {most:,}")
    file.seek(0)
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array
