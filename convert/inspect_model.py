"""Takes a `.tflite` file apart, ours or anybody's: tensors, operators, weights, and where every byte goes.

Nothing of the file is trusted (see flatbuffer_reader), and no engine runs it. Fields are numbered as in
tensorflow/lite/schema/schema.fbs; the generated schema classes give the names of operators and types.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from convert.flatbuffer_reader import Buffer, Malformed, Table
from convert.inspection import (
    UNUSED,
    Inspection,
    OperatorUse,
    TensorFacts,
)
from convert.target import TARGETS
from edge_runtime.errors import ModelError
from edge_runtime.extras import needs_extra
from edge_runtime.metadata import Archive, check_identifier, open_archive, read_bytes

MOST_DIMENSIONS = 64
MOST_OPERANDS = 1 << 20
"""Of a tensor and of an operator: beyond that the file is no model."""

STRUCTURE = "header, opcodes, signature"
TABLES = "tensor tables"
NAMES = "tensor names"
QUANTIZATION = "quantization"
OPERATORS = "operators"
WEIGHTS = "weights"
VECTORS = "biases and other constants"


def inspect_model(path: str | Path) -> Inspection:
    """Everything the file `path` says of itself.

    Raises ModelError with one sentence when it cannot be read, is no TFLite model, or is broken.
    """
    data = read_bytes(path)
    check_identifier(data, path)
    archive = open_archive(data, path)
    try:
        return _inspection(str(path), data, archive)
    except Malformed as error:
        raise ModelError(f"{path}: not a sound TFLite model: {error}") from None


def loads_on(versions: dict[str, int]) -> tuple[str, ...]:
    """Names of the targets that load all these operators, name -> highest version used."""
    return tuple(
        name
        for name, target in TARGETS.items()
        if all(version <= target.op_versions.get(op, 0) for op, version in versions.items())
    )


def _inspection(path: str, data: bytes, archive: Archive | None) -> Inspection:
    buffer = Buffer(data)
    model = buffer.root(STRUCTURE)
    description = model.string(3)
    opcodes = [_opcode(table) for table in model.tables(1)]
    blobs = [_Blob.read(table) for table in model.tables(4)]
    graphs = [_Subgraph(table, blobs, opcodes) for table in model.tables(2)]
    _claim_signatures(model)
    for extra in model.tables(6):
        extra.string(0)
    if not graphs:
        raise Malformed("it has no subgraph")
    first = graphs[0]
    operators = _operator_uses(graphs)
    if archive:
        for name, start, end in archive.spans:
            buffer.claim(start, end - start, name)
    _claim_blobs(buffer, blobs, graphs)
    sizes = buffer.ledger.totals()
    sizes[UNUSED] = sizes.pop("")
    return Inspection(
        path=path,
        file_bytes=len(data),
        description=description,
        subgraphs=len(graphs),
        inputs=first.tensors_at(0, 1),
        outputs=first.tensors_at(0, 2),
        operators=operators,
        tensors=sum(len(graph.tensors) for graph in graphs),
        constants=tuple(t for graph in graphs for t in graph.tensors if t.bytes is not None),
        bytes_by_part={part: count for part, count in sizes.items() if count},
        loads_on=loads_on(_highest_versions(operators)),
        metadata=archive.metadata if archive else None,
        probes=archive.probes if archive else None,
    )
