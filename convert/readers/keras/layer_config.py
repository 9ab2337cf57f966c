"""Shared by the readers of Keras layers: names for messages, settings, weights as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convert.source_model.network import Weights
from edge_runtime.errors import DataError


def named(layer: Any) -> str:
    """The name of a layer in messages."""
    return f"layer {layer.name!r} ({type(layer).__name__})"


def described(layer: Any) -> str:
    """The name of a layer's arithmetic in messages."""
    mode = getattr(layer, "quantization_mode", None)
    return str(mode or layer.compute_dtype)


def require(layer: Any, settings: Mapping[str, tuple[Any, ...]], owner: Any = None) -> None:
    """Raise DataError unless every setting of the layer has one of the allowed values.

    `settings`: name -> allowed values; the first one is meant where the layer lacks the setting.
    `owner`: the layer that messages name if `layer` is only a part of it.
    """
    config = layer.get_config()
    for setting, allowed in settings.items():
        value = config.get(setting, allowed[0])
        if isinstance(value, np.ndarray):  # Keras 2 has numbers as arrays
            value = value.item()
        if value not in allowed:
            expected = " or ".join(repr(item) for item in allowed if item is not None)
            raise DataError(
                f"{named(owner or layer)} has {setting}={value!r}. Expected {expected or None}."
            )


def float32(values: Any) -> Weights:
    """A Keras variable, or anything that numpy accepts, as float32."""
    return np.ascontiguousarray(np.asarray(values), np.float32)


def zeros_without(layer: Any, setting: str, weight: str, count: int) -> Weights:
    """The layer's weight `[count]`, or zeros if the layer was built without it."""
    if not layer.get_config()[setting]:
        return np.zeros(count, np.float32)
    return float32(getattr(layer, weight))
