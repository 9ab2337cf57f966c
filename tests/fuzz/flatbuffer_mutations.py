"""Mutations of a FlatBuffer: of its fields and of any bytes."""

from __future__ import annotations

import struct
from functools import lru_cache
from random import Random

from edge_runtime.tflite.flatbuffer_reader import FORMATS, Buffer, Table
from tests.fuzz.bytes_mutations import WORDS, mutated, overwritten


class _Noting(Buffer):
    """A buffer that records where its reader found numbers, and how wide they are."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.places: dict[int, int] = {}

    def number(self, position: int, kind: str):
        self.places[position] = FORMATS[kind]
        return super().number(position, kind)

    def claim(self, start: int, length: int, part: str) -> None:
        if part == ELEMENTS:
            self.places.update(dict.fromkeys(range(start + 4, start + length - 3, 4), 4))
        super().claim(start, length, part)


ELEMENTS = "elements"
"""The part under which vectors of numbers are recorded, so that their elements are fields, too."""


@lru_cache(maxsize=64)
def fields(flatbuffer: bytes) -> tuple[tuple[int, int], ...]:
    """(position, width) of every number that a reader of the model follows.

    They are offsets, vtables, lengths, types, shapes, operands and scales.
    """
    buffer = _Noting(flatbuffer)
    model = buffer.root("")
    for table in model.tables(4):
        table.span(0)
    for table in model.tables(1):
        _numbers(table, "bIi", (0, 2, 3))
    for subgraph in model.tables(2):
        for tensor in subgraph.tables(0):
            _tensor(tensor)
        for operator in subgraph.tables(3):
            operator.number(0, "I")
            _vectors(operator, (1, 2))
            options = operator.table(4)
            if options:
                _numbers(options, "iii", (0, 1, 2))
        _vectors(subgraph, (1, 2))
    return tuple(sorted(buffer.places.items()))


def _tensor(tensor: Table) -> None:
    _numbers(tensor, "bI", (1, 2))
    _vectors(tensor, (0,))
    quantization = tensor.table(4)
    if quantization:
        _vectors(quantization, (2, 3))


def _numbers(table: Table, kinds: str, indices: tuple[int, ...]) -> None:
    for kind, index in zip(kinds, indices):
        table.number(index, kind)


def _vectors(table: Table, indices: tuple[int, ...]) -> None:
    for index in indices:
        table.vector(index, 4, ELEMENTS)


def set_fields(rng: Random, data: bytes) -> bytes:
    """One to three fields get a value that may be wrong."""
    places = fields(data)
    changed = data
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        position, width = rng.choice(places)
        old = int.from_bytes(data[position : position + width], "little")
        near = (
            old + rng.choice((-4, -2, -1, 1, 2, 4, 8)),
            old * 2,
            old ^ (1 << rng.randrange(8 * width)),
        )
        other_position, other_width = rng.choice(places)
        other = int.from_bytes(data[other_position : other_position + other_width], "little")
        floats = [
            int.from_bytes(struct.pack("<f", f), "little")
            for f in (0.0, -1.0, 1e-45, 3e38, float("nan"))
        ]
        value = rng.choice(
            (*near, other, other, rng.choice(WORDS), rng.choice(floats), rng.randrange(30))
        )
        changed = overwritten(changed, position, (value % (1 << 8 * width)).to_bytes(width, "little"))
    return changed


def mutated_flatbuffer(rng: Random, data: bytes) -> bytes:
    """Mostly fields, sometimes any bytes."""
    return set_fields(rng, data) if rng.random() < 0.75 else mutated(rng, data)


def changed_contents(rng: Random, data: bytes) -> bytes:
    """Bytes that a reader does not follow, most of them of constants: a model that still works."""
    followed = {k for position, width in fields(data) for k in range(position, position + width)}
    changed = bytearray(data)
    for _ in range(rng.choice((1, 4, 64))):
        place = rng.randrange(len(data))
        if place not in followed:
            changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)
