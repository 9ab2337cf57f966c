"""Keras model -> Network and logits. Model files are loaded by tensorflow.full_models."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, output_of, split_head
from convert.readers.keras.chain import layers_in_order
from convert.readers.keras.layers import Shape, read_layer
from convert.readers.model_task import SIGMOID, SOFTMAX, TaskHints
from convert.source_model.network import Activation, Layer, Network
from edge_runtime.errors import DataError

BATCH = 1000
"""Windows per call."""

CHECKED_WINDOWS = 64
"""Windows on which the layers in turn are compared with the model as a whole."""

TOLERANCE = 1e-3
"""Largest difference in that comparison, relative to the largest output; both run in float32."""


@dataclass(frozen=True, eq=False)
class KerasReading:
    """A Keras model that has been read."""

    network: Network
    model: Any
    chain: tuple[Any, ...]
    """The model's layers up to its logits, in order."""
    function: str
    """What the model applies to its logits and the network leaves out: see classifier_head."""
    fused: bool
    """Whether that function is the activation of the chain's last layer."""
    task: str
    """classification, regression or embedding."""

    def logits(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's logits `[N, classes]` of float32 windows `[N, steps, features]`, by Keras.

        Raises DataError when the layers in turn do not compute what the model as a whole computes.
        """
        batches = [windows[k : k + BATCH] for k in range(0, len(windows), BATCH)]
        with _without_activation(self.chain[-1]) if self.fused else nullcontext():
            values = np.concatenate([self._run(batch) for batch in batches])
        self._check(windows[:CHECKED_WINDOWS], values[:CHECKED_WINDOWS])
        return logits_of(values, self.function)

    def _run(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        value: Any = windows
        for layer in self.chain:
            value = layer(value)
        return np.asarray(value, np.float32)

    def _check(self, windows: NDArray[np.float32], values: NDArray[np.float32]) -> None:
        batch = self.model.inputs[0].shape[0] or len(windows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras 3, when a Keras 2 model has its input in a list
            whole = np.asarray(self.model(np.resize(windows, (batch, *windows.shape[1:]))), np.float32)
        expected = output_of(values, self.function)[:batch]
        difference = float(np.abs(whole[: len(expected)] - expected).max())
        if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise DataError(
                f"the model's own output differs by up to {difference:.2g} from that of its layers "
                "applied one after the other. Expected a model that does nothing else."
            )


def network_from_keras(model: Any) -> Network:
    """Read a built Keras model, Sequential or functional, with input `[None, steps, features]`.

        from convert import compile_network, network_from_keras

        data = compile_network(network_from_keras(model), windows, precision="float32")

    The network of a classifier ends with the logits: a softmax at the end is left out. Raises DataError
    naming the layer or setting that is not supported, and what is.
    """
    return read_keras(model).network


def read_keras(model: Any, hints: TaskHints | None = None) -> KerasReading:
    """Read a built model of Keras 3 or Keras 2 (tf_keras). Raises what `network_from_keras` does.

    `hints` tell the task of a model with linear outputs, and raise what `model_task.task_of` raises.
    """
    steps, features = shape = _input_shape(model)
    read: list[tuple[Any, list[Layer]]] = []
    for layer in layers_in_order(model):
        read.append((layer, read_layer(layer, shape)))
        shape = _output_shape(layer, shape)
    if len(shape) != 1:
        raise DataError(
            f"the model gives {list(shape)} for a window. Expected [classes]. If the last recurrent "
            "layer gives a sequence, set return_sequences=False."
        )
    while read and not read[-1][1]:  # no effect, so that a softmax before it is the end
        read.pop()
    flat = [layer for _, layers in read for layer in layers]
    layers, function, task = split_head(flat, shape[0], hints)
    chain, left_out = [layer for layer, _ in read], function in (SOFTMAX, SIGMOID)
    alone = left_out and isinstance(flat[-1], Activation)
    return KerasReading(
        network=Network(steps, features, tuple(layers)),
        model=model,
        chain=tuple(chain[:-1] if alone else chain),
        function=function,
        fused=left_out and not alone,
        task=task,
    )


def _input_shape(model: Any) -> Shape:
    inputs = getattr(model, "inputs", None)
    if not hasattr(model, "layers"):
        raise DataError(f"expected a Keras model, found {type(model).__name__}")
    if not inputs:
        raise DataError(
            f"the model {model.name!r} has no fixed input. Expected a Sequential or functional model "
            "with keras.Input((steps, features))."
        )
    shape = tuple(inputs[0].shape)
    if len(shape) != 3:
        raise DataError(f"the model's input shape is {list(shape)}. Expected [None, steps, features].")
    if None in shape[1:]:
        raise DataError(
            f"the model's input shape is {list(shape)}. Expected a fixed number of steps and features. "
            "Build it with keras.Input((steps, features)) and set its weights."
        )
    return shape[1:]


def _output_shape(layer: Any, shape: Shape) -> Shape:
    return tuple(layer.compute_output_shape((None, *shape)))[1:]


@contextmanager
def _without_activation(layer: Any) -> Iterator[None]:
    """Inside this context the layer does not apply its activation."""
    activation = layer.activation
    layer.activation = _identity
    try:
        yield
    finally:
        layer.activation = activation


def _identity(values: Any) -> Any:
    return values
