"""The end of a model: the function that turns its logits into its output, or nothing in particular.

The converted classifier gives logits, and its user applies softmax, as edge_runtime.Classifier does. So
a softmax at the end is left out. A single output with sigmoid, the probability of class 1, becomes the
two logits 0 and z, as softmax([0, z]) = [1 - sigmoid(z), sigmoid(z)], and so does the single logit z
itself. The end of a regression or an embedding is kept as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.readers.model_task import LINEAR, LOGIT, SIGMOID, SOFTMAX, TaskHints, task_of
from convert.source_model.network import Activation, Dense, Layer
from edge_runtime.model_file.metadata import CLASSIFICATION

Array = NDArray[np.float32]


def head_function(layers: list[Layer]) -> str:
    """The function at the end of the layers: softmax, sigmoid or linear."""
    last = layers[-1] if layers else None
    if isinstance(last, Activation) and last.function in (SOFTMAX, SIGMOID):
        return last.function
    if isinstance(last, Dense) and last.activation in (SOFTMAX, SIGMOID):
        return last.activation
    return LINEAR


def split_head(
    layers: list[Layer], outputs: int, hints: TaskHints | None = None
) -> tuple[list[Layer], str, str]:
    """The layers of the Network, the function that they leave out, and the task.

    `outputs`: width of the model's output. `hints`: what tells the task; without them, linear outputs
    stay as they are, whatever they are. The function is softmax, sigmoid, logit or linear. Raises what
    `task_of` raises.
    """
    function = head_function(layers)
    if function == LINEAR and hints is None:
        return layers, LINEAR, CLASSIFICATION
    task = task_of(function, outputs, hints or TaskHints())
    if task != CLASSIFICATION:
        return layers, LINEAR, task
    last = layers[-1] if layers else None
    if function != LINEAR:
        layers = layers[:-1]
        if isinstance(last, Dense):
            layers = [*layers, replace(last, activation=LINEAR)]
    elif outputs == 1:
        function = LOGIT
    return (_two_logits(layers) if function in (SIGMOID, LOGIT) else layers), function, task


def _two_logits(layers: list[Layer]) -> list[Layer]:
    last = layers[-1] if layers else None
    if isinstance(last, Dense) and last.activation == LINEAR:
        kernel, bias = np.pad(last.kernel, ((1, 0), (0, 0))), np.pad(last.bias, (1, 0))
        return [*layers[:-1], replace(last, kernel=kernel, bias=bias)]
    kernel = np.array([[0], [1]], np.float32)
    return [*layers, Dense("two_logits", kernel, np.zeros(2, np.float32))]


def logits_of(values: Array, function: str) -> Array:
    """The Network's logits `[N, classes]` for the full model's values before `function`."""
    return np.pad(values, ((0, 0), (1, 0))) if function in (SIGMOID, LOGIT) else values


def output_of(values: Array, function: str) -> Array:
    """The full model's output for its values before `function`."""
    if function in (LINEAR, LOGIT):
        return values
    wide = logits_of(values.astype(np.float64), function)
    exponentials = np.exp(wide - wide.max(axis=1, keepdims=True))
    probabilities: Array = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities[:, 1:] if function == SIGMOID else probabilities
