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
    source = keras.Input((2, 8, 8, 1))
    return keras.Sequential([source, keras.layers.Flatten(), dense()(keras.layers)])


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


def cell_state(keras, x):
    _, _, c = lstm(return_state=True)(keras.layers)(x)
    return dense()(keras.layers)(c)


def initial_state(keras, x):
    _, h, c = keras.layers.LSTM(4, return_state=True)(x)
    return dense()(keras.layers)(lstm()(keras.layers)(x, initial_state=[h, c]))


def two_heads(keras, x):
    h = keras.layers.LSTM(4, return_sequences=True)(x)
    heads = keras.layers.MultiHeadAttention(2, 4, name="heads")(h, h)
    return dense()(keras.layers)(keras.layers.Flatten()(heads))


def additive(keras, x):
    h = keras.layers.LSTM(4, return_sequences=True)(x)
    rows = keras.layers.AdditiveAttention(name="additive")([h, h])
    return dense()(keras.layers)(keras.layers.Flatten()(rows))


def concat_scores(keras, x):
    h = keras.layers.LSTM(4, return_sequences=True)(x)
    rows = keras.layers.Attention(score_mode="concat", name="scores")([h, h])
    return dense()(keras.layers)(keras.layers.Flatten()(rows))


def causal(keras, x):
    h = keras.layers.LSTM(4, return_sequences=True)(x)
    rows = keras.layers.Attention(name="causal")([h, h], use_causal_mask=True)
    return dense()(keras.layers)(keras.layers.Flatten()(rows))


def two_matrices(keras, x):
    product = keras.layers.Dot(axes=2, name="gram")([x, x])
    return dense()(keras.layers)(keras.layers.Flatten()(product))


def own_mask(keras, x):
    mask = keras.ops.any(x > 0, axis=-1)
    return dense()(keras.layers)(lstm()(keras.layers)(x, mask=mask))


def operation(keras, x):
    return dense()(keras.layers)(lstm()(keras.layers)(keras.ops.sin(x)))


def autoencoder(keras, x):
    layers = keras.layers
    code = layers.RepeatVector(STEPS)(lstm()(layers)(x))
    return layers.TimeDistributed(dense(FEATURES)(layers))(layers.LSTM(4, return_sequences=True)(code))


def branching_parts(keras):
    layers = keras.layers
    part = keras.Input((4, 2))
    inner = keras.Model(part, layers.Flatten()(layers.Add()([part, layers.Dense(2)(part)])))
    source = keras.Input((3, 4, 2))
    rows = layers.TimeDistributed(inner, name="parts")(source)
    return keras.Model(source, dense()(layers)(lstm()(layers)(rows)))


def masked_softmax(keras, x):
    layers = keras.layers
    rows = layers.LSTM(STEPS, return_sequences=True)(layers.Masking()(x))
    return dense()(layers)(layers.Flatten()(layers.Softmax(name="soft")(rows)))


def films(keras):
    layers = keras.layers
    source = keras.Input((5, 8, 8, 1))
    h = layers.ConvLSTM2D(2, 3, name="film")(source)
    return keras.Model(source, dense()(layers)(layers.Flatten()(h)))


def convolved_picture(keras):
    layers = keras.layers
    source = keras.Input((8, 8, 1))
    h = layers.Conv2D(2, 3, name="picture")(source)
    return keras.Model(source, dense()(layers)(layers.Flatten()(h)))


def dropout_at_inference(keras, x):
    h = keras.layers.Dropout(0.5, name="drop")(lstm()(keras.layers)(x), training=True)
    return dense()(keras.layers)(h)


CASES = {
    "stateful": (
        stateful,
        "layer 'cell' (LSTM) has stateful=True, but a converted model starts every window from a "
        "state of zero. Build the model with stateful=False and set its weights; --graph step then",
    ),
    "pictures": (picture, "input shape is [None, 2, 8, 8, 1]. Expected [None, steps, features], [None"),
    "films": (
        films,
        "layer 'film' (ConvLSTM2D) is not supported. Use TimeDistributed(Conv1D) and then LSTM",
    ),
    "convolved pictures": (convolved_picture, "layer 'picture' (Conv2D) is not supported. Use Conv1D"),
    "autoencoder": (functional(autoencoder), "the model gives [6, 3] for a window. Expected [outputs]"),
    "cell state": (functional(cell_state), "layer 'cell' (LSTM): its cell state c is used. A converted"),
    "initial state": (functional(initial_state), "layer 'cell' (LSTM) is given an initial state, but a"),
    "several heads": (
        functional(two_heads),
        "layer 'heads' (MultiHeadAttention) is not supported. Use Attention, which has one head.",
    ),
    "additive attention of rows": (
        functional(additive),
        "layer 'additive' (AdditiveAttention) adds query and key, and has a query of 6 rows. Expected a",
    ),
    "attention with added scores": (
        functional(concat_scores),
        "layer 'scores' (Attention) adds query and key, and has a query of 6 rows. Expected a",
    ),
    "causal attention": (
        functional(causal),
        "layer 'causal' is called with use_causal_mask=True. Leave out this argument.",
    ),
    "two matrices": (
        functional(two_matrices),
        "layer 'gram' (Dot) multiplies [6, 3] by [6, 3], two matrices that depend on the window",
    ),
    "own mask": (
        functional(own_mask),
        "layer 'cell' is called with a mask of its own. Leave out this argument; the layers Masking",
    ),
    "masked softmax": (
        functional(masked_softmax),
        "layer 'soft' (Softmax) gets masked rows, which it would leave out. Use Activation('softmax')",
    ),
    "other operation": (
        functional(operation),
        "(Sin) is not supported. Expected layers of Keras, or",
    ),
    "parts by a model with branches": (
        branching_parts,
        "layer 'parts' (TimeDistributed) holds a model with branches. Expected a chain of layers",
    ),
    "own layer": (own_layer, "layer 'twice' (Twice) is a class of your own"),
    "lambda": (
        sequential(lstm(), lambda layers: layers.Lambda(lambda x: 2 * x, name="double"), dense()),
        "layer 'double' (Lambda) is not supported, because its Python code does not show what it "
        "computes. Write it with layers of Keras or keras.ops: x[:, -1]",
    ),
    "permuted": (
        sequential(lambda layers: layers.Permute((2, 1), name="turn"), lstm(), dense()),
        "layer 'turn' (Permute) has dims=(2, 1), and a converted model does not transpose [6, 3]",
    ),
    "time distributed cell": (
        sequential(
            lambda layers: layers.TimeDistributed(layers.UnitNormalization(name="unit"), name="rows"),
            lstm(),
            dense(),
        ),
        "layer 'rows' (UnitNormalization) is not the last layer. Expected it only at the end",
    ),
    "two sequences": (
        two_inputs,
        "has 2 inputs, [None, 6, 3] and [None, 6, 3]. Expected one, or a sequence",
    ),
    "two outputs": (two_outputs, "has 2 outputs. Expected one; build a model with that output alone"),
    "dynamic steps": (dynamic_steps, "input shape is [None, None, 3]. Expected a fixed number of steps"),
    "not built": (
        not_built,
        "no fixed input. Expected a Sequential or functional model with keras.Input",
    ),
    "stacked cells": (
        sequential(
            lambda layers: layers.RNN([layers.LSTMCell(4), layers.LSTMCell(4)], name="cell"), dense()
        ),
        "layer 'cell' (RNN) has the cell StackedRNNCells. Expected LSTMCell, GRUCell, SimpleRNNCell",
    ),
    "own cell": (own_cell, "layer 'cell' (RNN) has the cell Cell. Expected LSTMCell"),
    "subclassed": (subclassed, "Expected a"),
    "own model class": (own_model, "the model is a Doubled. Expected a Keras Sequential or functional"),
    "dense gelu": (
        sequential(lstm(), dense(activation="gelu")),
        "layer 'head' (Dense) has activation='gelu'. Expected linear, relu, sigmoid, softmax, tanh, elu",
    ),
    "unit normalization": (
        sequential(lstm(), lambda layers: layers.UnitNormalization(name="unit"), dense()),
        "layer 'unit' (UnitNormalization) is not the last layer. Expected it only at the end",
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
    "several labels": (
        sequential(lstm(), dense(3, activation="sigmoid")),
        "3 outputs with sigmoid, which is several labels at a time",
    ),
    "sequence of classes": (
        sequential(lstm(return_sequences=True), dense()),
        "gives [6, 3] for a window. Expected [outputs], as a model that gives a sequence, such as an",
    ),
    "half precision": (half_precision, "layer 'cell' (LSTM) computes in float16. Expected float32"),
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
