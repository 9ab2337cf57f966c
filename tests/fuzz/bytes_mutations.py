"""Mutations of any bytes, without knowledge of a format."""

from __future__ import annotations

from random import Random
from typing import Callable

Mutator = Callable[[Random, bytes], bytes]

WORDS = (0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Values of a field at which readers often fail."""


def flip_bits(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def set_word(rng: Random, data: bytes) -> bytes:
    """A little- or big-endian field of 2, 4 or 8 bytes."""
    width = rng.choice((2, 4, 4, 8))
    if len(data) < width:
        return data
    position = rng.randrange(len(data) - width + 1)
    value = rng.choice((*WORDS, len(data), rng.randrange(len(data) + 1))) % (1 << 8 * width)
    return overwritten(data, position, value.to_bytes(width, rng.choice(("little", "big"))))


def cut(rng: Random, data: bytes) -> bytes:
    """Only the beginning, only the end, or all but a part in the middle."""
    one, other = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice((data[:one], data[one:], data[:one] + data[other:]))


def insert(rng: Random, data: bytes) -> bytes:
    position, count = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 100, 5000))
    return data[:position] + rng.choice((bytes(count), rng.randbytes(count))) + data[position:]


def move_block(rng: Random, data: bytes) -> bytes:
    """A block is copied over another, zeroed, or repeated behind itself."""
    start, end = _block(rng, data)
    block, target = data[start:end], rng.randrange(len(data) + 1)
    return rng.choice(
        (
            overwritten(data, target, block)[: len(data)],
            overwritten(data, start, bytes(end - start)),
            data[:end] + block * rng.choice((1, 3)) + data[end:],
        )
    )


def swap_blocks(rng: Random, data: bytes) -> bytes:
    a, b, c, d = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _block(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 4, 16, 64, 256, 1024)))


def overwritten(data: bytes, position: int, content: bytes) -> bytes:
    """`data` with `content` at `position`."""
    return data[:position] + content + data[position + len(content) :]


def splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


MUTATORS: tuple[Mutator, ...] = (
    flip_bits,
    set_bytes,
    set_word,
    cut,
    insert,
    move_block,
    swap_blocks,
)


def mutated(rng: Random, data: bytes) -> bytes:
    """One mutation, sometimes several."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if data:
            data = rng.choice(MUTATORS)(rng, data)
    return data
