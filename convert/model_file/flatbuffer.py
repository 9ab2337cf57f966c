"""Graph -> bytes of a TFLite FlatBuffer, written with the official schema classes.

No other module writes with these classes; inspection.inspect_model takes the names of operators and
types from them.

The file is small because equal parts are written once and referenced again: constants, vectors of
integers, quantization tables, options tables and, without names, tensor tables. The most frequent opcode
has index 0, which FlatBuffers do not store. Tensors are numbered in the graph's order. Constants are
aligned to 16 bytes for the engines' vector instructions.

Source of the layout: tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert.model_file.op_options import OPTIONS
from convert.model_file.op_versions import op_version
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.model_file.read_file import DESCRIPTION, FILE_IDENTIFIER
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

SCHEMA_VERSION = 3
DATA_ALIGNMENT = 16  # bytes; schema.fbs: Buffer.data (force_align: 16)
SIGNATURE = "serving_default"
TENSOR_TYPE_FIELD = 1  # schema.fbs: Tensor.type
NAME_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def serialize(graph: Graph, *, strip: bool = False) -> bytes:
    """The model file's bytes. The same graph gives the same bytes.

    Inputs and outputs keep their names. The other tensors get names of two characters, or with `strip`
    no names. TFLite engines load a stripped file; readers that tell tensors apart by name (OpenVINO)
    refuse it.
    """
    return _Writer(graph, strip).write()


class _Writer:
    """Writes one graph. FlatBuffers grow from the back, so children are written before parents.

    Two methods go below the public interface of flatbuffers.Builder, whose releases pyproject.toml
    therefore limits. `_bytes` copies a constant at once (head, Bytes); the public CreateByteVector does
    not align to 16 bytes. `_type_and_string` places a string inside a table (Prep, Slot).
    """

    def __init__(self, graph: Graph, strip: bool) -> None:
        with needs_extra("workstation", "ai-edge-litert", "edge-rnn convert"):
            from ai_edge_litert import schema_py_generated
        with needs_extra("workstation", "flatbuffers", "edge-rnn convert"):
            import flatbuffers
        self.schema: Any = schema_py_generated
        self.graph = graph
        self.strip = strip
        self.builder: Any = flatbuffers.Builder(1 << 18)
        self.shared: dict[tuple[str, Any], int] = {}
        self.tensor_index = {name: index for index, name in enumerate(graph.tensors)}
        self.quantizations = {name: tensor.quantization for name, tensor in graph.tensors.items()}
        if strip:
            self.quantizations.update(_kernel_scales_for_biases(graph))
        self.names = _no_names(graph) if strip else _short_names(graph)
        self.buffer_index: dict[str, int] = {}
        uses = Counter(self._opcode(operator) for operator in graph.operators)
        self.opcodes = [code for code, _ in uses.most_common()]

    def _opcode(self, operator: Operator) -> tuple[Op, int]:
        return operator.op, op_version(self.graph, operator)

    def write(self) -> bytes:
        """Write all tables and return the finished buffer."""
        builder, schema = self.builder, self.schema
        buffers = self._buffers()
        subgraph = self._subgraph()
        opcodes = self._opcode_tables()
        signature = self._signature()
        description = builder.CreateString(DESCRIPTION)
        schema.ModelStart(builder)
        schema.ModelAddVersion(builder, SCHEMA_VERSION)
        schema.ModelAddOperatorCodes(builder, opcodes)
        schema.ModelAddSubgraphs(builder, subgraph)
        schema.ModelAddDescription(builder, description)
        schema.ModelAddBuffers(builder, buffers)
        schema.ModelAddSignatureDefs(builder, signature)
        builder.Finish(schema.ModelEnd(builder), file_identifier=FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _buffers(self) -> int:
        """Buffer 0 is empty, for tensors without data. Every different constant has a further buffer."""
        tables: list[int] = []
        known: dict[bytes, int] = {}
        for constant in self.graph.constants():
            data = stored_data(constant).tobytes()
            if data not in known:
                vector = self._bytes(data)
                self.schema.BufferStart(self.builder)
                self.schema.BufferAddData(self.builder, vector)
                tables.append(self.schema.BufferEnd(self.builder))
                known[data] = len(tables)
            self.buffer_index[constant.name] = known[data]
        self.schema.BufferStart(self.builder)
        empty = self.schema.BufferEnd(self.builder)
        return self._offsets([empty, *tables])

    def _bytes(self, raw: bytes) -> int:
        self.builder.StartVector(1, len(raw), DATA_ALIGNMENT)
        head = self.builder.head - len(raw)
        self.builder.head = head
        self.builder.Bytes[head : head + len(raw)] = raw
        return int(self.builder.EndVector())

    def _subgraph(self) -> int:
        builder, schema, graph = self.builder, self.schema, self.graph
        tensors = self._offsets([self._tensor(graph.tensors[name]) for name in self.tensor_index])
        operators = self._offsets([self._operator(operator) for operator in graph.operators])
        inputs, outputs = self._indices(graph.inputs), self._indices(graph.outputs)
        schema.SubGraphStart(builder)
        schema.SubGraphAddTensors(builder, tensors)
        schema.SubGraphAddInputs(builder, inputs)
        schema.SubGraphAddOutputs(builder, outputs)
        schema.SubGraphAddOperators(builder, operators)
        return self._offsets([schema.SubGraphEnd(builder)])

    def _tensor(self, tensor: Tensor) -> int:
        shape = self._int_vector(tensor.shape)
        affine = self.quantizations[tensor.name]
        quantization = self._quantization(affine) if affine else 0
        name, buffer = self.names.get(tensor.name), self.buffer_index.get(tensor.name, 0)
        kind = getattr(self.schema.TensorType, "INT4" if tensor.int4 else tensor.dtype.name.upper())
        content = (name, shape, kind, buffer, quantization)
        return self._once("tensor", content, lambda: self._tensor_table(*content))

    def _tensor_table(
        self, name: str | None, shape: int, kind: int, buffer: int, quantization: int
    ) -> int:
        builder, schema = self.builder, self.schema
        schema.TensorStart(builder)
        if name:
            schema.TensorAddName(builder, self._type_and_string(kind, name))
        else:
            schema.TensorAddType(builder, kind)
        schema.TensorAddShape(builder, shape)
        schema.TensorAddBuffer(builder, buffer)
        if quantization:
            schema.TensorAddQuantization(builder, quantization)
        return int(schema.TensorEnd(builder))

    def _type_and_string(self, kind: int, name: str) -> int:
        """Write the type field and, beside it in the table, the name; returns the offset of the name.

        This saves 4 bytes a tensor. Otherwise the type, one byte, and a name of two characters with its
        NUL, three bytes, would be padded to four bytes each.
        """
        builder, text = self.builder, name.encode("utf-8")
        builder.Prep(4, 0)
        builder.PrependUint8(kind)
        if kind:
            builder.Slot(TENSOR_TYPE_FIELD)
        padding = -(1 + len(text) + 1) % 4
        for byte in (*bytes(padding), 0, *reversed(text)):
            builder.PrependUint8(byte)
        builder.PrependUint32(len(text))
        return int(builder.Offset())

    def _quantization(self, quantization: Quantization) -> int:
        def write() -> int:
            builder, schema = self.builder, self.schema
            scale = builder.CreateNumpyVector(np.asarray(quantization.scale, np.float32))
            # The loaders demand as many zero_points as scales.
            zero_point = self._long_vector((quantization.zero_point,) * len(quantization.scale))
            schema.QuantizationParametersStart(builder)
            schema.QuantizationParametersAddScale(builder, scale)
            schema.QuantizationParametersAddZeroPoint(builder, zero_point)
            return int(schema.QuantizationParametersEnd(builder))

        return self._once("quantization", quantization, write)

    def _operator(self, operator: Operator) -> int:
        builder, schema = self.builder, self.schema
        inputs = self._indices(operator.inputs)
        outputs = self._indices(operator.outputs)
        kind, options = self._options(operator)
        schema.OperatorStart(builder)
        schema.OperatorAddOpcodeIndex(builder, self.opcodes.index(self._opcode(operator)))
        schema.OperatorAddInputs(builder, inputs)
        schema.OperatorAddOutputs(builder, outputs)
        if kind:
            schema.OperatorAddBuiltinOptionsType(builder, kind)
            schema.OperatorAddBuiltinOptions(builder, options)
        return int(schema.OperatorEnd(builder))

    def _options(self, operator: Operator) -> tuple[int, int]:
        """The union's type and the offset of the options table; 0, 0 for an operator without a table."""
        if operator.op not in OPTIONS:
            return 0, 0
        name, fields_of = OPTIONS[operator.op]
        fields = tuple(fields_of(self.graph, operator).items())
        if self.strip and not fields and not self._reads_options(operator):
            return 0, 0  # TFLite takes the defaults; OpenVINO crashes

        def write() -> int:
            getattr(self.schema, f"{name}Start")(self.builder)
            for field, value in fields:
                getattr(self.schema, f"{name}Add{field}")(self.builder, value)
            return int(getattr(self.schema, f"{name}End")(self.builder))

        return getattr(self.schema.BuiltinOptions, name), self._once(name, fields, write)

    def _reads_options(self, operator: Operator) -> bool:
        """Whether litert 2 needs the table: it has no default for the bias type of an int16 matmul."""
        int16 = self.graph.tensors[operator.outputs[0]].dtype == np.int16
        return int16 and operator.op is Op.FULLY_CONNECTED

    def _opcode_tables(self) -> int:
        builder, schema = self.builder, self.schema
        tables = []
        for op, version in self.opcodes:
            code = getattr(schema.BuiltinOperator, op.value)
            schema.OperatorCodeStart(builder)
            # Readers of schema version 3a and older read the deprecated byte.
            schema.OperatorCodeAddDeprecatedBuiltinCode(builder, code)
            schema.OperatorCodeAddVersion(builder, version)
            schema.OperatorCodeAddBuiltinCode(builder, code)
            tables.append(schema.OperatorCodeEnd(builder))
        return self._offsets(tables)

    def _signature(self) -> int:
        """The names of inputs and outputs, for readers that call by signature instead of by index."""
        builder, schema, graph = self.builder, self.schema, self.graph
        ends = [
            self._offsets([self._tensor_map(name) for name in names])
            for names in (graph.inputs, graph.outputs)
        ]
        key = builder.CreateString(SIGNATURE)
        schema.SignatureDefStart(builder)
        schema.SignatureDefAddInputs(builder, ends[0])
        schema.SignatureDefAddOutputs(builder, ends[1])
        schema.SignatureDefAddSignatureKey(builder, key)
        return self._offsets([schema.SignatureDefEnd(builder)])

    def _tensor_map(self, name: str) -> int:
        text = self.builder.CreateString(name)
        self.schema.TensorMapStart(self.builder)
        self.schema.TensorMapAddName(self.builder, text)
        self.schema.TensorMapAddTensorIndex(self.builder, self.tensor_index[name])
        return int(self.schema.TensorMapEnd(self.builder))

    def _once(self, kind: str, content: Any, write: Callable[[], int]) -> int:
        """The offset of a vector or table with this content, written on first use."""
        key = (kind, content)
        if key not in self.shared:
            self.shared[key] = write()
        return self.shared[key]

    def _indices(self, names: tuple[str, ...]) -> int:
        return self._int_vector(tuple(self.tensor_index[name] for name in names))

    def _int_vector(self, values: tuple[int, ...]) -> int:
        array = np.asarray(values, np.int32)
        return self._once("int32", values, lambda: int(self.builder.CreateNumpyVector(array)))

    def _long_vector(self, values: tuple[int, ...]) -> int:
        array = np.asarray(values, np.int64)
        return self._once("int64", values, lambda: int(self.builder.CreateNumpyVector(array)))

    def _offsets(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())


def stored_data(constant: Tensor) -> NDArray[Any]:
    """A constant's data as the file holds it: two int4 values to a byte, the first in the low bits."""
    data = np.ascontiguousarray(constant.values)
    if not constant.int4:
        return data
    nibbles = data.reshape(-1).astype(np.uint8) & 15
    nibbles = np.append(nibbles, np.zeros(len(nibbles) % 2, np.uint8))
    packed: NDArray[Any] = nibbles[0::2] | nibbles[1::2] << 4
    return packed


def _no_names(graph: Graph) -> dict[str, str]:
    return {name: name for name in (*graph.inputs, *graph.outputs)}


def _kernel_scales_for_biases(graph: Graph) -> dict[str, Quantization]:
    """Integer bias -> the quantization of its matrix, which is in the file anyway.

    By the specification a bias has the matrix's scales times the input's scale. The TFLite engines,
    XNNPACK included, compute this product themselves and check only the number of a bias's scales.
    """
    return {
        op.inputs[2]: graph.tensors[op.inputs[1]].affine
        for op in graph.operators
        if op.op is Op.FULLY_CONNECTED and graph.tensors[op.inputs[2]].quantization
    }


def _short_names(graph: Graph) -> dict[str, str]:
    """Tensor -> name: a number in base 62, of 2 characters or, if these are too few, of 6."""
    kept = _no_names(graph)
    width = 2 if len(graph.tensors) + len(kept) <= len(NAME_LETTERS) ** 2 else 6
    free = ("".join(letters) for letters in product(NAME_LETTERS, repeat=width))
    unused = (name for name in free if name not in kept)
    return {name: kept.get(name) or next(unused) for name in graph.tensors}
