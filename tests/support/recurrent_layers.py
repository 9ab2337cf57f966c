"""Outputs and gradients of train.fitting.recurrent and of Keras's layers, in a process with TensorFlow.

    python -c "from tests.support.recurrent_layers import main; main()" FILE.json

Writes a list of records: `case`, `name` (`output`, or of what the gradient is) and `error`, the largest
difference, divided by Keras's largest value where that is above 1.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

CELLS = ("lstm", "gru", "rnn")
UNITS, FEATURES = 5, 3
NAMES = ("output", "inputs", "kernel", "recurrent_kernel", "bias")


SEGMENT = 4
"""The steps of a segment here, and the most that are unrolled."""
SEGMENTS = (3, 8)
"""Windows and steps: two segments."""


def cases():
    """Cell, sequences, backwards, (windows, steps), dtype."""
    for cell, dtype in [("lstm", "float32"), *product(CELLS, ("float64",))]:
        # Two parts; the steps are the rest of a segment and a segment.
        yield from product((cell,), (False, True), (False, True), ((35, 6),), (dtype,))
        # One step.
        yield cell, False, False, (2, 1), dtype
        yield cell, True, False, SEGMENTS, dtype


def case_name(cell, sequences, backwards, shape, dtype):
    words = [cell, "sequences" * sequences, "backwards" * backwards, f"{shape[0]}x{shape[1]}", dtype]
    return " ".join(filter(None, words))


def main():
    import tensorflow as tf

    from train import recurrent

    recurrent.SEGMENT = recurrent.UNROLLED = SEGMENT
    own_layer = recurrent.recurrent_layer
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(1)
    kinds = {"lstm": tf.keras.layers.LSTM, "gru": tf.keras.layers.GRU, "rnn": tf.keras.layers.SimpleRNN}
    random, records = np.random.default_rng(1), []
    for case in cases():
        cell, sequences, backwards, shape, dtype = case
        layer = kinds[cell](UNITS, return_sequences=sequences, go_backwards=backwards, dtype=dtype)
        inputs = tf.constant(random.normal(size=(*shape, FEATURES)), dtype)
        layer(inputs)
        layer.set_weights([random.normal(size=weights.shape) for weights in layer.weights])

        def keras_layer(inputs, *weights, layer=layer, turn=sequences and backwards):
            outputs = layer(inputs)
            return outputs[:, ::-1] if turn else outputs

        ours = partial(own_layer, tf, cell, sequences=sequences, backwards=backwards)

        weights = [variable.value for variable in layer.weights]
        factors = tf.constant(random.normal(size=keras_layer(inputs).shape), dtype)
        theirs = results(tf, keras_layer, inputs, weights, factors)
        # Training computes in a graph. A loop over segments is another code there.
        compute = tf.function(results) if shape == SEGMENTS else results
        own = compute(tf, ours, inputs, weights, factors)
        for name, expected, found in zip(NAMES, map(np.asarray, theirs), map(np.asarray, own)):
            # The gradient of the recurrent kernel is 0 where there is one step.
            error = float(np.max(np.abs(expected - found)) / max(np.max(np.abs(expected)), 1.0))
            records.append({"case": case_name(*case), "name": name, "error": error})
    Path(sys.argv[1]).write_text(json.dumps(records))


def results(tf, function, inputs, weights, factors):
    """The outputs, and the gradients of their sum with `factors`."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs, *weights)
        loss = tf.reduce_sum(outputs * factors)
    return [outputs, *tape.gradient(loss, [inputs, *weights])]
