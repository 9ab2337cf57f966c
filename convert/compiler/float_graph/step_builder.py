"""Adds the operators of one step of a recurrent layer, so that a cell reads like its formulas."""

from __future__ import annotations

from dataclasses import dataclass

from convert.compiler.float_graph.builder import GraphBuilder
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

    def name(self, tensor: str) -> str:
        """The full name of a tensor of this step."""
        return f"{self.prefix}{tensor}{self.t}"

    def matmul(self, output: str, x: str, kernel: str, bias: str, *, relu: bool = False) -> str:
        """`kernel @ x + bias` with two constants of the layer."""
        weights = [f"{self.prefix}{kernel}", f"{self.prefix}{bias}"]
        shape = (1, self.builder.tensors[weights[0]].shape[0])
        inputs = [x, *weights]
        return self.builder.operator(Op.FULLY_CONNECTED, inputs, self.name(output), shape, relu=relu)

    def concatenate(self, output: str, a: str, b: str) -> str:
        """`[a, b]` as one row."""
        shape = (1, self.builder.width(a) + self.builder.width(b))
        return self.builder.operator(Op.CONCATENATION, [a, b], self.name(output), shape, axis=1)

    def split(self, outputs: list[str], x: str) -> list[str]:
        """Parts of `x`, all of the same width; reads the graph's constant `gate_axis`."""
        names = [self.name(output) for output in outputs]
        shape = (1, self.builder.width(x) // len(outputs))
        return self.builder.fan_out(Op.SPLIT, ["gate_axis", x], names, shape, axis=1)

    def add(self, output: str, a: str, b: str) -> str:
        """`a + b`."""
        return self._each(Op.ADD, output, a, b)

    def sub(self, output: str, a: str, b: str) -> str:
        """`a - b`."""
        return self._each(Op.SUB, output, a, b)

    def mul(self, output: str, a: str, b: str) -> str:
        """`a * b`, element by element."""
        return self._each(Op.MUL, output, a, b)

    def sigmoid(self, output: str, x: str) -> str:
        """The logistic function of every element."""
        return self._each(Op.LOGISTIC, output, x)

    def tanh(self, output: str, x: str) -> str:
        """The hyperbolic tangent of every element."""
        return self._each(Op.TANH, output, x)

    def _each(self, op: Op, output: str, *inputs: str) -> str:
        shape = self.builder.tensors[inputs[0]].shape
        return self.builder.operator(op, list(inputs), self.name(output), shape)
