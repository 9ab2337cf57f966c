"""Where each tensor of a graph lies: views of buffers, and the buffers' places in the arena.

SPLIT and UNPACK give views of their input. The parts of CONCATENATION and PACK are computed where the
whole one lies. So none of them moves data, but for parts that are needed in two places.
"""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import accumulate

from edge_runtime.native.plan_format import ALIGNMENT, aligned
from edge_runtime.numpy_engine.check_graph import JOINING
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Op, Operator

DIVISIONS = (Op.SPLIT, Op.UNPACK)

MOST_GAPS = 1 << 24
"""Gaps of the arena that are looked at in search of one that is large enough: some seconds."""


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


def whole_as(view: View, shape: tuple[int, ...], size: int) -> View:
    """A view of values of `size` bytes that follow each other, in another shape."""
    return replace(contiguous(view.buffer, shape, size), offset=view.offset)


class Storage:
    """The views of a graph's activations. `graph` has no operator whose inputs are all constants."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._producers = graph, graph.producers()
        self._hosts = self._parts_in_place()
        self._views: dict[str, View] = {}
        self._sizes: list[int] = []
        self._first: list[int] = []
        self._last: list[int] = []
        self._find_all()

    def _parts_in_place(self) -> dict[str, tuple[Operator, int]]:
        """Tensor -> the operator that joins it, and the number of the input that it is."""
        hosts: dict[str, tuple[Operator, int]] = {}
        for operator in self._graph.operators:
            if operator.op not in JOINING:
                continue
            for k, name in enumerate(operator.inputs):
                producer = self._producers.get(name)
                if producer and producer.op not in DIVISIONS and name not in hosts:
                    hosts[name] = (operator, k)
        return hosts

    def _find_all(self) -> None:
        """The views of all parts: those of a whole, after the whole. It may be a part in its turn, and
        so on, thousands of times in a hostile file."""
        for operator in reversed(self._graph.operators):
            if operator.op in JOINING:
                for k, part in enumerate(self.joined(operator)):
                    if self.is_in_place(operator, k):
                        self._views[operator.inputs[k]] = part
        for operator in self._graph.operators:
            if operator.op in DIVISIONS:
                self._views.update(zip(operator.outputs, self._divided(operator)))

    def view(self, name: str) -> View:
        """Where an activation lies."""
        found = self._views.get(name)
        if found is None:
            tensor = self._graph.tensors[name]
            buffer = self.add_buffer(math.prod(tensor.shape) * tensor.dtype.itemsize)
            found = contiguous(buffer, tensor.shape, tensor.dtype.itemsize)
            self._views[name] = found
        return found

    def joined(self, operator: Operator) -> list[View]:
        """Where the inputs of a joining operator have to lie."""
        whole, axis = self.view(operator.outputs[0]), operator.axis or 0
        if operator.op is Op.PACK:
            return [whole.part(axis, k, None) for k in range(len(operator.inputs))]
        lengths = [self._graph.tensors[name].shape[axis] for name in operator.inputs]
        starts = accumulate(lengths, initial=0)
        return [whole.part(axis, start, length) for start, length in zip(starts, lengths)]

    def is_in_place(self, operator: Operator, k: int) -> bool:
        """Whether input `k` of a joining operator is computed where it has to lie."""
        host = self._hosts.get(operator.inputs[k])
        return host is not None and host[0] is operator and host[1] == k

    def _divided(self, operator: Operator) -> list[View]:
        """Where the outputs of a dividing operator lie."""
        axis, count = operator.axis or 0, len(operator.outputs)
        if operator.op is Op.UNPACK:
            whole = self.view(operator.inputs[0])
            return [whole.part(axis, k, None) for k in range(count)]
        whole = self.view(operator.inputs[1])
        length = whole.shape[axis] // count
        return [whole.part(axis, k * length, length) for k in range(count)]

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
        at the same time may overlap. Raises MalformedError when that takes too long."""
        offsets, gaps = [0] * len(self._sizes), _Gaps()
        taken: list[tuple[int, int, int]] = []  # last use, offset, end
        for buffer in sorted(range(len(self._sizes)), key=self._first.__getitem__):
            while taken and taken[0][0] < self._first[buffer]:
                gaps.give_back(*heappop(taken)[1:])
            size = aligned(self._sizes[buffer], alignment)
            offsets[buffer] = gaps.take(size)
            heappush(taken, (self._last[buffer], offsets[buffer], offsets[buffer] + size))
        return offsets, gaps.most


class _Gaps:
    """The parts of the arena that no buffer takes, in order. The last one has no end."""

    def __init__(self) -> None:
        self._starts, self._ends = [0], [1 << 62]
        self.most = 0
        """The size of an arena that has room for all that was taken."""
        self._seen = 0

    def take(self, size: int) -> int:
        """The offset of `size` bytes in the first gap that is large enough."""
        place = next(
            k for k, (start, end) in enumerate(zip(self._starts, self._ends)) if end - start >= size
        )
        self._seen += place
        if self._seen > MOST_GAPS:
            raise MalformedError("too many of its tensors of different sizes are in use at a time")
        start = self._starts[place]
        self._starts[place] += size
        if self._starts[place] == self._ends[place]:
            del self._starts[place], self._ends[place]
        self.most = max(self.most, start + size)
        return start

    def give_back(self, start: int, end: int) -> None:
        """Make a gap of what was taken, together with those beside it."""
        place = bisect(self._starts, start)
        if place < len(self._starts) and self._starts[place] == end:
            end = self._ends[place]
            del self._starts[place], self._ends[place]
        if place and self._ends[place - 1] == start:
            self._ends[place - 1] = end
        else:
            self._starts.insert(place, start)
            self._ends.insert(place, end)
