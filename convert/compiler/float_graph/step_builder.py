"""Adds the operators of one step of a recurrent layer, so that a cell reads like its formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.functions import add_behind, add_behind_sum, add_function
from edge_runtime.tflite.graph import Op


@dataclass(frozen=True)
class StepBuilder:
    """Step `t` of the layer whose tensors' names start with `prefix`.

    Every method adds one operator and returns the name of its result, a row `[1, n]`. The result `h` of
    step 3 is named `{prefix}h3`. Inputs are full names of tensors that are already in the graph.
    """

    builder: GraphBuilder
    prefix: str
    t: int
    masked: bool = False
    """Whether h and c are not yet the state after the row; their names then are h_new3 and c_new3."""

    def name(self, tensor: str) -> str:
        """The full name of a tensor of this step."""
        if self.masked and tensor in ("h", "c"):
            tensor = f"{tensor}_new"
        return f"{self.prefix}{tensor}{self.t}"

    def matmul(
        self, outputs: tuple[str, str], x: str, kernel: str, bias: str, function: str = "linear"
    ) -> str:
        """`function(kernel @ x + bias)` with two constants of the layer.

        `outputs`: the names of the sum, if it is a tensor of its own, and of the result.
        """
        inputs = [x, f"{self.prefix}{kernel}", f"{self.prefix}{bias}"]
        names = [self.name(output) for output in outputs]
        return add_behind(self.builder, function, inputs, names[1], product=names[0])

    def concatenate(self, output: str, a: str, b: str) -> str:
        """`[a, b]` as one row."""
        shape = (1, self.builder.width(a) + self.builder.width(b))
        return self.builder.operator(Op.CONCATENATION, [a, b], self.name(output), shape, axis=1)

    def split(self, outputs: list[str], x: str) -> list[str]:
        """Parts of `x`, all of the same width; reads the graph's constant `gate_axis`."""
        names = [self.name(output) for output in outputs]
        shape = (1, self.builder.width(x) // len(outputs))
        return self.builder.fan_out(Op.SPLIT, ["gate_axis", x], names, shape, axis=1)

    def add(self, output: str, a: str, b: str, *, cell_state: bool = False) -> str:
        """`a + b`; `cell_state`: see Tensor."""
        return self._both(Op.ADD, output, a, b, cell_state)

    def sub(self, output: str, a: str, b: str) -> str:
        """`a - b`."""
        return self._both(Op.SUB, output, a, b)

    def mul(self, output: str, a: str, b: str, *, cell_state: bool = False) -> str:
        """`a * b`, element by element; `cell_state`: see Tensor."""
        return self._both(Op.MUL, output, a, b, cell_state)

    def function(self, function: str, output: str, x: str) -> str:
        """An activation function of every element."""
        return add_function(self.builder, function, x, self.name(output))

    def function_of_sum(self, function: str, output: str, x: str) -> str:
        """The function of a sum of matmuls (functions.add_behind_sum)."""
        return add_behind_sum(self.builder, function, x, self.name(output))

    def _both(self, op: Op, output: str, a: str, b: str, cell_state: bool = False) -> str:
        widths = (self.builder.width(a), self.builder.width(b))
        name = self.builder.operator(op, [a, b], self.name(output), (1, max(widths)))
        if cell_state:
            tensor = self.builder.tensors[name]
            self.builder.tensors[name] = replace(tensor, cell_state=True)
        return name
