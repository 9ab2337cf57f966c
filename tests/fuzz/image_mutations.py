"""Mutations of PNG and JPEG files: of any bytes, of chunks with correct checksums, and bombs."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz.archive_mutations import deflated_bomb
from tests.fuzz.bytes_mutations import WORDS, mutated, overwritten

PNG_START = b"\x89PNG\r\n\x1a\n"

SIDES = (0, 1, 2, 3, 28, 1000, 7000, 8192, 20_000, 65_535, 100_000, 1 << 24, 0x7FFFFFFF, 0xFFFFFFFF)
"""Width or height."""


@lru_cache
def png_seeds() -> tuple[bytes, ...]:
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    pictures = [color.convert(mode) for mode in ("L", "RGB", "RGBA", "LA", "P", "1")]
    pictures.append(Image.fromarray(rng.integers(0, 65536, (9, 11), dtype=np.uint16)))
    exif = Image.Exif()
    exif[0x0112] = 6
    written = [_written(picture, "PNG") for picture in pictures]
    return (*written, _written(color, "PNG", exif=exif), _written(pictures[4], "PNG", transparency=3))


@lru_cache
def jpeg_seeds() -> tuple[bytes, ...]:
    rng = np.random.default_rng(1)
    color = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 8
    return (
        _written(color, "JPEG"),
        _written(color.convert("L"), "JPEG"),
        _written(color.convert("CMYK"), "JPEG"),
        _written(color, "JPEG", progressive=True),
        _written(color, "JPEG", exif=exif),
    )


def _written(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def mutated_png(rng: Random) -> bytes:
    data = rng.choice(png_seeds())
    if rng.random() < 0.4:
        return mutated(rng, data)
    chunks = _chunks(data)
    for _ in range(rng.choice((1, 1, 2))):
        change = rng.choice(_PNG_CHANGES if rng.random() > 0.02 else (_bomb,))
        chunks = change(rng, chunks) or [(b"IHDR", b"")]
    return PNG_START + b"".join(_chunk(*chunk) for chunk in chunks)


Chunks = list[tuple[bytes, bytes]]


def _chunks(data: bytes) -> Chunks:
    found, position = [], len(PNG_START)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        found.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def _change_content(rng: Random, chunks: Chunks) -> Chunks:
    index = rng.randrange(len(chunks))
    kind, content = chunks[index]
    return [*chunks[:index], (kind, mutated(rng, content)), *chunks[index + 1 :]]


def _change_header(rng: Random, chunks: Chunks) -> Chunks:
    header = bytearray(chunks[0][1].ljust(13, b"\0"))
    if rng.random() < 0.5:
        struct.pack_into(">I", header, rng.choice((0, 4)), rng.choice(SIDES))
    else:
        header[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return [(b"IHDR", bytes(header)), *chunks[1:]]


def _change_order(rng: Random, chunks: Chunks) -> Chunks:
    changed = list(chunks)
    index = rng.randrange(len(changed))
    kept = changed.pop(index)
    for _ in range(rng.choice((0, 1, 2, 50))):
        changed.insert(rng.randrange(len(changed) + 1), kept)
    return changed


def _change_pixels(rng: Random, chunks: Chunks) -> Chunks:
    """Rows that do not fit the header, correctly packed."""
    changed, rows = [], bytes(100)
    for kind, content in chunks:
        if kind == b"IDAT":
            unpacker = zlib.decompressobj()
            with contextlib.suppress(zlib.error):
                rows = unpacker.decompress(content, 1 << 20)
            content = zlib.compress(rng.choice((mutated(rng, rows), rows[:10], rows * 50, b"")))
        changed.append((kind, content))
    return changed


def _add_chunk(rng: Random, chunks: Chunks) -> Chunks:
    kind = rng.choice((b"tRNS", b"PLTE", b"eXIf", b"acTL", b"fcTL", b"gAMA", b"sRGB", b"pHYs", b"tEXt"))
    content = rng.randbytes(rng.choice((0, 1, 4, 8, 300)))
    index = rng.randrange(len(chunks) + 1)
    return [*chunks[:index], (kind, content), *chunks[index:]]


def _bomb(rng: Random, chunks: Chunks) -> Chunks:
    """Text or a colour profile that inflates to gigabytes, or pixels that do."""
    packed = b"\x78\x9c" + deflated_bomb(rng.choice((20, 500, 2000)))
    kind = rng.randrange(4)
    if kind == 0:
        return [chunks[0], (b"zTXt", b"k\0\0" + packed), *chunks[1:]]
    if kind == 1:
        return [chunks[0], (b"iTXt", b"k\0\1\0\0\0" + packed), *chunks[1:]]
    if kind == 2:
        return [chunks[0], (b"iCCP", b"k\0\0" + packed), *chunks[1:]]
    width, height = rng.choice(((40_000, 40_000), (12_000, 12_000), (9000, 9000), (100, 1 << 24)))
    header = struct.pack(">IIBBBBB", width, height, 8, rng.choice((0, 2)), 0, 0, 0)
    return [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]


_PNG_CHANGES = (
    _change_content,
    _change_content,
    _change_header,
    _change_order,
    _change_pixels,
    _add_chunk,
)


def mutated_jpeg(rng: Random) -> bytes:
    data = rng.choice(jpeg_seeds())
    if rng.random() < 0.6:
        return mutated(rng, data)
    for _ in range(rng.choice((1, 1, 2))):
        data = _change_segment(rng, data)
    return data


def _change_segment(rng: Random, data: bytes) -> bytes:
    """A field of a segment: its length, or the picture's size."""
    markers = [i for i in range(len(data) - 9) if data[i] == 0xFF and 0xC0 <= data[i + 1] <= 0xFE]
    if not markers:
        return data
    position = rng.choice(markers)
    if data[position + 1] in (0xC0, 0xC2) and rng.random() < 0.7:
        side = rng.choice(SIDES) & 0xFFFF
        return overwritten(data, position + rng.choice((5, 7)), struct.pack(">H", side))
    value = rng.choice(WORDS) & 0xFFFF
    return overwritten(data, position + rng.choice((2, 4, 6)), struct.pack(">H", value))
