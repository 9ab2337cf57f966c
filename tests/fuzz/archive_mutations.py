"""Mutations of the ZIP archive behind a FlatBuffer that get past its checksums, and bombs."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from edge_runtime.model_file.metadata import LABELS_NAME, PROBES_NAME, RECORD_NAME
from tests.fuzz.bytes_mutations import WORDS, mutated, overwritten
from tests.fuzz.json_mutations import mutated_json

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

HEADERS = {
    b"PK\x03\x04": (2, 2, 2, 2, 2, 4, 4, 4, 2, 2),
    b"PK\x01\x02": (2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4),
    b"PK\x05\x06": (2, 2, 2, 2, 4, 4, 2),
}
"""Signature -> widths of the fields behind it (APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16)."""

MEGABYTE = 1 << 20


@dataclass
class Parts:
    """The parts of a model file, to be put together again with correct checksums."""

    flatbuffer: bytes
    entries: dict[str, bytes]

    @classmethod
    def of(cls, data: bytes) -> Parts:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        size = json.loads(entries[RECORD_NAME])["flatbuffer"]["bytes"]
        return cls(data[:size], entries)

    def file(self, method: int = zipfile.ZIP_DEFLATED) -> bytes:
        return self.flatbuffer + archive(list(self.entries.items()), method)

    def with_flatbuffer(self, flatbuffer: bytes) -> Parts:
        """Another FlatBuffer, and its digest in the record, so that the loader lets it through."""
        record = json.loads(self.entries[RECORD_NAME])
        record["flatbuffer"] = {
            "bytes": len(flatbuffer),
            "sha256": hashlib.sha256(flatbuffer).hexdigest(),
        }
        return Parts(flatbuffer, {**self.entries, RECORD_NAME: json.dumps(record).encode()})


def archive(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method, compresslevel=1) as opened:
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            opened.writestr(info, content)
    return buffer.getvalue()


def change_record(rng: Random, parts: Parts) -> bytes:
    text = mutated_json(rng, parts.entries[RECORD_NAME].decode())
    content = text.encode("utf-8", "surrogatepass")
    return Parts(parts.flatbuffer, {**parts.entries, RECORD_NAME: content}).file()


def change_entry(rng: Random, parts: Parts) -> bytes:
    """Change the bytes of an entry, whatever it holds."""
    name = rng.choice(list(parts.entries))
    content = parts.entries[name]
    changed = rng.choice((mutated(rng, content), b"", content * 2, rng.randbytes(100), b"\n" * 3000))
    return Parts(parts.flatbuffer, {**parts.entries, name: changed}).file()


def change_names(rng: Random, parts: Parts) -> bytes:
    """Entries are missing, present twice with different content, renamed, or among hundreds."""
    entries = list(parts.entries.items())
    kind = rng.randrange(5)
    if kind == 0:
        entries.pop(rng.randrange(len(entries)))
    elif kind == 1:
        name, content = rng.choice(entries)
        entries.insert(rng.randrange(len(entries) + 1), (name, mutated(rng, content)))
    elif kind == 2:
        index = rng.randrange(len(entries))
        name = rng.choice(("", "/", "../x", "weights", "a\nb", "\u00fc" * 100, entries[0][0].upper()))
        entries[index] = (name, entries[index][1])
    elif kind == 3:
        entries += [(f"extra{number}", b"") for number in range(rng.choice((10, 300)))]
    else:
        entries.append((rng.choice((RECORD_NAME, "inner.zip")), archive(entries)))
    rng.shuffle(entries)
    return parts.flatbuffer + archive(entries)


def change_header(rng: Random, parts: Parts) -> bytes:
    """Fields of the ZIP headers: sizes, offsets, flags, methods, counts."""
    data = parts.file(rng.choice(METHODS))
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = set_header_field(rng, data, len(parts.flatbuffer))
    return data


def set_header_field(rng: Random, data: bytes, start: int = 0) -> bytes:
    signature = rng.choice(list(HEADERS))
    found = _positions(data, signature, start)
    if not found:
        return data
    position = rng.choice(found) + 4
    widths = HEADERS[signature]
    field = rng.randrange(len(widths))
    position += sum(widths[:field])
    value = rng.choice((*WORDS, 8, 12, 14, 99, rng.randrange(len(data)))) % (1 << 8 * widths[field])
    return overwritten(data, position, value.to_bytes(widths[field], "little"))


def _positions(data: bytes, signature: bytes, start: int) -> list[int]:
    found, position = [], data.find(signature, start)
    while position >= 0:
        found.append(position)
        position = data.find(signature, position + 4)
    return found


def change_place(rng: Random, parts: Parts) -> bytes:
    """Something before, between or behind FlatBuffer and archive; another method; a comment."""
    archived = archive(list(parts.entries.items()), rng.choice(METHODS))
    filler = rng.choice(
        (b"", b"\0", rng.randbytes(30), bytes(70_000), archived, parts.flatbuffer[:1000])
    )
    comment = overwritten(archived, len(archived) - 2, struct.pack("<H", len(filler) & 0xFFFF)) + filler
    return rng.choice(
        (
            parts.flatbuffer + filler + archived,
            parts.flatbuffer + archived + filler,
            parts.flatbuffer + comment,
            filler + parts.flatbuffer + archived,
        )
    )


@lru_cache
def deflated_bomb(megabytes: int, filler: bytes = b" ") -> bytes:
    """A raw deflate stream of about a thousandth of the size that it inflates to."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(filler * (MEGABYTE // len(filler)))
    block += compressor.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


def bomb_entry(name: str, megabytes: int, *, claimed: int | None = None) -> tuple[bytes, bytes]:
    """Local header with content, and central header, of an entry that holds that many megabytes of
    spaces.

    `claimed`: the size that the headers name if they lie.
    """
    content = deflated_bomb(megabytes)
    size = min(megabytes * MEGABYTE if claimed is None else claimed, 0xFFFFFFFF)
    facts = struct.pack("<HHHHIII", 0, 8, 0, 33, 0, len(content), size)
    encoded = name.encode()
    local = b"PK\x03\x04" + struct.pack("<H", 20) + facts + struct.pack("<HH", len(encoded), 0)
    central = b"PK\x01\x02" + struct.pack("<HH", 20, 20) + facts
    central += struct.pack("<HHHHHII", len(encoded), 0, 0, 0, 0, 0, 0)
    return local + encoded + content, central + encoded


def bomb_archive(entries: list[tuple[str, bytes]], name: str, megabytes: int, **options: int) -> bytes:
    """A ZIP archive with the given entries and, under `name`, a bomb."""
    local, central = bomb_entry(name, megabytes, **options)
    rest = archive([entry for entry in entries if entry[0] != name])
    with zipfile.ZipFile(io.BytesIO(rest)) as opened:
        count, start = len(opened.namelist()), opened.start_dir
    directory = rest[start:-22]
    offset = struct.pack("<I", start)
    directory += central[:42] + offset + central[46:]
    end = struct.pack("<HHHHIIH", 0, 0, count + 1, count + 1, len(directory), start + len(local), 0)
    return rest[:start] + local + directory + b"PK\x05\x06" + end


def bomb(rng: Random, parts: Parts) -> bytes:
    name = rng.choice((RECORD_NAME, LABELS_NAME, PROBES_NAME, PROBES_NAME))
    megabytes = rng.choice((20, 300, 2000, 5000))
    claimed = rng.choice((None, None, 10, 1000, MEGABYTE, 0xFFFFFFFF))
    options = {} if claimed is None else {"claimed": claimed}
    return parts.flatbuffer + bomb_archive(list(parts.entries.items()), name, megabytes, **options)


MUTATORS = (change_record, change_record, change_record, change_entry, change_names, change_header)
RARE = (change_place, bomb)


def mutated_archive(rng: Random, parts: Parts) -> bytes:
    """A file with a valid FlatBuffer and a changed archive."""
    return rng.choice(RARE if rng.random() < 0.03 else MUTATORS)(rng, parts)
