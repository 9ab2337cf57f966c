"""Graph -> TFLite FlatBuffer, through the official schema classes. The only module that writes with them
(inspect_model takes the names of operators and types from them).

Small by sharing: identical constants, shape vectors, quantization tables and, without names, tensor
tables are written once and referenced again; a list that is the tail of another one is not written at
all; the most frequent opcode has index 0, which FlatBuffers do not store. Tensors are numbered in the
graph's order but for one (see _numbered). Constants are aligned to 16 bytes, as the engines' vector
loads want it.

Source of layout and op versions: tensorflow/lite/schema/schema.fbs and
tensorflow/lite/tools/versioning/op_version.cc.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.model_file.read_file import DESCRIPTION, FILE_IDENTIFIER
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

SCHEMA_VERSION = 3
DATA_ALIGNMENT = 16  # bytes; schema.fbs: Buffer.data (force_align: 16)
SIGNATURE = "serving_default"
TENSOR_TYPE_FIELD = 1  # schema.fbs: Tensor.type
NAME_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RELU = 1  # schema.fbs: ActivationFunctionType


def serialize(graph: Graph, *, strip: bool = False) -> bytes:
    """The model file's bytes. The same graph gives the same bytes.

    Inputs and outputs keep their names; the other tensors get names of two characters, and with `strip`
    none: readers that tell tensors apart by name (OpenVINO) refuse such a file, TFLite engines do not.
    """
    return _Writer(graph, strip).write()


def op_version(graph: Graph, operator: Operator) -> int:
    """The lowest version of the operator that describes this use of it."""
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    if tensors[-1].dtype == np.int16:
        return _INT16_VERSIONS[operator.op]
    if operator.op is Op.FULLY_CONNECTED:
        return _fully_connected_version(tensors[0], tensors[1])
    if operator.op is Op.DEQUANTIZE:
        return 3 if tensors[0].dtype in (np.float16, np.int16) else 2
    if tensors[-1].dtype != np.int8:
        return 1
    return 3 if operator.op is Op.MUL and _rescale(tensors) >= 1 else 2


def _fully_connected_version(source: Tensor, weights: Tensor) -> int:
    if weights.dtype != np.int8:
        return 5 if len(source.shape) > 2 else 1  # 5: keep_num_dims
    if source.dtype == np.int8:
        return 4
    # int4 is in no version's description, and tflite-runtime 2.14 (up to 11) corrupts its memory on it:
    # a version that it refuses keeps such a file away from it.
    return 12 if weights.int4 or weights.affine.per_channel else 9


_INT16_VERSIONS = {
    Op.ADD: 3,
    Op.CONCATENATION: 3,
    Op.PACK: 3,
    Op.QUANTIZE: 2,
    Op.REDUCE_MAX: 3,
    Op.RELU: 3,
    Op.FULLY_CONNECTED: 7,
    Op.LOGISTIC: 3,
    Op.MUL: 4,
    Op.SPLIT: 4,
    Op.SUB: 5,
    Op.TANH: 3,
    Op.UNPACK: 4,
}
"""int16 in and out, scales that are no powers of two."""


def _rescale(tensors: list[Tensor]) -> float:
    scales = [tensor.quantization.scale[0] for tensor in tensors if tensor.quantization]
    return scales[0] * scales[1] / scales[2]


class _Writer:
    """Writes one graph. FlatBuffers grow from the back: children are written before parents."""

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
        order = _numbered(graph)
        self.tensor_index = {name: index for index, name in enumerate(order)}
        self.quantizations = {name: tensor.quantization for name, tensor in graph.tensors.items()}
        if strip:
            self.quantizations.update(_kernel_scales_for_biases(graph))
        self.names = _no_names(graph) if strip else _short_names(graph, order)
        self.buffer_index: dict[str, int] = {}
        uses = Counter(self._opcode(operator) for operator in graph.operators)
        self.opcodes = [code for code, _ in uses.most_common()]

    def _opcode(self, operator: Operator) -> tuple[Op, int]:
        return operator.op, op_version(self.graph, operator)

    def write(self) -> bytes:
        """Write the tables in order and finish the buffer."""
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
        """Buffer 0 is empty, for tensors without data; then one buffer per constant that differs."""
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
        self._operands()
        tensors = self._offsets([self._tensor(graph.tensors[name]) for name in self.tensor_index])
        operators = self._offsets([self._operator(operator) for operator in graph.operators])
        inputs, outputs = self._indices(graph.inputs), self._indices(graph.outputs)
        schema.SubGraphStart(builder)
        schema.SubGraphAddTensors(builder, tensors)
        schema.SubGraphAddInputs(builder, inputs)
        schema.SubGraphAddOutputs(builder, outputs)
        schema.SubGraphAddOperators(builder, operators)
        return self._offsets([schema.SubGraphEnd(builder)])

    def _operands(self) -> None:
        """Write the lists of all operators, long ones first: they may hold short ones as their tails."""
        lists = dict.fromkeys(names for op in self.graph.operators for names in (op.inputs, op.outputs))
        for names in sorted(lists, key=lambda names: -len(names)):
            self._indices(names)

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
        """The type field and, inside of the table as well, the string; returns the string's offset.

        Apart they take 4 bytes more a tensor: a field of one byte is padded to four, a string of two
        characters with its NUL, too.
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
        """The union's type and the offset of the options table; LOGISTIC and TANH have none."""
        if operator.op not in _OPTIONS:
            return 0, 0
        name, fields_of = _OPTIONS[operator.op]
        fields = tuple(fields_of(self.graph, operator).items())
        if self.strip and not fields and not self._reads_options(operator):
            return 0, 0  # TFLite takes the defaults, OpenVINO crashes

        def write() -> int:
            getattr(self.schema, f"{name}Start")(self.builder)
            for field, value in fields:
                getattr(self.schema, f"{name}Add{field}")(self.builder, value)
            return int(getattr(self.schema, f"{name}End")(self.builder))

        return getattr(self.schema.BuiltinOptions, name), self._once(name, fields, write)

    def _reads_options(self, operator: Operator) -> bool:
        """litert 2 finds no default for the bias type of an int16 matmul without an options table."""
        int16 = self.graph.tensors[operator.outputs[0]].dtype == np.int16
        return int16 and operator.op is Op.FULLY_CONNECTED

    def _opcode_tables(self) -> int:
        builder, schema = self.builder, self.schema
        tables = []
        for op, version in self.opcodes:
            code = getattr(schema.BuiltinOperator, op.value)
            schema.OperatorCodeStart(builder)
            # Readers of schema version 3a and older look at the deprecated byte.
            schema.OperatorCodeAddDeprecatedBuiltinCode(builder, code)
            schema.OperatorCodeAddVersion(builder, version)
            schema.OperatorCodeAddBuiltinCode(builder, code)
            tables.append(schema.OperatorCodeEnd(builder))
        return self._offsets(tables)

    def _signature(self) -> int:
        """Names inputs and outputs, for readers that call by signature instead of by index."""
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
        offset = self._once("int32", values, lambda: int(self.builder.CreateNumpyVector(array)))
        for k, value in enumerate(values, start=1):
            if value == len(values) - k:  # from here on it reads as the list of what follows
                self.shared.setdefault(("int32", values[k:]), offset - 4 * k)
        return offset

    def _long_vector(self, values: tuple[int, ...]) -> int:
        array = np.asarray(values, np.int64)
        return self._once("int64", values, lambda: int(self.builder.CreateNumpyVector(array)))

    def _offsets(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())


def stored_data(constant: Tensor) -> NDArray[Any]:
    """A constant's data as the file holds it: of int4 two values a byte, the first in the low bits."""
    data = np.ascontiguousarray(constant.values)
    if not constant.int4:
        return data
    nibbles = data.reshape(-1).astype(np.uint8) & 15
    nibbles = np.append(nibbles, np.zeros(len(nibbles) % 2, np.uint8))
    packed: NDArray[Any] = nibbles[0::2] | nibbles[1::2] << 4
    return packed


def _sum_options(graph: Graph, operator: Operator) -> dict[str, Any]:
    """int16 sums have any scale; the schema's default is an older kernel for powers of two."""
    int16 = graph.tensors[operator.outputs[0]].dtype == np.int16
    return {"PotScaleInt16": False} if int16 else {}


def _numbered(graph: Graph) -> list[str]:
    """The tensors in the order in which the file numbers them: the graph's, but for number 1.

    That is the constant that is most often the first of two inputs (SPLIT's axis): such a list, [2
    elements: 1, n], then holds the list [1 element: n] of the operator before.
    """
    names = list(graph.tensors)
    firsts = Counter(op.inputs[0] for op in graph.operators if len(op.inputs) == 2)
    constants = [name for name, _ in firsts.most_common() if graph.tensors[name].data is not None]
    if constants and len(names) > 1:
        names.remove(constants[0])
        names.insert(1, constants[0])
    return names


def _no_names(graph: Graph) -> dict[str, str]:
    return {name: name for name in (*graph.inputs, *graph.outputs)}


def _kernel_scales_for_biases(graph: Graph) -> dict[str, Quantization]:
    """Integer biases with their matrix's scales, which are in the file anyway.

    By the specification a bias has these times the input's scale; the TFLite engines, XNNPACK included,
    take the product of the two and look only at how many scales the bias has.
    """
    return {
        op.inputs[2]: graph.tensors[op.inputs[1]].affine
        for op in graph.operators
        if op.op is Op.FULLY_CONNECTED and graph.tensors[op.inputs[2]].quantization
    }


def _short_names(graph: Graph, order: list[str]) -> dict[str, str]:
    """Counted in base 62, with 2 or, where these are not enough, 6 characters."""
    kept = _no_names(graph)
    width = 2 if len(order) + len(kept) <= len(NAME_LETTERS) ** 2 else 6
    free = ("".join(letters) for letters in product(NAME_LETTERS, repeat=width))
    unused = (name for name in free if name not in kept)
    return {name: kept.get(name) or next(unused) for name in order}


def _fully_connected_options(graph: Graph, operator: Operator) -> dict[str, int]:
    source, weights = (graph.tensors[name] for name in operator.inputs[:2])
    hybrid = source.dtype == np.float32 and weights.dtype == np.int8
    options = {"AsymmetricQuantizeInputs": 1} if hybrid else {}
    if len(source.shape) > 2:
        options["KeepNumDims"] = 1
    return {**options, "FusedActivationFunction": RELU} if operator.relu else options


def _reducer_options(graph: Graph, operator: Operator) -> dict[str, int]:
    source, result = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    return {"KeepDims": 1} if len(source.shape) == len(result.shape) else {}


_OPTIONS: dict[Op, tuple[str, Callable[[Graph, Operator], dict[str, Any]]]] = {
    Op.ADD: ("AddOptions", _sum_options),
    Op.CONCATENATION: ("ConcatenationOptions", lambda graph, operator: {"Axis": operator.axis}),
    Op.DEQUANTIZE: ("DequantizeOptions", lambda graph, operator: {}),
    Op.FULLY_CONNECTED: ("FullyConnectedOptions", _fully_connected_options),
    Op.MEAN: ("ReducerOptions", _reducer_options),
    Op.MUL: ("MulOptions", lambda graph, operator: {}),
    Op.PACK: (
        "PackOptions",
        lambda graph, operator: {"ValuesCount": len(operator.inputs), "Axis": operator.axis},
    ),
    Op.QUANTIZE: ("QuantizeOptions", lambda graph, operator: {}),
    Op.REDUCE_MAX: ("ReducerOptions", _reducer_options),
    Op.SOFTMAX: ("SoftmaxOptions", lambda graph, operator: {"Beta": 1.0}),
    Op.SPLIT: ("SplitOptions", lambda graph, operator: {"NumSplits": len(operator.outputs)}),
    Op.SQUARED_DIFFERENCE: ("SquaredDifferenceOptions", lambda graph, operator: {}),
    Op.SUB: ("SubOptions", _sum_options),
    Op.UNPACK: (
        "UnpackOptions",
        lambda graph, operator: {"Num": len(operator.outputs), "Axis": operator.axis},
    ),
}
