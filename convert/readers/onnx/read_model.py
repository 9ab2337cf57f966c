"""ONNX model -> Network, by following the window through the model's nodes.

Nodes that do not depend on the window are computed: the shape arithmetic, initial states and reshaped
weights that exporters write. Nodes that only move elements are traced (see tracing). Every other node
becomes a layer, or an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Callable

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, split_head
from convert.readers.model_task import TaskHints
from convert.readers.onnx import layers
from convert.readers.onnx.bidirectional import STEP_BY_STEP, concatenation
from convert.readers.onnx.file import InnerGraph, Node, OnnxFile
from convert.readers.onnx.moves import (
    MOVING_NODES,
    SHAPE_NODES,
    UNCHANGED_NODES,
    computed,
    moved,
    unchanged,
)
from convert.readers.onnx.recurrent import RECURRENT_NODES, recurrent_node
from convert.readers.onnx.tracing import (
    Positions,
    Rows,
    Traced,
    Unsupported,
    Value,
    as_vector,
    in_order,
    natural,
)
from convert.source_model.fold import fold
from convert.source_model.network import ACTIVATIONS, Activation, Conv1d, Dense, Flatten, Layer, Network
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.metadata import CLASSIFICATION

SUPPORTED = (
    "LSTM, GRU, RNN, Conv along the steps, Gemm, MatMul, BatchNormalization, LayerNormalization, "
    "means and maxima over the steps, Relu, Sigmoid, Tanh, Softmax, and nodes that move elements"
)


TOGETHER = 100
"""Limit on the windows that a model of any batch evaluates at a time."""
VALUES_TOGETHER = 1 << 17
"""Limit on the values in these windows. Every tensor of the model is traced for all of them."""


@dataclass(frozen=True)
class Arrangement:
    """How windows lie in the model's input."""

    axes: tuple[str, ...]
    """The meaning of each axis; one of _AXES."""
    batch: int
    """The number of windows in one input."""
    any_batch: bool
    """Whether the model leaves this number open, so that `batch` is a choice."""


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A Network, and where its window and its logits are in the model's tensors."""

    network: Network
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
    """What the model applies to the logits and the network leaves out: see classifier_head."""
    task: str
    """classification, regression or embedding."""
    hints: TaskHints | None
    """What told it."""

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
        arrangement = replace(self.arrangement, batch=batch)
        return _read(_Reader(file, self.hints), arrangement, window, self.output)

    def _evaluate(self, file: OnnxFile, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        run, count, batch = file.runner(self.tensor), len(windows), self.arrangement.batch
        missing = -count % batch
        filled = np.concatenate([windows, np.repeat(windows[-1:], missing, axis=0)])
        batches = filled.reshape(-1, batch, *windows.shape[1:])
        values = [run(self.feed(part)).reshape(-1)[self.logits] for part in batches]
        return logits_of(np.concatenate(values)[:count].astype(np.float32), self.function)

    def feed(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's input for windows `[batch, steps, features]`."""
        fed: NDArray[np.float32] = windows.reshape(-1)[self.window]
        return fed


def network_from_onnx(
    file: OnnxFile,
    steps: int,
    features: int,
    *,
    output: str | None = None,
    hints: TaskHints | None = None,
) -> OnnxNetwork:
    """Read a model for windows `[steps, features]`; `output` is needed where it has several.

    `hints` tell the task of a model with linear outputs, and raise what `model_task.task_of` raises.

    A model does not say which axis of its input is the batch, the steps and the features. The orders
    that fit its shape are tried, the batch first. Raises DataError that names the node that is not
    supported, and InputError for an output that the model does not have.
    """
    name = _output(file, output)
    if len(file.inputs) != 1:
        names = ", ".join(item.name for item in file.inputs) or "none"
        raise DataError(
            f"{file.path}: the model has the inputs {names}. Expected the window as the only input; "
            "states have to start at zero inside the model."
        )
    furthest: tuple[int, DataError] | None = None
    for arrangement in _arrangements(file, steps, features):
        reader = _Reader(file, hints)
        try:
            return _read(reader, arrangement, (steps, features), name)
        except DataError as error:
            if furthest is None or reader.done > furthest[0]:
                furthest = (reader.done, error)
    if furthest is None:
        shape = [size or "?" for size in file.inputs[0].shape]
        raise DataError(
            f"{file.path}: the input {file.inputs[0].name} has shape {shape}, but the windows have "
            f"{steps} steps of {features} features"
        )
    raise furthest[1]


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


def _arrangements(file: OnnxFile, steps: int, features: int) -> Iterator[Arrangement]:
    """Every order of axes that fits the input."""
    shape = file.inputs[0].shape
    for axes in _AXES.get(len(shape), ()):
        found = next((size for size, axis in zip(shape, axes) if axis == "batch"), 1)
        batch = found or 1
        if axes[0] == "steps" and shape[0] is None and batch > 1:
            continue  # an open first axis is the batch, and the axis after it the model's own steps
        known = {"batch": batch, "steps": steps, "features": features, "1": 1}
        known["all"] = steps * features
        sizes = [known[axis] for axis in axes]
        if all(size in (None, own) for size, own in zip(shape, sizes)):
            yield Arrangement(axes, batch, found is None)


_AXES: dict[int, tuple[tuple[str, ...], ...]] = {
    2: (("batch", "all"), ("steps", "features")),
    3: (
        ("batch", "steps", "features"),
        ("steps", "batch", "features"),
        ("batch", "features", "steps"),
    ),
    4: (("batch", "1", "steps", "features"), ("batch", "steps", "features", "1")),
}


def _ordered(positions: Positions, axes: tuple[str, ...]) -> Positions:
    order = [axis for axis in axes if axis != "1"]
    if "all" in order:
        return positions.reshape(len(positions), -1)
    if "batch" not in order:
        return positions.reshape(positions.shape[1:])
    arranged: Positions = positions.transpose(
        [("batch", "steps", "features").index(axis) for axis in order]
    )
    single = tuple(k for k, axis in enumerate(axes) if axis == "1")
    result: Positions = np.expand_dims(arranged, single)
    return result


def _read(
    reader: _Reader, arrangement: Arrangement, window: tuple[int, int], output: str
) -> OnnxNetwork:
    file, batch, (steps, features) = reader.file, arrangement.batch, window
    positions = _ordered(natural(batch, steps, features), arrangement.axes)
    start = Traced((), batch, steps, features, positions)
    value = reader.follow(file.nodes, {**file.constants, file.inputs[0].name: start}).get(output)
    try:
        if not isinstance(value, Traced):
            raise Unsupported("is a cell state, or does not depend on the window. Expected logits.")
        found = reader.logits(output, value)
        classes = found.places.shape[1]
        head = () if found.function == "linear" else (Activation(output, found.function),)
        chain, function, task = split_head([*found.layers, *head], classes, reader.hints)
        if task != CLASSIFICATION:  # the function at the end is part of the network
            found = reader.logits(output, value, whole=True)
            chain = list(found.layers)
        network = _simplified(Network(steps, features, tuple(chain)))
    except (Unsupported, DataError) as reason:
        subject = "" if isinstance(reason, DataError) else f"the output {output} "
        raise DataError(f"{file.path}: {subject}{reason}") from None
    return OnnxNetwork(
        network,
        arrangement,
        positions,
        output,
        found.tensor,
        found.places,
        function,
        task,
        reader.hints,
    )


def _simplified(network: Network) -> Network:
    """Scales, offsets and activation functions taken into the layers before them."""
    result: list[Layer] = []
    for layer in fold(network, at_window=False).layers:
        before = result[-1] if result else None
        if not isinstance(layer, Activation):
            result.append(layer)
        elif layer.function not in ACTIVATIONS:
            raise Unsupported(
                f"depends on node {layer.name} ({layer.function}). Expected that node only at the end."
            )
        elif isinstance(before, (Dense, Conv1d)) and before.activation == "linear":
            result[-1] = replace(before, activation=layer.function)
        else:
            result.append(layer)
    return replace(network, layers=tuple(result))


@dataclass
class _Reader:
    """Follows the window through the nodes."""

    file: OnnxFile
    hints: TaskHints | None = None
    done: int = 0
    """The number of nodes read so far."""
    before_head: dict[Layer, tuple[str, Traced]] = field(default_factory=dict)
    """Layer of a Softmax or Sigmoid -> the name and value of its input."""
    activations: dict[tuple[tuple[Layer, ...], str], Layer] = field(default_factory=dict)
    """(Layers, function) -> the Activation after them, which exporters may apply to parts of a value."""

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
        if any(name and value is None for name, value in zip(node.inputs, given)):
            raise Unsupported(
                "reads a cell state Y_c or a mask. Only Y and Y_h of a layer have a value."
            )
        if node.op in ("Loop", "Scan"):
            raise Unsupported(f"is a loop. {STEP_BY_STEP}")
        if node.op in SHAPE_NODES or not any(isinstance(value, Traced) for value in given):
            return computed(self.file, node, given)
        if node.op in UNCHANGED_NODES:
            return unchanged(node, given)
        if node.op in MOVING_NODES:
            return moved(self.file, node, given)
        return self._layer(node, given)

    def _layer(self, node: Node, given: list[Value]) -> list[Value]:
        if node.op in RECURRENT_NODES:
            return recurrent_node(node, given)
        if node.op in ("Softmax", "LogSoftmax"):
            before, after = layers.softmax(node, given, self.file.opset)
            self.before_head[after.layers[-1]] = (node.inputs[0], before)
            return [after]
        if node.op not in _LAYERS:
            raise Unsupported(f"is not supported. Supported nodes are {SUPPORTED}.")
        value = self._shared(_LAYERS[node.op](node, given))
        if node.op == "Sigmoid" and isinstance(given[0], Traced):
            self.before_head[value.layers[-1]] = (node.inputs[0], given[0])
        return [value]

    def _branch(self, node: Node, condition: Value, values: dict[str, Value]) -> list[Value]:
        if not isinstance(condition, np.ndarray):
            raise Unsupported("chooses a branch by the window. Expected a model with one branch.")
        name = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        inner: InnerGraph = node.attributes[name]
        found = self.follow(inner.nodes, {**values, **inner.constants})
        return [found.get(output) for output in inner.outputs]

    def _shared(self, value: Traced) -> Traced:
        last = value.layers[-1] if value.layers else None
        if not isinstance(last, Activation):
            return value
        key = (value.layers[:-1], last.function)
        return replace(value, layers=(*key[0], self.activations.setdefault(key, last)))

    def logits(self, name: str, value: Traced, *, whole: bool = False) -> _Logits:
        """The layers up to the logits, and the place of the logits in the model.

        A Softmax or a Sigmoid at the end is left out, unless the model is wanted as a `whole`.
        """
        rows = as_vector(value, value.positions)
        _check_flat(rows, value.positions)
        chain, positions = rows.layers, value.positions.reshape(-1)
        # Window by window, in the order in which the elements stand in the tensor.
        places = np.argsort(positions // value.size, kind="stable")
        last = chain[-1] if chain else None
        if whole or not isinstance(last, Activation) or last not in self.before_head:
            return _Logits(_reordered(chain, rows), "linear", name, places.reshape(value.batch, -1))
        name, before = self.before_head[last]
        read = before.positions.reshape(-1)
        found = np.argsort(read)[np.searchsorted(np.sort(read), positions[places])]
        function = "sigmoid" if last.function == "sigmoid" else "softmax"
        chain = _reordered(chain[:-1], rows)
        return _Logits(chain, function, name, found.reshape(value.batch, -1))


@dataclass(frozen=True, eq=False)
class _Logits:
    layers: tuple[Layer, ...]
    function: str
    tensor: str
    places: Positions


def _check_flat(rows: Rows, positions: Positions) -> None:
    long = sum(size > 1 for size in positions.shape) - (len(rows.order) > 1)
    if rows.layers and isinstance(rows.layers[-1], Flatten) and long > 1:
        raise Unsupported(
            f"is a sequence of shape {list(positions.shape)}. Expected one vector of logits per window."
        )


def _reordered(chain: tuple[Layer, ...], rows: Rows) -> tuple[Layer, ...]:
    """The layers so that they give the vector's elements in the order of `rows`."""
    last = chain[-1] if chain else None
    if in_order(rows):
        return chain
    if not isinstance(last, Dense):
        raise Unsupported("has the features in another order than the last layer, or some of them only")
    picked = replace(last, kernel=last.kernel[rows.columns], bias=last.bias[rows.columns])
    return (*chain[:-1], picked)


_LAYERS: dict[str, Callable[[Node, list[Value]], Traced]] = {
    "Add": layers.arithmetic,
    "BatchNormalization": layers.batch_normalization,
    "Clip": layers.clip,
    "Concat": concatenation,
    "Conv": layers.convolution,
    "Div": layers.arithmetic,
    "Gemm": layers.gemm,
    "GlobalAveragePool": layers.pooling("average"),
    "GlobalMaxPool": layers.pooling("max"),
    "LayerNormalization": layers.layer_normalization,
    "MatMul": layers.matmul,
    "Mul": layers.arithmetic,
    "Neg": layers.negation,
    "ReduceMax": layers.pooling("max"),
    "ReduceMean": layers.pooling("average"),
    "Relu": layers.activation("relu"),
    "Sigmoid": layers.activation("sigmoid"),
    "Sub": layers.arithmetic,
    "Tanh": layers.activation("tanh"),
}
