"""Small files that unpack to gigabytes, or say so, are refused before the memory is taken."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import resource
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from convert.model_file.archive import embed
from edge_runtime.commands.predict import standard_input
from edge_runtime.errors import EdgeRnnError, InputError, ModelError
from edge_runtime.inputs.read_windows import read_windows
from edge_runtime.inputs.text import parse_line
from edge_runtime.model_file.read_file import MOST_UNPACKED, read_model, read_model_file
from tests.fuzz.archive_mutations import Parts, bomb_archive, deflated_bomb
from tests.support.model_files import metadata_for, write_model

MEGABYTE = 1 << 20
GIGABYTE = 1 << 30


def memory_taken(call) -> int:
    """The most bytes that Python and numpy held while `call` raised one of our errors."""
    tracemalloc.start()
    try:
        with pytest.raises(EdgeRnnError):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", MOST_UNPACKED)
@pytest.mark.parametrize("claimed", [None, 1000])
def test_an_entry_of_gigabytes_in_a_model_file(tmp_path, name, claimed):
    """With the real size in the directory, and with a false one."""
    path = write_model(tmp_path / "m.tflite")
    parts = Parts.of(path.read_bytes())
    bomb = bomb_archive(list(parts.entries.items()), name, 1024, claimed=claimed)
    path.write_bytes(parts.flatbuffer + bomb)
    assert memory_taken(lambda: read_model_file(path)) < 32 * MEGABYTE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_entries_packed_by_other_methods_are_refused(tmp_path, method):
    path = write_model(tmp_path / "m.tflite")
    path.write_bytes(Parts.of(path.read_bytes()).file(method))
    with pytest.raises(ModelError, match=r"m\.tflite: .* is packed by method \d+, expected deflate"):
        read_model(path)


def test_what_readers_refuse_is_not_written():
    labels = tuple(f"{'long' * 300} {number}" for number in range(5000))
    with pytest.raises(InputError, match=r"labels\.txt has .* bytes, but a model file holds at most"):
        embed(b"", metadata_for(b"", labels=labels))


def test_a_large_file_that_is_not_a_model_is_not_read(tmp_path):
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(4 * GIGABYTE)
    assert memory_taken(lambda: read_model(path)) < MEGABYTE
    with path.open("r+b") as file:
        file.write(b"\x1c\0\0\0TFL3")
    assert memory_taken(lambda: read_model(path)) < MEGABYTE


def npy(shape: str, content: bytes = b"", descr: str = "'<f4'") -> bytes:
    """A .npy file with the given header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + content


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def gzipped(start: bytes) -> bytes:
    """A gigabyte in which `start` is repeated."""
    return gzip.compress(b"")[:10] + deflated_bomb(1024, start) + bytes(8)


BOMBS = {
    "a header of terabytes.npy": npy("(1000000000000, 4, 5)"),
    "a header of terabytes.npz": zipped("x.npy", npy("(1000000000000, 4, 5)")),
    "a header of megabytes.npy": npy("(2000000, 4, 5)"),
    "a header of megabytes.npz": zipped("x.npy", npy("(2000000, 4, 5)")),
    "a header of its own length.npy": b"\x93NUMPY\2\0\xff\xff\xff\x7f{'descr': '<f4'",
    "long strings.npy": npy("(4, 5)", descr="'|S1000000000'"),
    "a gigabyte packed.npz": bomb_archive([], "x.npy", 1024),
    "a gigabyte that lies.npz": bomb_archive([], "x.npy", 1024, claimed=500),
    "a gigabyte behind one window.idx.gz": gzipped(struct.pack(">BBBBIII", 0, 0, 8, 3, 1, 4, 5)),
    "a gigabyte of windows.idx.gz": gzipped(struct.pack(">BBBBIII", 0, 0, 8, 3, 50_000_000, 4, 5)),
    "terabytes.idx": struct.pack(">BBBBIII", 0, 0, 8, 3, 0xFFFFFFFF, 4, 5),
}


@pytest.mark.parametrize("name", BOMBS)
def test_arrays(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BOMBS[name])
    assert memory_taken(lambda: read_windows(path, 4, 5)) < 32 * MEGABYTE


def test_a_file_that_is_larger_than_any_windows(tmp_path):
    for name, start in {"a.npy": npy("(50000000, 4, 5)"), "a.csv": b"1,2,3,4,5\n"}.items():
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(5 * GIGABYTE)
        assert memory_taken(lambda path=tmp_path / name: read_windows(path, 4, 5)) < MEGABYTE


def png(width: int, height: int, packed: bytes) -> bytes:
    """A gray PNG of the given size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8000, 12_000, 30_000])
def test_pictures_of_too_many_pixels(tmp_path, side):
    """Pillow itself takes the first of these, warns of the second and refuses the third."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, b"\x78\x9c" + deflated_bomb(side * side // MEGABYTE + 1)))
    with pytest.raises(InputError, match=r"bomb\.png: cannot read the image \(.* pixels"):
        read_windows(path, 4, 5)


def test_a_picture_that_promises_more_pixels_than_it_has(tmp_path):
    """Pillow reads the rest of a chunk at once, whatever length the chunk claims."""
    path, sound = tmp_path / "promise.png", png(9, 9, zlib.compress(bytes(90)))
    length = sound.index(b"IDAT") - 4
    path.write_bytes(sound[:length] + b"\xff\xff\xff\xff" + sound[length + 4 :])
    tracemalloc.start()
    with contextlib.suppress(InputError):
        read_windows(path, 4, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MEGABYTE


def limited_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 * GIGABYTE, 2 * GIGABYTE))


def predict(model, *inputs, **options) -> subprocess.CompletedProcess[bytes]:
    """The real command, which may use 2 GiB at most."""
    command = [sys.executable, "-m", "edge_runtime", "predict", model, *inputs]
    return subprocess.run(command, preexec_fn=limited_memory, capture_output=True, **options)


def test_the_command_with_little_memory(tmp_path):
    model = write_model(tmp_path / "m.tflite")
    sound, bomb = tmp_path / "w.npy", tmp_path / "bomb.npz"
    np.save(sound, np.zeros((5, 3)))
    assert predict(model, sound, check=True).stdout
    bomb.write_bytes(bomb_archive([], "x.npy", 5000))
    result = predict(model, bomb)
    assert result.returncode == 2
    assert result.stderr.decode().splitlines()[-1].startswith(f"Error: {bomb}: cannot read the array")
    assert b"Traceback" not in result.stderr


def test_of_an_endless_line_little_is_held(tmp_path, monkeypatch):
    path, spec = tmp_path / "lines", metadata_for(b"")
    with path.open("wb") as file:
        file.truncate(256 * MEGABYTE)
        file.seek(0, io.SEEK_END)
        file.write(b"\n" + b"20 " * 15 + b"\n")
    with path.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        tracemalloc.start()
        first, second = standard_input(spec)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEGABYTE
    assert "longer than" in first.problem
    assert parse_line(second.text, spec.steps, spec.features).shape == (5, 3)


def test_a_padded_line_is_not_a_window(tmp_path):
    """The beginning of the line would be a window."""
    model = write_model(tmp_path / "m.tflite")
    result = predict(model, "-", input=b"20 " * 15 + b" " * 100_000 + b"20\n")
    assert "longer than" in json.loads(result.stdout)["error"]


def test_a_photograph_is_not_a_bomb(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (4000, 3000), "gray").save(path)
    assert read_windows(path, 28, 28).shape == (1, 28, 28)
