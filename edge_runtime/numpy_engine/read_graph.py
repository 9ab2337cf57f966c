"""Bytes of a TFLite FlatBuffer -> Graph, for the operators that `edge-rnn convert` writes.

Fields are numbered as in tensorflow/lite/schema/schema.fbs. The file is not trusted
(see flatbuffer_reader). Sound content that the converter does not write is refused by name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import printable
from edge_runtime.numpy_engine.check_graph import check_graph
from edge_runtime.tflite.flatbuffer_reader import Buffer, MalformedError, Table
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUILTIN_CODES = {
    0: Op.ADD,
    2: Op.CONCATENATION,
    6: Op.DEQUANTIZE,
    9: Op.FULLY_CONNECTED,
    14: Op.LOGISTIC,
    18: Op.MUL,
    19: Op.RELU,
    22: Op.RESHAPE,
    25: Op.SOFTMAX,
    28: Op.TANH,
    36: Op.GATHER,
    40: Op.MEAN,
    41: Op.SUB,
    49: Op.SPLIT,
    57: Op.MINIMUM,
    76: Op.RSQRT,
    82: Op.REDUCE_MAX,
    83: Op.PACK,
    88: Op.UNPACK,
    99: Op.SQUARED_DIFFERENCE,
    111: Op.ELU,
    114: Op.QUANTIZE,
}
"""BuiltinOperator -> Op."""

INT4 = 17
"""TensorType of values that are stored in pairs, two in a byte."""

TYPES = {0: "<f4", 1: "<f2", 2: "<i4", 4: "<i8", 7: "<i2", 9: "i1", INT4: "i1"}
"""TensorType -> numpy's name."""

RELU = 1
"""ActivationFunctionType; 0 is none."""

MOST_DIMENSIONS = 8
MOST_OPERANDS = 1 << 16

MOST_ELEMENTS = 1 << 26
"""Limit on all tensors together, which bounds memory and time; LSTM(1024) on 1,000 rows has half."""


def read_graph(flatbuffer: bytes) -> Graph:
    """The graph of the first subgraph; tensors are named by their number in it, inputs and outputs too.

    Raises MalformedError for bytes that are not a sound model, for a model with an operator, a type, a
    shape or an option that the converter does not write, and for one that takes too much memory or time.
    """
    graph = _Reader(flatbuffer).graph
    check_graph(graph)
    return graph


def read_operators(flatbuffer: bytes) -> list[tuple[str, int]]:
    """Name and version of each operator code of the model, in its order.

    An engine looks all of them up before it reads the graph. An operator that the converter does not
    write is named by its number in TFLite's schema. Raises MalformedError for bytes that are not a sound
    model.
    """
    found = []
    for table in Buffer(flatbuffer).root("").tables(1):
        code = _code(table)
        op = BUILTIN_CODES.get(code)
        name = op.value if op else table.string(1) or f"number {code} of TFLite's schema"
        found.append((name, table.number(2, "i", 1)))
    return found


class _Reader:
    """Reads one model."""

    def __init__(self, flatbuffer: bytes) -> None:
        self._buffer, self._elements = Buffer(flatbuffer), 0
        model = self._buffer.root("")
        self._data = [self._blob(table) for table in model.tables(4)]
        self._opcodes = [_opcode(table) for table in model.tables(1)]
        subgraph = next(model.tables(2), None)
        if subgraph is None:
            raise MalformedError("it has no subgraph")
        self._tensors = [_named(k, self._tensor(item)) for k, item in enumerate(subgraph.tables(0))]
        inputs, outputs = self._operands(subgraph, 1), self._operands(subgraph, 2)
        operators = tuple(self._operator(table) for table in subgraph.tables(3))
        tensors = {tensor.name: tensor for tensor in self._tensors}
        self.graph = Graph(tensors, operators, inputs, outputs)
        _check_order(self.graph)

    def _blob(self, table: Table) -> bytes:
        start, length = table.vector(0, 1)
        return self._buffer.data[start : start + length]

    def _tensor(self, table: Table) -> Tensor:
        kind, number = table.number(1, "b"), table.number(2, "I")
        if kind not in TYPES:
            raise MalformedError(f"a tensor has type {kind}, expected one of {sorted(TYPES)}")
        if number >= len(self._data):
            raise MalformedError(f"a tensor is in buffer {number}, of {len(self._data)}")
        shape = self._shape(table)
        dtype, data = np.dtype(TYPES[kind]), None
        if self._data[number]:
            data = _values(self._data[number], kind, shape)
        elif kind == INT4:
            raise MalformedError("a tensor of int4 is not a constant")
        return Tensor("", shape, dtype.newbyteorder("="), data, _quantization(table), int4=kind == INT4)

    def _shape(self, table: Table) -> tuple[int, ...]:
        shape = tuple(table.numbers(0, "i", MOST_DIMENSIONS))
        if any(length < 1 for length in shape):
            raise MalformedError(f"a tensor has shape {list(shape)}")
        self._elements += math.prod(shape)
        if self._elements > MOST_ELEMENTS:
            raise MalformedError(f"its tensors have more than {MOST_ELEMENTS:,} elements together")
        return shape

    def _operands(self, table: Table, field: int) -> tuple[str, ...]:
        names = []
        for index in table.numbers(field, "i", MOST_OPERANDS):
            if not 0 <= index < len(self._tensors):
                raise MalformedError(f"tensor {index} is used, of {len(self._tensors)}")
            names.append(self._tensors[index].name)
        return tuple(names)

    def _operator(self, table: Table) -> Operator:
        index = table.number(0, "I")
        if index >= len(self._opcodes):
            raise MalformedError(f"an operator has opcode {index}, of {len(self._opcodes)}")
        op = self._opcodes[index]
        inputs, outputs = self._operands(table, 1), self._operands(table, 2)
        _check_arity(op, inputs, outputs)
        options = table.table(4)
        self._check_gather_and_reshape(op, inputs, outputs, options)
        return Operator(op, inputs, outputs, self._axis(op, inputs, options), _relu(op, options))

    def _axis(self, op: Op, inputs: tuple[str, ...], options: Table | None) -> int | None:
        if op in _AXIS_TENSOR:
            data = self._of(inputs[_AXIS_TENSOR[op]]).data
            if data is None or data.size != 1:
                raise MalformedError(f"{op.value} along an axis that is not a single constant")
            rank = len(self._of(inputs[1 - _AXIS_TENSOR[op]]).shape)
            return _counted(op, int(data.reshape(())), rank)
        if op in _AXIS_OPTION:
            rank = len(self._of(inputs[0]).shape) + (op is Op.PACK)
            return _counted(op, options.number(_AXIS_OPTION[op], "i") if options else 0, rank)
        return None

    def _check_gather_and_reshape(
        self, op: Op, inputs: tuple[str, ...], outputs: tuple[str, ...], options: Table | None
    ) -> None:
        """What these two do is in their options and in a constant, which the graph does not have."""
        if op is Op.GATHER and options and any(options.number(field, "i") for field in (0, 1)):
            raise MalformedError("GATHER along another axis than 0, which the numpy engine lacks")
        if op is Op.RESHAPE:
            shape, result = self._of(inputs[1]), self._of(outputs[0]).shape
            if shape.data is None or shape.dtype != np.int32 or shape.data.tolist() != list(result):
                raise MalformedError("RESHAPE to a shape that is not the constant in its second input")

    def _of(self, name: str) -> Tensor:
        return self._tensors[int(name)]


_AXIS_TENSOR = {Op.MEAN: 1, Op.REDUCE_MAX: 1, Op.SPLIT: 0}
"""Operators whose axis is a constant -> the input that holds it."""

_AXIS_OPTION = {Op.CONCATENATION: 0, Op.PACK: 1, Op.UNPACK: 1}
"""Operators whose axis is an option -> the field that holds it."""

_FUSED_OPTION = {Op.ADD: 0, Op.CONCATENATION: 1, Op.FULLY_CONNECTED: 0, Op.MUL: 0, Op.SUB: 0}
"""Operators that can have a fused activation -> the field that says which."""

_INPUTS = {
    Op.ADD: 2,
    Op.FULLY_CONNECTED: 3,
    Op.GATHER: 2,
    Op.MEAN: 2,
    Op.MINIMUM: 2,
    Op.MUL: 2,
    Op.REDUCE_MAX: 2,
    Op.RESHAPE: 2,
    Op.SPLIT: 2,
    Op.SQUARED_DIFFERENCE: 2,
    Op.SUB: 2,
}
"""The number of inputs of an operator. Others have one input, those that join have any number."""


def _check_arity(op: Op, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    fans_out, joins = op in (Op.SPLIT, Op.UNPACK), op in (Op.CONCATENATION, Op.PACK)
    sound = bool(inputs) if joins else len(inputs) == _INPUTS.get(op, 1)
    if not sound or not (outputs if fans_out else len(outputs) == 1):
        raise MalformedError(f"{op.value} with {len(inputs)} inputs and {len(outputs)} outputs")


def _check_order(graph: Graph) -> None:
    """Raises MalformedError unless every tensor has one source, which comes before its readers."""
    known = {tensor.name for tensor in graph.constants()}
    _add(known, graph.inputs)
    for operator in graph.operators:
        if not known.issuperset(operator.inputs):
            raise MalformedError(f"{operator.op.value} reads a tensor that no operator has computed")
        _add(known, operator.outputs)
    if not known.issuperset(graph.outputs):
        raise MalformedError("no operator computes an output")


def _add(known: set[str], names: tuple[str, ...]) -> None:
    for name in names:
        if name in known:
            raise MalformedError(f"tensor {name} comes from two places")
        known.add(name)


def _named(index: int, tensor: Tensor) -> Tensor:
    return Tensor(
        str(index), tensor.shape, tensor.dtype, tensor.data, tensor.quantization, int4=tensor.int4
    )


def _code(table: Table) -> int:
    """The larger of the old byte and the new integer field."""
    return max(table.number(0, "b"), table.number(3, "i"))


def _opcode(table: Table) -> Op:
    code = _code(table)
    if code not in BUILTIN_CODES:
        custom = table.string(1)
        name = printable(custom[:60]) or f"number {code} of TFLite's schema"
        known = ", ".join(sorted(op.value for op in BUILTIN_CODES.values()))
        raise MalformedError(f"the numpy engine has no operator {name}, expected one of {known}")
    return BUILTIN_CODES[code]


def _counted(op: Op, axis: int, rank: int) -> int:
    if not -rank <= axis < rank or axis % rank == 0:
        raise MalformedError(f"{op.value} along axis {axis} of {rank}, where 0 is the batch")
    return axis % rank


def _relu(op: Op, options: Table | None) -> bool:
    fused = options.number(_FUSED_OPTION[op], "b") if options and op in _FUSED_OPTION else 0
    if fused and not (op is Op.FULLY_CONNECTED and fused == RELU):
        raise MalformedError(f"{op.value} with fused activation {fused}, which the numpy engine lacks")
    return bool(fused)


def _quantization(tensor: Table) -> Quantization | None:
    table = tensor.table(4)
    scales = table.numbers(2, "f", MOST_OPERANDS) if table else []
    if not table or not scales:
        return None
    points = table.numbers(3, "q", MOST_OPERANDS)
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise MalformedError("a scale is not a positive number")
    if len(scales) > 1 and any(points):
        raise MalformedError("a tensor has several scales and zero_points that are not 0")
    return Quantization(tuple(scales), points[0] if points else 0)


def _values(raw: bytes, kind: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The data of a constant; that of int4 as int8."""
    dtype, count = np.dtype(TYPES[kind]), math.prod(shape)
    expected = (count + 1) // 2 if kind == INT4 else count * dtype.itemsize
    if len(raw) != expected:
        raise MalformedError(f"a constant of shape {list(shape)} has {len(raw)} bytes, not {expected}")
    values = np.frombuffer(raw, dtype)
    if kind == INT4:
        low, high = (values << 4) >> 4, values >> 4  # arithmetic shifts keep the sign
        values = np.stack([low, high], axis=-1).reshape(-1)[:count]
    return values.astype(dtype.newbyteorder("="), copy=False).reshape(shape)
