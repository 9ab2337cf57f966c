"""The end of a classifier: the function that turns its logits into its output.

The converted model gives logits, and its user applies softmax, as edge_runtime.Classifier does. So a
softmax at the end is left out. A single output with sigmoid, the probability of class 1, becomes the two
logits 0 and z, as softmax([0, z]) = [1 - sigmoid(z), sigmoid(z)].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.source_model.network import Activation, Dense, Layer
from edge_runtime.errors import DataError

Array = NDArray[np.float32]


def split_head(layers: list[Layer], classes: int) -> tuple[list[Layer], str]:
    """The layers up to the logits, and the function that follows: softmax, sigmoid or linear.

    `classes`: width of the model's output. Raises DataError if the output is not a classifier's.
    """
    function = "linear"
    last = layers[-1] if layers else None
    if isinstance(last, Activation) and last.function in ("softmax", "sigmoid"):
        function, layers = last.function, layers[:-1]
    elif isinstance(last, Dense) and last.activation in ("softmax", "sigmoid"):
        function, layers = last.activation, [*layers[:-1], replace(last, activation="linear")]
    if classes == 1 and function != "sigmoid":
        raise DataError(
            "the model has one output without sigmoid, which is a regression. Expected a classifier "
            "with one logit for each class, or Dense(1, activation='sigmoid') for two classes."
        )
    if classes > 1 and function == "sigmoid":
        raise DataError(
            f"the model has {classes} outputs with sigmoid, which is several labels at a time. Expected "
            "a classifier whose outputs have softmax or no activation."
        )
    return (_two_logits(layers) if function == "sigmoid" else layers), function


def _two_logits(layers: list[Layer]) -> list[Layer]:
    last = layers[-1] if layers else None
    if isinstance(last, Dense) and last.activation == "linear":
        kernel, bias = np.pad(last.kernel, ((1, 0), (0, 0))), np.pad(last.bias, (1, 0))
        return [*layers[:-1], replace(last, kernel=kernel, bias=bias)]
    kernel = np.array([[0], [1]], np.float32)
    return [*layers, Dense("two_logits", kernel, np.zeros(2, np.float32))]


def logits_of(values: Array, function: str) -> Array:
    """The Network's logits `[N, classes]` for the full model's values before `function`."""
    return np.pad(values, ((0, 0), (1, 0))) if function == "sigmoid" else values


def output_of(values: Array, function: str) -> Array:
    """The full model's output for its values before `function`."""
    if function == "linear":
        return values
    wide = logits_of(values.astype(np.float64), function)
    exponentials = np.exp(wide - wide.max(axis=1, keepdims=True))
    probabilities: Array = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities[:, 1:] if function == "sigmoid" else probabilities
