"""ONNX model -> Network, and the model's own logits for the same windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, split_head
from convert.readers.model_task import TaskHints
from convert.readers.onnx.file import InnerGraph, OnnxFile, OnnxNode
from convert.readers.onnx.follow import Follower
from convert.readers.onnx.inputs import (
    Arrangement,
    Inputs,
    arrangements,
    feeds,
    inputs_of,
    start_values,
)
from convert.readers.onnx.simplify import simplified
from convert.readers.onnx.to_network import last_layer, network_ending_in
from convert.readers.onnx.tracing import Positions, Traced, Unsupported
from convert.source_model.network import Activation, Network
from edge_runtime.errors import DataError, InputError
from edge_runtime.model_file.metadata import CLASSIFICATION

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
        arrangement = self.arrangement.of(batch)
        return _read(Follower(file), self.inputs, arrangement, window, self.output, self.hints)

    def _evaluate(self, file: OnnxFile, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        run, count, batch = file.runner(self.tensor), len(windows), self.arrangement.batch
        missing = -count % batch
        filled = np.concatenate([windows, np.repeat(windows[-1:], missing, axis=0)])
        batches = filled.reshape(-1, batch, *windows.shape[1:])
        values = [
            run(feeds(self.inputs, self.window, batch, part)).reshape(-1)[self.logits]
            for part in batches
        ]
        return logits_of(np.concatenate(values)[:count].astype(np.float32), self.function)


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

    The last columns of the windows are the static input, where the model has one. A model does not say
    which axis of its input is the batch, the steps and the features. The orders that fit its shape are
    tried, the batch first. Raises DataError that names the node that is not supported, and InputError
    for an output that the model does not have.
    """
    name = _output(file, output)
    inputs = inputs_of(file)
    furthest: tuple[int, DataError] | None = None
    for arrangement in arrangements(inputs.window, steps, features - inputs.static_width):
        reader = Follower(file)
        try:
            return _read(reader, inputs, arrangement, (steps, features), name, hints)
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
    reader: Follower,
    inputs: Inputs,
    arrangement: Arrangement,
    window: tuple[int, int],
    output: str,
    hints: TaskHints | None,
) -> OnnxNetwork:
    file, (steps, features), static = reader.file, window, inputs.static_width
    start = start_values(inputs, arrangement, steps, features - static)
    value = reader.follow(_needed(file.nodes, output), {**file.constants, **start}).get(output)
    try:
        if not isinstance(value, Traced):
            raise Unsupported("is a cell state, or does not depend on the window. Expected logits.")
        found = reader.logits(output, value, arrangement.batch)
        head = () if found.function == "linear" else (Activation(output, found.function),)
        tensor = simplified(found.tensor)
        ending, function, task = split_head([*last_layer(tensor), *head], tensor.width, hints)
        if task != CLASSIFICATION:  # the function at the end is part of the network
            found = reader.logits(output, value, arrangement.batch, whole=True)
            tensor = simplified(found.tensor)
            ending = last_layer(tensor)
        network = network_ending_in(tensor, ending, steps, features, static)
    except (Unsupported, DataError) as reason:
        subject = "" if isinstance(reason, DataError) else f"the output {output} "
        raise DataError(f"{file.path}: {subject}{reason}") from None
    positions = arrangement.positions(steps, features - static)
    return OnnxNetwork(
        network,
        inputs,
        arrangement,
        positions,
        output,
        found.name,
        found.places,
        function,
        task,
        hints,
    )


def _needed(nodes: tuple[OnnxNode, ...], output: str) -> tuple[OnnxNode, ...]:
    """The nodes that an output depends on."""
    needed, kept = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(_names_read(node))
    return tuple(reversed(kept))


def _names_read(node: OnnxNode) -> set[str]:
    """The names that a node, or a graph inside of it, reads."""
    names = set(node.inputs)
    for value in node.attributes.values():
        if isinstance(value, InnerGraph):
            names.update(value.outputs, *(_names_read(inner) for inner in value.nodes))
    return names
