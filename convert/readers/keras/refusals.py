"""Layers of Keras that cannot be converted: the reason, if it is not obvious, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from convert.readers.keras.layer_config import described, named
from edge_runtime.errors import DataError

REFUSED = {
    "Lambda": ", because its Python code does not show what it computes. Write it with layers of Keras "
    "or keras.ops: x[:, -1], a + b, keras.ops.sum(x, axis=1).",
    "PReLU": ". Use ReLU or LeakyReLU.",
    "ConvLSTM1D": ". Use TimeDistributed(Conv1D) and then LSTM.",
    "ConvLSTM2D": ". Use TimeDistributed(Conv1D) and then LSTM.",
    "ConvLSTM3D": ". Use TimeDistributed(Conv1D) and then LSTM.",
    "Conv2D": ". Use Conv1D along the steps, or TimeDistributed(Conv1D).",
    "MaxPooling2D": ". Use MaxPooling1D along the steps.",
    "MultiHeadAttention": ". Use Attention, which has one head.",
    "GroupedQueryAttention": ". Use Attention, which has one head.",
    "CuDNNLSTM": ". Build the model with LSTM and set these weights.",
    "CuDNNGRU": ". Build the model with GRU(reset_after=True) and set these weights.",
}
"""Class of a layer -> the end of the sentence."""


def check_readable(layer: Any, known: set[str]) -> None:
    """Raise DataError for a layer that is not one of the classes `known`, and for half precision."""
    kind = type(layer).__name__
    if type(layer).__module__.split(".")[0] not in ("keras", "tf_keras"):
        raise DataError(f"{named(layer)} is a class of your own. Use the layers of Keras.")
    if kind not in known:
        raise DataError(f"{named(layer)} is not supported{end_of_refusal(kind, known)}")
    policy = str(layer.compute_dtype)
    if policy not in ("float32", "float64") or getattr(layer, "quantization_mode", None):
        raise DataError(
            f"{named(layer)} computes in {described(layer)}. Expected float32; build the model with "
            "that policy and set its weights."
        )


def end_of_refusal(kind: str, known: set[str]) -> str:
    """The end of the sentence `layer ... is not supported`."""
    return REFUSED.get(kind, f". Expected {', '.join(sorted(known))}.")


def layers_inside(model: Any) -> Iterator[Any]:
    """Every layer of a model, with those inside models and TimeDistributed."""
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from layers_inside(layer)
        inner = getattr(layer, "layer", None)
        if type(layer).__name__ == "TimeDistributed" and inner is not None:
            yield inner
            yield from layers_inside(inner)
