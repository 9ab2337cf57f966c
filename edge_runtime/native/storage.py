"""Where each tensor of a graph lies: views of buffers, and the buffers' places in the arena.

SPLIT and UNPACK give views of their input. The parts of CONCATENATION and PACK are computed where the
whole one lies. So none of them moves data, but for parts that are needed in two places.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass

from edge_runtime.native.plan_format import ALIGNMENT, aligned
from edge_runtime.tflite.graph import Graph, Op, Operator

JOINS = (Op.CONCATENATION, Op.PACK)
DIVISIONS = (Op.SPLIT, Op.UNPACK)


@dataclass(frozen=True)
class View:
    """A tensor as a part of a buffer. Constants have buffers of their own, with negative numbers."""

    buffer: int
    offset: int
    """Bytes from the start of the buffer."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """Bytes, one for each dimension."""

    def part(self, axis: int, start: int, length: int | None) -> View:
        """`length` indices of an axis from `start` on; None for one index, without the axis."""
        offset = self.offset + start * self.strides[axis]
        before, after = slice(0, axis), slice(axis + 1, None)
        kept = () if length is None else ((length, self.strides[axis]),)
        shape = (*self.shape[before], *(n for n, _ in kept), *self.shape[after])
        strides = (*self.strides[before], *(n for _, n in kept), *self.strides[after])
        return View(self.buffer, offset, shape, strides)


def contiguous(buffer: int, shape: tuple[int, ...], size: int) -> View:
    """A whole buffer of values of `size` bytes."""
    strides = []
    for length in reversed(shape):
        strides.append(size)
        size *= length
    return View(buffer, 0, shape, tuple(reversed(strides)))


class Storage:
    """The views of a graph's activations. `graph` has no operator whose inputs are all constants."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._producers = graph, graph.producers()
        self._hosts = self._parts_in_place()
        self._views: dict[str, View] = {}
        self._sizes: list[int] = []
        self._first: list[int] = []
        self._last: list[int] = []

    def _parts_in_place(self) -> dict[str, tuple[Operator, int]]:
        """Tensor -> the operator that joins it, and the number of the input that it is."""
        hosts: dict[str, tuple[Operator, int]] = {}
        for operator in self._graph.operators:
            if operator.op not in JOINS:
                continue
            for k, name in enumerate(operator.inputs):
                producer = self._producers.get(name)
                if producer and producer.op not in DIVISIONS and name not in hosts:
                    hosts[name] = (operator, k)
        return hosts

    def view(self, name: str) -> View:
        """Where an activation lies."""
        found = self._views.get(name)
        if found is None:
            found = self._views[name] = self._find(name)
        return found

    def _find(self, name: str) -> View:
        tensor, producer = self._graph.tensors[name], self._producers.get(name)
        if name in self._hosts:
            return self.joined(*self._hosts[name])
        if producer and producer.op in DIVISIONS:
            return self._divided(producer, producer.outputs.index(name))
        buffer = self.add_buffer(math.prod(tensor.shape) * tensor.dtype.itemsize)
        return contiguous(buffer, tensor.shape, tensor.dtype.itemsize)

    def joined(self, operator: Operator, k: int) -> View:
        """Where input `k` of a joining operator has to lie."""
        whole, axis = self.view(operator.outputs[0]), operator.axis or 0
        if operator.op is Op.PACK:
            return whole.part(axis, k, None)
        lengths = [self._graph.tensors[name].shape[axis] for name in operator.inputs[: k + 1]]
        return whole.part(axis, sum(lengths[:-1]), lengths[-1])

    def is_in_place(self, operator: Operator, k: int) -> bool:
        """Whether input `k` of a joining operator is computed where it has to lie."""
        host = self._hosts.get(operator.inputs[k])
        return host is not None and host[0] is operator and host[1] == k

    def _divided(self, operator: Operator, k: int) -> View:
        axis = operator.axis or 0
        if operator.op is Op.UNPACK:
            return self.view(operator.inputs[0]).part(axis, k, None)
        whole = self.view(operator.inputs[1])
        length = whole.shape[axis] // len(operator.outputs)
        return whole.part(axis, k * length, length)

    def add_buffer(self, size: int) -> int:
        """A new buffer; returns its number."""
        self._sizes.append(size)
        self._first.append(1 << 62)
        self._last.append(-1)
        return len(self._sizes) - 1

    def use(self, view: View, time: int) -> None:
        """Say that a buffer is written or read at `time`."""
        buffer = view.buffer
        self._first[buffer] = min(self._first[buffer], time)
        self._last[buffer] = max(self._last[buffer], time)

    def places(self, alignment: int = ALIGNMENT) -> tuple[list[int], int]:
        """Offset of each buffer in the arena, and the size of the arena. Buffers that are never in use
        at the same time may overlap."""
        offsets, end = [0] * len(self._sizes), 0
        taken: list[tuple[int, int, int]] = []  # offset, end, last use
        for buffer in sorted(range(len(self._sizes)), key=self._first.__getitem__):
            size = aligned(self._sizes[buffer], alignment)
            taken = [item for item in taken if item[2] >= self._first[buffer]]
            offset = 0
            for start, stop, _ in taken:
                if start - offset >= size:
                    break
                offset = max(offset, stop)
            insort(taken, (offset, offset + size, self._last[buffer]))
            offsets[buffer], end = offset, max(end, offset + size)
        return offsets, end
