"""The reader of model files' archives finds what zipfile finds, and refuses damaged archives."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.model_file.sha256 import sha256
from edge_runtime.model_file.zip_reader import END, ArchiveError, read_directory, unpack

MOST = 1000
NAMES = st.text("abc./", min_size=1, max_size=8)
ARCHIVES = st.tuples(
    st.binary(max_size=40),
    st.dictionaries(NAMES, st.binary(max_size=MOST), max_size=4),
    st.binary(max_size=30).filter(lambda comment: END not in comment),  # zipfile cannot read it, either
    st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)),
)


def written(front: bytes, entries: dict[str, bytes], comment: bytes, method: int) -> bytes:
    buffer = io.BytesIO(front)
    with zipfile.ZipFile(buffer, "a", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        archive.comment = comment
    return buffer.getvalue()


def contents(data: bytes) -> dict[str, bytes]:
    return {name: unpack(data, entry, MOST) for name, entry in read_directory(data).items()}


@given(ARCHIVES, st.binary(max_size=20))
def test_what_zipfile_writes_is_read(parts, more_in_front):
    """Other data is in front, whether the archive's offsets count it or not."""
    assert contents(written(*parts)) == parts[1]
    assert contents(more_in_front + written(*parts)) == parts[1]


@given(ARCHIVES, st.data())
def test_a_changed_byte_is_damage_or_changes_nothing(parts, data):
    whole = bytearray(written(*parts))
    index = data.draw(st.integers(0, len(whole) - 1))
    whole[index] ^= data.draw(st.integers(1, 255))
    try:
        found = contents(bytes(whole))
    except ValueError:
        return
    assert set(found.values()) <= set(parts[1].values())


@given(ARCHIVES, st.integers(0, 3000))
def test_a_cut_file_has_no_archive(parts, kept):
    whole = written(*parts)
    if kept < len(whole) - len(parts[2]):
        with pytest.raises(ArchiveError):
            read_directory(whole[:kept])


def test_of_two_entries_with_a_name_the_last_counts():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"last")
    assert contents(buffer.getvalue()) == {"a": b"last"}


@given(st.binary(max_size=300))
def test_the_digest_is_hashlibs(data):
    assert sha256(data) == hashlib.sha256(data).hexdigest()
