"""The Keras model: LSTM, last output into a Dense layer that gives the logits."""

from __future__ import annotations

from typing import Any


def build_model(keras: Any, *, steps: int, features: int, units: int, classes: int) -> Any:
    """An untrained Sequential model, `[N, steps, features]` float32 to logits `[N, classes]`.

    Forget bias 1 (Jozefowicz et al. 2015), as the notebook this project starts from has it.
    """
    return keras.Sequential(
        [
            keras.Input((steps, features)),
            keras.layers.LSTM(units, unit_forget_bias=True, name="lstm"),
            keras.layers.Dense(classes, name="logits"),
        ]
    )
