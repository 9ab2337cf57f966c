"""What a plan is made of while it is being made: calls, constants, parameters, buffers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np

from edge_runtime.native.plan_format import PLAN_HEADER, Kernel, Layout
from edge_runtime.native.storage import Storage, View, contiguous
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CALLS = 1 << 18

LARGEST_PLAN = 1 << 28
"""Bytes, of a plan and of a lane: as many as the elements of all tensors of a graph take in float32
(read_graph.MOST_ELEMENTS)."""


class Call(NamedTuple):
    """A call of a kernel. `params` is an offset into the constants."""

    kernel: Kernel
    in0: View
    in1: View | None
    out: View
    params: int


def demand_room(size: int, what: str) -> None:
    """Raises MalformedError unless `size` bytes, those of `what`, are few enough for a plan."""
    if size > LARGEST_PLAN:
        raise MalformedError(f"its {what} takes {size:,} bytes, expected at most {LARGEST_PLAN:,}")


class Constants:
    """Read-only data, each piece once. Raises MalformedError when there is too much of it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._offsets: dict[Hashable, int] = {}

    def add(self, key: Hashable, content: Callable[[], bytes], alignment: int = 4) -> int:
        """Offset of the data with that key; `content` makes it the first time."""
        found = self._offsets.get(key)
        if found is None:
            self.data += b"\0" * (-(PLAN_HEADER.size + len(self.data)) % alignment)
            found = self._offsets[key] = len(self.data)
            self.data += content()
            demand_room(len(self.data), "plan")
        return found

    def offset_in_plan(self, key: Hashable, content: Callable[[], bytes], alignment: int = 4) -> int:
        """The same as an offset into the plan, as parameters have it."""
        return PLAN_HEADER.size + self.add(key, content, alignment)


class Program:
    """A plan that is being made."""

    def __init__(self, graph: Graph, layout: Layout) -> None:
        self.graph, self.layout = graph, layout
        self.storage, self.constants = Storage(graph), Constants()
        self.calls: list[Call] = []
        self.numbers: dict[Hashable, dict[str, Any]] = {}
        """What calls.py has made of scales so far."""
        self.matmuls: dict[Hashable, Any] = {}
        """What matmul_calls has made so far."""

    def view(self, name: str, time: int) -> View:
        """Where a tensor lies that is used at `time`."""
        tensor = self.graph.tensors[name]
        if tensor.data is not None:
            values: NDArray[Any] = np.ascontiguousarray(tensor.data)
            offset = self.constants.add(("tensor", name), values.tobytes, 64)
            whole = contiguous(-1, values.shape, values.itemsize)
            return View(-1, offset, whole.shape, whole.strides)
        found = self.storage.view(name)
        self.storage.use(found, time)
        return found

    def call(self, kernel: Kernel, views: list[View], params: bytes) -> None:
        """Call a kernel on inputs and, the last of the views, its output.

        Raises MalformedError when there are too many calls.
        """
        if len(self.calls) == MOST_CALLS:
            raise MalformedError(f"it takes more than {MOST_CALLS:,} calls of kernels")
        in1 = views[1] if len(views) > 2 else None
        self.calls.append(
            Call(kernel, views[0], in1, views[-1], self.constants.add(params, lambda: params))
        )
