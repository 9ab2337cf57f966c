"""Keras model -> Network and logits. Model files are loaded by tensorflow.full_models."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, output_of
from convert.readers.keras.calls import is_model, is_operation
from convert.readers.keras.graph import READABLE_LAYERS, GraphReader, one_output
from convert.readers.keras.head import LogitsRecorder, recorder, split_output
from convert.readers.keras.inputs import WindowColumns, window_columns
from convert.readers.keras.refusals import check_readable, layers_inside
from convert.readers.keras.simplify import with_last_rows
from convert.readers.keras.unit_length import without_unit_length
from convert.readers.model_task import TaskHints
from convert.source_model.network import Network
from convert.source_model.nodes import network_of
from edge_runtime.errors import DataError
from edge_runtime.model_file.metadata import EMBEDDING

BATCH = 1000
"""Windows per call."""

TOLERANCE = 1e-3
"""Largest difference between the model's output and that of its logits, relative to the largest output;
both are computed in float32."""


@dataclass(frozen=True, eq=False)
class KerasReading:
    """A Keras model that has been read."""

    network: Network
    model: Any
    inputs: WindowColumns
    function: str
    """What the model applies to its logits and the network leaves out: see classifier_head."""
    task: str
    """classification, regression or embedding."""
    unit_length: bool
    """Whether the model scales its output to length 1, which the network leaves out."""
    recorder: LogitsRecorder

    def logits(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's logits `[N, classes]` of float32 windows `[N, steps, features]`, by Keras.

        Raises DataError for a model that does something else with the logits than its last layer says.
        """
        fixed = self.model.inputs[0].shape[0]
        size = BATCH if fixed is None else fixed
        found = [self._run(windows[k : k + size], size) for k in range(0, len(windows), size)]
        return logits_of(np.concatenate(found), self.function)

    def _run(self, windows: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Before the function at the end; `size`: of the batches, of which the last one may be short."""
        count = len(windows)
        if self.model.inputs[0].shape[0] is not None:
            windows = np.resize(windows, (size, *windows.shape[1:]))
        with warnings.catch_warnings(), self.recorder.recording() as seen:
            warnings.simplefilter("ignore")  # of Keras 3, when a Keras 2 model has its input in a list
            whole = np.asarray(self.model(self.inputs.arrays(windows), training=False), np.float32)
        values: NDArray[np.float32] = seen[-1] if self.recorder.layer is not None else whole
        expected = output_of(values, self.function)
        difference = float(np.abs(whole - expected).max())
        if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise DataError(
                f"the model's own output differs by up to {difference:.2g} from the {self.function} of "
                "its logits. Expected a model that does nothing else with them."
            )
        return values[:count]


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
    for layer in layers_inside(model):  # so that a picture model is told about its layers, not its shape
        _check(layer)
    inputs = window_columns(model)
    reader = GraphReader()
    output = one_output(model, reader.read(model, inputs.values()))
    if len(output.shape) != 1:
        raise DataError(
            f"the model gives {list(output.shape)} for a window. Expected [outputs], as a model that "
            "gives a sequence, such as an autoencoder, cannot be converted. If the last recurrent layer "
            "need not give one, set return_sequences=False."
        )
    head, unit_length = without_unit_length(output.vector("logits"))
    if unit_length and hints is not None and hints.asked is None:
        hints = replace(hints, asked=EMBEDDING)
    node, function, task = split_output(head, output.shape[0], hints)
    steps, features = inputs.window
    return KerasReading(
        network=network_of(with_last_rows(node), steps=steps, features=features, static=inputs.static),
        model=model,
        inputs=inputs,
        function=function,
        task=task,
        unit_length=unit_length,
        recorder=recorder(reader.maker(head), head, function),
    )


def _check(layer: Any) -> None:
    """Raise DataError for a layer that is refused whatever it reads."""
    if type(layer).__name__ == "InputLayer" or is_model(layer) or is_operation(layer):
        return
    check_readable(layer, READABLE_LAYERS)
