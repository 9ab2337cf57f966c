"""How large a model file is, and what it takes on a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from convert.c_export.export import c_name
from convert.c_export.model_sources import model_sources
from convert.evidence.figures import OperatorCount, Sizes
from convert.inspection.inspect_model import inspect_model
from edge_runtime.errors import EngineError, short_reason
from edge_runtime.model_file.read_file import ModelFile

C_FIELDS = ("flash_bytes", "weight_bytes", "window_ram_bytes", "stream_ram_bytes")


def measure_sizes(path: str | Path, file: ModelFile) -> Sizes:
    """Bytes of the file and its parts, and of the exported C. What cannot be measured says why."""
    inspection = inspect_model(path)
    sizes = Sizes(
        file_bytes=inspection.file_bytes,
        flatbuffer_bytes=file.metadata.flatbuffer_bytes,
        parts=inspection.bytes_by_part,
        operators=tuple(OperatorCount(use.name, use.count) for use in inspection.operators),
    )
    try:
        sources = model_sources(file, str(path), c_name(path))
    except (EngineError, ValueError) as error:
        return replace(sizes, not_measured=dict.fromkeys(C_FIELDS, short_reason(error)))
    return replace(
        sizes,
        flash_bytes=sources.flash_bytes,
        weight_bytes=sources.weight_bytes,
        window_ram_bytes=sources.model_bytes,
        stream_ram_bytes=sources.stream_bytes,
    )
