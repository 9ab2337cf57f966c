"""Reads a model file: a FlatBuffer followed by a ZIP archive with edge-rnn's metadata and probes.

Appending the archive is TFLite's own convention for associated files: every TFLite interpreter loads
the file, and every ZIP reader lists it. docs/reference/format.md is the contract.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import ModelError, reason
from edge_runtime.model_file.metadata import (
    FORMAT_VERSION,
    LABELS_NAME,
    PROBES_NAME,
    RECORD_NAME,
    Metadata,
    damaged_record,
)
from edge_runtime.model_file.sha256 import sha256
from edge_runtime.model_file.zip_reader import ArchiveError, read_directory, unpack

MOST_UNPACKED = {RECORD_NAME: 1 << 22, LABELS_NAME: 1 << 22, PROBES_NAME: 1 << 24}
"""Entry -> bytes that it may have. JSON of that size is enough for the mean and std of 100,000 features,
and takes about twenty times as much memory. The converter's 8,000 bytes of packed probes inflate to 8 MB
at most."""

MOST_FILE_BYTES = (1 << 31) + (1 << 26)
"""Limit on a file: a FlatBuffer's offsets have 31 bits, and the archive is small."""

FILE_IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite FlatBuffer (schema.fbs: file_identifier)."""

DESCRIPTION = "made by edge-rnn"
"""The FlatBuffer's description. It is in the first bytes, so that a cut file is still known as ours."""


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been read and found sound."""

    flatbuffer: bytes
    """The model, without the archive."""
    metadata: Metadata
    probes: bytes | None
    """The content of probes.bin, or None in a file without it."""


def read_model(path: str | Path) -> tuple[bytes, Metadata]:
    """The FlatBuffer (bytes, without the archive) and the metadata of the model file `path`.

    Raises what `read_model_file` raises.
    """
    file = read_model_file(path)
    return file.flatbuffer, file.metadata


def read_model_file(path: str | Path, *, trust: bool = False) -> ModelFile:
    """Everything in the model file `path`.

    The FlatBuffer is checked against the recorded SHA-256, so a damaged model never reaches an engine,
    unless `trust` says that it may. Raises ModelError when the file cannot be read, is not a
    TFLite model, is cut short or damaged, or has no edge-rnn metadata or a newer format version.
    """
    data = read_bytes(path)
    file = parse_model_file(data, path, trust=trust)
    if file is None:
        raise ModelError(
            f"{path}: a TFLite model without edge-rnn metadata. Expected a file written by "
            f"'edge-rnn convert', with {RECORD_NAME} in the ZIP archive at its end."
        )
    return file


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file that starts as a TFLite model does. Raises ModelError for any other."""
    try:
        with open(path, "rb") as file:
            start, size = file.read(8), os.fstat(file.fileno()).st_size
            if start[4:8] != FILE_IDENTIFIER:
                raise ModelError(
                    f"{path}: not a TFLite model. Expected the identifier 'TFL3' at byte 4, "
                    f"found {start[4:8]!r} in a file of {size} bytes."
                )
            if size > MOST_FILE_BYTES:
                raise ModelError(f"{path}: has {size:,} bytes. Expected less than 2 GiB.")
            return start + file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model file ({error.strerror}).") from None
    except ValueError as error:  # a zero byte in the name
        raise ModelError(f"{str(path)!r}: cannot read the model file ({error}).") from None


def parse_model_file(data: bytes, path: str | Path, *, trust: bool = False) -> ModelFile | None:
    """`data` in its parts, or None for a model without edge-rnn's record.

    `path` is for the messages. Raises ModelError for a file of edge-rnn that is too new or damaged; with
    `trust`, a model that does not match its SHA-256 is accepted.
    """
    content = _read_archive(data, path)
    if content is None:
        return None
    record, labels, probes = content
    metadata = _metadata(record, labels, path)
    flatbuffer = data[: metadata.flatbuffer_bytes]
    if not trust and sha256(flatbuffer) != metadata.flatbuffer_sha256:
        raise ModelError(
            f"{path}: damaged. The model's bytes do not match the SHA-256 recorded in the file. Copy or "
            "convert it again; --trust loads a model that was changed on purpose."
        )
    return ModelFile(flatbuffer, metadata, probes)


def _read_archive(data: bytes, path: str | Path) -> tuple[Any, tuple[str, ...], bytes | None] | None:
    """The record, the labels and the probes' bytes; None when there is no archive with a record."""
    try:
        directory = read_directory(data)
    except ArchiveError:
        directory = {}
    if not {RECORD_NAME, LABELS_NAME} <= set(directory):
        if DESCRIPTION.encode() in data[:256]:
            raise ModelError(
                f"{path}: cut short or damaged. The metadata that 'edge-rnn convert' appends is "
                "missing. Copy or convert the file again."
            )
        return None
    try:
        contents = {
            name: unpack(data, directory[name], most)
            for name, most in MOST_UNPACKED.items()
            if name in directory
        }
        record = json.loads(contents[RECORD_NAME])
        labels = tuple(contents[LABELS_NAME].decode("utf-8").split("\n"))
    except (ValueError, RecursionError) as error:  # damage in the archive, JSON or UTF-8
        raise ModelError(f"{path}: the metadata is damaged ({reason(error)}).") from None
    if not all(labels):
        raise ModelError(f"{path}: the metadata is damaged, as a label in {LABELS_NAME} is empty.")
    return record, labels, contents.get(PROBES_NAME)


def _metadata(record: Any, labels: tuple[str, ...], path: str | Path) -> Metadata:
    version = record.get("format_version") if isinstance(record, dict) else None
    if not isinstance(version, int) or version < 1:
        raise ModelError(f"{path}: the metadata is damaged, as format_version is {reason(version)}.")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{path}: written in format version {reason(version)}, and this edge-rnn reads up to "
            f"{FORMAT_VERSION}. Run pip install --upgrade edge-rnn."
        )
    with damaged_record(f"{path}: "):
        return Metadata.from_json(record, labels)
