"""The Keras model that a training ends in: recurrent layers, and a Dense layer that gives the logits."""

from __future__ import annotations

from typing import Any

from train.hyperparameters import Hyperparameters


def build_model(
    keras: Any, hyperparameters: Hyperparameters, *, steps: int, features: int, classes: int
) -> Any:
    """An untrained Sequential model, `[N, steps, features]` float32 to logits `[N, classes]`.

    All layers are Keras's own, named by their cell (lstm; lstm_1 and lstm_2 where there are several),
    dropout_1 and so on, and logits. Forget bias 1 (Jozefowicz et al. 2015), as the notebook this project
    starts from has it.
    """
    layers = [keras.Input((steps, features))]
    count = len(hyperparameters.units)
    for number, units in enumerate(hyperparameters.units, 1):
        name = hyperparameters.cell if count == 1 else f"{hyperparameters.cell}_{number}"
        layer = _recurrent(keras, hyperparameters.cell, units, name, sequences=number < count)
        if hyperparameters.bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"bidirectional_{number}")
        layers.append(layer)
        if hyperparameters.dropout:
            layers.append(keras.layers.Dropout(hyperparameters.dropout, name=f"dropout_{number}"))
    return keras.Sequential([*layers, keras.layers.Dense(classes, name="logits")])


def _recurrent(keras: Any, cell: str, units: int, name: str, *, sequences: bool) -> Any:
    if cell == "lstm":
        return keras.layers.LSTM(units, unit_forget_bias=True, return_sequences=sequences, name=name)
    kind = {"gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[cell]
    return kind(units, return_sequences=sequences, name=name)
