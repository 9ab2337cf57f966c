"""ONNX model -> Network, by following the window through the model's nodes.

Nodes that do not depend on the window are computed: the shape arithmetic, initial states and reshaped
weights that exporters write. Nodes that only move elements are traced (see tracing). Every other node
becomes a layer, or an error that names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, split_head
from convert.readers.onnx import branches, convolution, layers
from convert.readers.onnx.choose import selected
from convert.readers.onnx.file import InnerGraph, Node, OnnxFile
from convert.readers.onnx.inputs import (
    Arrangement,
    Inputs,
    arrangements,
    feeds,
    inputs_of,
    start_values,
)
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
from convert.readers.onnx.recurrent import RECURRENT_NODES, check_states, recurrent_node
from convert.readers.onnx.simplify import simplified
from convert.readers.onnx.tokens import embedded, integers
from convert.readers.onnx.to_network import network_with_head
from convert.readers.onnx.tracing import Positions, Tensor, Traced, Unsupported, Value
from convert.source_model.network import Activation, Flatten, Join, Layer, Network
from edge_runtime.errors import DataError, InputError

SUPPORTED = (
    "LSTM, GRU, RNN, Conv and pooling along the steps, Gemm, MatMul, BatchNormalization, "
    "LayerNormalization, means, maxima and sums over the steps, Add, Sub, Mul, Relu, Elu, Sigmoid, Tanh, "
    "HardSigmoid, Softmax, and nodes that move elements"
)
STEP_BY_STEP = (
    "A recurrence that is written out as a loop is not recognized. Export it as an LSTM, GRU or RNN node "
    "(in PyTorch as nn.LSTM, nn.GRU or nn.RNN)."
)

TOGETHER = 100
"""Limit on the windows that a model of any batch evaluates at a time."""
VALUES_TOGETHER = 1 << 17
"""Limit on the values in these windows. Every tensor of the model is traced for all of them."""


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A Network, and where its window and its logits are in the model's tensors."""

    network: Network
    inputs: Inputs
    arrangement: Arrangement
    window: Positions
    """In the shape of the model's input: the element of `[batch, steps, features]` at each place."""
    output: str
    """The model's output that was read."""
    tensor: str
    """The tensor with the logits: the output, or the input of the Softmax or Sigmoid that gives it."""
    logits: Positions
    """`[batch, classes]`: where each logit is in that tensor, counted in C order."""
    function: str
    """What the model applies to the logits: softmax, linear, or, to a single one, sigmoid."""

    def evaluate(self, file: OnnxFile, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The full model's logits `[N, classes]` of windows `[N, steps, features]`.

        A model of any batch evaluates several windows at a time, unless one of its nodes expects a
        single window all the same.
        """
        batch = min(TOGETHER, len(windows), VALUES_TOGETHER // self.window.size)
        if self.arrangement.any_batch and batch > 1:
            try:
                return self.with_batch(file, batch)._evaluate(file, windows)
            except Exception:  # a DataError of the reader, or one of the engines' many kinds
                return self._evaluate(file, windows)
        return self._evaluate(file, windows)

    def with_batch(self, file: OnnxFile, batch: int) -> OnnxNetwork:
        """The same model, read with another batch.

        Raises DataError for a model whose nodes mix the windows of such a batch.
        """
        window = (self.network.steps, self.network.features)
        return _read(_Reader(file), self.inputs, self.arrangement.of(batch), window, self.output)

    def _evaluate(self, file: OnnxFile, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        run, count, batch = file.runner(self.tensor), len(windows), self.arrangement.batch
        missing = -count % batch
        filled = np.concatenate([windows, np.repeat(windows[-1:], missing, axis=0)])
        batches = filled.reshape(-1, batch, *windows.shape[1:])
        values = [
            run(feeds(self.inputs, self.window, batch, part)).reshape(-1)[self.logits] for part in batches
        ]
        return logits_of(np.concatenate(values)[:count].astype(np.float32), self.function)


def network_from_onnx(
    file: OnnxFile, steps: int, features: int, *, output: str | None = None
) -> OnnxNetwork:
    """Read a model for windows `[steps, features]`; `output` is needed where it has several.

    The last columns of the windows are the static input, where the model has one. A model does not say
    which axis of its input is the batch, the steps and the features. The orders that fit its shape are
    tried, the batch first. Raises DataError that names the node that is not supported, and InputError
    for an output that the model does not have.
    """
    name = _output(file, output)
    inputs = inputs_of(file)
    furthest: tuple[int, DataError] | None = None
    for arrangement in arrangements(inputs.window, steps, features - inputs.static_width):
        reader = _Reader(file)
        try:
            return _read(reader, inputs, arrangement, (steps, features), name)
        except DataError as error:
            if furthest is None or reader.done > furthest[0]:
                furthest = (reader.done, error)
    if furthest is None:
        raise DataError(f"{file.path}: {_misfit(inputs, steps, features)}")
    raise furthest[1]


def _misfit(inputs: Inputs, steps: int, features: int) -> str:
    shape = [size or "?" for size in inputs.window.shape]
    sentence = (
        f"the input {inputs.window.name} has shape {shape}, but the windows have {steps} steps of "
        f"{features} features"
    )
    if inputs.static is None:
        return sentence
    return (
        f"{sentence}. The input {inputs.static.name} belongs into the windows' last "
        f"{inputs.static_width} columns, the same in every row."
    )


def _output(file: OnnxFile, output: str | None) -> str:
    if output is None and len(file.outputs) > 1:
        raise InputError(
            f"{file.path}: the model has the outputs {', '.join(file.outputs)}. Name the one with the "
            "logits with --onnx-output."
        )
    if output is not None and output not in file.outputs:
        raise InputError(
            f"{file.path}: the model has no output {output}. Choose {', '.join(file.outputs)}."
        )
    return output or file.outputs[0]


def _read(
    reader: _Reader, inputs: Inputs, arrangement: Arrangement, window: tuple[int, int], output: str
) -> OnnxNetwork:
    file, (steps, features), static = reader.file, window, inputs.static_width
    start = start_values(inputs, arrangement, steps, features - static)
    value = reader.follow(_needed(file.nodes, output), {**file.constants, **start}).get(output)
    try:
        if not isinstance(value, Traced):
            raise Unsupported("is a cell state, or does not depend on the window. Expected logits.")
        found = reader.logits(output, value, arrangement.batch)
        head = () if found.function == "linear" else (Activation(output, found.function),)
        network = network_with_head(simplified(found.tensor), head, steps, features, static)
    except (Unsupported, DataError) as reason:
        subject = "" if isinstance(reason, DataError) else f"the output {output} "
        raise DataError(f"{file.path}: {subject}{reason}") from None
    positions = arrangement.positions(steps, features - static)
    return OnnxNetwork(
        network, inputs, arrangement, positions, output, found.name, found.places, found.function
    )


def _needed(nodes: tuple[Node, ...], output: str) -> tuple[Node, ...]:
    """The nodes that an output depends on."""
    needed, kept = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(_names_read(node))
    return tuple(reversed(kept))


def _names_read(node: Node) -> set[str]:
    """The names that a node, or a graph inside of it, reads."""
    names = set(node.inputs)
    for value in node.attributes.values():
        if isinstance(value, InnerGraph):
            names.update(value.outputs, *(_names_read(inner) for inner in value.nodes))
    return names


@dataclass
class _Reader:
    """Follows the window through the nodes."""

    file: OnnxFile
    done: int = 0
    """The number of nodes read so far."""
    before_head: dict[Layer, tuple[str, Traced]] = field(default_factory=dict)
    """Layer of a Softmax or Sigmoid -> the name and value of its input."""

    def follow(self, nodes: tuple[Node, ...], values: dict[str, Value]) -> dict[str, Value]:
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

    def _apply(self, node: Node, given: list[Value], values: dict[str, Value]) -> list[Value]:
        if node.op == "If":
            return self._branch(node, given[0], values)
        if node.op in RECURRENT_NODES:
            check_states(node, given)
        if any(name and value is None for name, value in zip(node.inputs, given)):
            raise Unsupported(
                "reads a cell state Y_c or a mask. Only Y and Y_h of a layer have a value."
            )
        if node.op in ("Loop", "Scan"):
            raise Unsupported(f"is a loop. {STEP_BY_STEP}")
        if node.op in SHAPE_NODES or not any(isinstance(value, Traced) for value in given):
            return computed(self.file, node, given)
        if node.op == "Cast" and integers(node, given):
            return [given[0]]
        if node.op in UNCHANGED_NODES:
            return unchanged(node, given)
        if node.op == "Gather" and isinstance(given[0], np.ndarray):
            return [embedded(node, given)]
        if node.op in MOVING_NODES:
            return moved(self.file, node, given)
        return self._layer(node, given)

    def _layer(self, node: Node, given: list[Value]) -> list[Value]:
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

    def _possible_head(self, node: Node, before: Traced, after: Traced) -> Traced:
        if len(after.tensors) == 1 and isinstance(after.tensor.layer, Activation):
            self.before_head[after.tensor.layer] = (node.inputs[0], before)
        return after

    def _branch(self, node: Node, condition: Value, values: dict[str, Value]) -> list[Value]:
        if not isinstance(condition, np.ndarray):
            raise Unsupported("chooses a branch by the window. Expected a model with one branch.")
        name = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        inner: InnerGraph = node.attributes[name]
        found = self.follow(inner.nodes, {**values, **inner.constants})
        return [found.get(output) for output in inner.outputs]

    def logits(self, name: str, value: Traced, batch: int) -> _Logits:
        """The tensor of the logits, and the place of the logits in the model.

        A Softmax at the end, or the Sigmoid of a single output, is left out.
        """
        rows = as_vector(value, batch)
        _check_flat(rows, value.positions)
        value = with_batch(value.used(), batch)
        # Window by window, in the order in which the elements stand in the model's output.
        places = np.argsort(windows_of(value).reshape(-1), kind="stable")
        last = rows.tensor.layer
        if not isinstance(last, Activation) or last not in self.before_head:
            return _Logits(rows.exact, "linear", name, places.reshape(batch, -1))
        name, before = self.before_head[last]
        read = before.positions.reshape(-1)
        positions = value.positions.reshape(-1)[places]
        found = np.argsort(read)[np.searchsorted(np.sort(read), positions)]
        function = "sigmoid" if last.function == "sigmoid" else "softmax"
        tensor = selected(rows.tensor.sources[0], rows.columns)
        return _Logits(tensor, function, name, found.reshape(batch, -1))


@dataclass(frozen=True, eq=False)
class _Logits:
    tensor: Tensor
    function: str
    name: str
    places: Positions


def _check_flat(rows: Rows, positions: Positions) -> None:
    long = sum(size > 1 for size in positions.shape) - (len(rows.order) > 1)
    if isinstance(rows.tensor.layer, (Flatten, Join)) and long > 1:
        raise Unsupported(
            f"is a sequence of shape {list(positions.shape)}. Expected one vector of logits per window."
        )


_LAYERS: dict[str, Callable[[Node, list[Value]], Traced]] = {
    "Add": layers.arithmetic,
    "AveragePool": convolution.pooling,
    "BatchNormalization": layers.batch_normalization,
    "Clip": layers.clip,
    "Concat": branches.concatenation,
    "Conv": convolution.convolution,
    "Div": layers.arithmetic,
    "Einsum": branches.einsum,
    "Elu": layers.elu,
    "Gemm": layers.gemm,
    "GlobalAveragePool": layers.reduction("average"),
    "GlobalMaxPool": layers.reduction("max"),
    "HardSigmoid": layers.hard_sigmoid,
    "HardSwish": layers.hard_swish,
    "LayerNormalization": layers.layer_normalization,
    "LeakyRelu": layers.leaky_relu,
    "MatMul": layers.matmul,
    "Max": layers.arithmetic,
    "MaxPool": convolution.pooling,
    "Mul": layers.arithmetic,
    "Neg": layers.negation,
    "PRelu": layers.leaky_relu,
    "ReduceMax": layers.reduction("max"),
    "ReduceMean": layers.reduction("average"),
    "ReduceSum": layers.reduction("sum"),
    "Relu": layers.elementwise("relu"),
    "Sigmoid": layers.elementwise("sigmoid"),
    "Sub": layers.arithmetic,
    "Sum": layers.arithmetic,
    "Tanh": layers.elementwise("tanh"),
}
