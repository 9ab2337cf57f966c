"""Keras 2's hard_sigmoid for models of Keras 3, whose function of this name is another one.

Source: keras/backend/tensorflow_backend.py of Keras 2.2.4; tf_keras/src/backend.py.
"""

from __future__ import annotations

from typing import Any, Callable

OF_KERAS_2 = "hard_sigmoid_02"
"""The function's name, by which convert.readers.keras.functions knows it."""


def hard_sigmoid_of(keras: Any) -> Callable[[Any], Any]:
    """A function that computes clip(0.2 x + 0.5, 0, 1) of a tensor; `keras`: the package, Keras 3.

    Its name is OF_KERAS_2.
    """

    def hard_sigmoid_02(values: Any) -> Any:
        return keras.ops.clip(0.2 * values + 0.5, 0.0, 1.0)

    return hard_sigmoid_02
