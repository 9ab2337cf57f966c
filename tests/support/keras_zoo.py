"""Builds models of every supported layer: `keras_zoo.py FOLDER [tf_keras|keras SUFFIX SUFFIX]`.

Runs in a process of its own. Writes FOLDER/zoo.pkl: name -> (network as it was read, windows, the
model's own predictions, the function that they apply to the logits). With tf_keras, Keras 2 builds and
saves the models, and another process with Keras 3 reads them.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np

STEPS, FEATURES = 6, 3


def zoo(keras):
    """Name -> layers after the Input, or a function from the input tensor to the output tensor."""
    layers = keras.layers
    dense = layers.Dense

    def lstm(units=4, **options):
        return layers.LSTM(units, **options)

    def nested(x):
        inner = keras.Input((STEPS, 4))
        y = dense(3)(layers.GRU(3)(inner))
        x = keras.Sequential([keras.Input((STEPS, FEATURES)), lstm(return_sequences=True)])(x)
        return layers.Softmax()(keras.Model(inner, y)(x))

    def frozen(x):
        first, last = lstm(return_sequences=True), dense(4)
        first.trainable = False
        normalized = [first, layers.BatchNormalization(), last]
        return dense(3)(lstm()(keras.Sequential([keras.Input((STEPS, FEATURES)), *normalized])(x)))

    def functional(x):
        x = lstm(return_sequences=True)(x)
        return dense(3, activation="softmax")(layers.Flatten()(layers.Dropout(0.5)(x)))

    def shared(x):
        twice = lstm(FEATURES, return_sequences=True)
        return dense(3)(lstm()(twice(twice(x))))

    models = {
        "lstm": [lstm(), dense(3)],
        "lstm without bias": [lstm(use_bias=False), dense(3, use_bias=False)],
        "lstm backwards": [lstm(go_backwards=True), dense(3)],
        "lstm stacked": [lstm(return_sequences=True), lstm(5, return_sequences=True), lstm(), dense(3)],
        "lstm backwards stacked": [lstm(return_sequences=True, go_backwards=True), lstm(), dense(3)],
        "lstm unroll flag": [lstm(unroll=True), dense(3)],
        "lstm dropout": [lstm(dropout=0.3, recurrent_dropout=0.3), dense(3)],
        "lstm alone": [lstm()],
        "gru reset after": [layers.GRU(4), dense(3)],
        "gru reset before": [layers.GRU(4, reset_after=False), dense(3)],
        "gru without bias": [layers.GRU(4, use_bias=False), dense(3)],
        "gru stacked": [layers.GRU(4, return_sequences=True), layers.GRU(3), dense(3)],
        "simple rnn tanh": [layers.SimpleRNN(4), dense(3)],
        "simple rnn relu": [layers.SimpleRNN(4, activation="relu"), dense(3)],
        "rnn of a cell": [layers.RNN(layers.GRUCell(4), return_sequences=True), lstm(), dense(3)],
        "bidirectional sequences": [
            layers.Bidirectional(lstm(return_sequences=True)),
            layers.Bidirectional(layers.GRU(3)),
            dense(3),
        ],
        "bidirectional two kinds": [
            layers.Bidirectional(lstm(), backward_layer=layers.GRU(4, go_backwards=True)),
            dense(3),
        ],
        "time distributed": [
            lstm(return_sequences=True),
            layers.TimeDistributed(dense(5, activation="relu")),
            layers.Flatten(),
            dense(3),
        ],
        "dense on rows": [dense(5, activation="tanh"), lstm(), dense(3)],
        "dense activations": [
            lstm(),
            dense(6, activation="relu"),
            dense(5, activation="sigmoid"),
            dense(4, activation="tanh"),
            dense(3),
        ],
        "batch normalization": [
            layers.BatchNormalization(),
            lstm(return_sequences=True),
            layers.BatchNormalization(scale=False),
            layers.GRU(4),
            layers.BatchNormalization(center=False),
            dense(3),
        ],
        "layer normalization": [
            lstm(return_sequences=True),
            layers.LayerNormalization(),
            layers.GRU(4),
            layers.LayerNormalization(center=False, scale=False),
            dense(3),
        ],
        "average pooling": [lstm(return_sequences=True), layers.GlobalAveragePooling1D(), dense(3)],
        "max pooling": [lstm(return_sequences=True), layers.GlobalMaxPooling1D(), dense(3)],
        "activations": [
            lstm(return_sequences=True),
            layers.Activation("relu"),
            layers.GRU(4),
            layers.ReLU(),
            dense(4),
            layers.Activation("tanh"),
            dense(3),
            layers.Activation("linear"),
        ],
        "softmax inside": [lstm(return_sequences=True), dense(4, "softmax"), layers.GRU(4), dense(3)],
        "no effect": [
            layers.GaussianNoise(0.1),
            layers.SpatialDropout1D(0.2),
            lstm(return_sequences=True),
            layers.GaussianDropout(0.2),
            layers.Reshape((STEPS, 4)),
            layers.Permute((1, 2)),
            layers.GRU(4),
            layers.AlphaDropout(0.1),
            layers.ActivityRegularization(0.1),
            dense(3),
            layers.Dropout(0.5),
        ],
        "reshape to a vector": [lstm(return_sequences=True), layers.Reshape((-1,)), dense(3)],
        "rescaling": [layers.Rescaling(1 / 255, offset=-0.5), lstm(), dense(3)],
        "normalization": [
            layers.Normalization(mean=[0.1, 0.2, -0.5], variance=[1.0, 4.0, 0.25]),
            lstm(),
            dense(3),
        ],
        "softmax layer": [lstm(), dense(3), layers.Softmax()],
        "softmax fused": [lstm(), dense(3, activation="softmax")],
        "softmax twice": [lstm(), dense(3, activation="softmax"), layers.Activation("softmax")],
        "sigmoid head": [lstm(), dense(1, activation="sigmoid")],
        "sigmoid layer": [layers.GRU(4), dense(1), layers.Activation("sigmoid"), layers.Dropout(0.1)],
        "sigmoid of a unit": [lstm(1), layers.Activation("sigmoid")],
        "nested": nested,
        "nested and frozen": frozen,
        "functional": functional,
        "layer used twice": shared,
    }
    for merge in ("concat", "sum", "mul", "ave"):
        models[f"bidirectional {merge}"] = [layers.Bidirectional(lstm(), merge_mode=merge), dense(3)]
    for padding in ("valid", "same", "causal"):
        models[f"conv1d {padding}"] = [
            layers.Conv1D(4, 3, padding=padding, activation="relu"),
            layers.Conv1D(5, 2, strides=2, padding=padding, use_bias=False),
            lstm(),
            dense(3),
        ]
        models[f"conv1d {padding} dilated"] = [
            layers.Conv1D(4, 3, padding=padding, dilation_rate=2),
            layers.GRU(4),
            dense(3),
        ]
    return models


def build(keras, content):
    if callable(content):
        source = keras.Input((STEPS, FEATURES))
        return keras.Model(source, content(source))
    return keras.Sequential([keras.Input((STEPS, FEATURES)), *content])


def built(keras):
    """Name -> model with random weights, of which variances and the like are positive."""
    rng = np.random.default_rng(0)
    models = {name: build(keras, content) for name, content in zoo(keras).items()}
    for name, model in models.items():
        if name != "normalization":
            model.set_weights(
                [
                    np.abs(rng.normal(0, 0.7, w.shape)) + 0.1
                    if "var" in v.name
                    else rng.normal(0, 0.7, w.shape)
                    for v, w in zip(model.weights, model.get_weights())
                ]
            )
    return models


def windows():
    return np.random.default_rng(1).normal(0, 1, (20, STEPS, FEATURES)).astype(np.float32)


def predictions(models):
    return {name: np.asarray(model(windows())) for name, model in models.items()}


def main(folder: Path, keras2: bool) -> None:
    from convert.readers.keras.read_model import read_keras
    from convert.readers.tensorflow.full_models import load_full_model

    suffixes = sys.argv[3:]
    if keras2:
        import tf_keras

        models = built(tf_keras)
        for number, model in enumerate(models.values()):
            model.save(folder / f"{number}{suffixes[number % 2]}")
        with open(folder / "predictions.pkl", "wb") as file:
            pickle.dump(predictions(models), file)
        return
    if (folder / "predictions.pkl").exists():
        expected = pickle.loads((folder / "predictions.pkl").read_bytes())
        models = {
            name: load_full_model(folder / f"{number}{suffixes[number % 2]}")
            for number, name in enumerate(expected)
        }
    else:
        import keras

        models = built(keras)
        expected = predictions(models)
    result = {}
    for name, model in models.items():
        reading = read_keras(model)
        result[name] = (
            reading.network,
            windows(),
            expected[name],
            reading.function,
            reading.logits(windows()),
        )
    with open(folder / "zoo.pkl", "wb") as file:
        pickle.dump(result, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), keras2=sys.argv[2:3] == ["tf_keras"])
