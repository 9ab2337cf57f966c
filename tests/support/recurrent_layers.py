"""Outputs and gradients of train.recurrent and of Keras's own layers, in a process with TensorFlow.

    python -c "from tests.support.recurrent_layers import main; main()" FILE.json

Writes a list of records: `case`, `name` (`output`, or of what the gradient is) and `error`, the largest
difference, divided by Keras's largest value where that is above 1.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np

CELLS = ("lstm", "gru", "rnn")
UNITS, FEATURES = 5, 3
NAMES = ("output", "inputs", "kernel", "recurrent_kernel", "bias")


WINDOWS_AND_STEPS = ((2, 1), (3, 6), (133, 4))


def cases():
    """Cell, sequences, backwards, (windows, steps)."""
    return list(product(CELLS, (False, True), (False, True), WINDOWS_AND_STEPS))


def case_name(cell, sequences, backwards, shape):
    words = [cell, "sequences" * sequences, "backwards" * backwards, f"{shape[0]}x{shape[1]}"]
    return " ".join(filter(None, words))


def main():
    import tensorflow as tf

    from train.recurrent import recurrent_layer

    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(1)
    kinds = {"lstm": tf.keras.layers.LSTM, "gru": tf.keras.layers.GRU, "rnn": tf.keras.layers.SimpleRNN}
    random, records = np.random.default_rng(1), []
    for cell, sequences, backwards, shape in cases():
        layer = kinds[cell](UNITS, return_sequences=sequences, go_backwards=backwards, dtype="float64")
        inputs = tf.constant(random.normal(size=(*shape, FEATURES)))
        layer(inputs)
        layer.set_weights([random.normal(size=weights.shape) for weights in layer.weights])

        def keras_layer(inputs, *weights, layer=layer, turn=sequences and backwards):
            outputs = layer(inputs)
            return outputs[:, ::-1] if turn else outputs

        def ours(inputs, *weights, options=(cell, sequences, backwards)):
            cell, sequences, backwards = options
            return recurrent_layer(tf, cell, inputs, *weights, sequences=sequences, backwards=backwards)

        weights = [variable.value for variable in layer.weights]
        factors = random.normal(size=keras_layer(inputs).shape)
        found = [results(tf, function, inputs, weights, factors) for function in (keras_layer, ours)]
        for name, theirs, own in zip(NAMES, *found):
            # The gradient of the recurrent kernel is 0 where there is one step.
            error = float(np.max(np.abs(theirs - own)) / max(np.max(np.abs(theirs)), 1.0))
            case = case_name(cell, sequences, backwards, shape)
            records.append({"case": case, "name": name, "error": error})
    Path(sys.argv[1]).write_text(json.dumps(records))


def results(tf, function, inputs, weights, factors):
    """The outputs, and the gradients of their sum with `factors`."""

    @tf.function
    def graph():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs, *weights)
            loss = tf.reduce_sum(outputs * factors)
        return [outputs, *tape.gradient(loss, [inputs, *weights])]

    return [value.numpy() for value in graph()]
