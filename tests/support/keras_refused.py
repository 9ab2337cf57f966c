"""Keras models that cannot be converted, and words of the message that says so.

Name -> (function from keras to the model, words).
"""

from __future__ import annotations

STEPS, FEATURES = 6, 3


def sequential(*layers):
    """A function that builds a Sequential of `layers`, functions from keras.layers to a layer."""

    def build(keras):
        source = keras.Input((STEPS, FEATURES))
        return keras.Sequential([source, *(layer(keras.layers) for layer in layers)])

    return build


def functional(function):
    """A function that builds a functional model of `function(keras, input tensor)`."""

    def build(keras):
        source = keras.Input((STEPS, FEATURES))
        return keras.Model(source, function(keras, source))

    return build


def lstm(**options):
    return lambda layers: layers.LSTM(4, name="cell", **options)


def dense(units=3, **options):
    return lambda layers: layers.Dense(units, name="head", **options)


def dynamic_steps(keras):
    return keras.Sequential([keras.Input((None, FEATURES)), lstm()(keras.layers), dense()(keras.layers)])


def not_built(keras):
    return keras.Sequential([lstm()(keras.layers), dense()(keras.layers)])


def picture(keras):
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), dense()(keras.layers)])


def stateful(keras):
    source = keras.Input(batch_shape=(1, STEPS, FEATURES))
    return keras.Sequential([source, lstm(stateful=True)(keras.layers), dense()(keras.layers)])


def subclassed(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.cell = keras.layers.LSTM(4)

        def call(self, x):
            return self.cell(x)

    net = Net()
    net.build((None, STEPS, FEATURES))
    return net


def own_layer(keras):
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    return sequential(lstm(), lambda layers: Twice(name="twice"), dense())(keras)


def own_cell(keras):
    class Cell(keras.layers.LSTMCell):
        pass

    return sequential(lambda layers: layers.RNN(Cell(4), name="cell"), dense())(keras)


def own_model(keras):
    class Doubled(keras.Sequential):
        def call(self, x, **options):
            return 2 * super().call(x, **options)

    source = keras.Input((STEPS, FEATURES))
    return Doubled([source, lstm()(keras.layers), dense()(keras.layers)])


def half_precision(keras):
    return sequential(lstm(dtype="mixed_float16"), dense())(keras)


def two_inputs(keras):
    sources = [keras.Input((STEPS, FEATURES)) for _ in range(2)]
    joined = keras.layers.Concatenate()(sources)
    return keras.Model(sources, dense()(keras.layers)(lstm()(keras.layers)(joined)))


def two_outputs(keras):
    source = keras.Input((STEPS, FEATURES))
    h = lstm()(keras.layers)(source)
    return keras.Model(source, [dense()(keras.layers)(h), keras.layers.Dense(1)(h)])


def residual(keras, x):
    h = keras.layers.LSTM(FEATURES, return_sequences=True)(x)
    return dense()(keras.layers)(keras.layers.Flatten()(keras.layers.Add(name="sum")([x, h])))


def last_row(keras, x):
    return dense()(keras.layers)(lstm(return_sequences=True)(keras.layers)(x)[:, -1])


def state_output(keras, x):
    _, h, _ = lstm(return_state=True)(keras.layers)(x)
    return dense()(keras.layers)(h)


def unmerged(keras, x):
    both = keras.layers.Bidirectional(keras.layers.LSTM(4), merge_mode=None, name="both")
    return dense()(keras.layers)(both(x)[0])


def dropout_at_inference(keras, x):
    h = keras.layers.Dropout(0.5, name="drop")(lstm()(keras.layers)(x), training=True)
    return dense()(keras.layers)(h)


CASES = {
    "masking": (
        sequential(lambda layers: layers.Masking(name="gaps"), lstm(), dense()),
        "layer 'gaps' (Masking) is not supported, because an unrolled model reads every row. Remove",
    ),
    "stateful": (stateful, "layer 'cell' (LSTM) has stateful=True"),
    "dynamic steps": (dynamic_steps, "input shape is [None, None, 3]. Expected a fixed number of steps"),
    "not built": (
        not_built,
        "no fixed input. Expected a Sequential or functional model with keras.Input",
    ),
    "pictures": (picture, "input shape is [None, 8, 8, 1]. Expected [None, steps, features]"),
    "stacked cells": (
        sequential(
            lambda layers: layers.RNN([layers.LSTMCell(4), layers.LSTMCell(4)], name="cell"), dense()
        ),
        "layer 'cell' (RNN) has the cell StackedRNNCells. Expected LSTMCell, GRUCell, SimpleRNNCell",
    ),
    "own cell": (own_cell, "layer 'cell' (RNN) has the cell Cell. Expected LSTMCell"),
    "own layer": (own_layer, "layer 'twice' (Twice) is a class of your own"),
    "subclassed": (subclassed, "Expected a"),
    "own model class": (own_model, "the model is a Doubled. Expected a Keras Sequential or functional"),
    "dense gelu": (
        sequential(lstm(), dense(activation="gelu")),
        "layer 'head' (Dense) has activation='gelu'. Expected linear, relu, sigmoid, softmax, tanh, elu",
    ),
    "lambda": (
        sequential(lstm(), lambda layers: layers.Lambda(lambda x: 2 * x, name="double"), dense()),
        "layer 'double' (Lambda) is not supported. Write it with layers of Keras.",
    ),
    "unit normalization": (
        sequential(lstm(), lambda layers: layers.UnitNormalization(name="unit"), dense()),
        "layer 'unit' (UnitNormalization) is not supported. Expected LSTM, GRU,",
    ),
    "max pooling": (
        sequential(lambda layers: layers.MaxPooling1D(name="pool"), lstm(), dense()),
        "layer 'pool' (MaxPooling1D) is not supported. Use strides in a Conv1D",
    ),
    "bidirectional unmerged": (
        functional(unmerged),
        "layer 'both' (Bidirectional) has merge_mode=None. Expected 'concat' or 'sum' or 'mul' or 'ave'",
    ),
    "bidirectional turned": (
        sequential(
            lambda layers: layers.Bidirectional(
                layers.LSTM(4, go_backwards=True), backward_layer=layers.LSTM(4), name="both"
            ),
            dense(),
        ),
        "layer 'both' (Bidirectional): its first layer reads backwards",
    ),
    "normalized steps": (
        sequential(lambda layers: layers.BatchNormalization(axis=1, name="norm"), lstm(), dense()),
        "layer 'norm' (BatchNormalization) has axis=1. Expected -1, the features",
    ),
    "normalized steps and features": (
        sequential(lambda layers: layers.LayerNormalization(axis=[1, 2], name="norm"), lstm(), dense()),
        "layer 'norm' (LayerNormalization) has axis=[1, 2]. Expected -1, the features",
    ),
    "grouped convolution": (
        sequential(lambda layers: layers.Conv1D(3, 2, groups=3, name="conv"), lstm(), dense()),
        "layer 'conv' (Conv1D) has groups=3. Expected 1",
    ),
    "relu6": (
        sequential(lstm(), lambda layers: layers.ReLU(max_value=6, name="six"), dense()),
        "layer 'six' (ReLU) has max_value=6",
    ),
    "leaky relu": (
        sequential(lstm(), lambda layers: layers.LeakyReLU(name="leaky"), dense()),
        "layer 'leaky' (LeakyReLU) is not supported. Use ReLU",
    ),
    "reshaped": (
        sequential(lambda layers: layers.Reshape((3, 6), name="turn"), lstm(), dense()),
        "layer 'turn' (Reshape) makes [3, 6] of [6, 3]",
    ),
    "permuted": (
        sequential(lambda layers: layers.Permute((2, 1), name="turn"), lstm(), dense()),
        "layer 'turn' (Permute) has dims=(2, 1)",
    ),
    "time distributed cell": (
        sequential(
            lambda layers: layers.TimeDistributed(layers.UnitNormalization(), name="rows"),
            lstm(),
            dense(),
        ),
        "layer 'rows' (TimeDistributed) holds a UnitNormalization. Expected Dense",
    ),
    "several labels": (
        sequential(lstm(), dense(3, activation="sigmoid")),
        "3 outputs with sigmoid, which is several labels at a time",
    ),
    "sequence of classes": (
        sequential(lstm(return_sequences=True), dense()),
        "gives [6, 3] for a window. Expected [classes]. If the last recurrent layer",
    ),
    "half precision": (half_precision, "layer 'cell' (LSTM) computes in float16. Expected float32"),
    "two inputs": (two_inputs, "has 2 inputs. Expected one"),
    "two outputs": (two_outputs, "has 2 outputs. Expected one"),
    "branches": (functional(residual), "layer 'sum' takes 2 inputs. Expected a chain of layers"),
    "last row": (
        functional(last_row),
        "is not a layer. To take the last row, set return_sequences=False.",
    ),
    "state output": (functional(state_output), "layer 'cell': its output number 2 is used"),
    "dropout at inference": (
        functional(dropout_at_inference),
        "layer 'drop' is called with training=True. Leave out this argument.",
    ),
}


def sentences(keras):
    """Name -> the converter's message; None if it takes the model."""
    from convert.readers.keras.read_model import network_from_keras
    from edge_runtime.errors import DataError

    said = {}
    for name, (build, _) in CASES.items():
        model = build(keras)
        try:
            network_from_keras(model)
            said[name] = None
        except DataError as error:
            said[name] = str(error)
    return said
