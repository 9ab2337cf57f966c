"""Models for keras_zoo.py with branches, masks, attention, several inputs, or windows of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Callable

import numpy as np

from tests.support.keras_joins import JOINED, TWO_INPUTS, sequences

STEPS, FEATURES = 6, 3


@dataclass(frozen=True)
class Branching:
    """A function from the input tensors to the output tensor, and the windows that the model takes."""

    function: Callable[..., Any]
    shapes: tuple = ((STEPS, FEATURES),)
    masked: float | None = None
    """The value of the rows that do not count."""
    tokens: int | None = None
    """The number of tokens that the windows hold instead of numbers."""

    def build(self, keras):
        sources = [keras.Input(shape) for shape in self.shapes]
        return keras.Model(sources[0] if len(sources) == 1 else sources, self.function(*sources))

    def windows(self, count=20, seed=1):
        """Windows in which some rows do not count, if there is a mask; none is empty."""
        rng = np.random.default_rng(seed)
        sequence = self.shapes[0]
        rows = (sequence[0], 1) if len(sequence) == 1 else (int(np.prod(sequence[:-1])), sequence[-1])
        static = sum(shape[0] for shape in self.shapes[1:])
        x = rng.normal(0, 1, (count, *rows)).astype(np.float32)
        if self.tokens is not None:
            x = rng.integers(1, self.tokens, x.shape, dtype=np.int32)
        if self.masked is not None:
            for first, part in (
                (0, slice(4, None)),
                (1, slice(2)),
                (2, slice(2, 4)),
                (3, slice(0, None, 2)),
            ):
                x[first::5, part] = self.masked
        aside = np.repeat(rng.normal(0, 1, (count, 1, static)), rows[0], axis=1).astype(np.float32)
        return np.concatenate([x, aside], axis=2) if static else x


def chain(*layers):
    """A function that applies the layers one after the other."""

    def function(x):
        for layer in layers:
            x = layer(x)
        return x

    return function


def residual(keras, x):
    x = keras.layers.Masking()(x)
    return keras.layers.Dense(3)(keras.layers.LSTM(4)(keras.layers.Add()([x, sequences(keras)(x)])))


def side_by_side(keras, x):
    x = keras.layers.Masking()(x)
    return keras.layers.Dense(3)(
        keras.layers.LSTM(4)(
            keras.layers.Concatenate()([x, keras.layers.GRU(2, return_sequences=True)(x)])
        )
    )


def one_branch(keras, x):
    h = sequences(keras)(keras.layers.Masking()(x))
    rows = keras.layers.Add()([h, keras.layers.Dense(FEATURES)(x)])
    return keras.layers.Dense(3)(keras.layers.LSTM(4)(rows))


def nested(keras, x):
    inner = keras.Input((STEPS, FEATURES))
    model = keras.Model(inner, sequences(keras, 4)(inner))
    return keras.layers.Dense(3)(keras.layers.GRU(4)(model(keras.layers.Masking()(x))))


def self_attention(keras, x):
    h = sequences(keras, 4)(keras.layers.Masking()(x))
    return keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Attention()([h, h])))


def asked_by_the_state(keras, x):
    h, state, _ = keras.layers.LSTM(4, return_sequences=True, return_state=True)(
        keras.layers.Masking()(x)
    )
    return keras.layers.Dense(3)(
        keras.layers.Flatten()(
            keras.layers.Attention(use_scale=True)([keras.layers.Reshape((1, 4))(state), h])
        )
    )


def masked(keras):
    """Name -> model with a mask."""
    layers = keras.layers
    dense, flatten = layers.Dense, layers.Flatten

    def lstm(units=4, **options):
        return layers.LSTM(units, **options)

    def every(units=4, **options):
        return layers.LSTM(units, return_sequences=True, **options)

    masking = layers.Masking
    chains = {
        "masking lstm": [masking(), lstm(), dense(3)],
        "masking value": [masking(mask_value=-1.0), lstm(), dense(3)],
        "masking gru": [masking(), layers.GRU(4), dense(3)],
        "masking gru reset before": [masking(), layers.GRU(4, reset_after=False), dense(3)],
        "masking simple rnn": [masking(), layers.SimpleRNN(4), dense(3)],
        "masking hard sigmoid": [masking(), lstm(recurrent_activation="hard_sigmoid"), dense(3)],
        "masking unrolled": [masking(), lstm(unroll=True), dense(3)],
        "masking stacked": [masking(), every(), layers.Dropout(0.2), dense(4), lstm(), dense(3)],
        "masking sequences": [masking(), every(), flatten(), dense(3)],
        "masking zeros": [masking(), every(zero_output_for_mask=True), flatten(), dense(3)],
        "masking backwards": [masking(), every(go_backwards=True), lstm(), dense(3)],
        "masking bidirectional": [masking(), layers.Bidirectional(lstm()), dense(3)],
        "masking bidirectional sequences": [
            masking(),
            layers.Bidirectional(every()),
            flatten(),
            dense(3),
        ],
        "masking bidirectional sum": [
            masking(),
            layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="sum"),
            lstm(),
            dense(3),
        ],
        "masking average": [
            masking(),
            every(),
            layers.GlobalAveragePooling1D(),
            dense(3),
        ],
        "masking maximum": [masking(), every(), layers.GlobalMaxPooling1D(), dense(3)],
        "masking convolution": [masking(), layers.Conv1D(4, 2), lstm(), dense(3)],
        "masking time distributed": [
            masking(),
            layers.TimeDistributed(dense(4, activation="relu")),
            layers.BatchNormalization(),
            lstm(),
            dense(3),
        ],
    }
    models = {name: chain(*content) for name, content in chains.items()}
    models |= {
        "masking residual": partial(residual, keras),
        "masking side by side": partial(side_by_side, keras),
        "masking one branch": partial(one_branch, keras),
        "masking nested": partial(nested, keras),
        "masking attention": partial(self_attention, keras),
        "masking attention by state": partial(asked_by_the_state, keras),
    }
    values = {"masking value": -1.0}
    return {name: Branching(content, masked=values.get(name, 0.0)) for name, content in models.items()}


def tokens(keras):
    """Name -> model of integer tokens."""
    layers = keras.layers

    def embedding(**options):
        return layers.Embedding(7, 4, **options)

    lstm, dense = layers.LSTM, layers.Dense
    shapes = ((STEPS,),)
    average = layers.GlobalAveragePooling1D
    return {
        "embedding": Branching(chain(embedding(), lstm(4), dense(3)), shapes, tokens=7),
        "embedding mask zero": Branching(
            chain(embedding(mask_zero=True), lstm(4), dense(3)), shapes, 0.0, 7
        ),
        "embedding average": Branching(
            chain(embedding(mask_zero=True), average(), dense(3)), shapes, 0.0, 7
        ),
        "embedding convolution": Branching(
            chain(embedding(), layers.Conv1D(4, 3), layers.GlobalMaxPooling1D(), dense(3)),
            shapes,
            tokens=7,
        ),
        "vector as steps": Branching(chain(layers.Reshape((STEPS, 1)), lstm(4), dense(3)), shapes),
    }


def parts(keras):
    """Name -> model of windows `[parts, steps, features]`."""
    layers = keras.layers
    td, dense = layers.TimeDistributed, layers.Dense
    ends = [layers.LSTM, layers.GRU, layers.LSTM]

    def convolutional(*options):
        return [
            td(layers.Conv1D(4, 3, padding="same", activation="relu")),
            td(layers.MaxPooling1D(2)),
            *options,
        ]

    four = ((3, 4, 2),)
    cases = {
        "parts": (four, [*convolutional(), td(layers.Flatten()), ends[0](4), dense(3)]),
        "parts by reshape": (
            ((12, 2),),
            [layers.Reshape((3, 4, 2)), *convolutional(td(layers.Flatten())), ends[1](4), dense(3)],
        ),
        "parts pooled": (
            four,
            [
                td(layers.Conv1D(4, 2)),
                td(layers.BatchNormalization()),
                layers.Activation("relu"),
                td(layers.AveragePooling1D(2, strides=1)),
                td(layers.Dropout(0.3)),
                td(layers.GlobalAveragePooling1D()),
                td(dense(4, activation="tanh")),
                layers.LSTM(4),
                dense(3),
            ],
        ),
        "parts by a model": (
            four,
            [
                td(
                    keras.Sequential(
                        [
                            keras.Input((4, 2)),
                            layers.Conv1D(4, 2, activation="relu"),
                            layers.MaxPooling1D(2),
                            layers.Flatten(),
                            dense(3),
                        ]
                    )
                ),
                layers.LSTM(4),
                dense(3),
            ],
        ),
        "parts in a row": (
            four,
            [td(dense(3)), layers.Reshape((12, 3)), layers.LSTM(4), dense(3)],
        ),
        "parts joined": (
            four,
            [td(layers.Conv1D(4, 2)), layers.Reshape((3, 12)), layers.LSTM(4), dense(3)],
        ),
    }
    return {name: Branching(chain(*content), shapes) for name, (shapes, content) in cases.items()}


def branching(keras, ops):
    """Name -> Branching. `ops`: keras.ops, or the functions of TensorFlow for Keras 2."""
    two = ((STEPS, FEATURES), (2,))
    return {
        **masked(keras),
        **tokens(keras),
        **parts(keras),
        **{name: Branching(partial(function, keras, ops)) for name, function in JOINED.items()},
        **{name: Branching(partial(function, keras, ops), two) for name, function in TWO_INPUTS.items()},
    }
