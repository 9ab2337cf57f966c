"""The functions that a Keras layer applies, by the Network's names.

Keras gives two functions the name hard_sigmoid: Keras 1 and 2 compute clip(0.2 x + 0.5, 0, 1)
(keras/backend/tensorflow_backend.py of 2.2.4, tf_keras/src/backend.py), Keras 3 computes
relu6(x + 3) / 6 (keras/src/activations/activations.py). A layer's config holds the name only, so the
function itself tells which one is meant.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from convert.readers.keras.layer_config import named
from convert.readers.tensorflow.keras2.hard_sigmoid import OF_KERAS_2
from convert.source_model.network import HARD_SIGMOID, HARD_SIGMOID_02
from edge_runtime.errors import DataError


def function_of(layer: Any, setting: str, allowed: Sequence[str], owner: Any = None) -> str:
    """The Network's name of the function that `layer` has in `setting`, such as "activation".

    `owner`: the layer that messages name if `layer` is only its cell. Raises DataError for a function
    that is not among `allowed`.
    """
    value = layer.get_config()[setting]
    name = "linear" if value is None else value
    if isinstance(value, dict):  # a function or a layer instead of a name
        name = value["config"] if isinstance(value["config"], str) else value["class_name"]
    if name == HARD_SIGMOID and _is_keras2(getattr(layer, setting)):
        name = HARD_SIGMOID_02
    if name == OF_KERAS_2 and getattr(layer, setting).__module__.startswith("convert."):
        name = HARD_SIGMOID_02
    elif isinstance(value, dict):
        raise DataError(
            f"{named(owner or layer)} has {setting}={name!r}, which is no function of Keras. Expected "
            f"{_names(allowed)}."
        )
    if name not in allowed:
        raise DataError(f"{named(owner or layer)} has {setting}={name!r}. Expected {_names(allowed)}.")
    return str(name)


def _names(allowed: Sequence[str]) -> str:
    """By Keras's names: both hard sigmoids have the same one."""
    return ", ".join(name for name in allowed if name != HARD_SIGMOID_02)


def _is_keras2(function: Any) -> bool:
    """Whether a function comes from tf_keras, from a Keras below 3, or from inside TensorFlow."""
    library = str(function.__module__).split(".")[0]
    version = str(getattr(sys.modules.get(library), "__version__", ""))
    return library != "keras" or version.split(".")[0] in ("1", "2")
