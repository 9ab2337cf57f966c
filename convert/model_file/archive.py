"""Appends metadata and probes to a FlatBuffer: the write side of docs/reference/format.md."""

from __future__ import annotations

import io
import json
import zipfile
import zlib

from edge_runtime.errors import InputError
from edge_runtime.model_file.metadata import LABELS_NAME, MOST_VALUES, PROBES_NAME, RECORD_NAME, Metadata
from edge_runtime.model_file.probes import Probes
from edge_runtime.model_file.read_file import MOST_UNPACKED
from edge_runtime.runs.npz_windows import label_fault

EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Used instead of the current time, so that the same model gives the same bytes."""

ZIP_HEADERS = 30 + 46
"""Bytes of an entry's local and central header, without the names (APPNOTE.TXT 4.3.7 and 4.3.12)."""


def embed(flatbuffer: bytes, metadata: Metadata, probes: Probes | None = None) -> bytes:
    """The model file: `flatbuffer`, followed by a ZIP archive with labels, record and probes.

    Raises InputError for labels that labels.txt cannot express (runs.npz_windows), and for a window or
    an entry that is larger than readers allow.
    """
    fault = label_fault(metadata.labels)
    if fault:
        raise InputError(f"{fault}, which {LABELS_NAME} cannot express")
    if metadata.steps * metadata.features > MOST_VALUES:
        raise InputError(
            f"a window has {metadata.steps} x {metadata.features} values, but a model file is for "
            f"windows of at most {MOST_VALUES:,}"
        )
    record = metadata.with_probes(probes.record if probes else None).to_json()
    entries = {
        LABELS_NAME: "\n".join(metadata.labels).encode("utf-8"),
        RECORD_NAME: json.dumps(record, sort_keys=True, separators=(",", ":")).encode("utf-8"),
    }
    if probes:
        entries[PROBES_NAME] = probes.to_bytes()
    for name, content in entries.items():
        if len(content) > MOST_UNPACKED[name]:
            raise InputError(
                f"{name} has {len(content):,} bytes, but a model file holds at most "
                f"{MOST_UNPACKED[name]:,}"
            )
    buffer = io.BytesIO()
    buffer.write(flatbuffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, EARLIEST_ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def archived_bytes(probes: Probes) -> int:
    """The bytes that probes.bin takes in the file: its compressed content and its two ZIP headers."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = compressor.compress(probes.to_bytes()) + compressor.flush()
    return len(content) + ZIP_HEADERS + 2 * len(PROBES_NAME)
