"""Follows the window through the nodes of a model, to a traced value for every tensor.

Nodes that do not depend on the window are computed: the shape arithmetic, initial states and reshaped
weights that exporters write. Nodes that only move elements are traced (see tracing). Every other node
becomes a layer, or an error that names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

import numpy as np

from convert.readers.onnx import branches, convolution, functions, layers
from convert.readers.onnx.choose import selected
from convert.readers.onnx.file import InnerGraph, OnnxFile, OnnxNode
from convert.readers.onnx.layouts import Rows, as_vector, windows_of
from convert.readers.onnx.moves import (
    MOVING_NODES,
    SHAPE_NODES,
    UNCHANGED_NODES,
    computed,
    moved,
    unchanged,
)
from convert.readers.onnx.parts import with_batch
from convert.readers.onnx.recurrent import RECURRENT_NODES, check_known, recurrent_node
from convert.readers.onnx.to_network import STEP_BY_STEP
from convert.readers.onnx.tokens import embedded, integers
from convert.readers.onnx.tracing import Positions, ShapedNode, Traced, Unsupported, Value
from convert.source_model.network import Activation, Flatten, Join, Layer
from edge_runtime.errors import DataError

SUPPORTED = (
    "LSTM, GRU, RNN, Conv and pooling along the steps, Gemm, MatMul, BatchNormalization, "
    "LayerNormalization, means, maxima and sums over the steps, Add, Sub, Mul, Relu, Elu, Sigmoid, "
    "Tanh, HardSigmoid, Softmax, and nodes that move elements"
)


@dataclass
class Follower:
    """Follows the window through the nodes."""

    file: OnnxFile
    done: int = 0
    """The number of nodes read so far."""
    before_head: dict[Layer, tuple[str, Traced]] = field(default_factory=dict)
    """Layer of a Softmax or Sigmoid -> the name and value of its input."""

    def follow(self, nodes: tuple[OnnxNode, ...], values: dict[str, Value]) -> dict[str, Value]:
        """The value of every tensor, given those of inputs and constants."""
        for node in nodes:
            given = [values.get(name) for name in node.inputs]
            try:
                results = self._apply(node, given, values)
            except (IndexError, KeyError, TypeError, ValueError) as reason:
                # Unsupported, or attributes and inputs that the node may not have.
                raise DataError(f"{self.file.path}: node {node.name} ({node.op}) {reason}") from None
            values.update(zip(node.outputs, results))
            self.done += 1
        return values

    def _apply(self, node: OnnxNode, given: list[Value], values: dict[str, Value]) -> list[Value]:
        if node.op == "If":
            return self._branch(node, given[0], values)
        if node.op in ("Loop", "Scan"):
            raise Unsupported(f"runs a loop. {STEP_BY_STEP}")
        check_known(node, given)
        if node.op in SHAPE_NODES or not any(isinstance(value, Traced) for value in given):
            return computed(self.file, node, given)
        if node.op in UNCHANGED_NODES:
            return [given[0]] if integers(node, given) else unchanged(node, given)
        if node.op == "Gather" and isinstance(given[0], np.ndarray):
            return [embedded(node, given)]
        return moved(self.file, node, given) if node.op in MOVING_NODES else self._layer(node, given)

    def _layer(self, node: OnnxNode, given: list[Value]) -> list[Value]:
        if node.op in RECURRENT_NODES:
            return recurrent_node(node, given)
        if node.op in ("Softmax", "LogSoftmax"):
            before, after = layers.softmax(node, given, self.file.opset)
            return [self._possible_head(node, before, after)]
        if node.op not in _LAYERS:
            raise Unsupported(f"is not supported. Supported nodes are {SUPPORTED}.")
        after = _LAYERS[node.op](node, given)
        if node.op == "Sigmoid" and isinstance(given[0], Traced):
            return [self._possible_head(node, given[0], after)]
        return [after]

    def _possible_head(self, node: OnnxNode, before: Traced, after: Traced) -> Traced:
        if len(after.tensors) == 1 and isinstance(after.tensor.layer, Activation):
            self.before_head[after.tensor.layer] = (node.inputs[0], before)
        return after

    def _branch(self, node: OnnxNode, condition: Value, values: dict[str, Value]) -> list[Value]:
        if not isinstance(condition, np.ndarray):
            raise Unsupported("chooses a branch by the window. Expected a model with one branch.")
        name = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        inner: InnerGraph = node.attributes[name]
        found = self.follow(inner.nodes, {**values, **inner.constants})
        return [found.get(output) for output in inner.outputs]

    def logits(self, name: str, value: Traced, batch: int, *, whole: bool = False) -> Logits:
        """The tensor of the logits, and the place of the logits in the model.

        A Softmax or a Sigmoid at the end is left out, unless the model is wanted as a `whole`.
        """
        rows = as_vector(value, batch)
        _check_flat(rows, value.positions)
        value = with_batch(value.used(), batch)
        # Window by window, in the order in which the elements stand in the model's output.
        places = np.argsort(windows_of(value).reshape(-1), kind="stable")
        last = rows.tensor.layer
        if whole or not isinstance(last, Activation) or last not in self.before_head:
            return Logits(rows.exact, "linear", name, places.reshape(batch, -1))
        name, before = self.before_head[last]
        read = before.positions.reshape(-1)
        positions = value.positions.reshape(-1)[places]
        found = np.argsort(read)[np.searchsorted(np.sort(read), positions)]
        function = "sigmoid" if last.function == "sigmoid" else "softmax"
        tensor = selected(rows.tensor.sources[0], rows.columns)
        return Logits(tensor, function, name, found.reshape(batch, -1))


@dataclass(frozen=True, eq=False)
class Logits:
    """Where a model computes its logits."""

    tensor: ShapedNode
    function: str
    """What the model applies to them: softmax, linear or sigmoid."""
    name: str
    """The tensor of the model that has them."""
    places: Positions
    """`[batch, classes]`: the place of each in that tensor, counted in C order."""


def _check_flat(rows: Rows, positions: Positions) -> None:
    long = sum(size > 1 for size in positions.shape) - (len(rows.order) > 1)
    if isinstance(rows.tensor.layer, (Flatten, Join)) and long > 1:
        raise Unsupported(
            f"is a sequence of shape {list(positions.shape)}. Expected one vector of logits per window."
        )


_LAYERS: dict[str, Callable[[OnnxNode, list[Value]], Traced]] = {
    "Add": layers.arithmetic,
    "AveragePool": convolution.pooling,
    "BatchNormalization": layers.batch_normalization,
    "Clip": functions.clip,
    "Concat": branches.concatenation,
    "Conv": convolution.convolution,
    "Div": layers.arithmetic,
    "Einsum": branches.einsum,
    "Elu": functions.elu,
    "Gemm": layers.gemm,
    "GlobalAveragePool": layers.reduction("average"),
    "GlobalMaxPool": layers.reduction("max"),
    "HardSigmoid": functions.hard_sigmoid,
    "HardSwish": functions.hard_swish,
    "LayerNormalization": layers.layer_normalization,
    "LeakyRelu": functions.leaky_relu,
    "MatMul": layers.matmul,
    "Max": layers.arithmetic,
    "MaxPool": convolution.pooling,
    "Mul": layers.arithmetic,
    "Neg": layers.negation,
    "PRelu": functions.leaky_relu,
    "ReduceMax": layers.reduction("max"),
    "ReduceMean": layers.reduction("average"),
    "ReduceSum": layers.reduction("sum"),
    "Relu": functions.elementwise("relu"),
    "Sigmoid": functions.elementwise("sigmoid"),
    "Sub": layers.arithmetic,
    "Sum": layers.arithmetic,
    "Tanh": functions.elementwise("tanh"),
}
