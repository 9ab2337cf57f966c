"""Graph -> plan: the block of bytes that the kernels in c/ run (c/edge_rnn.h describes it)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.native.calls import emit
from edge_runtime.native.plan_format import (
    ALIGNMENT,
    CONSTANT,
    END_TYPES,
    MAGIC,
    PLAN_CALL,
    PLAN_END,
    PLAN_HEADER,
    SLACK,
    Layout,
    aligned,
)
from edge_runtime.native.program import Program, demand_room
from edge_runtime.native.storage import DIVISIONS, View
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class End:
    """An input or output of the model."""

    tensor: Tensor
    offset: int
    """Bytes from the start of a lane."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A plan for one layout of weights."""

    data: NDArray[np.uint8]
    """The plan, from an address that is a multiple of 64 on."""
    lane_stride: int
    """Bytes of an arena for each window that runs at a time."""
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    calls: int
    """How many kernels one run calls."""


def make_plan(graph: Graph, layout: Layout, alignment: int = ALIGNMENT) -> Plan:
    """The plan of a graph from read_graph or the converter.

    `alignment`: of tensors in the arena; 64 for speed, 8 to save memory. Raises MalformedError, with a
    sentence, for a graph that the native engine cannot run.
    """
    with np.errstate(all="ignore"):  # the factors of scales beyond float32 are refused
        program = Program(_folded(graph), layout)
        for time, operator in enumerate(program.graph.operators):
            if operator.op not in DIVISIONS:
                emit(program, operator, time)
        return _assembled(program, alignment)


def _folded(graph: Graph) -> Graph:
    """The graph without operators whose inputs are all constants: their results are constants."""
    tensors, operators = dict(graph.tensors), []
    for operator in graph.operators:
        inputs = [tensors[name] for name in operator.inputs]
        if any(tensor.data is None for tensor in inputs):
            operators.append(operator)
            continue
        from edge_runtime.numpy_engine.interpret import apply  # few files need it

        try:
            results = apply(graph, operator, [tensor.values for tensor in inputs])
        except KeyError as error:
            raise MalformedError(
                f"the native engine has no {error} of constants of these types"
            ) from None
        for name, result in zip(operator.outputs, results):
            if (result.shape, result.dtype) != (tensors[name].shape, tensors[name].dtype):
                raise MalformedError(f"a constant of {operator.op.value} has another shape or type")
            tensors[name] = replace(tensors[name], data=result)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _assembled(program: Program, alignment: int) -> Plan:
    """Header, constants and parameters, ends, calls, slack: in that order."""
    graph = program.graph
    ends = [_end_view(program, name) for name in (*graph.inputs, *graph.outputs)]
    offsets, arena = program.storage.places(alignment)
    arena = aligned(arena)
    demand_room(arena, "memory for one window")

    def place(view: View) -> int:
        if view.buffer < 0:
            return CONSTANT | (PLAN_HEADER.size + view.offset)
        return offsets[view.buffer] + view.offset

    body = bytearray(program.constants.data)
    body += b"\0" * (-len(body) % 4)
    ends_at = PLAN_HEADER.size + len(body)
    for name, view in zip((*graph.inputs, *graph.outputs), ends):
        body += _packed_end(graph.tensors[name], place(view))
    calls_at = PLAN_HEADER.size + len(body)
    for kernel, in0, in1, out, params in program.calls:
        second = place(in1) if in1 else 0
        body += PLAN_CALL.pack(kernel, place(in0), second, place(out), PLAN_HEADER.size + params)
    body += b"\0" * (SLACK + -len(body) % ALIGNMENT)
    size = PLAN_HEADER.size + len(body)
    demand_room(size, "plan")
    counts = (len(program.calls), ends_at, len(graph.inputs), len(graph.outputs))
    header = PLAN_HEADER.pack(MAGIC, size, program.layout, arena, calls_at, *counts, *(0,) * 7)
    found = [
        End(graph.tensors[name], place(view))
        for name, view in zip((*graph.inputs, *graph.outputs), ends)
    ]
    return Plan(
        data=aligned_bytes(header + bytes(body)),
        lane_stride=arena + SLACK,
        inputs=tuple(found[: len(graph.inputs)]),
        outputs=tuple(found[len(graph.inputs) :]),
        calls=len(program.calls),
    )


def _end_view(program: Program, name: str) -> View:
    """Where an input or output lies. States keep their place through the whole run."""
    graph, storage = program.graph, program.storage
    if graph.tensors[name].data is not None:
        raise MalformedError("the native engine has no outputs that are constants")
    view, last = storage.view(name), len(graph.operators)
    if name in graph.inputs:
        storage.use(view, -1)
    if name in graph.outputs or len(graph.inputs) > 1:
        storage.use(view, last)
    if not _is_contiguous(view, graph.tensors[name]):
        raise MalformedError("the native engine has no outputs that are parts of other tensors")
    return view


def _is_contiguous(view: View, tensor: Tensor) -> bool:
    stride = tensor.dtype.itemsize
    for length, found in zip(reversed(view.shape), reversed(view.strides)):
        if length > 1 and found != stride:
            return False
        stride *= length
    return True


def _packed_end(tensor: Tensor, place: int) -> bytes:
    kind = END_TYPES.get(tensor.dtype.char)
    if kind is None:
        raise MalformedError(f"the native engine has no inputs or outputs of {tensor.dtype}")
    affine = tensor.quantization if tensor.dtype.kind == "i" else None
    if affine and (affine.per_channel or not -128 <= affine.zero_point <= 127):
        raise MalformedError("the native engine has no inputs or outputs with such scales")
    scale, zero_point = (affine.scale[0], affine.zero_point) if affine else (0.0, 0)
    return PLAN_END.pack(place, int(np.prod(tensor.shape)), kind, scale, zero_point)


def aligned_bytes(content: Any, size: int | None = None) -> NDArray[np.uint8]:
    """`content`, or `size` zeros, as bytes at an address that is a multiple of 64."""
    length = len(content) if size is None else size
    room = np.zeros(length + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    result = room[start : start + length]
    if size is None:
        result[:] = np.frombuffer(content, np.uint8)
    return result
