"""Takes any `.tflite` file apart: its tensors, operators and weights, and the part of each byte.

The file is not trusted (see flatbuffer_reader). No engine runs it, and only native opens it, which
checks all that it reads. Fields are numbered as in tensorflow/lite/schema/schema.fbs; the generated
schema classes give the names of operators and types.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from convert.inspection.report import UNUSED, Inspection, OperatorUse, TensorFacts
from convert.targets.precision import offered
from convert.targets.target import TARGETS
from edge_runtime.engines.engine import NATIVE, open_interpreter
from edge_runtime.errors import EngineError, ModelError
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.model_file.metadata import Metadata
from edge_runtime.model_file.read_file import MOST_UNPACKED, parse_model_file, read_bytes
from edge_runtime.tflite.flatbuffer_reader import Buffer, MalformedError, Table

MOST_SHOWN_DIMENSIONS = 64
MOST_SHOWN_OPERANDS = 1 << 20
"""Limit on the inputs or outputs of an operator or a subgraph; no valid model has more."""

STRUCTURE = "header, opcodes, signature"
BUFFERS = "buffer tables"
TABLES = "tensor tables"
NAMES = "tensor names"
QUANTIZATION = "quantization"
OPERATORS = "operators"
MATRICES = "weights"
VECTORS = "biases and other constants"
OTHER_BUFFERS = "data of no tensor"
ARCHIVE = "ZIP directory"
OTHER_FILES = "other files in the ZIP archive"


def inspect_model(path: str | Path) -> Inspection:
    """Read the tensors, operators, bytes and proof of any `.tflite` file.

        from convert import inspect_model

        print(inspect_model("mnist-int8.tflite"))

    - `path`: the file. It need not have been written by edge-rnn.

    Raises ModelError for a file that cannot be read, is not a TFLite model, or is damaged.
    """
    data = read_bytes(path)
    metadata, problem = _metadata(data, path)
    try:
        parts = _Parts(Buffer(data))
    except MalformedError as error:
        raise ModelError(f"{path}: not a valid TFLite model ({error})") from None
    versions = {(use.name, use.version) for use in parts.operators}
    return Inspection(
        path=str(path),
        file_bytes=len(data),
        description=parts.description,
        subgraphs=len(parts.graphs),
        tensors=sum(len(graph.tensors) for graph in parts.graphs),
        inputs=parts.graphs[0].inputs,
        outputs=parts.graphs[0].outputs,
        operators=parts.operators,
        constants=parts.constants(),
        bytes_by_part=parts.sizes(),
        loads_on=tuple(name for name in TARGETS if loads_on(name, versions, metadata)),
        native_refusal=native_refusal(data),
        metadata=metadata,
        problem=problem,
    )


def _metadata(data: bytes, path: str | Path) -> tuple[Metadata | None, str | None]:
    """The metadata, or what is wrong with it; (None, None) for a file that edge-rnn did not write."""
    try:
        file = parse_model_file(data, path)
        return (file.metadata.check(path) if file else None), None
    except ModelError as error:
        return None, str(error)


def loads_on(target: str, versions: set[tuple[str, int]], metadata: Metadata | None) -> bool:
    """Whether every engine of the target loads these operators (name, version).

    An engine for microcontrollers looks at types instead, which `metadata` implies by the precision, so
    that without metadata the answer is no.
    """
    asked = TARGETS[target]
    if any(engine.microcontroller for engine in asked.engines) and (
        metadata is None or metadata.precision not in offered(asked)
    ):
        return False
    return all(version <= asked.op_versions.get(name, 0) for name, version in versions)


def native_refusal(flatbuffer: bytes) -> str | None:
    """Why native does not run the model on this machine; None if it does."""
    try:
        open_interpreter(flatbuffer, engine=NATIVE)
    except EngineError as error:
        return str(error)
    return None


class _Parts:
    """A model's tables. Reading them in this order assigns every byte to the part it belongs to."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        model = buffer.root(STRUCTURE)
        self.description = model.string(3)
        self.blobs = [_blob(table) for table in model.tables(4, BUFFERS)]
        self.opcodes = [_opcode(table) for table in model.tables(1)]
        self.graphs = [_Subgraph(table, self) for table in model.tables(2)]
        if not self.graphs:
            raise MalformedError("it has no subgraphs")
        uses = Counter(use for graph in self.graphs for use in graph.uses)
        self.operators = tuple(
            OperatorUse(*self.opcodes[opcode], count) for opcode, count in uses.most_common()
        )
        _claim_signatures(model)
        for extra in model.tables(6):
            extra.string(0)
        self._claim_data()
        _claim_archive(buffer)

    def size_of(self, blob: int) -> int | None:
        """Bytes of a buffer's data; None for the empty buffer of tensors without data."""
        if not 0 <= blob < len(self.blobs):
            raise MalformedError(
                f"a tensor is in buffer {blob}, but there are {len(self.blobs)} buffers"
            )
        return self.blobs[blob][1] or None

    def constants(self) -> tuple[TensorFacts, ...]:
        """Every tensor with data, the largest first."""
        found = [tensor for graph in self.graphs for tensor in graph.tensors if tensor.bytes is not None]
        return tuple(sorted(found, key=lambda tensor: -(tensor.bytes or 0)))

    def sizes(self) -> dict[str, int]:
        """Part -> bytes, the largest first."""
        totals = self.buffer.ledger.totals()
        totals[UNUSED] = totals.pop("")
        return {part: n for part, n in sorted(totals.items(), key=lambda item: -item[1]) if n}

    def _claim_data(self) -> None:
        kinds = dict.fromkeys(range(len(self.blobs)), OTHER_BUFFERS)
        for graph in self.graphs:
            for tensor, blob in zip(graph.tensors, graph.blob_of):
                kinds[blob] = MATRICES if len(tensor.shape) > 1 else VECTORS
        for blob, (start, length) in enumerate(self.blobs):
            self.buffer.claim(start, length, kinds[blob])


class _Subgraph:
    """One subgraph, with its tensors and the opcode of each operator."""

    def __init__(self, table: Table, parts: _Parts) -> None:
        self._parts = parts
        self.blob_of: list[int] = []
        self.tensors = [self._tensor(*item) for item in enumerate(table.tables(0, TABLES))]
        self.inputs, self.outputs = self._ends(table, 1), self._ends(table, 2)
        self.uses = [self._operator(operator) for operator in table.tables(3, OPERATORS)]
        table.string(4)

    def _tensor(self, index: int, table: Table) -> TensorFacts:
        shape = tuple(table.numbers(0, "i", MOST_SHOWN_DIMENSIONS))
        name = table.string(3, part=NAMES)
        blob = table.number(2, "I")
        self.blob_of.append(blob)
        table.vector(7, 4)  # shape_signature
        scale, zero_point, scales = _quantization(table)
        return TensorFacts(
            index=index,
            name=name,
            dtype=_name("TensorType", table.number(1, "b")),
            shape=shape,
            scale=scale,
            zero_point=zero_point,
            scales=scales,
            bytes=self._parts.size_of(blob),
        )

    def _ends(self, table: Table, field: int) -> tuple[TensorFacts, ...]:
        indices = table.numbers(field, "i", MOST_SHOWN_OPERANDS)
        for index in indices:
            if not 0 <= index < len(self.tensors):
                raise MalformedError(
                    f"an input or output is tensor {index}, but there are {len(self.tensors)} tensors"
                )
        return tuple(self.tensors[index] for index in indices)

    def _operator(self, table: Table) -> int:
        opcode = table.number(0, "I")
        if opcode >= len(self._parts.opcodes):
            raise MalformedError(
                f"an operator has opcode {opcode}, but there are {len(self._parts.opcodes)} opcodes"
            )
        for operands, width in ((1, 4), (2, 4), (5, 1), (7, 1), (8, 4)):
            table.vector(operands, width)
        for options in (4, 12):
            table.table(options)
        return opcode


def _quantization(tensor: Table) -> tuple[float | None, int | None, int]:
    """First scale, first zero_point, number of scales."""
    table = tensor.table(4, QUANTIZATION)
    if table is None:
        return None, None, 0
    for floats in (0, 1):  # min and max
        table.vector(floats, 4)
    scales, count = table.vector(2, 4)
    points, points_count = table.vector(3, 8)
    scale = table.buffer.number(scales, "f") if count else None
    if scale is not None and not math.isfinite(scale):
        raise MalformedError("a tensor's scale is not finite")
    zero_point = table.buffer.number(points, "q") if points_count else None
    return scale, zero_point, count


def _opcode(table: Table) -> tuple[str, int]:
    """Name and version; the code is the larger of the old byte and the new integer field."""
    code = max(table.number(0, "b"), table.number(3, "i"))
    custom = table.string(1)
    return custom or _name("BuiltinOperator", code), table.number(2, "i", 1)


def _blob(table: Table) -> tuple[int, int]:
    """Start and length of a buffer's data, in the FlatBuffer or, for large models, after it."""
    start, length = table.span(0)
    offset, size = table.number(1, "Q"), table.number(2, "Q")
    return (offset, size) if offset > 1 else (start, length)


def _claim_signatures(model: Table) -> None:
    for signature in model.tables(7):
        for ends in (0, 1):
            for tensor_map in signature.tables(ends):
                tensor_map.string(0)
        signature.string(2)


def _claim_archive(buffer: Buffer) -> None:
    """Assign the bytes of the ZIP archive to its entries; ours count under their own names."""
    try:
        with zipfile.ZipFile(io.BytesIO(buffer.data)) as archive:
            entries, directory = archive.infolist(), archive.start_dir
    except Exception:  # no archive, or a damaged one, which is not part of a TFLite model
        return
    for entry in entries:
        header = entry.header_offset
        names = buffer.number(header + 26, "H") + buffer.number(header + 28, "H")
        part = entry.filename if entry.filename in MOST_UNPACKED else OTHER_FILES
        buffer.claim(header, 30 + names + entry.compress_size, part)
    buffer.claim(directory, len(buffer.data) - directory, ARCHIVE)


def _name(enumeration: str, value: int) -> str:
    return _names(enumeration).get(value, f"{enumeration} {value}")


@lru_cache
def _names(enumeration: str) -> dict[int, str]:
    with needs_extra("workstation", "ai-edge-litert", "edge-rnn inspect"):
        from ai_edge_litert import schema_py_generated as schema
    constants: dict[str, Any] = vars(getattr(schema, enumeration))
    return {value: name for name, value in constants.items() if name.isupper()}
