"""Appends the metadata to a FlatBuffer: the write side of docs/format.md."""

from __future__ import annotations

import io
import json
import zipfile

from edge_runtime.errors import InputError
from edge_runtime.metadata import LABELS_NAME, RECORD_NAME, Metadata

EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""In place of the present time, so that the same model gives the same bytes."""


def embed(flatbuffer: bytes, metadata: Metadata) -> bytes:
    """The model file: `flatbuffer` followed by a ZIP archive with labels.txt and edge_rnn.json.

    Raises InputError when a label is empty or holds a line break, which labels.txt cannot express.
    """
    for label in metadata.labels:
        if not label or "\n" in label:
            raise InputError(f"the label {label!r} is empty or holds a line break")
    record = json.dumps(metadata.to_json(), sort_keys=True, separators=(",", ":"))
    buffer = io.BytesIO()
    buffer.write(flatbuffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in ((LABELS_NAME, "\n".join(metadata.labels)), (RECORD_NAME, record)):
            entry = zipfile.ZipInfo(name, EARLIEST_ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text.encode("utf-8"))
    return buffer.getvalue()
