"""How large a model file is, and what it takes on a device."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from convert.c_export.export import c_name, export_c
from convert.evidence.figures import InstructionCount, OperatorCount, Sizes
from convert.evidence.instructions import count_instructions
from convert.evidence.vectors import c_texts, golden_vectors
from convert.inspection.inspect_model import inspect_model
from edge_runtime.errors import EdgeRnnError, short_reason
from edge_runtime.model_file.metadata import Metadata
from edge_runtime.model_file.read_file import ModelFile

C_FIELDS = ("flash_bytes", "weight_bytes", "window_ram_bytes", "stream_ram_bytes", "cost")
"""Fields of Sizes that are measured in exported C."""

COUNTED_WINDOWS = 2
"""The instructions are counted on the first ones."""


def measure_sizes(path: str | Path, file: ModelFile, windows: NDArray[Any]) -> Sizes:
    """Bytes of the file and its parts, of the exported C, and its instructions on some raw `windows`.

    What cannot be measured says why.
    """
    inspection = inspect_model(path)
    sizes = Sizes(
        file_bytes=inspection.file_bytes,
        flatbuffer_bytes=file.metadata.flatbuffer_bytes,
        parts=inspection.bytes_by_part,
        operators=tuple(OperatorCount(use.name, use.count) for use in inspection.operators),
    )
    return _with_c(_with_arena(sizes, file.metadata), path, windows[:COUNTED_WINDOWS])


def _with_arena(sizes: Sizes, metadata: Metadata) -> Sizes:
    """The arena that the file's own proof measured, in an engine for microcontrollers."""
    engines = metadata.parity.engines if metadata.parity else ()
    arena = next((item.arena_bytes for item in engines if item.arena_bytes is not None), None)
    if arena is not None:
        return replace(sizes, arena_bytes=arena)
    missing = {"arena_bytes": "'edge-rnn convert' measures it with --target tflm"}
    return replace(sizes, not_measured={**sizes.not_measured, **missing})


def _with_c(sizes: Sizes, path: str | Path, windows: NDArray[Any]) -> Sizes:
    name = c_name(path)
    with tempfile.TemporaryDirectory() as folder:
        try:
            exported = export_c(path, Path(folder, "export"), name=name)
            file, vectors = golden_vectors(path, windows, range(len(windows)))
        except EdgeRnnError as error:
            missing = dict.fromkeys(
                C_FIELDS, f"the model cannot be exported as C ({short_reason(error)})"
            )
            return replace(sizes, not_measured={**sizes.not_measured, **missing})
        for place, text in c_texts(vectors, file).items():
            Path(folder, place).write_text(text, "utf-8")
        cost = count_instructions(exported.folder, Path(folder), name, len(windows))
    sizes = replace(
        sizes,
        flash_bytes=exported.flash_bytes,
        weight_bytes=exported.weight_bytes,
        window_ram_bytes=exported.model_bytes,
        stream_ram_bytes=exported.stream_bytes,
    )
    if isinstance(cost, InstructionCount):
        return replace(sizes, cost=cost)
    return replace(sizes, not_measured={**sizes.not_measured, "cost": cost})
