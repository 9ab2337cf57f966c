"""Mutations of .npy, .npz and IDX files: headers that lie, pickles, bombs."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
from random import Random

import numpy as np

from tests.fuzz.archive_mutations import (
    METHODS,
    archive,
    bomb_archive,
    deflated_bomb,
    set_header_field,
)
from tests.fuzz.bytes_mutations import mutated

DESCRIPTIONS = (
    *(
        "'<f4'",
        "'<f8'",
        "'>f4'",
        "'>f8'",
        "'|u1'",
        "'|i1'",
        "'<i8'",
        "'>u2'",
        "'<f2'",
        "'|b1'",
        "'<f16'",
    ),
    *(
        "'|O'",
        "'|S5'",
        "'<U3'",
        "'<M8[s]'",
        "'<c8'",
        "'|V8'",
        "'|S2000000000'",
        "'<U500000000'",
        "'|S0'",
    ),
    *("[('a', '<f4'), ('b', '<f4')]", "[('a', '|O')]", "('<f4', (3,))", "('<f4', (1000, 1000, 1000))"),
    *("'<f4,<f4'", "'x'", "''", "None", "1", "[]", "[('', '<f4')]", "{'names': [], 'formats': []}"),
)

SHAPES = (
    *("(3, 3)", "(2, 3, 3)", "(5, 3, 3)", "(1, 3, 3)", "(9,)", "()", "(0, 3, 3)", "(3, 0)", "(3, 3, 1)"),
    *("(-1, 3, 3)", "(2, -3, -3)", "(1000000000000, 3, 3)", "(9223372036854775807, 3, 3)", "(3,)"),
    *("(True, 3, 3)", "(3.0, 3)", "[3, 3]", "3", "None", f"({'1, ' * 70})", f"({'9' * 4000}, 3, 3)"),
    *("(20000000, 3, 3)", "(0, 9223372036854775807, 3)", "(" * 200, "('3', 3)", "(10**9, 3)"),
)

TRIPPED: list[str] = []
"""Not empty once a pickle has been executed."""


def trip() -> None:
    """The function that the pickles call."""
    TRIPPED.append("a pickle was executed")


class Trap:
    """An object whose unpickling is noticed."""

    def __reduce__(self):
        return trip, ()


def mutated_npy(rng: Random) -> bytes:
    kind = rng.randrange(10)
    if kind == 0:
        return trapped_npy(rng)
    if kind == 1:
        return pickle.dumps([Trap()] * 3, protocol=rng.randrange(5))
    if kind <= 4:
        return mutated(rng, _npy(rng))
    return lying_npy(rng)


def _npy(rng: Random) -> bytes:
    array = np.random.default_rng(rng.randrange(10)).normal(20, 5, (2, 3, 3))
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array, rng.choice(("<f4", ">f8", "u1", "<i4"))))
    return buffer.getvalue()


def trapped_npy(rng: Random) -> bytes:
    """An object array, with a pickle in it."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([[Trap()] * 3] * 3, dtype=object), allow_pickle=True)
    return buffer.getvalue()


def lying_npy(rng: Random) -> bytes:
    """A header of any type and shape over some numbers."""
    sound = rng.random() < 0.7
    descr = rng.choice(DESCRIPTIONS[:9] if sound else DESCRIPTIONS)
    shape = rng.choice(SHAPES[:4]) if sound and rng.random() < 0.7 else rng.choice(SHAPES)
    fortran = rng.choice(("False", "True") if sound else ("False", "True", "1", "None"))
    entries = [f"'descr': {descr}", f"'fortran_order': {fortran}", f"'shape': {shape}"]
    if rng.random() < 0.05:
        entries.pop(rng.randrange(3))
    text = "{" + ", ".join(entries) + ", }" + " " * rng.choice((0, 7, 30, 20_000)) + "\n"
    version = rng.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 0)))
    length = len(text) if rng.random() < 0.95 else rng.choice((0, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    packed = struct.pack("<H", length & 0xFFFF) if version[0] == 1 else struct.pack("<I", length)
    count = rng.choice((36, 72, 360, 1440, 7))
    content = rng.choice((bytes(range(256)) * 8, np.arange(360, dtype="<f4").tobytes()))[:count]
    return b"\x93NUMPY" + bytes(version) + packed + text.encode() + content


def mutated_npz(rng: Random) -> bytes:
    kind = rng.randrange(20)
    if kind == 0:
        return _npz_bomb(rng)
    if kind < 6:
        return mutated(rng, archive(_members(rng), rng.choice(METHODS)))
    data = archive(_members(rng), rng.choice(METHODS))
    for _ in range(rng.choice((0, 0, 1, 2))):
        data = set_header_field(rng, data)
    return data


def _members(rng: Random) -> list[tuple[str, bytes]]:
    names = rng.choice(
        (("x.npy",), ("x.npy", "y.npy"), ("a.npy",), ("x",), ("a", "b"), ("x.npy", "x"), ())
    )
    contents = (_npy, mutated_npy, lying_npy, trapped_npy, lambda rng: b"no array")
    return [(name, rng.choice(contents)(rng)) for name in names]


def _npz_bomb(rng: Random) -> bytes:
    claimed = rng.choice((None, 100, 1 << 20, 0xFFFFFFFF))
    options = {} if claimed is None else {"claimed": claimed}
    return bomb_archive([("y.npy", _npy(rng))], "x.npy", rng.choice((20, 500, 4000)), **options)


def mutated_idx(rng: Random) -> bytes:
    """Plain IDX; see mutated_idx_gz."""
    shape = rng.choice(((2, 3, 3), (1, 3, 3), (5, 3, 3), (3, 3), (0, 3, 3), (2, 4, 3)))
    content = rng.randbytes(int(np.prod(shape)))
    start = [0, 0, 8, len(shape)]
    dimensions = list(shape)
    if rng.random() < 0.3:
        start[rng.randrange(4)] = rng.choice((0, 1, 2, 9, 13, 255))
    if rng.random() < 0.3:
        dimensions[rng.randrange(len(shape))] = rng.choice((0xFFFFFFFF, 0, 1 << 24, 70_000))
    data = bytes(start) + struct.pack(f">{len(shape)}I", *dimensions) + content
    return mutated(rng, data) if rng.random() < 0.4 else data


def mutated_idx_gz(rng: Random) -> bytes:
    kind = rng.randrange(20)
    if kind == 0:
        start = struct.pack(">BBBBIII", 0, 0, 8, 3, rng.choice((2, 100_000, 0xFFFFFFF)), 3, 3)
        packed = deflated_bomb(rng.choice((20, 500, 4000)), rng.choice((b" ", start.ljust(16, b"\0"))))
        return gzip.compress(b"")[:10] + packed + bytes(8)
    data = gzip.compress(mutated_idx(rng), 1)
    return mutated(rng, data) if kind < 10 else data
