"""Windows of tokens: the int32 input of a model that begins with an Embedding.

    tokens [1, steps, 1] -> RESHAPE -> [1, steps] -> GATHER from the table -> [1, steps, n] -> UNPACK

The graph of a single step reads one token `[1, 1]`, whose GATHER gives a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.source_model.network import Embedding, Mask, Weights
from edge_runtime.tflite.graph import Op, Tensor


def add_input(builder: GraphBuilder, name: str, shape: tuple[int, ...], tokens: int) -> None:
    """Declare the graph's input: float32, or int32 if `tokens` is not 0."""
    dtype = np.dtype(np.int32 if tokens else np.float32)
    builder.tensor(Tensor(name, shape, dtype))


@dataclass
class TokenReader:
    """Looks the window's tokens up in tables."""

    builder: GraphBuilder
    source: str
    """The graph's input, `[1, steps, 1]`, or `[1, 1]` in the graph of a single step."""
    tokens: int

    def embedding(self, layer: Embedding, prefix: str) -> list[str]:
        """The rows of the layer's table."""
        return self._rows(prefix, layer.table, "x")

    def mask(self, layer: Mask, prefix: str) -> list[str]:
        """1 for each token, but 0 for the one that is the mask's value."""
        table = np.ones((self.tokens, 1), np.float32)
        table[np.arange(self.tokens) == layer.value[0]] = 0
        rows = self._rows(prefix, table, "m")
        for name in (f"{prefix}table", f"{prefix}looked_up", *rows):
            if name in self.builder.tensors:
                self.builder.mask(name)
        return rows

    def _rows(self, prefix: str, table: Weights, name: str) -> list[str]:
        shape = self.builder.tensors[self.source].shape
        steps, width = shape[1] if len(shape) == 3 else 1, table.shape[1]
        tokens = self._flat_tokens(shape)
        constant = self.builder.constant(f"{prefix}table", table)
        if len(shape) == 2:
            return [self.builder.operator(Op.GATHER, [constant, tokens], f"{prefix}{name}1", (1, width))]
        found = self.builder.operator(
            Op.GATHER, [constant, tokens], f"{prefix}looked_up", (1, steps, width)
        )
        rows = [f"{prefix}{name}{t}" for t in range(1, steps + 1)]
        return self.builder.fan_out(Op.UNPACK, [found], rows, (1, width), axis=1)

    def _flat_tokens(self, shape: tuple[int, ...]) -> str:
        """The tokens without their last axis, which is 1; made once."""
        name, flat = f"{self.source}_tokens", shape[:-1]
        if name not in self.builder.tensors:
            sizes = self.builder.constant(f"{name}_shape", np.array(flat, np.int32))
            self.builder.operator(Op.RESHAPE, [self.source, sizes], name, flat)
            tensor = self.builder.tensors[name]
            self.builder.tensors[name] = replace(tensor, dtype=np.dtype(np.int32))
        return name
