"""The native engine with the methods of tflite.Interpreter that edge_runtime calls.

`invoke` runs one window between set_tensor and get_tensor, as other engines do. job.py normalizes,
quantizes and runs raw windows and rows in one call of C each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.native.library import load_library
from edge_runtime.native.plan_format import Layout
from edge_runtime.native.planner import End, Plan, aligned_bytes, make_plan
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.tflite.graph import tensor_detail

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUTS = {
    "plain": Layout.ROWS,
    "neon": Layout.ROWS,
    "avx2": Layout.BLOCKS,
    "neon-dotprod": Layout.BLOCKS,
    "avx512-vnni": Layout.BLOCKS_UNSIGNED,
}
"""Sets of kernels -> the layout of weights that they read."""


class NativeInterpreter:
    """A model that has been planned.

    Raises EngineError when the library is missing or does not load, and ValueError, with a sentence, for
    a model that it cannot run and for unknown kernels. Not for several threads at once.
    """

    def __init__(self, flatbuffer: bytes, kernels: str = "default") -> None:
        """`kernels`: "default" for the fastest set that this CPU can run, or the name of a set."""
        library = load_library()
        self.kernels = library.kernels[0] if kernels == "default" else kernels
        """The name of the set of kernels."""
        if self.kernels not in library.kernels:
            raise ValueError(f"unknown kernels {kernels!r}. This CPU has {', '.join(library.kernels)}.")
        self.library = library
        self.plan: Plan = make_plan(read_graph(flatbuffer), LAYOUTS[self.kernels])
        self.table = library.table(self.kernels)
        self._functions = library.functions
        address = self.plan.data.ctypes.data
        problem = self._functions.er_check(self.table, address, len(self.plan.data))
        if problem:
            raise ValueError(f"the native engine's plan is not sound: {problem.decode()}")
        self._arena = self.new_arena(1)
        self._run = self._functions.er_run
        self._call = (self.table, address, self._arena.ctypes.data, 1)
        self._inputs = [tensor_detail(end.tensor) for end in self.plan.inputs]
        self._outputs = [tensor_detail(end.tensor) for end in self.plan.outputs]
        views = [self._view(end) for end in (*self.plan.inputs, *self.plan.outputs)]
        details = (*self._inputs, *self._outputs)
        self._tensors = {detail["index"]: view for detail, view in zip(details, views)}

    def new_arena(self, lanes: int) -> NDArray[np.uint8]:
        """Memory for `lanes` windows at a time."""
        return aligned_bytes(b"", lanes * self.plan.lane_stride)

    def _view(self, end: End) -> NDArray[Any]:
        count = int(np.prod(end.tensor.shape)) * end.tensor.dtype.itemsize
        values: NDArray[Any] = self._arena[end.offset : end.offset + count].view(end.tensor.dtype)
        return values.reshape(end.tensor.shape)

    def get_input_details(self) -> list[dict[str, Any]]:
        """As tflite.Interpreter's; the names of tensors are their numbers."""
        return self._inputs

    def get_output_details(self) -> list[dict[str, Any]]:
        """As tflite.Interpreter's; the names of tensors are their numbers."""
        return self._outputs

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        """Fill the input with that index. Raises ValueError for another shape or dtype."""
        tensor = self._tensors[index]
        if value.dtype != tensor.dtype or value.shape != tensor.shape:
            raise ValueError(f"an input is {value.dtype}{list(value.shape)}")
        tensor[...] = value

    def invoke(self) -> None:
        """Run the model. The inputs are used up: fill them again for the next run."""
        self._run(*self._call)

    def get_tensor(self, index: int) -> NDArray[Any]:
        """A copy of the output with that index."""
        return self._tensors[index].copy()
