"""Checks a graph out of a file: shapes, types and scales are those that the kernels are written for.

The reader (see read_graph) has made sure that the graph is complete. A graph that passes this check too
runs to its end: no kernel meets an array of another shape or type, and time and memory have a limit.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor

Shape = tuple[int, ...]

MOST_PRODUCTS = 1 << 34
"""Limit on the multiplications in all matmuls of one run: thousands of times those of LSTM(128) on 28
rows of 28, and seconds on a workstation."""

FLOAT, HALF, INT8, INT16, INT32 = (np.dtype(name) for name in ("f4", "f2", "i1", "i2", "i4"))

BIASES = {FLOAT: np.dtype("f4"), INT8: np.dtype("i4"), INT16: np.dtype("i8")}
"""Type of a matmul's result -> type of its bias."""

JOINING = (Op.CONCATENATION, Op.PACK)
MOVES = (*JOINING, Op.REDUCE_MAX, Op.RESHAPE, Op.SPLIT, Op.UNPACK)
"""Operators that move or choose numbers as they are; all their tensors have one type and scale."""

BY_PAIRS = (Op.ADD, Op.MINIMUM, Op.MUL, Op.SQUARED_DIFFERENCE, Op.SUB)
"""Operators that compute with two numbers each; the smaller one of two tensors is repeated."""


def check_graph(graph: Graph) -> None:
    """Raises MalformedError, naming the operator, for a graph that the numpy engine would fail on."""
    for name in (*graph.inputs, *graph.outputs):
        if graph.tensors[name].shape[:1] != (1,):
            raise MalformedError(f"an input or output has shape {list(graph.tensors[name].shape)}")
    products = 0
    for operator in graph.operators:
        tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
        results = tensors[len(operator.inputs) :]
        values = _without_axis(operator, tensors[: len(operator.inputs)])
        _demand(_types_fit(operator, values, results), operator, "of these types or scales", tensors)
        found = [tensor.shape for tensor in results]
        expected = _shapes(operator, [tensor.shape for tensor in values], found)
        _demand(found == expected, operator, "of these shapes", tensors)
        if operator.op is Op.FULLY_CONNECTED:
            products += math.prod(found[0]) * values[0].shape[-1]
    if products > MOST_PRODUCTS:
        raise MalformedError(
            f"it takes {products:,} multiplications, expected at most {MOST_PRODUCTS:,}"
        )


def _demand(sound: bool, operator: Operator, what: str, tensors: list[Tensor]) -> None:
    if not sound:
        found = ", ".join(f"{tensor.dtype}{list(tensor.shape)}" for tensor in tensors[:6])
        raise MalformedError(f"the numpy engine has no {operator.op.value} {what}, found {found}")


def _without_axis(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    """The inputs that are computed with."""
    if operator.op is Op.SPLIT:
        return inputs[1:]
    return inputs[:1] if operator.op in (Op.MEAN, Op.REDUCE_MAX, Op.RESHAPE) else inputs


def _types_fit(operator: Operator, values: list[Tensor], results: list[Tensor]) -> bool:
    op, result = operator.op, results[0]
    if op in MOVES:
        alike = all(_kind(tensor) == _kind(result) for tensor in (*values, *results))
        return alike and (_is_computed(result) or _is_tokens(result))
    if op is Op.GATHER:
        table, tokens = values
        return _kind(table) == _kind(result) and _is_computed(result) and _is_tokens(tokens)
    if op is Op.FULLY_CONNECTED:
        x, weights, bias = values
        return _matmul_fits(x, weights, bias, result)
    if op is Op.DEQUANTIZE:
        half = values[0].dtype == HALF and values[0].quantization is None
        return result.dtype == FLOAT and (half or _is_quantized(values[0]))
    if op is Op.QUANTIZE:
        both = _is_computed(values[0]) and _is_computed(result)
        return both and values[0].dtype in (FLOAT, result.dtype)
    return all(tensor.dtype == result.dtype and _is_computed(tensor) for tensor in (*values, result))


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.quantization, tensor.int4


def _is_computed(tensor: Tensor) -> bool:
    """Whether numbers of that type and scale are added and multiplied."""
    return tensor.dtype == FLOAT or _is_quantized(tensor)


def _is_tokens(tensor: Tensor) -> bool:
    """Whether the tensor holds whole numbers, of the rows of a table."""
    return tensor.dtype == INT32 and tensor.quantization is None


def _is_quantized(tensor: Tensor) -> bool:
    """int8, or int16 around zero, with one scale."""
    affine = tensor.quantization
    if affine is None or affine.per_channel or tensor.int4:
        return False
    if tensor.dtype == INT16:
        return affine.zero_point == 0
    return tensor.dtype == INT8 and -128 <= affine.zero_point <= 127


def _matmul_fits(x: Tensor, weights: Tensor, bias: Tensor, result: Tensor) -> bool:
    if not (_is_computed(x) and x.dtype == result.dtype and _is_computed(result)):
        return False
    if bias.dtype != BIASES[result.dtype]:
        return False
    if weights.dtype == FLOAT:
        return bool(result.dtype == FLOAT)
    affine = weights.quantization
    constant = weights.dtype == INT8 and weights.data is not None and len(x.shape) == 2
    if not constant or affine is None or affine.zero_point:
        return False
    return len(affine.scale) in (1, *weights.shape[:1])


def _shapes(operator: Operator, given: list[Shape], found: list[Shape]) -> list[Shape]:
    """The shapes of the results, for inputs of the `given` ones; none where no result has any."""
    op, axis = operator.op, operator.axis or 0
    if op in BY_PAIRS:
        return _broadcast(*given)
    if op is Op.FULLY_CONNECTED:
        return _matmul(*given)
    if op in (Op.MEAN, Op.REDUCE_MAX):
        kept = (1,) if len(found[0]) == len(given[0]) else ()
        return [given[0][:axis] + kept + given[0][axis + 1 :]]
    if op is Op.GATHER:
        table, tokens = given
        return [tokens + table[1:]]
    if op is Op.RESHAPE:
        return _reshaped(given[0], found[0])
    if op in _MOVED:
        return _MOVED[op](given, axis, len(found))
    return given


def _broadcast(one: Shape, other: Shape) -> list[Shape]:
    try:
        return [np.broadcast_shapes(one, other)]
    except ValueError:
        return []


def _reshaped(given: Shape, found: Shape) -> list[Shape]:
    """`found`, if it has as many elements and leaves the batch alone."""
    sound = given[:1] == found[:1] == (1,) and math.prod(given) == math.prod(found)
    return [found] if sound else []


def _matmul(x: Shape, weights: Shape, bias: Shape) -> list[Shape]:
    sound = len(x) in (2, 3) and len(weights) == 2 and x[-1] == weights[1] and bias == weights[:1]
    return [(*x[:-1], weights[0])] if sound else []


def _concatenated(given: list[Shape], axis: int, count: int) -> list[Shape]:
    first = given[0]
    if any(len(shape) != len(first) for shape in given):
        return []
    rests = {shape[:axis] + shape[axis + 1 :] for shape in given}
    length = sum(shape[axis] for shape in given)
    return [(*first[:axis], length, *first[axis + 1 :])] if len(rests) == 1 else []


def _packed(given: list[Shape], axis: int, count: int) -> list[Shape]:
    first = given[0]
    return [(*first[:axis], len(given), *first[axis:])] if len(set(given)) == 1 else []


def _split(given: list[Shape], axis: int, count: int) -> list[Shape]:
    shape = given[0]
    length, rest = divmod(shape[axis], count)
    return [] if rest else [(*shape[:axis], length, *shape[axis + 1 :])] * count


def _unpacked(given: list[Shape], axis: int, count: int) -> list[Shape]:
    shape = given[0]
    return [(*shape[:axis], *shape[axis + 1 :])] * count if shape[axis] == count else []


_MOVED: dict[Op, Callable[[list[Shape], int, int], list[Shape]]] = {
    Op.CONCATENATION: _concatenated,
    Op.PACK: _packed,
    Op.SPLIT: _split,
    Op.UNPACK: _unpacked,
}
"""Operators that join or divide -> the shapes that come out, for an axis and a number of results."""
