"""Builds graphs (edge_runtime.tflite.graph) operator by operator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor


@dataclass
class GraphBuilder:
    """Collects tensors and operators. The methods that add one return its name."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)

    def activation(self, name: str, shape: tuple[int, ...], *, keep_float: bool = False) -> str:
        """Declare a float tensor computed at run time."""
        return self.tensor(Tensor(name, shape, keep_float=keep_float))

    def constant(self, name: str, data: NDArray[Any]) -> str:
        """Declare a constant."""
        return self.tensor(Tensor(name, data.shape, data.dtype, data))

    def shared_constant(self, name: str, data: NDArray[Any]) -> str:
        """Declare a constant unless one of that name exists, which then has the same data."""
        return name if name in self.tensors else self.constant(name, data)

    def clip(self, name: str, low: float, high: float) -> str:
        """Say that the values of a tensor end at `low` and `high` (Tensor.clip)."""
        self.tensors[name] = replace(self.tensors[name], clip=(low, high))
        return name

    def mask(self, name: str) -> str:
        """Say that the values of a tensor are 0 or 1 only."""
        self.tensors[name] = replace(self.tensors[name], clip=(0.0, 1.0), is_mask=True)
        return name

    def width(self, name: str) -> int:
        """The last dimension of a tensor."""
        return self.tensors[name].shape[-1]

    def tensor(self, tensor: Tensor) -> str:
        """Add a tensor; names are unique."""
        if tensor.name in self.tensors:
            raise ValueError(f"two tensors are named {tensor.name}")
        self.tensors[tensor.name] = tensor
        return tensor.name

    def operator(
        self,
        op: Op,
        inputs: list[str],
        output: str,
        shape: tuple[int, ...],
        axis: int | None = None,
        *,
        relu: bool = False,
        keep_float: bool = False,
    ) -> str:
        """Add an operator with one output of the given shape."""
        self.operators.append(Operator(op, tuple(inputs), (output,), axis, relu))
        return self.activation(output, shape, keep_float=keep_float)

    def fan_out(
        self, op: Op, inputs: list[str], outputs: list[str], shape: tuple[int, ...], axis: int
    ) -> list[str]:
        """Add an operator (SPLIT, UNPACK) whose outputs all have the same shape."""
        self.operators.append(Operator(op, tuple(inputs), tuple(outputs), axis))
        return [self.activation(name, shape) for name in outputs]

    def build(
        self,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        states: tuple[tuple[str, str], ...] = (),
    ) -> Graph:
        """The finished graph."""
        return Graph(self.tensors, tuple(self.operators), inputs, outputs, states)
